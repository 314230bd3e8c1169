"""Moments of emission against enumeration, sampling and automatic counts; and the training that is built on them."""

import itertools

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import cells
from rnnscope.learning import moments
from rnnscope.learning.trainer import Progress
from rnnscope.tasks import HMM, HMMEmission, cyclic, linear_chain

LIKE = torch.zeros(0, dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_enumeration(probabilities: np.ndarray) -> moments.Moments:
    """Of all sequences that may be drawn, each with its probability."""
    n_trials, length, n_symbols = probabilities.shape
    lags = moments._lags(length)
    frequencies, pairs = np.zeros((length, n_symbols)), np.zeros((len(lags), n_symbols, n_symbols))
    words = np.zeros((n_symbols,) * 3)
    for p in probabilities:
        for sequence in itertools.product(range(n_symbols), repeat=length):
            chance = np.prod(p[np.arange(length), sequence]) / n_trials
            for t in range(length):
                frequencies[t, sequence[t]] += chance
                for k, lag in enumerate(lags):
                    if t + lag < length:
                        pairs[k, sequence[t], sequence[t + lag]] += chance / (length - lag)
                if t + 3 <= length:
                    words[sequence[t : t + 3]] += chance / (length - 2)
    return moments.Moments(*map(torch.from_numpy, (frequencies, pairs, words.ravel())))


def test_moments_of_a_batch_are_those_of_all_that_may_be_drawn():
    p = torch.softmax(2 * torch.randn(3, 6, 2, generator=seeded(), dtype=torch.float64), -1)
    found, wanted = moments.batch_moments(p), by_enumeration(p.numpy())
    for name in ("frequencies", "pairs", "words"):
        torch.testing.assert_close(getattr(found, name), getattr(wanted, name), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "hmm",
    [linear_chain(3), cyclic(4), HMM([[0.5, 0.5], [0.1, 0.9]], [[1.0, 0.0], [0.2, 0.8]], (1.0, 0.0))],
    ids=["chain", "cyclic", "not stationary"],
)
def test_moments_of_a_process_are_those_of_its_samples(hmm):
    """A sequence that is drawn is a batch whose probabilities are 0 and 1."""
    _, symbols = hmm.sample(20_000, 9, np.random.default_rng(0))
    seen = moments.batch_moments(torch.eye(hmm.n_symbols, dtype=torch.float64)[symbols])
    exact = moments.process_moments(hmm, 9, LIKE)
    for name in ("frequencies", "pairs", "words"):
        torch.testing.assert_close(getattr(seen, name), getattr(exact, name), rtol=0, atol=0.02)


def network_that_emits(probabilities: torch.Tensor) -> tuple[rs.Network, torch.Tensor]:
    """With states that are the logits."""
    network = rs.Network(cells.Vanilla(3), 2, 3, readout_bias=False, generator=seeded()).double()
    with torch.no_grad():
        network.readout.weight.copy_(torch.eye(3))
    return network, probabilities.clamp(min=1e-30).log()


def test_the_error_is_unbiased_whatever_the_batch():
    """Of a copy that is exact but for noise the mean is 0, for batches of two too, where that of a square is not."""
    hmm = linear_chain(3)
    exact = moments.process_moments(hmm, 6, LIKE)
    states, _ = hmm.sample(2000, 6, np.random.default_rng(0))
    p = torch.from_numpy(hmm.emission_matrix[states])  # a network that knows the latent state, and draws the symbol
    errors = torch.stack([moments.moment_error(*network_that_emits(some), exact) for some in p.split(2)])
    mean, error = errors.mean().item(), (errors.std() / len(errors) ** 0.5).item()
    assert abs(mean) < 4 * error
    assert error < 0.05 * errors.std().item()
    squares = torch.stack([(moments.batch_moments(some).words - exact.words).square().sum() for some in p.split(2)])
    assert squares.mean() > 10 * squares.std() / len(squares) ** 0.5, "what it is spared"


def test_the_error_and_its_gradient_are_nil_at_the_truth_and_not_elsewhere():
    """A process of independent symbols, which a network without noise emits exactly."""
    wanted = moments.process_moments(HMM([[1.0]], [[0.5, 0.2, 0.3]]), 7, LIKE)
    p = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64).expand(4, 7, 3)
    network, states = network_that_emits(p)
    for shift, nil in ((0.0, True), (0.3, False)):
        moved = (states + shift * torch.tensor([1.0, 0.0, 0.0])).requires_grad_()
        loss = moments.moment_error(network, moved, wanted)
        (gradient,) = torch.autograd.grad(loss, moved)
        assert (abs(loss.item()) < 1e-20) == nil
        assert (gradient.abs().max().item() < 1e-9) == nil


def test_growth_is_that_of_the_mean_square():
    grown = torch.cat([torch.ones(2, 4, 3), 10 * torch.ones(2, 4, 3)], 1)
    assert moments.growth(grown).item() == pytest.approx(np.log(100) ** 2, rel=1e-3)
    assert moments.growth(grown.flip(1)).item() == 0, "states that shrink may"
    assert moments.growth(torch.zeros(2, 8, 3)).item() == 0
    assert moments.growth(torch.ones(2, 2, 3)).item() == 0


def test_a_training_by_moments_resumes_bit_for_bit_and_goes_over_to_sequences(tmp_path):
    task, cell = HMMEmission("linear_chain:2", noise_size=4, length=8), cells.Vanilla(6)
    settings = {"steps": 12, "batch_size": 16, "evaluate_every": 4, "evaluation_trials": 32, "log_every": 1}
    settings |= {"stop_when_learned": False, "folder": tmp_path, "steady": 0.1, "unbiased_from": 0}

    def run(name: str, **more: object) -> rs.Run:
        return rs.train(task, cell, name=name, **{"progress": False, "moments_until": 7, **settings, **more})

    def stop(progress: Progress) -> None:
        if progress.step == 5:
            raise KeyboardInterrupt

    whole, never = run("whole"), run("never", moments_until=None)
    assert (whole.history["loss"][:7] != never.history["loss"][:7]).all()
    with pytest.raises(KeyboardInterrupt):
        run("cut", on_progress=stop)
    resumed = run("cut", exists="resume")
    np.testing.assert_array_equal(resumed.history["loss"], whole.history["loss"])
    for name, value in resumed.network().state_dict().items():
        assert torch.equal(value, whole.network().state_dict()[name]), f"{name} differs after resuming"


def test_training_by_moments_brings_pairs_to_the_models(tmp_path):
    task = HMMEmission("linear_chain:3", noise_size=4, length=12)
    cell = cells.Vanilla(20, nonlinearity="relu", bias=False)
    run = rs.train(
        task, cell, steps=150, batch_size=256, learning_rate=5e-3, moments_until=150, steady=0.3, evaluate_every=150,
        evaluation_trials=1024, folder=tmp_path, progress=False,
    )  # fmt: skip
    untrained = rs.evaluate(run.network(0), task)
    assert run.metrics["transition_error"] < 0.25 * untrained["transition_error"]
    assert run.metrics["volatility_error"] < 0.2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"moments_until": 0}, "moments_until must be a step, from 1 on"),
        ({"moments_until": 5, "batch_size": 1}, "batch_size at least 2, because the batch is halved: got 5 and 1"),
        ({"steady": -1.0}, "steady is the weight of a penalty, a number from 0 on, got -1"),
        ({"steady": float("inf")}, "steady: Input should be a finite number"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        rs.Training(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"moments_until": 5}, "moments_until = 5 needs a task that emits .* FlipFlop is none: leave it None"),
        ({"steady": 0.5}, "steady = 0.5 needs a task of emission, .* FlipFlop, may want states that grow; leave it 0"),
    ],
)
def test_tasks_that_have_no_moments_are_refused_with_the_reason(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        rs.train(rs.tasks.FlipFlop(1), cells.Vanilla(3), folder=tmp_path, progress=False, **settings)
    assert not list(tmp_path.iterdir())
