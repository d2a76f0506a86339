"""The Hugging Face training stack: the only folder that imports torch."""
