"""A first suite, written from what a data file holds: look at it, ask what it leaves open, choose.

`data` reads the file, `answers` says what kind of answers it has, `model` what is known of the
model, `choices` settles numbers, `text` writes the YAML. What the file does not say is asked; where
nobody can be asked, it takes a safe default that the suite names in a comment, or is refused.
"""
