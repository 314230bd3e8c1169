"""Probabilistic machines learned from words alone, to stand beside those that are read off a network."""
