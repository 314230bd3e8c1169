"""The steps of several trainings at once: their weights stacked, one recurrence for all."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from rnnscope.cells.stack import StackedCell, can_stack
from rnnscope.learning.stepper import Trainer


class Step(NamedTuple):
    """What a step of one training came to.

    Attributes:
        trouble: what was wrong with it, "" for nothing.
        loss: its loss, NaN where there is none.
    """

    trouble: str
    loss: float


class _Member(NamedTuple):
    """The readout of one of them, under autograd."""

    n_units: int
    weight: Float[Tensor, "output unit"]
    bias: Float[Tensor, " output"] | None

    def read(
        self, states: Float[Tensor, "*batch state"], mask: Bool[Tensor, "*batch"] | None = None
    ) -> Float[Tensor, "... output"]:
        visible = states[..., : self.n_units]
        return functional.linear(visible if mask is None else visible[mask], self.weight, self.bias)


def fits(trainers: Sequence[Trainer]) -> bool:
    """Whether these can be stepped together: cells of one shape, and batches of one size."""
    readouts = {
        tuple((name, tuple(value.shape)) for name, value in each.network.readout.named_parameters())
        for each in trainers
    }
    sizes = {each.training.batch_size for each in trainers}
    return len(sizes) == 1 and len(readouts) == 1 and can_stack([each.network.cell for each in trainers])


class Stack:
    """Trainings whose weights lie in one block of memory. Each goes on being a training of its own: its weights are a
    part of the block, its trials, its optimiser and its record its own."""

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers = list(trainers)
        networks = [each.network for each in self.trainers]
        self.cell = StackedCell([network.cell for network in networks])
        stacked = {f"cell.{name}": parameter for name, parameter in self.cell.parameters.items()}
        for name in dict(networks[0].readout.named_parameters()):
            values = [network.readout.get_parameter(name).detach() for network in networks]
            stacked[f"readout.{name}"] = nn.Parameter(torch.stack(values))
        self.weight, self.bias = stacked["readout.weight"], stacked.get("readout.bias")
        self.leaves = [parameter for parameter in stacked.values() if parameter.requires_grad]
        # (member, leaf): the member's own parameter, which from now on is a part of the leaf.
        self.parts: list[list[nn.Parameter]] = []
        for member, network in enumerate(networks):
            own = dict(network.named_parameters())
            for name, parameter in stacked.items():
                own[name].data = parameter.data[member]
            self.parts.append([own[name] for name, parameter in stacked.items() if parameter.requires_grad])

    def update(self) -> list[Step]:
        """One gradient step of each."""
        values = self.gradients()
        return [
            Step(*each.apply(loss)) if not trouble else Step(trouble, loss)
            for each, (trouble, loss) in zip(self.trainers, values, strict=True)
        ]

    def gradients(self) -> list[Step]:
        """The gradient of each, put where its optimiser looks for it; no weight is moved."""
        drawn = [each.draw() for each in self.trainers]
        lengths = [trials.inputs.shape[1] for trials, _ in drawn]
        generators = [generator for _, generator in drawn]
        device = self.weight.device
        n_trials, _, n_inputs = drawn[0][0].inputs.shape
        inputs = torch.zeros(max(lengths), len(drawn), n_trials, n_inputs)
        for member, (trials, _) in enumerate(drawn):
            inputs[: lengths[member], member] = torch.from_numpy(trials.inputs).transpose(0, 1)
        initial = self.cell.initial_state(n_trials, generators)
        states = self.cell.unroll(inputs.to(device), initial, self._noise(lengths, n_trials, generators))
        each_states = states.unbind(1)
        weights = self.weight.unbind(0)
        biases = [None] * len(drawn) if self.bias is None else self.bias.unbind(0)
        steps, losses = [], []
        for member, trainer in enumerate(self.trainers):
            own = each_states[member][: lengths[member]].transpose(0, 1)
            trouble = trainer.trouble_with_states(own[:, -1])
            if trouble:
                steps.append(Step(trouble, math.nan))
                continue
            reader = _Member(trainer.network.cell.n_units, weights[member], biases[member])
            loss = trainer.loss(reader, own, *drawn[member])
            losses.append(loss)
            steps.append(Step("", float(loss.detach())))
        if losses:
            found = torch.autograd.grad(torch.stack(losses).sum(), self.leaves, allow_unused=True)
            # In the order of the weights: torch's fused optimisers take both as they lie in memory.
            found = [None if gradient is None else gradient.contiguous() for gradient in found]
            for member, parts in enumerate(self.parts):
                for part, gradient in zip(parts, found, strict=True):
                    part.grad = None if gradient is None else gradient[member]
        return steps

    def _noise(self, lengths: list[int], n_trials: int, generators: list[torch.Generator]) -> Tensor | None:
        """Each member's own, of its own strength."""
        levels = [each.training.noise for each in self.trainers]
        if not any(levels):
            return None
        n_state = self.trainers[0].network.cell.state_size
        noise = torch.zeros(max(lengths), len(levels), n_trials, n_state)
        for member, (level, length) in enumerate(zip(levels, lengths, strict=True)):
            if level:
                drawn = level * torch.randn((n_trials, length, n_state), generator=generators[member])
                noise[:length, member] = drawn.transpose(0, 1)
        return noise.to(self.weight.device)
