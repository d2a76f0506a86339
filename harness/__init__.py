"""Which fine-tuned variant to ship, and is the gain real.

    import harness

    plan = harness.plan("suites/finance.yaml", select="model=tiny-*")
    run = harness.run(plan, workers=2)            # or harness.load_run("runs/finance")
    board = harness.leaderboard(run)              # shows itself in a notebook
    board.to_frame()                              # a table in pandas

Everything is imported when it is used; only `run`, `predict`, `describe_model` and `build_model`
import torch.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inspect import Signature

    from harness.api.arguments import load_run as load_run
    from harness.api.cells import find_cells as find_cells
    from harness.api.cells import predict as predict
    from harness.api.exporting import export as export
    from harness.api.gate import assert_no_regression as assert_no_regression
    from harness.api.gate import check as check
    from harness.api.gate import load_baseline as load_baseline
    from harness.api.gate import update_baseline as update_baseline
    from harness.api.importing import import_answers as import_answers
    from harness.api.importing import import_results as import_results
    from harness.api.judging import judge as judge
    from harness.api.judging import judge_sample as judge_sample
    from harness.api.models import build_model as build_model
    from harness.api.models import describe_model as describe_model
    from harness.api.models import list_models as list_models
    from harness.api.reports import report as report
    from harness.api.rescoring import score as score
    from harness.api.running import run as run
    from harness.api.runs import compare as compare
    from harness.api.runs import leaderboard as leaderboard
    from harness.api.runs import pack as pack
    from harness.api.shards import merge as merge
    from harness.api.sharing import push as push
    from harness.api.suites import calibrate as calibrate
    from harness.api.suites import load_suite as load_suite
    from harness.api.suites import plan as plan
    from harness.api.suites import schema as schema
    from harness.api.suites import validate as validate
    from harness.errors import HarnessError as HarnessError

__version__ = "0.1.0"

__all__ = [
    "HarnessError",
    "__version__",
    "assert_no_regression",
    "build_model",
    "calibrate",
    "check",
    "compare",
    "describe_model",
    "export",
    "find_cells",
    "import_answers",
    "import_results",
    "judge",
    "judge_sample",
    "leaderboard",
    "list_models",
    "load_baseline",
    "load_run",
    "load_suite",
    "merge",
    "pack",
    "plan",
    "predict",
    "push",
    "report",
    "run",
    "schema",
    "score",
    "update_baseline",
    "validate",
]

_HOMES = {
    "HarnessError": "harness.errors",
    "assert_no_regression": "harness.api.gate",
    "build_model": "harness.api.models",
    "calibrate": "harness.api.suites",
    "check": "harness.api.gate",
    "compare": "harness.api.runs",
    "describe_model": "harness.api.models",
    "export": "harness.api.exporting",
    "find_cells": "harness.api.cells",
    "import_answers": "harness.api.importing",
    "import_results": "harness.api.importing",
    "judge": "harness.api.judging",
    "judge_sample": "harness.api.judging",
    "leaderboard": "harness.api.runs",
    "list_models": "harness.api.models",
    "load_baseline": "harness.api.gate",
    "load_run": "harness.api.arguments",
    "load_suite": "harness.api.suites",
    "merge": "harness.api.shards",
    "pack": "harness.api.runs",
    "plan": "harness.api.suites",
    "predict": "harness.api.cells",
    "push": "harness.api.sharing",
    "report": "harness.api.reports",
    "run": "harness.api.running",
    "schema": "harness.api.suites",
    "score": "harness.api.rescoring",
    "update_baseline": "harness.api.gate",
    "validate": "harness.api.suites",
}
"""Public name → the module that has it."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _function(name)


def __dir__() -> list[str]:
    return __all__


def _function(name: str) -> Any:
    return getattr(import_module(_HOMES[name]), name)


class _CallablePackage(ModuleType):
    """A package that can be called: as the function of its name.

    `plan`, `report` and `run` name a function here and a package of ours. Python binds the package
    to the name as soon as anybody imports something from it; so the package itself is callable,
    and ``harness.plan(...)``, ``from harness import plan`` and ``harness.plan.select`` all work.
    """

    def __call__(self, *arguments: object, **options: object) -> object:
        return self._itself()(*arguments, **options)

    def __getattribute__(self, name: str) -> Any:
        if name == "__doc__":  # what `help` and a notebook's `?` show
            return self._itself().__doc__
        return super().__getattribute__(name)

    @property
    def __signature__(self) -> Signature:
        from inspect import signature

        return signature(self._itself())

    def _itself(self) -> Any:
        return _function(self.__name__.rpartition(".")[2])


for _name in ("plan", "report", "run"):
    import_module(f"harness.{_name}").__class__ = _CallablePackage
