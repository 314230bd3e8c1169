"""How machines, and how far to trust them, are drawn."""
