"""One file per page: `layout(library)` is what it looks like, `register(app, library, guard)` adds its callbacks."""
