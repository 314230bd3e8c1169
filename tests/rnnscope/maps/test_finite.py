"""What is no number is refused, by name."""

import numpy as np
import pytest
import torch

import rnnscope as rs


class Own(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)

    def step(self, h: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(h))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: torch.nn.RNN(2, 3), "weight_hh_l0"),
        (lambda: torch.nn.GRU(2, 3, num_layers=2), "bias_ih_l1"),
        (lambda: torch.nn.LSTMCell(2, 3), "weight_ih"),
        (Own, "layer.weight"),
    ],
)
def test_weights_that_are_no_numbers_are_refused(make, name: str, bad: float):
    module = make()
    with torch.no_grad():
        dict(module.named_parameters())[name].view(-1)[1] = bad
    with pytest.raises(ValueError, match=f"1 of the .* in {name} are infinite or NaN"):
        rs.wrap(module, state_size=3, input_size=2)


@pytest.mark.parametrize("domain", [(np.nan, 1), (0, np.nan), (1, 0), ([0, np.nan], [1, 1])])
def test_a_domain_without_ends_in_order_is_refused(domain):
    with pytest.raises(ValueError, match="domain must be"):
        rs.FunctionMap(lambda x: x, state_size=2, domain=domain)
