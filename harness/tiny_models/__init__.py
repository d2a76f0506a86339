"""How the shipped tiny models were made; nothing else in the product imports it."""
