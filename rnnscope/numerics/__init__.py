"""Linear algebra, bounds and transport that know nothing of networks."""
