"""The losses that tasks name: cross-entropy, mean squared error, and Sinkhorn divergence of emitted sequences."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Integer, Num
from torch import Tensor
from torch.nn import functional

from rnnscope.numerics.sinkhorn import sinkhorn_divergence, sinkhorn_energy


@runtime_checkable
class Reads(Protocol):
    """What a loss needs of a network: outputs of states, of those where a mask is True if there is one."""

    def read(
        self, states: Float[Tensor, "*batch state"], mask: Bool[Tensor, "*batch"] | None = None
    ) -> Float[Tensor, "... output"]: ...


SINKHORN_BLUR = 0.2  # the paper's, in units of one-hot symbols


def cross_entropy(
    network: Reads,
    states: Float[Tensor, "trial time state"],
    targets: Integer[Tensor, "trial time head"],
    mask: Bool[Tensor, "trial time"],
    heads: list[int] | None,
    n_heads: int,
) -> Float[Tensor, ""]:
    """Mean cross-entropy over masked steps and heads; `heads` are the trained ones of `n_heads`, None all."""
    logits = network.read(states, mask).unflatten(-1, (n_heads, -1))
    if heads is not None:
        logits = logits[:, heads]
    return functional.cross_entropy(logits.flatten(0, 1), targets[mask].flatten())


def mean_squared_error(
    network: Reads,
    states: Float[Tensor, "trial time state"],
    targets: Num[Tensor, "trial time output"],
    mask: Bool[Tensor, "trial time"],
) -> Float[Tensor, ""]:
    """Mean squared error over masked steps and outputs."""
    if bool(mask.all()):
        return functional.mse_loss(network.read(states), targets)
    return functional.mse_loss(network.read(states, mask), targets[mask])


def unrest(states: Float[Tensor, "trial time state"], mask: Bool[Tensor, "trial time"]) -> Float[Tensor, ""]:
    """Mean squared change of a number of the state in a step, up to the last step of each trial that counts."""
    n_steps = mask.shape[1]
    last = n_steps - 1 - mask.flip(1).to(torch.uint8).argmax(1)
    within = torch.arange(1, n_steps, device=mask.device) <= last[:, None]
    change = (states[:, 1:] - states[:, :-1]).square().mean(-1)
    return (change * within).sum() / within.sum().clamp(min=1)


def emission_divergence(
    network: Reads,
    states: Float[Tensor, "trial time state"],
    targets: Integer[Tensor, "trial time one"],
    generator: torch.Generator,
    with_constant: bool,
    unbiased: bool = False,
) -> Float[Tensor, ""]:
    """Sinkhorn divergence between sequences emitted by the network and sequences of the process (Torre et al. 2025).

    Emission is a hard Gumbel-softmax at temperature 1 with straight-through gradients; a sequence is a point of
    time x symbol one-hot coordinates, at squared Euclidean / 2 cost, so that the cost counts the symbols that differ.

    Args:
        with_constant: whether the value has the term of the targets alone, which has no gradient.
        unbiased: compare halves of the batch with one another, and no sequence with itself (`sinkhorn_energy`;
            Salimans et al. 2018): the divergence itself is lowest for emission that is less varied than the targets.
    """
    logits = network.read(states)
    if not bool(torch.isfinite(logits).all()):
        return logits.sum() * torch.nan  # weights that diverged: a loss that says so, for the trainer to see
    emitted = gumbel_one_hot(logits, generator)
    wanted = functional.one_hot(targets[..., 0], emitted.shape[-1]).to(emitted.dtype)
    distance = sinkhorn_energy if unbiased else sinkhorn_divergence
    return distance(emitted.flatten(1), wanted.flatten(1), blur=SINKHORN_BLUR, with_constant=with_constant)


def gumbel_one_hot(
    logits: Float[Tensor, "*batch symbol"], generator: torch.Generator
) -> Float[Tensor, "*batch symbol"]:
    """One-hot samples from softmax(logits), with the gradient of the Gumbel-softmax relaxation at temperature 1."""
    # On the CPU, so that a seed means the same noise on every device.
    uniform = torch.rand(logits.shape, generator=generator, dtype=logits.dtype).clamp_(min=1e-20)
    soft = torch.softmax(logits - torch.log(-torch.log(uniform)).to(logits.device), -1)
    hard = functional.one_hot(soft.argmax(-1), logits.shape[-1]).to(soft.dtype)
    return hard + (soft - soft.detach())  # in this order the value is one-hot to the last bit
