"""Losses against torch's own on the masked entries, and the emission of symbols against softmax."""

import numpy as np
import pytest
import torch
from torch.nn import functional

import rnnscope as rs
from rnnscope import cells, tasks
from rnnscope.learning import losses
from rnnscope.learning.losses import gumbel_one_hot, unrest
from rnnscope.learning.trainer import Progress
from rnnscope.numerics.sinkhorn import sinkhorn_divergence, sinkhorn_energy

N_HEADS, N_CLASSES = 3, 4


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network_and_states(output_size: int) -> tuple[rs.Network, torch.Tensor]:
    network = rs.Network(cells.LSTM(5), 2, output_size, generator=seeded()).double()
    return network, torch.randn(6, 7, 10, generator=seeded(1), dtype=torch.float64, requires_grad=True)


def masks() -> list[torch.Tensor]:
    some = torch.rand(6, 7, generator=seeded(2)) < 0.4
    one = torch.zeros(6, 7, dtype=torch.bool)
    one[3, 2] = True
    return [some, one, torch.ones(6, 7, dtype=torch.bool)]


@pytest.mark.parametrize("heads", [None, [0], [2, 0], [0, 1, 2]], ids=str)
@pytest.mark.parametrize("mask", masks(), ids=["some", "one", "all"])
def test_cross_entropy(mask: torch.Tensor, heads: list[int] | None):
    network, states = network_and_states(N_HEADS * N_CLASSES)
    kept = list(range(N_HEADS)) if heads is None else heads
    targets = torch.randint(N_CLASSES, (6, 7, len(kept)), generator=seeded(3))
    found = losses.cross_entropy(network, states, targets, mask, heads, N_HEADS)
    outputs = network.read(states)
    terms = []
    for trial, time in mask.nonzero().tolist():
        for column, head in enumerate(kept):
            logits = outputs[trial, time, head * N_CLASSES : (head + 1) * N_CLASSES]
            terms.append(functional.cross_entropy(logits, targets[trial, time, column]))
    wanted = torch.stack(terms).mean()
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    by_found, by_wanted = (torch.autograd.grad(loss, states)[0] for loss in (found, wanted))
    torch.testing.assert_close(by_found, by_wanted, rtol=0, atol=1e-12)
    assert not by_found[~mask].any(), "a step outside the mask has a gradient"


@pytest.mark.parametrize("mask", masks(), ids=["some", "one", "all"])
def test_mean_squared_error(mask: torch.Tensor):
    network, states = network_and_states(3)
    targets = torch.randn(6, 7, 3, generator=seeded(3), dtype=torch.float64)
    found = losses.mean_squared_error(network, states, targets, mask)
    wanted = ((network.read(states) - targets)[mask] ** 2).sum() / (3 * mask.sum())
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    assert not torch.autograd.grad(found, states)[0][~mask].any()


def test_gumbel_frequencies_are_those_of_softmax():
    logits = torch.tensor([[0.0, 1.0, -2.0, 3.0], [5.0, 5.0, 5.0, 5.0], [-30.0, 0.0, -30.0, 0.0]])
    n = 40_000
    drawn = gumbel_one_hot(logits.expand(n, 3, 4), seeded())
    wanted = torch.softmax(logits, -1)
    error = 5 * (wanted * (1 - wanted) / n).sqrt() + 1e-12
    excess = ((drawn.mean(0) - wanted).abs() - error).max()
    assert excess <= 0, f"frequencies {drawn.mean(0)}, softmax {wanted}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gumbel_samples_are_one_hot_and_seeded(dtype: torch.dtype):
    logits = 3 * torch.randn(500, 6, generator=seeded(1), dtype=dtype)
    logits.requires_grad_()
    first, again, other = (gumbel_one_hot(logits, seeded(s)) for s in (0, 0, 1))
    assert first.dtype == dtype
    assert ((first == 0) | (first == 1)).all(), "a sample differs from 0 and 1 by rounding"
    assert (first.sum(-1) == 1).all()
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_gumbel_gradient_is_that_of_the_relaxation():
    logits = torch.randn(20, 5, generator=seeded(1), dtype=torch.float64, requires_grad=True)
    weights = torch.randn(20, 5, generator=seeded(2), dtype=torch.float64)
    (found,) = torch.autograd.grad((weights * gumbel_one_hot(logits, seeded(3))).sum(), logits)
    noise = -torch.log(-torch.log(torch.rand(20, 5, generator=seeded(3), dtype=torch.float64)))
    (wanted,) = torch.autograd.grad((weights * torch.softmax(logits + noise, -1)).sum(), logits)
    assert (found.norm(dim=-1) > 1e-6).all(), "the gradient does not come through"
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def test_emission_divergence():
    network, states = network_and_states(4)
    targets = torch.randint(4, (6, 7, 1), generator=seeded(3))
    found = losses.emission_divergence(network, states, targets, seeded(4), with_constant=True)
    emitted = gumbel_one_hot(network.read(states), seeded(4))
    wanted = torch.nn.functional.one_hot(targets[..., 0], 4).double()
    torch.testing.assert_close(found, sinkhorn_divergence(emitted.flatten(1), wanted.flatten(1), blur=0.2))
    unbiased = losses.emission_divergence(network, states, targets, seeded(4), with_constant=True, unbiased=True)
    torch.testing.assert_close(unbiased, sinkhorn_energy(emitted.flatten(1), wanted.flatten(1), blur=0.2))
    assert torch.autograd.grad(found, states)[0].any()
    # A network that is sure of the targets emits them, and the divergence is nil.
    sure = rs.Network(cells.Vanilla(4), 2, 4, readout_bias=False, generator=seeded())
    with torch.no_grad():
        sure.readout.weight.copy_(100 * torch.eye(4))
    exact = functional.one_hot(targets[..., 0], 4).float()
    nil = losses.emission_divergence(sure, exact, targets, seeded(5), with_constant=True)
    assert abs(nil.item()) < 1e-4


def test_the_unbiased_loss_begins_at_its_step_and_resumes_bit_for_bit(tmp_path):
    task, cell = rs.tasks.HMMEmission("linear_chain:2", noise_size=4, length=8), cells.Vanilla(6)
    settings = {"steps": 12, "batch_size": 16, "evaluate_every": 4, "evaluation_trials": 32, "log_every": 1}
    settings |= {"stop_when_learned": False, "folder": tmp_path}

    def run(name: str, **more: object) -> rs.Run:
        return rs.train(task, cell, name=name, **{"progress": False, **settings, **more})

    def stop(progress: Progress) -> None:
        if progress.step == 9:
            raise KeyboardInterrupt

    biased, whole = run("biased", unbiased_from=None), run("whole", unbiased_from=5)
    before, after = (slice(0, 5), slice(5, 12))
    np.testing.assert_array_equal(whole.history["loss"][before], biased.history["loss"][before])
    assert (whole.history["loss"][after] != biased.history["loss"][after]).all()
    with pytest.raises(KeyboardInterrupt):
        run("cut", unbiased_from=5, on_progress=stop)
    resumed = run("cut", unbiased_from=5, exists="resume")
    np.testing.assert_array_equal(resumed.history["loss"], whole.history["loss"])
    for name, value in resumed.network().state_dict().items():
        assert torch.equal(value, whole.network().state_dict()[name]), f"{name} differs after resuming"


@pytest.mark.parametrize("settings", [{"unbiased_from": -1}, {"unbiased_from": 0, "batch_size": 1}], ids=str)
def test_an_unbiased_loss_that_cannot_be_is_refused(settings: dict[str, int]):
    with pytest.raises(ValueError, match="unbiased_from must be a step"):
        rs.Training(**settings)


def test_unrest_is_the_mean_squared_change_within_trials():
    """Two trials of which the second counts for three steps alone: what comes after, padding, is not asked."""
    states = torch.tensor(
        [[[0.0, 0.0], [1.0, 0.0], [1.0, 2.0], [1.0, 2.0]], [[0.0, 0.0], [0.0, 3.0], [0.0, 3.0], [9.0, 9.0]]]
    )
    mask = torch.tensor([[False, False, False, True], [True, False, True, False]])
    changes = [1 / 2, 4 / 2, 0, 9 / 2, 0]
    assert unrest(states, mask).item() == pytest.approx(sum(changes) / 5)
    assert unrest(states[:, :1], mask[:, :1]).item() == 0


def test_consistency_draws_states_to_rest(tmp_path):
    """The same trials and weights at the start: with the penalty states change less; without its weight nothing is
    added."""
    task, cell = tasks.FlipFlop(1, length=12), cells.Leaky(6)
    found = []
    for weight in (0.0, 10.0):
        run = rs.train(
            task, cell, steps=60, consistency=weight, stop_when_learned=False, progress=False,
            name=f"weight {weight:g}", folder=tmp_path,
        )  # fmt: skip
        states = rs.as_subject(run).trajectories(n_trials=32, seed=0).states
        found.append(float((np.diff(states, axis=1) ** 2).mean()))
    assert found[1] < 0.5 * found[0], found
    with pytest.raises(ValueError, match="consistency is the weight of a penalty, a number from 0 on, got -1"):
        rs.train(task, cell, consistency=-1.0, folder=tmp_path)
