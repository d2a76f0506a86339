"""A function is compiled when it is first called, with the options that it was given."""

import pytest
import torch

from harness.backends.hf.lazy_compile import compiling_when_called


@pytest.fixture
def compiled(monkeypatch):
    """What `torch.compile` was asked for: here it gives the function's result in a list."""
    asked = []

    def compiler(function, **options):
        asked.append((function.__name__, options))
        return lambda *args: [function(*args)]

    monkeypatch.setattr(torch, "compile", compiler)
    return asked


def test_a_decorated_function_is_compiled_by_its_first_call_and_once(compiled):
    with compiling_when_called():

        @torch.compile(dynamic=False)
        def double(number):
            return 2 * number

        plain = torch.compile(abs)
    assert compiled == []
    assert (double(2), double(3), plain(-1)) == ([4], [6], [1])
    assert compiled == [("double", {"dynamic": False}), ("abs", {})]
    assert double.__name__ == "double"


def test_outside_the_compiler_is_torch_s_own(compiled):
    own = torch.compile
    with pytest.raises(ZeroDivisionError), compiling_when_called():
        _ = 1 / 0
    assert torch.compile is own


def test_a_module_is_compiled_at_once():
    """What comes back has to be a module: its weights are asked for."""
    with compiling_when_called():
        found = torch.compile(torch.nn.Linear(2, 2), backend="eager")
    assert isinstance(found, torch.nn.Module)
