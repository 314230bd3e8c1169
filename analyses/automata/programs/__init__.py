"""A network as a short program of whole numbers."""
