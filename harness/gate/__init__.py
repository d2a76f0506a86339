"""The regression gate: a run against its baseline, by rules."""
