"""From a suite to decisions: every cell resolved, fingerprinted, and run, current or skipped."""
