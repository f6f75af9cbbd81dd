"""What is on disk: run folders, checkpoints, locks, histories and generator files."""
