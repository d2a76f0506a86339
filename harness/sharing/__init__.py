"""What leaves a run for other tools: a model card, a repository on the hub, an exported model."""
