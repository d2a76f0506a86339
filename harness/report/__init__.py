"""Reports: a pure function of a run directory; `harness.report.files` writes them."""
