"""How answers are read: reasoning cut off, then the label or the number that was meant."""
