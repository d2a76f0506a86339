"""Greedy decoding and likelihoods."""
