"""The pages of the explorer. Each has `layout(library)`, called once, and `register(app, library, guard)`."""
