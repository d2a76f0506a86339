"""A folder that runs without the harness: two variants of a run as an app for a Space."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from harness.backends.bits_and_bytes import config_arguments
from harness.backends.template_clock import stopped_clock
from harness.demo.questions import context_of, questions_of
from harness.demo.variants import check_own_adapter, names
from harness.errors import HarnessError
from harness.metrics.meaning import title_of
from harness.plan.adapter_source import CONFIG
from harness.plan.cell import Cell, cell_of_record
from harness.plan.hub import cached_commit
from harness.report.markdown import escaped, markdown_table
from harness.results.paths import folder_name, read_json, write_json, write_text
from harness.results.result import CellResult
from harness.results.run import Run
from harness.run.adapter_card import is_full
from harness.run.answer import saved_adapter
from harness.sharing.folder import check_new, copy_files
from harness.suite.prompt_styles import TEMPLATES

HERE = Path(__file__).parent / "space"
NEEDED = ("torch", "transformers", "peft", "accelerate", "safetensors", "jinja2")


@dataclass(frozen=True)
class Exported:
    """An app's folder."""

    folder: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]
    """What has to be done before it can run elsewhere."""


def export_app(
    run: Run, pair: tuple[CellResult, CellResult], folder: Path, *, questions: int = 0
) -> Exported:
    """Write an app that asks both of ``pair`` to ``folder``.

    Args:
        run: The run.
        pair: Two finished text cells.
        folder: A new folder, or an empty one.
        questions: How many test questions the app offers. Whoever sees the app reads them.

    Raises:
        HarnessError: the folder has files, or a variant is one that the app cannot load.
    """
    for result in pair:
        _check_exportable(run, result)
    check_new(folder)
    offered = _questions(run, pair, questions)  # before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    called = names(pair)
    variants = [_variant(run, result, called[result.key], folder) for result in pair]
    title = f"{run.suite['name']}: {called[pair[0].key]} and {called[pair[1].key]}"
    settings = {"title": title, "variants": variants, "questions": offered}
    write_json(folder / "settings.json", settings)
    shutil.copyfile(HERE / "app.py.txt", folder / "app.py")
    write_text(folder / "requirements.txt", _requirements(pair))
    write_text(folder / "README.md", _readme(title, pair, variants))
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return Exported(folder, tuple(files), tuple(_notes(variants)))


def _check_exportable(run: Run, result: CellResult) -> None:
    """Refuse what the app would answer otherwise than the cell did."""
    cell = cell_of_record(result.provenance.cell)
    card, method = cell.model, cell.quantization_config.get("quant_method", "bitsandbytes")
    reasons = {
        "it names a label, and the app answers in text": cell.task.task == "classification",
        f"it was answered by the backend {cell.backend}": cell.backend != "hf",
        "its adapter is merged and quantized again, which takes minutes at each start": (
            cell.serve == "requantized"
        ),
        "it is a whole model and no adapter: push it to the hub": is_full(result),
        "its base is a GGUF file": card.gguf_file is not None,
        f"its quantization is {method}": method != "bitsandbytes",
        "it does not record its prompt and stop tokens: run it again": (
            "stop_tokens" not in result.facts.get("prompting", {})
        ),
    }
    for reason, holds in reasons.items():
        if holds:
            hint = "Export other cells: `--cells FIRST SECOND`."
            raise HarnessError(f"{result.key} cannot be exported: {reason}", hint=hint)
    check_own_adapter(run, result)


def _variant(run: Run, result: CellResult, name: str, folder: Path) -> dict[str, object]:
    cell = cell_of_record(result.provenance.cell)
    card = cell.model
    revision = None if card.is_local else cached_commit(card.source, card.revision)
    return {
        "name": name,
        "base": card.source,
        "revision": revision or card.revision,
        "dtype": card.dtype,
        "quantization": _quantization(cell),
        "adapter": _copy_adapter(run, result, folder),
        "merged": cell.serve == "merged" and not cell.is_baseline,
        "prompt": _prompt(cell, result.facts["prompting"]),
        "stop_tokens": [t["id"] for t in result.facts["prompting"]["stop_tokens"].values()],
        "generation": cell.generation,
    }


def _copy_adapter(run: Run, result: CellResult, folder: Path) -> str | None:
    if result.is_baseline:
        return None
    source = saved_adapter(run.paths(result), result.companions)
    place = Path("adapters") / folder_name([result.adapter, f"s{result.seed}"])
    if (folder / place).exists():  # the other variant's, of another model, quantization or data set
        place = place.with_name(folder_name([result.key]))
    target = folder / place
    target.mkdir(parents=True)
    # the tokenizer is the base's own; other files are nobody's business
    copy_files(source, target, (CONFIG, "adapter_*"))
    base = result.provenance.cell["model"]
    if Path(str(base["source"])).is_absolute():  # a folder's name is nobody's business either
        config = read_json(target / CONFIG)
        write_json(target / CONFIG, {**config, "base_model_name_or_path": base["name"]})
    return place.as_posix()


def _quantization(cell: Cell) -> dict[str, object]:
    """The arguments of `BitsAndBytesConfig`, as our backend gives them; empty for none."""
    if not cell.quantization_config:
        return {}
    dtype = cell.model.dtype
    return config_arguments(cell.quantization_config, None if dtype == "auto" else dtype)


def _prompt(cell: Cell, facts: Mapping[str, Any]) -> dict[str, object]:
    """How a question becomes a prompt, as the backend found it out when it evaluated the cell."""
    style = str(facts["style"])
    template = cell.model.template if style == "template" else TEMPLATES.get(style)
    day = facts.get("template_date")  # of a chat template that reads the date
    return {
        "template": template,
        "system": cell.model.system,
        "system_in_user_turn": "system" in facts,
        "in_parts": "content" in facts,
        "variables": facts.get("template_kwargs", {}),
        "clock": stopped_clock(None if day is None else date.fromisoformat(day)),
    }


def _questions(run: Run, pair: Sequence[CellResult], count: int) -> list[str]:
    if not count:
        return []
    found = questions_of(run, pair)
    if found.missing:
        raise HarnessError(found.missing, hint="Export without `--questions`.")
    # the app has one box: a question that comes with a context or earlier turns is left out
    alone = [e.prompt for e in found.examples if not context_of(e)]
    return alone[:count]


def _requirements(pair: Sequence[CellResult]) -> str:
    """The versions that the variants were evaluated with; Gradio's is the one that is here."""
    tested = pair[1].provenance.environment.packages
    quantized = any(result.provenance.cell["quantization_config"] for result in pair)
    wanted = [*NEEDED, *(["bitsandbytes"] if quantized else [])]
    pins = {name: tested.get(name) or _installed(name) for name in wanted}
    pins["gradio"] = _installed("gradio")
    # a build of torch for one kind of machine (`+cpu`) is in no index
    return "".join(f"{n}=={v.partition('+')[0]}\n" if v else f"{n}\n" for n, v in pins.items())


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _readme(title: str, pair: Sequence[CellResult], variants: Sequence[Mapping[str, Any]]) -> str:
    hub = sorted({str(v["base"]) for v in variants if not Path(str(v["base"])).is_absolute()})
    front: dict[str, object] = {
        "title": title, "sdk": "gradio", "sdk_version": _installed("gradio"), "app_file": "app.py",
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "colorFrom": "blue", "colorTo": "gray", "pinned": False,
    }  # fmt: skip
    if hub:
        front["models"] = hub
    head = yaml.safe_dump({k: v for k, v in front.items() if v is not None}, sort_keys=False)
    metric = pair[0].primary_metric
    rows = [
        (str(variant["name"]), result.model, result.quantization, _score(result, metric))
        for result, variant in zip(pair, variants, strict=True)
    ]
    table = "\n".join(markdown_table(("variant", "model", "quantization", title_of(metric)), rows))
    return (
        f"---\n{head}---\n\n# {escaped(title)}\n\nBoth answer the same question, with the prompt,"
        " stop tokens and generation settings that they were evaluated with.\n\n"
        f"{table}\n\nScores are means over the test set with their 95% intervals. `settings.json`"
        " says what is loaded. Run it here by `pip install -r requirements.txt; python app.py`.\n"
    )


def _score(result: CellResult, metric: str) -> str:
    found = result.value(metric)
    if found is None or found.value is None:
        return "–"
    if found.ci_low is None or found.ci_high is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} [{found.ci_low:.3f}, {found.ci_high:.3f}]"


def _notes(variants: Sequence[Mapping[str, Any]]) -> list[str]:
    found = []
    for base in dict.fromkeys(str(variant["base"]) for variant in variants):
        if Path(base).is_absolute():
            found.append(
                f"{base} is a folder of this machine: for a Space, push that model to the hub and"
                " write its id and commit as `base` and `revision` in settings.json"
            )
        elif any(v["base"] == base and not v["revision"] for v in variants):
            found.append(f"{base} has no fixed revision: write its commit in settings.json")
    return found
