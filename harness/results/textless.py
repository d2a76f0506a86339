"""A run packed without the texts of its data: scores, counts and settings, to be recomputed from.

It is written from the run as a report without texts reads it, not from the run's files: what
`redaction` does not keep is in neither.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from harness.results.answers import table_text
from harness.results.companions import table_of
from harness.results.packing import portable, write_archive
from harness.results.paths import RunPaths, json_text
from harness.results.reading import PLANNED_AGAIN, read_object, read_plan
from harness.results.redaction import without_texts
from harness.results.run import Run


def pack_without_texts(run: Run, output: Path) -> Path:
    """Write ``run`` to ``output`` as one file, without prompts, references and answers.

    Raises:
        DamagedFile: a file of the run is damaged.
    """
    run = without_texts(run)
    paths = RunPaths(run.directory)
    plan = {**read_plan(run.directory, given=str(run.directory)), "texts": False}
    stored: dict[str, bytes | Path] = {paths.plan.name: _settings(plan)}
    if paths.environment.is_file():
        environment = read_object(paths.environment, hint=PLANNED_AGAIN)
        stored[paths.environment.name] = _settings(environment)
    for cell in run.cells:
        if cell.status not in ("ok", "failed"):
            continue
        files = run.paths(cell)
        home = files.directory.relative_to(run.directory).as_posix()
        tables = {
            files.predictions.name: table_text(run.predictions(cell)),
            files.control.name: table_text(run.control(cell)),
            files.train_log.name: table_text(run.train_log(cell)),
        }
        kept = {name: content for name, content in tables.items() if content}
        stored |= {f"{home}/{name}": content for name, content in kept.items()}
        companions = {name: table_of(content) for name, content in kept.items()}
        result = replace(cell, companions=companions)
        stored[f"{home}/{files.result.name}"] = _settings(asdict(result))
    write_archive(output, stored)
    return output


def _settings(value: object) -> bytes:
    return json_text(portable(value)).encode()
