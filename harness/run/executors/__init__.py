"""Where workers run: in this process, or in fresh ones forked from a warm server."""
