"""bitsandbytes imported without the compiler that it asks for and, as a rule, never uses.

It decorates fallbacks with `torch.compile` when it is imported (seen in 0.50), which loads
TorchInductor: an eighth of the time that importing the whole backend takes. Here a function is
compiled when it is first called. Import this module before anything that imports bitsandbytes, as
PEFT and transformers do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, wraps
from typing import Any, TypeVar

import torch

from harness.extras import is_installed

F = TypeVar("F", bound=Callable[..., Any])


@contextmanager
def compiling_when_called() -> Iterator[None]:
    """Let what `torch.compile` is asked for inside be compiled by the first call of it."""
    compiler: Callable[..., Any] = torch.compile

    def later(model: Any = None, **options: Any) -> Any:
        if model is None:  # used as a decorator with options
            return lambda given: later(given, **options)
        if isinstance(model, torch.nn.Module):  # its result has to be a module, too
            return compiler(model, **options)
        return _on_first_call(model, lambda: compiler(model, **options))

    torch.compile = later
    try:
        yield
    finally:
        torch.compile = compiler


def _on_first_call(function: F, make: Callable[[], Callable[..., Any]]) -> F:
    made = cache(make)

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        return made()(*args, **options)

    return call  # type: ignore[return-value]


if is_installed("bitsandbytes"):
    # one that is broken says so where it is needed, with its traceback
    with compiling_when_called(), suppress(Exception):
        import bitsandbytes  # noqa: F401
