"""A suite file read and checked: every problem with its line, the key and the nearest valid one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from harness.errors import SuiteError
from harness.registry import did_you_mean
from harness.suite import options as passthrough
from harness.suite.contradictions import contradictions
from harness.suite.gate_metrics import gate_problems
from harness.suite.options import key_problems
from harness.suite.parts import OVERRIDES
from harness.suite.repair import STAND_IN, repaired
from harness.suite.schema import (
    AXES,
    BASE,
    AdapterEntry,
    Entry,
    Evaluation,
    Options,
    QuantizationEntry,
    Suite,
    axis_names,
)
from harness.suite.yaml_file import YamlFile, read_yaml


def load_suite(path: Path) -> Suite:
    """The suite in ``path``.

    Raises:
        SuiteError: every problem of the file, each as ``file:line: key: message``.
    """
    read = read_suite(path)
    if read.problems or read.suite is None:
        raise SuiteError(read.problems)
    return read.suite


class ReadSuite(NamedTuple):
    """A suite file: as far as it can be used, and what is wrong with it."""

    file: YamlFile
    suite: Suite | None
    problems: list[str]


def read_suite(path: Path) -> ReadSuite:
    """The suite in ``path`` with the problems of its keys, their values and their kinds.

    Raises:
        HarnessError: the file is absent or no YAML.
    """
    file = read_yaml(path)
    found = repaired(file)
    problems = list(found.problems)
    if found.suite is not None:
        problems += [*_option_problems(found.suite, file), *_exclude_problems(found.suite, file)]
        problems += gate_problems(found.suite, file)
    return ReadSuite(file, found.suite, by_line(problems))


def by_line(problems: Iterable[str]) -> list[str]:
    """``problems`` (``file:line: …``) each once, in the order of their lines."""

    def line(problem: str) -> int:
        number = problem.partition(": ")[0].rpartition(":")[2]
        return int(number) if number.isdecimal() else 0

    return sorted(dict.fromkeys(problems), key=line)


class Block(NamedTuple):
    """A block of pass-through options."""

    place: list[str | int]
    """Its path in the file."""
    options: Options
    kind: str
    known: Mapping[str, str]
    """Its keys, each with the kind of its values."""


def _option_problems(suite: Suite, file: YamlFile) -> list[str]:
    problems: list[str] = []
    for block in option_blocks(suite):
        under = getattr(suite, block.kind) if block.kind in ("training", "generation") else {}
        found = [*_key_problems(block), *contradictions(block.kind, {**under, **block.options})]
        for key, text in found:
            if key in block.options:
                problems.append(f"{file.place([*block.place, key])}: {text}")
    return problems


def _key_problems(block: Block) -> Iterator[tuple[str, str]]:
    managed = passthrough.MANAGED_TRAINING_KEYS if block.kind == "training" else frozenset()
    for key in block.options:
        if key in managed:
            yield key, "the harness sets this key itself; delete it"
    kept = {key: value for key, value in block.options.items() if key not in managed}
    yield from key_problems(kept, block.known)
    if block.kind == "evaluation":
        yield from _evaluation_problems(kept)


def _evaluation_problems(options: Options) -> Iterator[tuple[str, str]]:
    known = {key: value for key, value in options.items() if key in Evaluation.model_fields}
    try:
        Evaluation(**known)
    except ValidationError as error:
        for problem in error.errors():
            yield str(problem["loc"][0]), problem["msg"].removeprefix("Value error, ")


def option_blocks(suite: Suite) -> Iterator[Block]:
    """Every block of pass-through options of ``suite``, with its place in the file."""
    known: dict[str, Mapping[str, str]] = {
        "training": passthrough.training_keys(),
        "generation": passthrough.generation_keys(),
        "evaluation": dict.fromkeys(Evaluation.model_fields, "any"),
    }
    for kind in ("training", "generation"):
        yield Block([kind], getattr(suite, kind), kind, known[kind])
    for number, point in enumerate(suite.matrix.training):
        place: list[str | int] = ["matrix", "training", number, "options"]
        yield Block(place, point.options, "training", known["training"])
    for kind in known if suite.tiny else ():
        yield Block(["tiny", kind], getattr(suite.tiny, kind), kind, known[kind])
    for axis in AXES[:-1]:
        for number, entry in enumerate(getattr(suite.matrix, axis)):
            if isinstance(entry, Entry):
                place = ["matrix", axis, number]
                for kind in known:
                    yield Block([*place, kind], getattr(entry, kind), kind, known[kind])
                yield from _config_blocks(entry, place)
    for number, included in enumerate(suite.include):
        for kind in known:
            if isinstance(included.get(kind), dict):
                yield Block(["include", number, kind], included[kind], kind, known[kind])


def _config_blocks(entry: Entry, place: list[str | int]) -> Iterator[Block]:
    where = [*place, "config"]
    if isinstance(entry, QuantizationEntry):
        config = entry.config or {}
        keys = passthrough.quantization_keys(config.get("quant_method"))
        yield Block(where, config, "quantization", keys)
    if isinstance(entry, AdapterEntry):
        keys = passthrough.adapter_keys(entry.peft_type)
        yield Block(where, entry.config, "adapter", keys)


def _exclude_problems(suite: Suite, file: YamlFile) -> list[str]:
    problems = []
    names = {axis: axis_names(getattr(suite.matrix, axis)) for axis in AXES}
    names["adapter"] += [
        f"{name}+{point.name}" for name in names["adapter"] for point in suite.matrix.training
    ]
    names["adapter"].append(BASE)
    names = {
        axis: [name for name in there if not str(name).startswith(STAND_IN)]
        for axis, there in names.items()
    }
    for number, entry in enumerate(suite.exclude):
        for axis, value in entry.items():
            if axis in AXES and value not in names[axis] and value is not None:
                place = file.place(["exclude", number, axis])
                hint = did_you_mean(str(value), [str(name) for name in names[axis]])
                problems.append(f'{place}: "{value}" is not on the axis. {hint}')
    for block in ("include", "exclude"):
        allowed = {*AXES, *(OVERRIDES if block == "include" else ())}
        for number, entry in enumerate(getattr(suite, block)):
            for key in entry:
                place = file.place([block, number, key])
                if key in OVERRIDES and not isinstance(entry[key], dict):
                    problems.append(f"{place}: expected keys and values")
                if key not in allowed:
                    hint = did_you_mean(key, allowed)
                    problems.append(f'{place}: unknown key "{key}". {hint}')
    return problems
