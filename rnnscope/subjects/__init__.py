"""What analyses are asked of: a map, and what is known about where it came from."""
