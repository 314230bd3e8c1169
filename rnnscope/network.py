"""A cell with a linear readout."""

import contextlib
from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from rnnscope.cells.cell import Cell
from rnnscope.maps import CellMap


class Network(nn.Module):
    """A recurrent cell and linear readout heads, laid side by side in one output vector.

    Args:
        cell: the settings of the cell.
        input_size, output_size: channels in and out.
        readout_bias: whether the readout has a bias.
        generator: where the initial weights are drawn from; torch's global generator if None.

    Example:
        >>> import torch, rnnscope as rs
        >>> network = rs.Network(rs.cells.GRU(16), input_size=2, output_size=3)
        >>> outputs, states = network(torch.zeros(5, 7, 2))
        >>> outputs.shape, states.shape
        (torch.Size([5, 7, 3]), torch.Size([5, 7, 16]))
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        output_size: int,
        *,
        readout_bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.input_size, self.output_size = cell, input_size, output_size
        self.cell = cell.build(input_size, generator)
        # Made without values, so that torch's global generator is left alone where one is given.
        self.readout = nn.utils.skip_init(
            nn.Linear, self.cell.n_units, output_size, bias=readout_bias, device=torch.get_default_device()
        )
        bound = self.cell.n_units**-0.5
        for parameter in self.readout.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def __repr__(self) -> str:
        return f"Network({self.settings!r}, input_size={self.input_size}, output_size={self.output_size})"

    def states(
        self,
        inputs: Float[Tensor, "trial time input"],
        *,
        noise: float = 0.0,
        initial: Float[Tensor, "trial state"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "trial time state"]:
        """The states after each input.

        Args:
            inputs: what the network is shown.
            noise: standard deviation of process noise, added to every number of the state after each step.
            initial: the states before the first input; drawn as the cell's settings say if None.
            generator: where initial states and noise are drawn from.

        Raises:
            ValueError: inputs of another shape.
        """
        if inputs.ndim != 3 or inputs.shape[-1] != self.input_size:
            raise ValueError(f"inputs must have shape (trial, time, {self.input_size}), got {tuple(inputs.shape)}")
        n_trials, n_steps, _ = inputs.shape
        if initial is None:
            initial = self.cell.initial_state(n_trials, generator)
        added = None
        if noise:
            shape = (n_trials, n_steps, self.cell.state_size)
            # On the CPU, so that a seed means the same noise on every device.
            added = noise * torch.randn(shape, generator=generator, dtype=inputs.dtype).to(inputs.device)
        return self.cell.unroll(inputs, initial, added)

    def forward(
        self,
        inputs: Float[Tensor, "trial time input"],
        *,
        noise: float = 0.0,
        initial: Float[Tensor, "trial state"] | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Float[Tensor, "trial time output"], Float[Tensor, "trial time state"]]:
        """Outputs and states at every step; arguments as for `states`."""
        states = self.states(inputs, noise=noise, initial=initial, generator=generator)
        return self.read(states), states

    def read(
        self, states: Float[Tensor, "*batch state"], mask: Bool[Tensor, "*batch"] | None = None
    ) -> Float[Tensor, "... output"]:
        """The outputs of states; with a mask only of the states where it is True, as (where, output)."""
        visible = states[..., : self.cell.n_units]
        return self.readout(visible if mask is None else visible[mask])

    def map(self) -> CellMap:
        """The network as a map, with a copy of the weights."""
        return CellMap([self.cell], self.readout, self.output_size)


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Make torch's default another one for a while: the networks of runs are of float32, whatever a session's is."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
