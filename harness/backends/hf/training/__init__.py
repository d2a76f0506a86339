"""Training rows and the trainer."""
