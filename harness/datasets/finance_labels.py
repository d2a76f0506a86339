"""finance-labels: sentences of financial news under one of three labels, 200 each.

Source: written by the project. Licence: Apache-2.0, as the code.
In: "We put the chance of a covenant breach at one in four before the year is out." Out: "risk
analysis".
The trap: a label never occurs in its text, so a keyword search finds nothing; the labels are of
two words, which an answer has to give in full.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from harness.datasets.registry import dataset
from harness.datasets.table import Table
from harness.datasets.table_file import read_table
from harness.suite.dataset_entry import DatasetEntry

LABELS = ("risk analysis", "earnings report", "market sentiment")


@dataset("finance-labels", version=2, labels=LABELS, files=["data/finance_labels.csv"])
def finance_labels(_: DatasetEntry) -> Table:
    """The rows of the file: `text` and `label`."""
    return read_table(Path(str(files("harness.datasets"))) / "data" / "finance_labels.csv")
