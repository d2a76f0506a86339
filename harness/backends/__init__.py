"""What a training stack is asked, and the stacks: Hugging Face's, and one for tests."""
