"""From a plan to results: the suite's story, the cell's story, and where cells run."""
