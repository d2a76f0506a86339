"""The result of a cell: scores of its answers, measurements, warnings, and their provenance."""

from __future__ import annotations

from collections.abc import Mapping

from harness.counting import counted
from harness.datasets.example import Splits
from harness.errors import HarnessError
from harness.plan.stages import stages_of
from harness.results.answers import write_predictions
from harness.results.records import Audit, Provenance, Reused, environment_of
from harness.results.result import CellResult, value_of
from harness.run.audit import check_leakage, check_rows
from harness.run.finite import finite_scores
from harness.run.lm_eval_cell import values_of_task
from harness.run.story import Story
from harness.scoring.aggregation import aggregate, confusion_record
from harness.scoring.forgetting import control_values
from harness.scoring.noise import noise_of
from harness.scoring.scoring import score_records, signatures_of
from harness.scoring.trivial import trivial_answers

OTHERS_SECONDS = 0.02
"""Processor seconds that other cells may use during a measurement without a warning.

Two ticks of the kernel's clock, which counts them: smaller values are rounding.
"""
TRAINED_ELSEWHERE = (
    "the adapter was trained elsewhere: whether it has seen the test rows is not known"
)
SERVED_ELSEWHERE = (
    "a server answered: whether its model has seen the test rows, and which weights it loaded, is"
    " not known here"
)


def outcome_of(story: Story) -> CellResult:
    """The cell's result: every number computed from the answers, and every measurement."""
    task, job, records = story.cell.task, story.job, story.records
    story.device.stage("score")
    signatures = signatures_of(task)
    by_tool = values_of_task(story) if task.task == "lm_eval" else []
    for answered in (records, *story.repeats.values()):
        if not by_tool:
            score_records(answered, task)
        finite_scores(answered)
    if signatures_of(task) != signatures:
        hint = "Run the suite again: the answers are kept, and scored by what is there now."
        raise HarnessError("a metric's file changed while answers were scored", hint=hint)
    trivial = {} if by_tool else trivial_answers(story.splits, task)
    scores = by_tool or (aggregate(records, task, trivial) if records else [])
    scores += control_values(story.control)
    done = story.done.values()
    measured = [value_of(name, n) for record in done for name, n in record.numbers.items()]
    if records:
        write_predictions(story.paths.predictions, records, durable=False)
    return CellResult(
        **job["axes"],
        key=job["key"],
        status="ok",
        fingerprint=job["fingerprint"],
        task=task.task,
        primary_metric=task.primary_metric,
        values=(*scores, *measured),
        audit=_audit(story),
        data=_data_record(story.splits, job["content"]),
        facts={name: fact for record in done for name, fact in record.facts.items()},
        timings={name: seconds for record in done for name, seconds in record.timings.items()},
        answered_by=task.answered_by,
        trivial=trivial,
        noise=noise_of(records, story.repeats, task.labels),
        confusion=confusion_record(records, task.labels) if task.labels and records else None,
        metric_signatures=signatures,
        provenance=_provenance(story),
        stages={stage: story.keys.of(stage) for stage in stages_of(story.cell) if stage != "score"},
    )


def _audit(story: Story) -> Audit:
    """Counts of the training rows and all warnings, by the suite's policies."""
    evaluation = story.cell.evaluation
    warnings = check_leakage(story.splits.counts, evaluation)
    counts = story.done["train"].audit if "train" in story.done else {}
    warnings += check_rows(counts, evaluation)
    if "source" in story.cell.adapter_config:
        warnings.append(TRAINED_ELSEWHERE)
    if story.cell.is_served:
        warnings.append(SERVED_ELSEWHERE)
    if "measure" in story.done:
        warnings += _not_alone(story.done["measure"].facts.get("exclusive", {}))
    # what training, its settings, loading the model or asking its server showed
    for record in story.done.values():
        for place in ("trained", "batch", "settings", "loaded", "served"):
            notes = record.facts.get(place, {}).get("notes", [])
            warnings += [note for note in notes if note not in warnings]
    return Audit(tuple(warnings), dict(counts))


def _not_alone(exclusive: Mapping[str, float]) -> list[str]:
    """A warning if other cells ran while this one was measured."""
    running, used = exclusive.get("running", 0), exclusive.get("others_cpu_seconds", 0.0)
    if not running and used <= OTHERS_SECONDS:
        return []
    text = (
        f"{counted(round(running), 'other cell')} did not stop; together they used {used:.2f} s of"
        " processor"
    )
    return [f"latency was not measured alone: {text}"]


def _provenance(story: Story) -> Provenance:
    """Settings and surroundings of this result, and of the stages that were done earlier."""
    reused = {
        stage: Reused(folder, environment_of(story.done[stage].environment))
        for stage, folder in story.reused.items()
    }
    environment = environment_of(story.job["environment"])
    return Provenance(story.job["cell"], environment, reused=reused)


def _data_record(splits: Splits, content: dict[str, str]) -> dict[str, object]:
    """Rows counted on their way, how files were read, and what train and test share."""
    overlap = {"overlap": splits.overlap.record()} if splits.overlap else {}
    notes = {"notes": list(splits.notes)} if splits.notes else {}
    return {**splits.counts, **overlap, **notes, "content": content}
