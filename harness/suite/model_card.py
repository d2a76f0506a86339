"""Model cards, ``models/*.yaml``: where a model is, how it is prompted, what it requires."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from harness.errors import HarnessError
from harness.registry import did_you_mean
from harness.suite.endpoint import Endpoint
from harness.suite.parts import Part
from harness.suite.shipped import shipped
from harness.suite.template_settings import TemplateKwargs
from harness.suite.yaml_file import read_yaml
from harness.user_path import expanded

_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[\w.-]+")
"""`owner/name`: a path with more parts, or one that begins with a dot, is a folder."""


GGUF = ".gguf"


class Requirement(Part):
    """What a machine must have before a model's cells run on it."""

    accelerator: str = "none"
    """`cuda`: cells are skipped on a machine without a CUDA device. A word of a device's name, such
    as `a100`: they run on such a device alone."""
    memory_gib: float | None = Field(None, ge=0)
    """Memory in GiB (of the device, or main memory without one) that a cell needs. Without it the
    estimate of `harness plan` decides, for each quantization and adapter by itself."""
    gpus: int = Field(1, ge=1)
    """GPUs over which the model's layers are laid (`device_map`), for a model larger than one card.
    TRL then trains and `generate` answers. Combinations that are refused are refused everywhere;
    without a GPU the layers lie on the processor."""


class ModelCard(Part):
    """One model: the frozen part of a cell."""

    name: str
    """The name on the `model` axis."""
    description: str = ""
    """One line for the leaderboard."""
    source: str
    """A hub id (`Qwen/Qwen2-0.5B-Instruct`), or a folder or GGUF file of yours, by its path from
    the card's folder."""
    endpoint: Endpoint | None = None
    """In place of `source`: a model behind an OpenAI-compatible server. It is asked, never trained
    or measured."""
    revision: str | None = None
    """The hub's commit, tag or branch. Of a served model a name of yours for what is deployed:
    change it to ask the server again."""
    gguf_file: str | None = None
    """The file of a GGUF repository. transformers unpacks it while loading: the values are the
    file's, memory and speed are those of unquantized weights."""
    prompt: Literal["chat", "question-answer", "alpaca", "plain", "template"] | None = None
    """How an example becomes text: the tokenizer's chat template, or one of the harness's.
    Default: `chat` where the tokenizer has a template, else `plain`."""
    system: str | None = None
    """The system message; a row's own one replaces it."""
    template: str | None = None
    """Jinja text of the `template` style, over `prompt`, `context`, `system` and `history`."""
    template_kwargs: TemplateKwargs = Field(default_factory=dict)
    """Variables of the chat template, such as `enable_thinking: false`; they override the
    suite's."""
    template_date: date | None = None
    """The date that the chat template sees as today; default: the suite's."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """The dtype that unquantized weights are loaded in."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """`random` builds `architecture` with random weights: memory and speed are measured for real,
    nothing is downloaded, and quality stays empty."""
    architecture: dict[str, Any] | None = None
    """The configuration's numbers by transformers' own keys, `model_type` among them."""
    requires: Requirement = Requirement()
    """What a machine needs to run the model."""
    licence: str = ""
    """The licence of the weights."""
    gated: bool = False
    """Whether the hub requires you to accept a licence and set a token."""
    training: dict[str, object] = Field(default_factory=dict)
    """Training keys that override the suite's for this model."""
    generation: dict[str, object] = Field(default_factory=dict)
    """Generation keys that override the suite's for this model."""

    @model_validator(mode="before")
    @classmethod
    def _served_has_no_source(cls, card: Any) -> Any:
        """The name on the server is the source; `source` beside it would be another model's."""
        if not isinstance(card, dict) or card.get("endpoint") is None:
            return card
        endpoint = card["endpoint"]
        name = endpoint.model if isinstance(endpoint, Endpoint) else dict(endpoint).get("model")
        if card.get("source") not in (None, name):
            raise ValueError("`endpoint` takes the place of `source`: delete one of them")
        return {**card, "source": str(name or "")}

    @model_validator(mode="after")
    def _served_has_no_weights(self) -> ModelCard:
        if self.endpoint is not None and (self.weights == "random" or self.gguf_file):
            raise ValueError("a served model takes no `weights: random` and no `gguf_file`")
        return self

    @model_validator(mode="after")
    def _random_needs_a_shape(self) -> ModelCard:
        if self.weights == "random" and self.architecture is None:
            raise ValueError("`weights: random` needs `architecture`")
        return self

    @model_validator(mode="after")
    def _variables_need_a_chat_template(self) -> ModelCard:
        if self.template_kwargs and self.prompt not in (None, "chat"):
            raise ValueError(f"`template_kwargs` have no effect under `prompt: {self.prompt}`")
        return self

    @property
    def is_local(self) -> bool:
        """Whether the weights are files at a path rather than a hub id."""
        return self.endpoint is None and Path(self.source).is_absolute()

    @property
    def is_served(self) -> bool:
        """Whether a server answers for it."""
        return self.endpoint is not None

    @property
    def is_on_hub(self) -> bool:
        """Whether its weights are fetched from the hub: they are no files here, and are needed."""
        return not (self.weights == "random" or self.is_local or self.is_served)


def resolve_source(card: ModelCard, folder: Path) -> ModelCard:
    """The card with a local source made absolute: a path under ``folder``, or a hub id kept."""
    if card.weights == "random" or card.is_served:
        return card
    local = folder / expanded(card.source)
    if local.suffix == GGUF and local.is_file() and card.gguf_file in (None, local.name):
        file = {"source": str(local.parent.resolve()), "gguf_file": local.name}
        return card.model_copy(update=file)
    if local.is_dir():
        _refuse_no_model(card, local)
        return card.model_copy(update={"source": str(local.resolve())})
    if card.source.startswith((".", "/", "~")):
        hint = f"Correct `source`, relative to {folder}, or give a hub id (owner/name)."
        raise HarnessError(f'model "{card.name}": no folder {local}', hint=hint)
    return card


def _refuse_no_model(card: ModelCard, folder: Path) -> None:
    """Say at once what loading would say after the plan: ``folder`` is not the model's.

    Raises:
        HarnessError: it holds no model, an adapter, or GGUF files of which none is named.
    """
    files = sorted(path.name for path in folder.glob(f"*{GGUF}"))
    written = f"Write `gguf_file: {files[0] if len(files) == 1 else 'NAME'}`" if files else ""
    if card.gguf_file is not None:
        if (folder / card.gguf_file).is_file():
            return
        what, hint = f"no file {card.gguf_file} in {folder}", did_you_mean(card.gguf_file, files)
    elif (folder / "config.json").is_file():
        return
    elif files:
        what = f"{folder} holds GGUF files and no config.json"
        hint = f"{written}; there: {', '.join(files[:5])}."
    elif (folder / "adapter_config.json").is_file():
        what = f"{folder} holds an adapter, not a model"
        hint = "Write it on the adapter axis: {name: mine, source: FOLDER}."
    else:
        what = f"no model in {folder}: there is no config.json"
        hint = "`save_pretrained` writes it beside the weights."
    raise HarnessError(f'model "{card.name}": {what}', hint=hint)


def model_folders(folder: Path) -> list[Path]:
    """Where the model cards of a suite in ``folder`` are: there, above, then what ships."""
    folder = folder.resolve()
    beside = [parent / "models" for parent in (folder, *list(folder.parents)[:3])]
    return [p for p in [*beside, *shipped("models")] if p.is_dir()]


def find_model_card(name: str, folders: list[Path]) -> ModelCard:
    """The card called ``name`` in the first of ``folders`` that has one, else of a hub id.

    A bare hub id (`owner/name`) needs no card: its prompt style is the tokenizer's, and what it
    needs is estimated from its configuration.

    Raises:
        HarnessError: no folder has it, or the card is not valid.
    """
    for folder in folders:
        path = folder / f"{name}.yaml"
        # a name is not a path: `../x` and `/x` are looked up nowhere
        if path.parent == folder and path.is_file():
            return load_model_card(path)
    if _HUB_ID.fullmatch(name):
        return ModelCard(name=name, source=name)
    known = {path.stem for folder in folders for path in folder.glob("*.yaml")}
    cards = (
        "A hub id (owner/name) needs no card. For a folder of yours write {name: mine, card:"
        " {source: FOLDER}}, or a card of its own, models/mine.yaml."
    )
    hint = f"{did_you_mean(name, known)} {cards}"
    raise HarnessError(f'unknown model "{name}"', hint=hint)


def load_model_card(path: Path) -> ModelCard:
    """The model card in ``path``, its local source resolved."""
    from harness.suite.validation import validated

    file = read_yaml(path)
    return resolve_source(validated(ModelCard, file), path.parent)
