"""A cell's model written for other engines: merged weights, a GGUF file."""
