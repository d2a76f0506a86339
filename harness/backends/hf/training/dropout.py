"""Whether a model drops anything out while it trains, by a module or by a call that shows nowhere.

Modules can be counted. Calls of `nn.functional.dropout` cannot: OPT drops hidden states so, and
every decoder its attention weights. What such calls drop is set by the model's config, so a rate
there counts as drawn. A wrong "yes" costs speed, a wrong "no" gives wrong gradients under
checkpointing: hence names are not looked up in a list.
"""

from __future__ import annotations

import torch
from peft.tuners.lora import LoraLayer
from transformers import PreTrainedModel

from harness.counting import counted

BY_MODULES = frozenset({"classifier_dropout"})
"""Fields of which transformers makes an `nn.Dropout`, and only for a head: GPT-NeoX sets one for
models that have no head."""

UNCOUNTED = 2**31
"""From so many numbers on the kernel of dropout cannot draw a mask: its offsets have 32 bits."""


def drops_out(model: PreTrainedModel) -> bool:
    """Whether ``model`` draws random numbers while it trains."""
    return bool(dropout_modules(model) or config_dropouts(model))


def dropout_modules(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The modules of ``model`` that drop out."""
    return [module for module in model.modules() if _drops(module)]


def _drops(module: torch.nn.Module) -> bool:
    if isinstance(module, torch.nn.modules.dropout._DropoutNd):
        return bool(module.p > 0)
    # of another class, as the stochastic depth of some models
    return "drop" in type(module).__name__.lower() and not [*module.children()]


def config_dropouts(model: PreTrainedModel) -> list[str]:
    """Fields of the config that set a rate of dropout, by whatever name, sorted."""
    configs = (model.config, model.config.get_text_config(decoder=True))
    fields = {name: value for config in configs for name, value in vars(config).items()}
    return sorted(
        name
        for name, value in fields.items()
        if "drop" in name.lower() and name not in BY_MODULES and value
    )


def masks_reason(model: PreTrainedModel, tokens: int) -> str | None:
    """Return why no kernel may draw the masks of so many ``tokens`` at once; None if it may."""
    widths = [
        int(down.weight.shape[1])
        for module in model.modules()
        if isinstance(module, LoraLayer)
        for name, down in module.lora_A.items()
        if float(getattr(module.lora_dropout[name], "p", 0.0)) > 0
    ]
    widest = max(widths, default=0)
    if tokens * widest < UNCOUNTED:
        return None
    return (
        f"dropout of {counted(tokens, 'token')} of {counted(widest, 'number')}, more than its"
        " kernel counts"
    )
