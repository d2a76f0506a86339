"""People's verdicts on the same pairs: a file to fill in, blind, and the filled one read.

A row shows a question and two answers, in an order drawn by a hash, without the names of the
variants. Its `pair` says which answers they are, so a label on an answer that a later run replaced
does not count.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.datasets.example import digest
from harness.errors import HarnessError
from harness.judging.verdicts import Case, side_of
from harness.results.judgements import HumanVerdict
from harness.results.paths import written
from harness.results.text import csv_cell
from harness.results.votes import Vote, turned

COLUMNS = ("pair", "question", "answer_A", "answer_B", "verdict")
WORDS = {"a": "A", "b": "B", "tie": "tie"}


class Labels(NamedTuple):
    """The verdicts in a file of labels."""

    verdicts: list[HumanVerdict]
    unknown: int
    """Filled-in rows on answers that the run does not have."""


def write_sample(path: Path, cases: Sequence[Case], count: int) -> int:
    """Write ``count`` of ``cases`` to ``path`` as CSV with an empty `verdict`; how many they are.

    Which ones is decided by a hash, so that they are spread over cells and examples.
    """
    asked = sorted((case for case in cases if not case.blank.is_same), key=_pair_id)
    chosen = asked[:count]
    with written(path) as file:
        file.write(_csv_text(chosen).encode("utf-8"))
    return len(chosen)


def _csv_text(cases: Iterable[Case]) -> str:
    import io

    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for case in cases:
        pair = case.pair
        answers = (pair.second, pair.first) if _is_swapped(case) else (pair.first, pair.second)
        # line ends of Windows are no control characters to spell out to a reader
        shown = (csv_cell(part.replace("\r\n", "\n")) for part in (pair.question, *answers))
        rows.writerow([_pair_id(case), *shown, ""])
    return text.getvalue()


def read_labels(path: Path, cases: Sequence[Case]) -> Labels:
    """The verdicts in the CSV or JSONL file ``path`` on ``cases``; rows without one are left out.

    Raises:
        HarnessError: there is no such file, it lacks a column, or a verdict is none of A, B, tie.
    """
    known = {_pair_id(case): case for case in cases}
    found: list[HumanVerdict] = []
    unknown = 0
    for number, row in _rows(path):
        where = f"{path}:{number}"
        said = str(row.get("verdict") or "").strip()
        if not said:
            continue
        if said.lower() not in WORDS:
            raise HarnessError(f'verdict "{said[:40]}": expected A, B or tie', where=where)
        case = known.get(str(row.get("pair")))
        if case is None:
            unknown += 1
            continue
        blank = case.blank
        verdict = side_of(WORDS[said.lower()], swapped=_is_swapped(case))
        found.append(HumanVerdict(blank.first, blank.second, blank.id, verdict))
    return Labels(found, unknown)


def labels_of_votes(votes: Iterable[Vote], cases: Sequence[Case]) -> list[HumanVerdict]:
    """The blind votes of `harness demo` on ``cases``; the last one on each pair counts.

    A vote that was given with the names in sight says what its voter expected; one on an answer
    that the run does not have now, or on a question of the voter's own, is about something else.
    """
    known = {(c.blank.first, c.blank.second, c.blank.id): c.blank for c in cases}
    found: dict[tuple[str, str, str], HumanVerdict] = {}
    for vote in votes:
        if not vote.blind or vote.example is None:
            continue
        sides = [(vote.first, vote.first_answer), (vote.second, vote.second_answer)]
        for (one, other), choice in ((sides, vote.choice), (sides[::-1], turned(vote.choice))):
            key = (one[0], other[0], vote.example)
            blank = known.get(key)
            answers = (digest(one[1]), digest(other[1]))
            if blank and answers == (blank.first_answer, blank.second_answer):
                found[key] = HumanVerdict(*key, "tie" if choice == "both bad" else choice)
    return list(found.values())


def _rows(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """The line of each row, and the row."""
    try:
        text = path.read_text("utf-8-sig")  # spreadsheets write a mark of the encoding
    except FileNotFoundError:
        hint = "`harness judge RUN --sample 50` writes one to fill in."
        raise HarnessError("no such file of labels", where=str(path), hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"cannot be read: {error}", where=str(path)) from None
    if path.suffix == ".jsonl":
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield number, _object(line, f"{path}:{number}")
        return
    separator = ";" if text.partition("\n")[0].count(";") >= len(COLUMNS) - 1 else ","
    rows = csv.DictReader(text.splitlines(keepends=True), delimiter=separator)
    missing = [name for name in ("pair", "verdict") if name not in (rows.fieldnames or ())]
    if missing:
        raise HarnessError(f"no column {' or '.join(missing)}", where=f"{path}:1")
    for row in rows:
        yield rows.line_num, dict(row)


def _object(line: str, where: str) -> dict[str, object]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise HarnessError("no JSON object", where=where) from None
    if not isinstance(found, dict):
        raise HarnessError("no JSON object", where=where)
    return found


def _pair_id(case: Case) -> str:
    blank = case.blank
    return digest(blank.first, blank.second, blank.id, blank.first_answer, blank.second_answer)


def _is_swapped(case: Case) -> bool:
    return int(_pair_id(case)[-1], 16) % 2 == 1
