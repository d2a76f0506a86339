"""One thing that was looked at, and how it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

State = Literal["ok", "note", "warn", "fail"]
"""`note`: as good, and worth knowing; `warn`: some things will not work; `fail`: broken."""


@dataclass(frozen=True)
class Finding:
    """How one thing is."""

    area: str
    """The heading that it is printed under."""
    name: str
    state: State
    text: str
    hint: str = ""
    """What to do about it."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Numbers for `--json`."""

    @property
    def record(self) -> dict[str, object]:
        """The finding as `--json` prints it."""
        return asdict(self) | {"facts": dict(self.facts)}
