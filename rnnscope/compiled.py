"""From a finite machine to a network that implements it exactly: a network whose mechanism is known.

Every analysis can be tried on it. The construction is Minsky's (Computation: Finite and Infinite Machines, 1967), one
unit for each arrow of the machine, with tanh near saturation in place of his threshold.
"""

import numpy as np
import torch

from rnnscope.cells import Vanilla
from rnnscope.network import Network
from rnnscope.tasks.machine import Machine

SCALE = 10.0  # between the logit of the class shown and those of the others


def compile_machine(machine: Machine, *, gain: float = 40.0) -> Network:
    """A tanh network that shows, after every word, what the machine shows.

    Symbols come one-hot. A unit for each (state s, symbol a) is near +1 after a step that read a in s, and near -1
    otherwise; one more unit stands for the beginning. Before tanh every unit is at +-gain / 2 up to what the other
    units lack to +-1, a lack that does not add up over time. The output has a logit for each class of each head, heads
    side by side, as the tasks have them.

    Args:
        machine: a Moore machine (so a DFA) or a Mealy machine.
        gain: 40 saturates every unit exactly in float64; smaller values, down to about 8, leave it smooth.

    Raises:
        TypeError: it is no machine.
        ValueError: the machine is probabilistic or shows negative numbers, or the gain is too small for it to be exact.

    Example:
        >>> import numpy as np, torch, rnnscope as rs
        >>> from rnnscope.tasks.machine import Machine
        >>> odd = Machine(np.array([[0, 1], [1, 0]]), np.array([[0], [1]]))
        >>> outputs, _ = rs.compile_machine(odd)(torch.eye(2)[torch.tensor([[1, 0, 1, 1]])])
        >>> outputs.argmax(-1).tolist()
        [[1, 1, 0, 1]]
    """
    if not isinstance(machine, Machine):
        raise TypeError(
            f"only a Machine can be compiled, got {machine!r}; rnnscope.tasks.regex.regex_machine makes one of a "
            "regular expression, rnnscope.tasks.languages.language(name).machine is that of a named language"
        )
    if machine.outputs.min() < 0:
        raise ValueError(f"outputs become classes 0, 1, ...; this machine shows {machine.outputs.min()}: renumber them")
    if machine.emission is not None:
        raise ValueError("a probabilistic machine emits at random; only one that reads can be compiled")
    n_states, n_symbols = machine.transitions.shape
    n_units = n_states * n_symbols + 1
    leads_to = np.append(machine.transitions.ravel(), machine.initial)  # of each unit; the beginning comes last
    enters = leads_to == np.arange(n_states)[:, None]  # (state, unit)
    _check_gain(gain, int(enters.sum(1).max()))

    weight = np.zeros((n_units, n_units))
    weight[:-1] = np.repeat(enters, n_symbols, axis=0) * gain / 2
    weight_in = np.zeros((n_units, n_symbols))
    weight_in[:-1] = np.tile(np.eye(n_symbols), (n_states, 1)) * gain
    bias = weight.sum(1) - 1.5 * gain  # the sum turns +-1 into 0 and 1
    bias[-1] = -gain
    shown = machine.outputs.reshape(n_states * n_symbols, -1) if machine.outputs.ndim == 3 else None
    shown = machine.outputs[leads_to] if shown is None else np.vstack([shown, np.zeros_like(shown[:1])])
    n_classes = max(2, int(shown.max()) + 1)
    shows = shown[:, :, None] == np.arange(n_classes)  # (unit, head, class)
    read = shows.reshape(n_units, -1).T * SCALE / 2

    network = Network(Vanilla(n_units, start="learned"), n_symbols, len(read))
    begin = -np.ones(n_units)
    begin[-1] = 1
    values = {
        "cell.weights.weight": weight,
        "cell.weights.weight_in": weight_in,
        "cell.weights.bias": bias,
        "cell.start.value": begin,
        "readout.weight": read,
        "readout.bias": read.sum(1),
    }
    network.load_state_dict({name: torch.from_numpy(value) for name, value in values.items()})
    return network


def _check_gain(gain: float, n_entering: int) -> None:
    """What a unit lacks to +-1, halved, is at most (1 - tanh(gain (1/2 - n lack))) / 2, n the arrows into a state."""
    if not (np.isfinite(gain) and gain > 0):
        raise ValueError(f"gain must be a positive number, got {gain}")
    lack = 0.0
    for _ in range(1000):
        lack, before = (1 - np.tanh(gain * (0.5 - n_entering * lack))) / 2, lack
        if n_entering * lack >= 0.25:
            raise ValueError(
                f"gain = {gain:g} is too small: with {n_entering} arrows into one state, what the units lack to +-1 "
                "adds up to a wrong step; give more, 40 is always enough"
            )
        if lack == before:
            return
