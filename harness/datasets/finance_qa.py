"""finance-qa: questions about finance, each answer asked for in several wordings.

Source: written by the project. Licence: Apache-2.0, as the code.
In: "What does a low price-to-earnings ratio tell me?" Out: a paragraph of two to four sentences.
The trap: four questions share an answer, so a split by question tests what was trained on; rows
are grouped by the answer.
"""

from __future__ import annotations

import json
from importlib.resources import files

from harness.datasets.registry import dataset
from harness.datasets.table import RawRow
from harness.suite.dataset_entry import DatasetEntry


@dataset("finance-qa", version=2, group_by="reference", files=["data/finance_qa.jsonl"])
def finance_qa(_: DatasetEntry) -> list[RawRow]:
    """One row a question, with the answer and the topic of its body."""
    text = files("harness.datasets").joinpath("data", "finance_qa.jsonl").read_text("utf-8")
    bodies = [json.loads(line) for line in text.split("\n") if line.strip()]
    return [
        {
            "instruction": question, "input": body["input"], "output": body["output"],
            "category": body["topic"],
        }
        for body in bodies
        for question in body["questions"]
    ]  # fmt: skip
