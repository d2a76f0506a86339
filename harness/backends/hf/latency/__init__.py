"""Latency and throughput, and the reference work that they are compared with."""
