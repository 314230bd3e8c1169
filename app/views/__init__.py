"""One file per view: what it looks like, and how it is filled. None of them reads a file."""
