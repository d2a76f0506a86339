"""Tasks of lm-evaluation-harness as data sets: `source: lm_eval:arc_easy`.

A question of such a task, its right answer and its category, as in MMLU's `abstract_algebra`:
"Find all c in Z_3 such that Z_3[x]/(x^2 + c) is a field." → "1". The tool itself asks and scores
(`backends/hf/tasks/lm_eval_run.py`); here a task is described from its YAML, so that a plan knows
its metrics and fingerprint, and its documents are read, so that a cell knows what it will answer.
Licences are those of the tasks' data. The trap in it: a group is scored over all its documents.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.datasets.example import Example, digest
from harness.datasets.file_hash import file_hash
from harness.datasets.lm_eval_index import PACKAGE, Indexed, find_task, own_tasks
from harness.datasets.lm_eval_yaml import (
    code_files,
    data_files,
    draws_from_its_own_questions,
    hub_data,
    metrics_of,
    primary_of,
    refuse_unfit,
)
from harness.errors import HarnessError, SkipCell
from harness.extras import need
from harness.suite.dataset_entry import DatasetEntry
from harness.user_path import expanded


@dataclass(frozen=True)
class TaskDescription:
    """What is known of a task, or of a group of tasks, from its YAML files alone."""

    name: str
    members: tuple[str, ...]
    """The tasks of a group; of a task itself."""
    metrics: tuple[str, ...]
    """The metrics that every member has, as results name them."""
    files: tuple[Path, ...]
    """YAML files, Python files beside them, local data: their bytes are part of a fingerprint."""
    hub: tuple[str, ...] = ()
    """The data sets on the hub that it reads, each once."""

    @property
    def is_group(self) -> bool:
        """Whether it is several tasks under one name."""
        return self.members != (self.name,)

    @property
    def primary_metric(self) -> str:
        """The metric that rows are ordered by unless a suite names another."""
        return primary_of(self.metrics)

    @property
    def content(self) -> str:
        """What identifies it: the tool's version, its files' bytes, the data on the hub."""
        hashes = [file_hash(path) for path in self.files]
        return "/".join([f"lm_eval {lm_eval_version()}", self.name, digest(*hashes), *self.hub])


def lm_eval_version() -> str:
    """The installed version of lm-evaluation-harness.

    Raises:
        MissingPackage: it is not installed.
    """
    need("a task of lm-evaluation-harness", PACKAGE)
    return version(PACKAGE)


def describe_task(entry: DatasetEntry, folder: Path) -> TaskDescription:
    """The task that ``entry`` names.

    Args:
        entry: A data set whose source is `lm_eval:TASK`.
        folder: The suite's folder, which `include_path` starts from.

    Raises:
        HarnessError: the package or the task is absent, or the task cannot be run here.
    """
    found, name = _indexed(entry, folder), entry.lm_eval_task
    assert name is not None
    try:
        for member in found.members:
            refuse_unfit(member)
        if found.entry.kind.name == "GROUP":
            _check_group(name, found)
        metrics = _shared_metrics(name, found)
    except HarnessError as error:
        raise _named(error, entry) from None
    fixed = [m.name for m in found.members if m.config.get("num_fewshot") == 0]
    if entry.num_fewshot and fixed:  # the tool would silently leave it at 0
        text = f'data set "{entry.name}": num_fewshot has no effect: {fixed[0]} fixes it at 0'
        raise HarnessError(text, hint="Delete it.")
    for member in found.members:
        if draws_from_its_own_questions(member.config, entry.num_fewshot):
            text = f'data set "{entry.name}": solved examples of {member.name} would be drawn from'
            hint = "Name another split by `fewshot_split` in the task's YAML, or ask without any."
            text = f"{text} the split that is tested, the question itself among them"
            raise HarnessError(text, where=str(member.path), hint=hint)
    paths = [found.entry.yaml_path, *(member.path for member in found.members)]
    local = [path for member in found.members for path in data_files(member.config)]
    far = [source for member in found.members for source in hub_data(member.config)]
    return TaskDescription(
        name,
        tuple(dict.fromkeys(member.name for member in found.members)),
        metrics,
        tuple(dict.fromkeys([*code_files(paths), *local])),
        tuple(dict.fromkeys(far)),
    )


def task_manager(entry: DatasetEntry, folder: Path) -> Any:
    """The tool's `TaskManager`, which knows the task of ``entry`` and what it is made of."""
    return _indexed(entry, folder).manager


def task_examples(entry: DatasetEntry, folder: Path) -> list[Example]:
    """Every document of the task that is evaluated, in the tool's order.

    Prompts are as the tool makes them without solved examples: they identify a document, say
    whether it was trained on, and are what speed is measured with. The tool asks its own.

    Raises:
        SkipCell: data on the hub cannot be fetched.
        HarnessError: the task cannot be loaded.
    """
    from lm_eval.evaluator_utils import get_sample_size

    task = describe_task(entry, folder)
    found = []
    for name, loaded in _load(entry, task, task_manager(entry, folder)).items():
        limit = get_sample_size(loaded, entry.limit)
        for number, doc in loaded.doc_iterator(limit=limit):
            found.append(_example(loaded, doc, number, member=name if task.is_group else None))
    if not found:
        raise HarnessError(f'data set "{entry.name}": the task {task.name} has no documents')
    return found


def _indexed(entry: DatasetEntry, folder: Path) -> Indexed:
    lm_eval_version()
    name, own = entry.lm_eval_task, None
    assert name is not None
    if entry.include_path is not None:
        place = (folder / expanded(entry.include_path)).resolve()
        if not place.is_dir():
            hint = f"Paths start from the suite's folder, {folder}."
            text = f'data set "{entry.name}": include_path: no folder {place}'
            raise HarnessError(text, hint=hint)
        own = own_tasks(place)
    try:
        return find_task(name, own)
    except HarnessError as error:
        raise _named(error, entry) from None


def _named(error: HarnessError, entry: DatasetEntry) -> HarnessError:
    what = f'data set "{entry.name}": {error.what}'
    return HarnessError(what, where=error.where, hint=error.hint)


def _check_group(name: str, found: Indexed) -> None:
    """Refuse a group whose score is not that of its documents together."""
    listed = (found.entry.cfg or {}).get("aggregate_metric_list") or []
    for metric in listed if isinstance(listed, list) else [listed]:
        if metric.get("weight_by_size") is False:
            what = f'"{name}" averages the scores of its tasks whatever their sizes'
            hint = "No example has a share in that. Name its tasks one by one."
            raise HarnessError(what, hint=hint)


def _shared_metrics(name: str, found: Indexed) -> tuple[str, ...]:
    named = [metrics_of(member.config) for member in found.members]
    shared = tuple(m for m in named[0] if all(m in each for each in named)) if named else ()
    if shared:
        return shared
    if len(found.members) < 2:
        raise HarnessError(f'"{name}": its YAML names no metric', hint="Write its `metric_list`.")
    names = ", ".join(member.name for member in found.members[:8])
    hint = f"Name them one by one: {names}{', …' if len(found.members) > 8 else ''}."
    raise HarnessError(f'"{name}": its tasks share no metric', hint=hint)


def _load(entry: DatasetEntry, task: TaskDescription, manager: Any) -> dict[str, Any]:
    """Name → the tool's `Task`, with its data, of each member."""
    import datasets

    shown = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        loaded: dict[str, Any] = manager.load([task.name])["tasks"]
    except Exception as error:  # a YAML may hold code; the tool and `datasets` raise anything
        lines = str(error).strip().splitlines()
        what = f"{type(error).__name__}: {lines[0] if lines else ''}"
        if task.hub:
            text = f"the data of lm_eval:{task.name} ({', '.join(task.hub)}) cannot be fetched"
            raise SkipCell(f"{text}: {what[:200]}") from error
        hint = f"Try it by itself: lm_eval run --model dummy --tasks {task.name} --limit 1"
        text = f'data set "{entry.name}": the task {task.name} cannot be loaded: {what[:300]}'
        raise HarnessError(text, where=str(task.files[0]), hint=hint) from error
    finally:
        if not shown:
            datasets.enable_progress_bars()
    for each in loaded.values():
        _refuse_unknown_metrics(each, entry)
    return loaded


def _refuse_unknown_metrics(task: Any, entry: DatasetEntry) -> None:
    """Refuse a metric that the tool has not found: it says so in its log, and leaves it out."""
    if task.config.process_results is not None:
        return  # the task computes its metrics itself
    unknown = [name for name, function in task._metric_fn_list.items() if function is None]
    if unknown:
        what = f'data set "{entry.name}": lm-evaluation-harness has no metric "{unknown[0]}"'
        hint = "Correct `metric_list` in the task's YAML; metrics of `evaluate` come from the hub."
        raise HarnessError(what, where=str(task.config.task), hint=hint)


def _example(task: Any, doc: Any, number: int, *, member: str | None) -> Example:
    text, target = _text(task, doc), _target(task, doc)
    identity = digest(json.dumps(doc, sort_keys=True, default=str, ensure_ascii=False))
    place = str(number) if member is None else f"{member}/{number}"
    # a rolling task has no question: it scores a whole text
    return Example(f"{place}-{identity}", text or target, target, category=member)


def _text(task: Any, doc: Any) -> str:
    text = task.doc_to_text(doc)
    if isinstance(text, str):
        return text.strip()
    # of tasks such as winogrande it is the number of the right beginning, among the choices
    return " / ".join(map(str, task.doc_to_choice(doc)))


def _target(task: Any, doc: Any) -> str:
    target = task.doc_to_target(doc)
    if isinstance(target, list):
        target = target[0] if target else ""
    if isinstance(target, int) and getattr(task.config, "doc_to_choice", None) is not None:
        choices = task.doc_to_choice(doc)
        target = choices[target] if 0 <= target < len(choices) else target
    return str(target).strip() or str(doc)[:80]
