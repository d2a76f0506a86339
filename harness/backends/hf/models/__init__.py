"""Models: loaded, quantized and adapted, or built with random weights."""
