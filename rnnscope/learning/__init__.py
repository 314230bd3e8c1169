"""Training: how a task and a cell become a network."""
