"""The questions of a run's own test set, as a page offers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.datasets.example import Example
from harness.datasets.splits import prepare
from harness.errors import HarnessError
from harness.plan.cell import cell_of_record
from harness.report.section import shortened
from harness.results.result import CellResult
from harness.results.run import Run

OWN = "own"
"""The id of a question of one's own; those of a data set are hashes."""
OFFERED = 200
"""Most questions in the list: more are slow to draw, and nobody reads them."""
SHOWN = 100
"""Characters of a question in the list."""


@dataclass(frozen=True)
class Questions:
    """Test questions, or why there are none."""

    examples: tuple[Example, ...] = ()
    missing: str | None = None
    """Why none can be offered; None where there are some."""

    def by_id(self, example: str | None) -> Example | None:
        """The one with this id."""
        return next((each for each in self.examples if each.id == example), None)

    def choices(self) -> list[tuple[str, str]]:
        """What a list shows of each, and its id; questions that begin alike are numbered."""
        texts = [shortened(" ".join(each.prompt.split()), SHOWN) for each in self.examples]
        return [
            (text if texts.count(text) == 1 else f"{text} ({number})", each.id)
            for number, (text, each) in enumerate(zip(texts, self.examples, strict=True), start=1)
        ]


def questions_of(run: Run, cells: Sequence[CellResult]) -> Questions:
    """The questions on which both of ``cells`` were scored, from the data set itself.

    A question is more than its prompt: a context, a system message, earlier turns. The stored
    answers do not have these, so a data set that is gone or has changed gives no question.
    """
    if len({cell.dataset for cell in cells}) > 1:
        return Questions(missing="The two variants were scored on different data sets.")
    cell = cell_of_record(cells[0].provenance.cell)
    stored = [{r["id"]: r.get("data_hash") for r in run.predictions(each)} for each in cells]
    try:
        test = prepare(cell.dataset, Path(cell.base_folder)).test
    except (HarnessError, OSError) as error:
        return Questions(missing=f"The data set cannot be read: {str(error).splitlines()[0]}")
    found = [e for e in test if all(each.get(e.id) == e.content_hash for each in stored)]
    if not found:
        return Questions(missing="The data set has changed since both variants were scored on it.")
    return Questions(tuple(found[:OFFERED]))


def context_of(example: Example) -> str:
    """What a question comes with, besides its prompt, as one text; empty where it has nothing."""
    turns = [f"{turn.role}: {turn.content}" for turn in example.history]
    system = [f"system: {example.system}"] if example.system else []
    return "\n\n".join([*system, *turns, *([example.context] if example.context else [])])


def asked_example(question: str, test: Example | None) -> Example:
    """The test example where its prompt is what is asked, unchanged; else a question alone.

    Raises:
        HarnessError: nothing is asked.
    """
    if test is not None and is_question_of(question, test):
        return test
    if not question.strip():
        raise HarnessError("Write a question, or choose one of the test set.")
    return Example(id=OWN, prompt=question.strip(), reference="")


def is_question_of(question: str, example: Example) -> bool:
    """Whether ``question`` is the prompt of ``example``, unchanged."""
    return question.strip() == example.prompt.strip()
