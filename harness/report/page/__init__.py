"""The HTML page: rows, examples, templates and assets."""
