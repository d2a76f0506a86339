"""What the YAML of a task of lm-evaluation-harness says, unloaded: metrics, files, hub data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import HarnessError

LIKELIHOODS = ("perplexity", "weighted_perplexity", "bits_per_byte")
"""Aggregations of log-likelihoods: what is kept per document is `nll`."""
FILES = ("json", "csv", "parquet", "text", "arrow", "pandas", "xml")
"""Values of `dataset_path` that read files named in `dataset_kwargs`."""
METRICS_OF = {
    "loglikelihood": ("perplexity", "acc"),
    "loglikelihood_rolling": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
    "multiple_choice": ("acc", "acc_norm"),
    "generate_until": ("exact_match",),
}
"""The tool's `DEFAULT_METRIC_REGISTRY`: metrics of a task that lists none, by its output type."""
AGGREGATIONS = {
    "perplexity": "perplexity", "word_perplexity": "weighted_perplexity",
    "byte_perplexity": "weighted_perplexity", "bits_per_byte": "bits_per_byte",
}  # fmt: skip
"""Metric → its aggregation where nothing names one; of all others the mean, or no likelihood."""
PREFERRED = ("acc_norm", "exact_match", "acc", "f1", "em", "nll")
"""Metrics that can be a task's primary one, the first that is there."""


class Member(NamedTuple):
    """A task as the tool's index has it."""

    name: str
    config: dict[str, Any]
    path: Path
    """Its YAML file, or that of the group which it is written in."""


def refuse_unfit(member: Member) -> None:
    """Refuse a task that is for another kind of model, that runs code, or that says no metrics.

    Raises:
        HarnessError: it says what the task needs, and what to do instead.
    """
    name, config = member.name, member.config
    if "class" in config:
        what = f'"{name}" is written in Python, so its metrics are not known before it runs'
        raise HarnessError(what, hint="Run it with lm_eval, and `harness import` its samples.")
    if config.get("unsafe_code"):
        what = f'"{name}" runs code that the model writes'
        raise HarnessError(what, hint="Run it in a sandbox with lm_eval, and `harness import` it.")
    if config.get("doc_to_image") or config.get("doc_to_audio"):
        raise HarnessError(f'"{name}" asks about images or sound', hint="Choose a task of texts.")


def metrics_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The metrics of a task as results name them: `acc`, or with a filter `exact_match,strict`.

    Of likelihoods `nll` is one too: it is what perplexities are made of, and what is compared.
    """
    listed = config.get("metric_list")
    output = str(config.get("output_type") or "generate_until")
    entries = (
        [{"metric": name} for name in METRICS_OF.get(output, ())] if listed is None else listed
    )
    names = [str(entry.get("metric")).rpartition(".")[2] for entry in entries]
    filters = [str(each.get("name")) for each in config.get("filter_list") or []] or ["none"]
    found = [
        name if chosen == "none" else f"{name},{chosen}" for chosen in filters for name in names
    ]
    aggregations = (
        entry.get("aggregation") or AGGREGATIONS.get(name)
        for entry, name in zip(entries, names, strict=True)
    )
    if any(each in LIKELIHOODS for each in aggregations):
        found.append("nll")
    return tuple(dict.fromkeys(found))


def primary_of(names: Sequence[str]) -> str:
    """The metric of ``names``, each with or without a filter, that rows are compared by."""
    by_metric = {name.partition(",")[0]: name for name in reversed(names)}
    return next((by_metric[metric] for metric in PREFERRED if metric in by_metric), names[0])


def draws_from_its_own_questions(config: Mapping[str, Any], shots: int | None) -> bool:
    """Whether solved examples come from the questions, each of which may be its own example.

    Of a task that names no split for them the tool takes the training split, then the validation
    split, then the test split; and it keeps a question out of its examples only if the YAML says
    by `fewshot_split` that both are of one split.
    """
    given = shots if shots is not None else config.get("num_fewshot")
    if not isinstance(given, int) or given < 1:
        return False
    if config.get("fewshot_split") or config.get("fewshot_config") or config.get("training_split"):
        return False
    return not (config.get("validation_split") and config.get("test_split"))


def code_files(paths: Sequence[Path | None]) -> list[Path]:
    """The YAML files ``paths``, what they include, and the Python files beside them."""
    found: list[Path] = []
    for path in filter(None, paths):
        found += _with_includes(path.resolve(), path.stat().st_mtime_ns)
    folders = dict.fromkeys(path.parent for path in found)
    return [*found, *(path for folder in folders for path in sorted(folder.glob("*.py")))]


@cache
def _with_includes(path: Path, changed: int) -> tuple[Path, ...]:
    """``path``, as it was when last ``changed``, and the files that its `include` leads to."""
    from lm_eval.tasks._yaml_loader import load_yaml

    listed = load_yaml(path, resolve_func=False, recursive=False).get("include") or []
    names = listed if isinstance(listed, list) else [listed]
    included = [(path.parent / name).resolve() for name in names]
    more = (file for each in included for file in _with_includes(each, each.stat().st_mtime_ns))
    return (path, *more)


def data_files(config: Mapping[str, Any]) -> Iterator[Path]:
    """The local files that a task reads its documents from; paths start where you started."""
    kwargs = config.get("dataset_kwargs") or {}
    for path in map(Path, _named(kwargs.get("data_files"))):
        if path.is_file():
            yield path.resolve()
    source = config.get("dataset_path")
    if isinstance(source, str) and source not in FILES and Path(source).is_dir():
        yield from sorted(p.resolve() for p in Path(source).rglob("*") if p.is_file())


def _named(files: object) -> Iterator[str]:
    if isinstance(files, str):
        yield files
    elif isinstance(files, Mapping):
        for value in files.values():
            yield from _named(value)
    elif isinstance(files, list):
        for value in files:
            yield from _named(value)


def hub_data(config: Mapping[str, Any]) -> Iterator[str]:
    """The data set on the hub that a task reads, with its revision where the YAML pins one."""
    source = config.get("dataset_path")
    if not isinstance(source, str) or source in FILES or Path(source).exists():
        return
    revision = (config.get("dataset_kwargs") or {}).get("revision")
    yield f"{source}@{revision}" if revision else source
