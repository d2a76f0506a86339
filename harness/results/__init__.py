"""The files of a run: where they are, what they hold, one run from several, a run as one file."""
