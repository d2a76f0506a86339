"""finance-alpaca: the hub's `gbharti/finance-alpaca`, 68,912 instructions, as it is.

Source: https://huggingface.co/datasets/gbharti/finance-alpaca (Alpaca, FiQA and generated rows).
Licence: see there; the harness ships none of it.
In: "For a car, what scams can be plotted with 0% financing vs rebate?" Out: an answer of a forum.
The trap: questions repeat with other answers, and rows are long; pin `revision`.
"""

from __future__ import annotations

from harness.datasets.registry import dataset
from harness.datasets.sources import hub_rows
from harness.datasets.table import Table
from harness.suite.dataset_entry import DatasetEntry


@dataset("finance-alpaca", version=1, needs_network=True)
def finance_alpaca(entry: DatasetEntry) -> Table:
    """The rows of the hub at the entry's revision."""
    return hub_rows("gbharti/finance-alpaca", entry)
