"""The loss of answer tokens, some of them at a time.

Probabilities in float32 over a large vocabulary are most of a small model's memory: 0.6 MiB a token
each time they are written down. Here the gradient is made with the loss, a few tokens at a time, so
that only logits and their gradient are held for all of them, in the precision of the logits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from harness.backends.hf.encoding import IGNORED

AT_A_TIME = 128
"""Tokens whose probabilities are held together."""
LEAST = -1e4
"""A logarithm whose probability is 0 in float32."""


class Learned(NamedTuple):
    """What one batch gave, on the device."""

    loss: torch.Tensor
    """Summed over the learned tokens, times the share asked for; has a gradient."""
    entropy: torch.Tensor
    """Mean over the learned tokens, in nats."""
    accuracy: torch.Tensor
    """Share of them that the model ranks first."""


def token_loss(
    logits: torch.Tensor, targets: torch.Tensor, share: torch.Tensor, *, kernel: bool = False
) -> Learned:
    """Negative log-likelihood of ``targets`` under ``logits``, with statistics.

    Args:
        logits: Shape (tokens, vocabulary).
        targets: An id for each of them, or `IGNORED`.
        share: What the sum is multiplied by.
        kernel: Whether one kernel does it and writes over ``logits``, which nobody else may need:
            the model must end in a linear layer, and the pass back must begin at the loss.
    """
    kind = _KernelLoss if kernel else _TokenLoss
    return Learned(*kind.apply(logits, targets, share))


class _TokenLoss(torch.autograd.Function):  # type: ignore[misc]
    """Loss, mean entropy and accuracy; the forward pass makes the gradient of the first."""

    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, targets: torch.Tensor, share: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Go through the tokens once."""
        gradient = torch.empty_like(logits) if logits.requires_grad else None
        sums = torch.zeros(3, dtype=torch.float32, device=logits.device)
        for start in range(0, len(targets), AT_A_TIME):
            part = slice(start, start + AT_A_TIME)
            there = targets[part] != IGNORED
            places = targets[part].clamp(min=0)[:, None]
            log_probs = logits[part].float().log_softmax(-1)
            first = log_probs.argmax(-1) == targets[part]
            nll = -log_probs.gather(-1, places)[:, 0]
            probs = log_probs.exp()
            # `entr` took a twentieth of a step on a CPU; the clamp is for a vocabulary that is
            # padded with -inf: 0 times -inf would be NaN
            entropy = -(probs * log_probs.clamp(min=LEAST)).sum(-1)
            sums += torch.stack([(x * there).sum() for x in (nll, entropy, first.float())])
            if gradient is not None:
                probs.scatter_add_(-1, places, -torch.ones_like(places, dtype=probs.dtype))
                gradient[part] = probs.mul_(there[:, None] * share)
        ctx.gradient = gradient
        return _numbers(ctx, sums, targets, share)

    @staticmethod
    def backward(
        ctx: Any, loss: torch.Tensor, *_: torch.Tensor
    ) -> tuple[torch.Tensor | None, None, None]:
        """Scale what the forward pass made; it is used once."""
        gradient, ctx.gradient = ctx.gradient, None
        # where the pass back begins at the loss, that is 1; on CUDA looking would wait for it
        if gradient is None or (not loss.is_cuda and float(loss) == 1.0):
            return gradient, None, None
        return gradient.mul_(loss), None, None


class _KernelLoss(_TokenLoss):
    """The same by a kernel, CUDA alone; the logits become their gradient."""

    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, targets: torch.Tensor, share: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Go through the tokens once."""
        from harness.backends.hf.training.kernels import loss_in_place

        ctx.gradient = logits if logits.is_contiguous() else logits.contiguous()
        sums = loss_in_place(ctx.gradient, targets, share.float()).sum(0)
        return _numbers(ctx, sums, targets, share)

    @staticmethod
    def backward(
        ctx: Any, loss: torch.Tensor, *_: torch.Tensor
    ) -> tuple[torch.Tensor | None, None, None]:
        """What the forward pass made; multiplying by 1 would read and write it once more."""
        gradient, ctx.gradient = ctx.gradient, None
        return gradient, None, None


def _numbers(
    ctx: Any, sums: torch.Tensor, targets: torch.Tensor, share: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """What `Learned` holds, of the ``sums`` of loss, entropy and tokens ranked first."""
    count = (targets != IGNORED).sum().clamp(min=1)
    loss, entropy, accuracy = sums[0] * share, sums[1] / count, sums[2] / count
    ctx.mark_non_differentiable(entropy, accuracy)
    return loss, entropy, accuracy
