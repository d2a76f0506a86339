"""Two variants of a run live, side by side, on a page of this machine or in an app of its own."""
