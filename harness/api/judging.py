"""Pairwise judging of a finished run, when you ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.api.arguments import RunLike, StrPath, refuse_packed, run_of
from harness.errors import HarnessError
from harness.results.locking import locked
from harness.results.paths import RunPaths
from harness.results.run import Run
from harness.suite.judge_entry import Judge
from harness.suite.loading import load_suite
from harness.user_path import typed


@dataclass(frozen=True)
class JudgeOutcome:
    """What judging a run did."""

    pairs: int
    """Pairs of answers, the same ones included."""
    asked: int
    """Requests that the judge answered now."""
    from_cache: int
    failures: int
    """Pairs without a verdict."""
    unknown_labels: int
    """People's verdicts on answers that the run does not have."""
    page: Path
    """The report, with the verdicts."""


def judge(run: RunLike, *, suite: StrPath | None = None) -> JudgeOutcome:
    """Let the judge of the suite compare the answers of ``run`` in pairs, and report its verdicts.

    Answers that were judged before, with the same words, are not asked about again.

    Args:
        run: A run's directory.
        suite: Take `judge` from this suite; default: from the one that was run.

    Raises:
        HarnessError: the suite has no `judge`, no cell has a reference, or the judge does not
            answer.
    """
    from harness.api.reports import report
    from harness.judging.labels import Labels, labels_of_votes, read_labels
    from harness.judging.verdicts import cases_of, judge_cases
    from harness.results.judgements import write_judgements
    from harness.results.votes import read_votes

    read = _own_run(run)
    settings, folder = _judge_of(read, suite)
    with locked(read.directory):
        # a mistake in people's verdicts is said before anything is paid for
        cases = cases_of(read, settings)
        labels = Labels([], 0)
        if settings.labels:
            labels = read_labels(folder / settings.labels, cases)
        voted = labels_of_votes(read_votes(read.directory), cases)
        judged = judge_cases(cases, settings, labels=[*labels.verdicts, *voted])
        write_judgements(read.directory, judged.found, judged.words)
        page = report(read.directory).page
    record = judged.found.record
    return JudgeOutcome(
        len(judged.found.verdicts), record.asked, record.from_cache,
        sum(record.failures.values()), labels.unknown, page,
    )  # fmt: skip


def judge_sample(
    run: RunLike, output: StrPath, *, count: int = 50, suite: StrPath | None = None
) -> int:
    """Write pairs of answers of ``run`` to a CSV file for people to judge; how many they are.

    Args:
        run: A run's directory.
        output: The file: `pair`, `question`, `answer_A`, `answer_B`, and an empty `verdict` for A,
            B or tie. The order of the answers is drawn; the variants are not named.
        count: How many pairs.
        suite: As in `judge`.

    Raises:
        HarnessError: the suite has no `judge`, no cell has a reference, or the file is there.
    """
    from harness.judging.labels import write_sample
    from harness.judging.verdicts import cases_of

    path = Path(output)
    if path.exists():  # hours of somebody's work may be in it
        hint = "It may hold people's verdicts. `-o` names another file."
        raise HarnessError("exists and is kept", where=str(path), hint=hint)
    read = _own_run(run)
    settings, _ = _judge_of(read, suite)
    return write_sample(path, cases_of(read, settings), count)


def _own_run(run: RunLike) -> Run:
    hint = "Give the run's own directory: the verdicts are written into it."
    refuse_packed(run, "a packed run cannot be judged", hint)
    read = run_of(run)
    if not read.has_texts or read.homes:
        hint = "Give the directory of one run, as `harness run` wrote it."
        raise HarnessError("these answers cannot be judged", where=str(read.directory), hint=hint)
    return read


def _judge_of(run: Run, suite: StrPath | None) -> tuple[Judge, Path]:
    """The judge's settings, and the folder that its paths start from."""
    path = Path(suite) if suite else RunPaths(run.directory).suite
    own = Path(suite) if suite else Path(str(run.suite.get("path", "")))
    if suite is None and run.suite.get("imported"):
        hint = f"Name a suite with a `judge`: harness judge {typed(run.directory)} --suite SUITE"
        what = "imported answers have no suite to take the judge from"
        raise HarnessError(what, where=str(run.directory), hint=hint)
    found = load_suite(path).judge
    if found is None:
        hint = (
            "Write `judge: {endpoint: {base_url: …, model: …}}` into your suite and name it: "
            "`harness judge RUN --suite SUITE`; docs/judge.md."
        )
        raise HarnessError("the suite has no `judge`", where=str(path), hint=hint)
    return found, own.parent
