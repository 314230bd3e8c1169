"""What is on disk: runs and results."""
