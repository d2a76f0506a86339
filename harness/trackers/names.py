"""The trackers that `training.report_to` names; each needs the package of its name."""

from __future__ import annotations

from harness.extras import how, is_installed

TRACKERS = ("tensorboard", "mlflow", "wandb", "trackio")
"""What a suite writes, which is also the module that is imported."""
OFF = "none"
"""How transformers writes that nothing is reported."""
KIND = "|".join([*(f"={name}" for name in [*TRACKERS, OFF]), "list", "none"])
"""What `report_to` may be, as kinds of values are written. transformers' `all` is refused: which
trackers that means depends on what is installed where a suite happens to run."""


def has_unknown(report_to: object) -> bool:
    """Whether a list of trackers holds something else."""
    return isinstance(report_to, list | tuple) and not all(
        isinstance(name, str) and name in TRACKERS for name in report_to
    )


def named(report_to: object) -> tuple[str, ...]:
    """The trackers that a valid value of `report_to` names, each once."""
    listed = report_to if isinstance(report_to, list | tuple) else [report_to]
    return tuple(dict.fromkeys(str(name) for name in listed if name not in (None, OFF)))


def missing_reason(name: str) -> str | None:
    """Why the tracker ``name`` cannot be used here, and what to do; None if it can."""
    return None if is_installed(name) else f"{name} is not installed: {how(name)}"
