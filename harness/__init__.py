"""Which fine-tuned variant to ship, and is the gain real."""
