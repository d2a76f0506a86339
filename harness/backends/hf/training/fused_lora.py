"""A linear layer and its LoRA adapter as one operation, with matrix products and nothing else.

PEFT's own forward pass casts the layer's input to float32 and autocast casts it back; scaling and
adding are passes over memory of their own, and so is each backward step of these. Here scaling and
adding are part of the products. The adapters' weights are cast once a pass, all together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch.nn.functional import linear

from harness.backends.hf.training.unpacked import Unpacked

SEEDS = 2**32
"""Seeds lie below this."""


@dataclass(frozen=True)
class Mask:
    """The dropout of one adapter, drawn anew wherever it is needed, in place of being kept.

    Under checkpointing the forward pass runs again in the pass back, and finds the same mask.
    """

    seed: torch.Tensor
    number: int
    dropout: Any

    def drop(self, x: torch.Tensor, add_to: torch.Tensor | None = None) -> torch.Tensor:
        """``x`` with some of it dropped, added to ``add_to`` if that is given."""
        from harness.backends.hf.training.kernels import drop

        return drop(x, self.seed, self.number, float(self.dropout.p), add_to)


@dataclass
class Copies:
    """The adapters' weights in the type that they are multiplied in."""

    dtype: torch.dtype
    owners: list[torch.nn.Parameter] = field(default_factory=list)
    """The weights that the optimizer steps, in float32."""
    copies: list[torch.Tensor] = field(default_factory=list)
    """Their values: views into the tensors that `of` returned."""
    gradients: list[torch.Tensor] = field(default_factory=list)
    """Views into the gradients of those tensors."""
    seed: torch.Tensor | None = None
    """What the masks of a pass are drawn from, on a CUDA device; without it PyTorch draws them."""
    masks: int = 0
    """How many layers draw one."""

    def of(self, *owners: torch.nn.Parameter) -> torch.Tensor:
        """A copy of ``owners``, one below the other; it gets their gradients."""
        rows = [len(owner) for owner in owners]
        shape = (sum(rows), *owners[0].shape[1:])
        copy = torch.zeros(shape, dtype=self.dtype, device=owners[0].device, requires_grad=True)
        copy.grad = torch.zeros_like(copy)
        self.owners += owners
        self.copies += copy.detach().split(rows)
        self.gradients += copy.grad.split(rows)
        return copy

    @torch.no_grad()
    def begin(self) -> None:
        """Before a pass: read the weights, forget the gradients. At fixed addresses: captured."""
        if self.seed is not None:
            self.seed += 1
        if self.owners:
            torch._foreach_copy_(self.copies, self.owners)
            torch._foreach_zero_(self.gradients)

    def reseed(self, seed: int, passes: int) -> None:
        """Let masks be those of a training with ``seed`` that has made so many ``passes``."""
        if self.seed is not None:
            begin = int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:4])
            self.seed.fill_((begin + passes) % SEEDS)

    def mask(self, dropout: Any) -> Mask | None:
        """The masks of a layer; None where it drops nothing."""
        assert self.seed is not None
        if not _rate(dropout):
            return None
        self.masks += 1
        return Mask(self.seed, self.masks, dropout)

    @torch.no_grad()
    def end(self) -> None:
        """After the pass back: add the gradients to those of the weights."""
        if not self.owners:
            return
        wide = [torch.empty_like(owner) for owner in self.owners]
        torch._foreach_copy_(wide, self.gradients)
        pairs = list(zip(self.owners, wide, strict=True))
        added = [(owner.grad, gradient) for owner, gradient in pairs if owner.grad is not None]
        for owner, gradient in pairs:
            if owner.grad is None:
                owner.grad = gradient
        if added:
            torch._foreach_add_([a for a, _ in added], [b for _, b in added])


Forward = Callable[..., torch.Tensor]


def fused_lora(layer: Any, copies: Copies) -> Forward | None:
    """What `layer.forward` may be replaced by; None where it does more than plain LoRA."""
    if not _is_plain(layer, copies.dtype):
        return None
    down, up, base, scaling, dropout = _parts(layer)
    down, up, dtype = copies.of(down), copies.of(up), copies.dtype
    gradients = (down.grad, up.grad)
    mask = None if copies.seed is None else copies.mask(dropout)

    def forward(x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        x = x.to(dtype)
        drops = _rate(dropout) > 0 and dropout.training
        dropped = dropout(x) if drops and mask is None else None
        masks = (mask,) if drops and mask is not None else ()
        (found,) = _Lora.apply(x, dropped, masks, down, (base,), (scaling,), gradients, up)
        return found  # type: ignore[no-any-return]

    return forward


def fused_group(layers: Sequence[Any], copies: Copies) -> list[Forward] | None:
    """The same for layers that read one tensor, called in this order: products of it are shared."""
    if not all(_is_plain(layer, copies.dtype) for layer in layers):
        return None
    parts = [_parts(layer) for layer in layers]
    drops = any(_rate(dropout) > 0 for *_, dropout in parts)
    if drops and (copies.seed is None or not all(_rate(dropout) for *_, dropout in parts)):
        return None
    own = tuple(copies.mask(dropout) for *_, dropout in parts) if drops else ()
    down = copies.of(*(down for down, *_ in parts))
    ups = [copies.of(up) for _, up, *_ in parts]
    bases, scalings = tuple(p[2] for p in parts), tuple(p[3] for p in parts)
    gradients = (down.grad, *(up.grad for up in ups))
    kept: list[Any] = [None, ()]

    def first(x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        masks = own if drops and parts[0][-1].training else ()
        x16 = x.to(copies.dtype)
        found = _Lora.apply(x16, None, masks, down, bases, scalings, gradients, *ups)
        kept[:] = [x, list(found[1:])]
        return found[0]  # type: ignore[no-any-return]

    def later(x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        if kept[0] is not x or not kept[1]:
            raise RuntimeError("layers that share an input were given different ones")
        found: torch.Tensor = kept[1].pop(0)
        if not kept[1]:
            kept[0] = None
        return found

    return [first, *[later] * (len(layers) - 1)]


def _parts(layer: Any) -> tuple[Any, Any, Any, float, Any]:
    name = layer.active_adapters[0]
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
    return down, up, layer.get_base_layer(), float(layer.scaling[name]), layer.lora_dropout[name]


def _rate(dropout: Any) -> float:
    return float(getattr(dropout, "p", 0.0))


def _is_plain(layer: Any, dtype: torch.dtype) -> bool:
    kind = type(layer)
    # by name, as PEFT has this class only where bitsandbytes is installed
    packed = kind.__name__ == "Linear4bit" and kind.__module__ == "peft.tuners.lora.bnb"
    if kind is not Linear and not packed:
        return False
    if layer.merged or layer.disable_adapters:
        return False
    active = layer.active_adapters
    if len(active) != 1 or active[0] not in layer.lora_A or layer.lora_variant:
        return False
    if getattr(layer, "fan_in_fan_out", False):
        return False
    base, down, up = layer.get_base_layer(), layer.lora_A[active[0]], layer.lora_B[active[0]]
    if type(base) is not torch.nn.Linear and not _is_four_bit(base, dtype):
        return False
    frozen = not any(p.requires_grad for p in base.parameters())
    trained = down.weight.requires_grad and up.weight.requires_grad
    wide = down.weight.dtype == up.weight.dtype == torch.float32
    return frozen and trained and wide and down.bias is None and up.bias is None


def _is_four_bit(base: Any, dtype: torch.dtype) -> bool:
    if type(base).__name__ != "Linear4bit":
        return False
    # None: bitsandbytes takes the type of the first input that it sees
    return getattr(base, "compute_dtype", None) in (None, dtype)


def _weight(base: Any, dtype: torch.dtype) -> torch.Tensor:
    """The weight of ``base`` in ``dtype``, unpacked if it is packed."""
    if isinstance(own := vars(base).get("forward"), Unpacked):
        return own.weight(dtype)
    if type(base) is torch.nn.Linear:
        return base.weight.to(dtype)
    from bitsandbytes.functional import dequantize_4bit

    wide: torch.Tensor = dequantize_4bit(base.weight.data, base.weight.quant_state).to(dtype)
    return wide


class _Lora(torch.autograd.Function):  # type: ignore[misc]
    """x W' + b + s (d A') B' of some layers over one x, where d is x, or x after dropout."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, dropped: torch.Tensor | None, masks: Sequence[Mask],
        down: torch.Tensor, bases: Sequence[Any], scalings: Sequence[float],
        gradients: Sequence[torch.Tensor], *ups: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:  # fmt: skip
        """Both paths of each layer; ``down`` holds their A, one below the other.

        What dropout leaves of x is ``dropped``, or is made by ``masks``, one for each layer.
        The pass back adds to ``gradients``, of ``down`` and ``ups``, in the products themselves.
        """
        flat = x.reshape(-1, x.shape[-1])
        lower = flat if dropped is None else dropped.reshape(flat.shape)
        found = []
        with torch.autocast(x.device.type, enabled=False):
            ranks = [up.shape[1] for up in ups]
            if masks:
                pairs = zip(masks, down.split(ranks), strict=True)
                inner = torch.cat([mask.drop(lower) @ a.t() for mask, a in pairs], dim=1)
            else:
                inner = lower @ down.t()
            parts = inner.split(ranks, dim=1)
            for base, scaling, up, part in zip(bases, scalings, ups, parts, strict=True):
                bias = None if base.bias is None else base.bias.to(x.dtype)
                out = linear(flat, _weight(base, x.dtype), bias)
                found.append(out.addmm_(part, up.t(), alpha=scaling).view(*x.shape[:-1], -1))
        ctx.save_for_backward(lower, inner, down, *ups)
        ctx.bases, ctx.scalings, ctx.apart = bases, scalings, dropped is not None
        ctx.masks, (ctx.of_down, *ctx.of_ups) = masks, gradients
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the inputs, and of the adapters where they are collected."""
        lower, inner, down, *ups = ctx.saved_tensors
        ranks = [up.shape[1] for up in ups]
        of_inner = torch.empty_like(inner)
        of_x = of_dropped = None
        for gradient, base, scaling, up, of_up, part, of_part in zip(
            gradients, ctx.bases, ctx.scalings, ups, ctx.of_ups, inner.split(ranks, 1),
            of_inner.split(ranks, 1), strict=True,
        ):  # fmt: skip
            above = gradient.reshape(-1, gradient.shape[-1]).to(inner.dtype)
            torch.addmm(above.new_empty(1), above, up, beta=0, alpha=scaling, out=of_part)
            of_up.addmm_(above.t(), part, alpha=scaling)
            if ctx.needs_input_grad[0]:
                weight = _weight(base, above.dtype)
                of_x = above @ weight if of_x is None else of_x.addmm_(above, weight)
        shape = (*gradients[0].shape[:-1], lower.shape[-1])
        if ctx.masks:
            for mask, a, of_a, of_part in zip(
                ctx.masks, down.split(ranks), ctx.of_down.split(ranks), of_inner.split(ranks, 1),
                strict=True,
            ):  # fmt: skip
                of_a.addmm_(of_part.t(), mask.drop(lower))
                if of_x is not None:
                    mask.drop(of_part @ a, add_to=of_x)
            return _viewed(of_x, shape), *[None] * (6 + len(ups))
        ctx.of_down.addmm_(of_inner.t(), lower)
        if ctx.apart:
            of_dropped = (of_inner @ down).view(shape)
        elif of_x is not None:
            of_x.addmm_(of_inner, down)
        return _viewed(of_x, shape), of_dropped, *[None] * (5 + len(ups))


def _viewed(x: torch.Tensor | None, shape: Sequence[int]) -> torch.Tensor | None:
    return None if x is None else x.view(*shape)
