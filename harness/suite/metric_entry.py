"""An extra metric as a suite names it: a source, and whether a higher value is better."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from harness.metrics.registry import find
from harness.suite.parts import Part


class Direction(Part):
    """One number that an extra metric gives."""

    higher_is_better: bool | Literal["neither"]
    """Whether a gain is a rise; `neither` for a number that is neither good nor bad."""
    unit: str = ""
    """The unit, for column heads."""


class MetricEntry(Part):
    """An extra metric. Its direction is declared, never guessed."""

    source: str
    """The name of a Hugging Face `evaluate` module, the path of a local one, or the name of a
    metric that a plug-in registers."""
    name: str | None = None
    """Its column; default: the source's last part without `.py`."""
    higher_is_better: bool | Literal["neither"] | None = None
    """Whether a gain is a rise; `neither` for a number that is neither good nor bad, which is
    shown and never ranked. Needed unless the direction of `source` is known."""
    unit: str = ""
    """The unit, for column heads."""
    keys: dict[str, Direction] = Field(default_factory=dict)
    """Of a module that gives several numbers: those to keep, each with its direction. Their columns
    are `<name>_<key>`."""

    @model_validator(mode="before")
    @classmethod
    def _of_a_bare_name(cls, item: object) -> object:
        return {"source": item} if isinstance(item, str) else item

    @model_validator(mode="after")
    def _direction_declared(self) -> MetricEntry:
        record = find(self.source)
        ours = record is not None and record.reads != "none"
        if ours:
            if self.keys or self.unit or self.name or self.higher_is_better is not None:
                raise ValueError(f'"{self.source}" is a metric of the harness: give its name alone')
            return self
        if self.keys and self.higher_is_better is not None:
            raise ValueError("`keys` hold the directions; leave `higher_is_better` out")
        if not self.keys and self.higher_is_better is None and record is None:
            raise ValueError(
                f'whether a higher "{self.source}" is better is not known. Write'
                f" {{source: {self.source}, higher_is_better: true}} or `false`"
            )
        for name in self.names():
            other = find(name)
            if other and other.reads != "none":
                raise ValueError(f'"{name}" is a metric of the harness; give this one a `name`')
        return self

    @property
    def label(self) -> str:
        """What its column is called."""
        return self.name or self.source.rstrip("/").rsplit("/", 1)[-1].removesuffix(".py")

    def names(self) -> list[str]:
        """Its columns."""
        return [f"{self.label}_{key}" for key in self.keys] or [self.label]

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The entry, or a bare name."""
        entry = handler(core_schema)
        return {"anyOf": [{"type": "string"}, entry]}
