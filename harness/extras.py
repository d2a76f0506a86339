"""Packages that `pip install finetune-harness` leaves out, and the extra that brings each.

Reading results needs none of them: `report`, `compare`, `check`, `import`, `merge` and `pack` run
without torch, so a build that only reads results installs in seconds. Whatever needs more asks
here first, and ends in one line that names what to install.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from harness.errors import HarnessError

_EXTRAS = {
    "train": (
        "torch", "transformers", "peft", "trl", "bitsandbytes", "datasets", "evaluate",
        "rouge_score", "accelerate", "tokenizers", "safetensors",
    ),
    "tables": ("pandas", "pyarrow"),
    "math": ("math_verify", "sympy"),
    "gguf": ("gguf",),
    "lm-eval": ("lm_eval",),
    "ray": ("ray",),
    "slurm": ("submitit",),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow",),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
    "demo": ("gradio",),
}  # fmt: skip
"""Extra → the modules that its packages are imported by. `tests/test_extras.py` holds it true to
pyproject.toml. A table instead of the installed metadata: a checkout on `PYTHONPATH` has none."""
EXTRA_OF = {module: extra for extra, modules in _EXTRAS.items() for module in modules}
"""Module → the extra that brings it."""


class MissingPackage(HarnessError):
    """A package is not installed: an extra brings it."""

    def __init__(self, what: str, module: str) -> None:
        super().__init__(f"{what} needs {module}, which is not installed", hint=how(module))


def how(module: str) -> str:
    """The command that installs ``module``."""
    return f"pip install 'finetune-harness[{EXTRA_OF[module]}]'"


def is_installed(module: str) -> bool:
    """Whether ``module`` can be found; it is not imported."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None  # a mere folder of that name has none


def need(what: str, modules: str | Iterable[str]) -> None:
    """Refuse ``what`` where one of ``modules`` is missing.

    Args:
        what: What needs them, as the message's subject: "`harness run`".
        modules: Names to import, each of an extra.

    Raises:
        MissingPackage: one is not installed.
    """
    for module in [modules] if isinstance(modules, str) else modules:
        if not is_installed(module):
            raise MissingPackage(what, module)


def missing_package(error: ImportError) -> MissingPackage | None:
    """What to say of ``error`` where a package of an extra is missing; None for anything else."""
    module = (error.name or "").partition(".")[0]
    if module not in EXTRA_OF or is_installed(module):  # broken inside: not ours to explain
        return None
    return MissingPackage("this", module)
