"""The suites that ship, for a shell to complete: light, since it waits for this at each tab."""

from __future__ import annotations

from harness.suite.shipped import suite_names as suite_names
