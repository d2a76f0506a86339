"""The commands of `harness`: each takes its arguments, makes one call and prints."""
