"""Which backends there are, and who trains for whom; their code is imported in a worker alone."""

from __future__ import annotations

from typing import NamedTuple

from harness.registry import Registry


class BackendSpec(NamedTuple):
    """Where a backend is, and who trains for it."""

    module: str
    """Its ``open_backend(cell, paths, device)`` gives the backend; imported only in a worker."""
    trained_by: str
    """The backend that trains the adapters it serves: itself, unless it only answers."""


BACKENDS: Registry[BackendSpec] = Registry("backend")
BACKENDS.add("hf", BackendSpec("harness.backends.hf.backend", trained_by="hf"))
BACKENDS.add("testing", BackendSpec("harness.backends.testing", trained_by="testing"))
