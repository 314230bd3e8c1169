"""What to learn: one file per task, numpy only, knowing nothing of networks."""
