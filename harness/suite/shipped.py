"""Where the suites and models that ship stand: in the repository, or where a wheel put them."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from harness.errors import HarnessError
from harness.registry import did_you_mean


def shipped(kind: str) -> list[Path]:
    """The folders of `models` or `suites` beside the package and in an installation's data."""
    installed = Path(sysconfig.get_path("data")) / "share" / "finetune-harness"
    return [p / kind for p in (Path(__file__).parents[2], installed) if (p / kind).is_dir()]


def suite_names() -> list[str]:
    """The shipped suites, as `find_suite` takes them."""
    found = {
        path.relative_to(folder).with_suffix("").as_posix()
        for folder in shipped("suites")
        for path in folder.rglob("*.yaml")
    }
    return sorted(found)


def find_suite(path: Path) -> Path:
    """``path``, or the shipped suite that it names: `finance` or `suites/finance.yaml`.

    Raises:
        HarnessError: there is no such file and no such shipped suite.
    """
    if path.is_file():
        return path
    inner = Path(*path.parts[1:]) if path.parts[:1] == ("suites",) else path
    for folder in shipped("suites"):
        for candidate in (folder / inner, folder / f"{inner}.yaml"):
            if candidate.is_file():
                return candidate
    if (path / "suite.yaml").is_file():  # people name the run where its suite is wanted
        hint = "Give the suite file that was run."
        raise HarnessError("is a run's directory, not a suite", where=str(path), hint=hint)
    if path.is_dir():
        raise HarnessError("is a folder, not a suite", where=str(path), hint="Give a YAML file.")
    known = [p.stem for folder in shipped("suites") for p in folder.glob("*.yaml")]
    hint = f"{did_you_mean(path.stem, known)} Give a suite file, or the name of a shipped one."
    raise HarnessError("no such file", where=str(path), hint=hint)
