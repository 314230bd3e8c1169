"""Results as small as can be, of every analysis."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from driven_systems import kicked, telegraph

import rnnscope as rs
from rnnscope import analyses, cells, tasks
from rnnscope.analyses import ANALYSES, extract_automaton
from rnnscope.network import Network
from rnnscope.records.results import Result
from rnnscope.tasks import Parity
from rnnscope.tasks.machine import Machine

FEW: dict[str, Any] = {"n_words": 10, "length": 12, "n_test_words": 10, "compare": False}


def predictor(with_process: bool) -> Any:
    last = rs.FunctionMap(
        lambda h, u: u[..., :1],
        state_size=1,
        input_size=2,
        readout=lambda h: np.log(np.where(h > 0.5, [1e-9, 1.0], [0.5, 0.5])),
        readout_size=2,
    )
    task = tasks.NextSymbol("golden-mean", opening_step=False) if with_process else None
    return extract_automaton(last, task=task, predicts_next=True, **FEW)


def emitter() -> Any:
    network = rs.FunctionMap(
        lambda h, u: np.tanh(3 * h + 1.5 * u),
        state_size=1,
        input_size=1,
        readout=lambda h: np.concatenate([-4 * h, 4 * h], -1),
        readout_size=2,
    )
    truth = tasks.HMM([[0.98, 0.02], [0.02, 0.98]], [[0.99, 0.01], [0.01, 0.99]])  # type: ignore[arg-type]
    return extract_automaton(network, task=tasks.HMMEmission(truth, noise_size=1, length=20), n_clusters=4, **FEW)


def next_symbol() -> Any:
    task = tasks.NextSymbol("mess3")
    network = Network(cells.GRU(4), 3, 3, generator=torch.Generator().manual_seed(0)).requires_grad_(False)
    return rs.Subject(network.map(), task)


def every_result(folder: Path) -> dict[str, Result]:
    """One of every analysis, of the other two kinds of automaton, and of a comparison; runs are made in the folder."""
    task, three = Parity(2), {"trial_labels": {"kind": [0, 1, 2, 2, 1, 0, 1, 2]}}
    run = rs.train(task, cells.Vanilla(4), steps=2, folder=folder, progress=False)
    several, at = Parity([2, 3]), {"steps": 2, "checkpoints": (0, 1), "folder": folder, "progress": False}
    heads = rs.train(several, cells.Vanilla(4), name="heads", **at)
    network = Network(cells.Vanilla(8), task.input_size, task.output_size, generator=torch.Generator().manual_seed(0))
    other = Network(cells.Vanilla(8), task.input_size, task.output_size, generator=torch.Generator().manual_seed(1))
    network.requires_grad_(False)
    other.requires_grad_(False)
    points = analyses.find_fixed_points(network, n_starts=16)
    trials = task.sample(4, np.random.default_rng(0))
    shown = np.random.default_rng(1).integers(2, size=(8, 12, 1)).astype(float)
    parity = Machine(np.array([[0, 1], [1, 0]]), np.array([[0], [1]]))
    bistable = rs.FunctionMap(lambda h: np.tanh(2 * h), state_size=1, domain=(-1, 1))
    emission = tasks.HMMEmission("linear_chain:2", noise_size=task.input_size, length=8)
    of_hmm = rs.Subject(Network(cells.Vanilla(4), task.input_size, 3).map(), emission)
    network_with_task = rs.Subject(network.map(), task)
    few: dict[str, Any] = {"n_random": 2, "n_descent": 2}
    swaps: dict[str, Any] = {"alphabet": [[0.0], [1.0]], "n_pairs": 4, "n_learn": 16, **few}
    return {
        "fixed_points": points,
        "linearisation": analyses.linearise(network, fixed_points=points),
        "connections": analyses.connect_fixed_points(network, fixed_points=points),
        "basins": analyses.basin_fractions(network, fixed_points=points, n_starts=20),
        "manifolds": analyses.marginal_manifolds(network, fixed_points=points),
        "cycles": analyses.find_cycles(network, n_starts=16, periods=2),
        "bifurcations": analyses.follow_fixed_points(network, inputs=np.array([[0.0], [0.5]]), n_starts=16),
        "lyapunov": analyses.lyapunov_spectrum(network, n_steps=50, transient=10),
        "copy_quality": analyses.measure_copy(of_hmm, n_sequences=40, n_matched=20),
        "sequence_divergence": analyses.sequence_divergence(of_hmm, n_sequences=16, lengths=(6, 8)),
        "noise_or_chaos": analyses.noise_or_chaos(network, noise=0.1, n_steps=60, n_pairs=2),
        "residency": analyses.residency_times(telegraph(0.2), **ANALYSES["residency"].quick),
        "kick_neurons": analyses.kick_neurons(kicked(0.3), **ANALYSES["kick_neurons"].quick),
        "sustained_orbit": analyses.sustained_orbit(telegraph(0.2), **ANALYSES["sustained_orbit"].quick),
        "stochastic_resonance": analyses.stochastic_resonance(telegraph(0.2), **ANALYSES["stochastic_resonance"].quick),
        "recurrence": analyses.recurrence(network, noise=0.1, n_steps=60, n_runs=2),
        "itineraries": analyses.itineraries(bistable, noise=0.2, by="points", centres=[[-0.9], [0.9]], n_steps=200),
        "bayes_distance": analyses.bayes_distance(next_symbol(), n_words=8, length=9, n_held=9),
        "driven_over_training": analyses.driven_over_training(run, **ANALYSES["driven_over_training"].quick),
        "finite_time": analyses.finite_time_exponents(network, inputs=shown, window=4),
        "covariant": analyses.covariant_lyapunov_vectors(network, n_steps=30),
        "gradients": analyses.gradient_growth(network, inputs=shown),
        "geometry_over_training": analyses.geometry_over_training(run, n_trials=4, n_starts=8),
        "timescales": analyses.timescales(network, **ANALYSES["timescales"].quick),
        "forgetting": analyses.forgetting(heads, **ANALYSES["forgetting"].quick),
        "generalisation": analyses.generalisation(network_with_task, **ANALYSES["generalisation"].quick),
        "retraining": analyses.retraining(run, **ANALYSES["retraining"].quick),
        "robustness": analyses.robustness(network_with_task, n_draws=2, n_trials=4, sizes=(0.1,)),
        "input_influence": analyses.input_influence(network_with_task, n_lags=3, n_strings=8),
        "lyapunov_over_training": analyses.lyapunov_over_training(run, n_steps=20, transient=5),
        "state_space": analyses.project_states(network, inputs=trials, fixed_points=points),
        "conditions": analyses.condition_trajectories(network, inputs=shown, **three),
        "demixing": analyses.demix_states(network, inputs=shown, **three),
        "subspaces": analyses.compare_subspaces(network, inputs=shown),
        "rotations": analyses.find_rotations(network, inputs=shown, **three),
        "flow_field": analyses.flow_field(network, fixed_points=points, n_grid=9),
        "local_linear": analyses.linearise_along(network, inputs=shown),
        "switching_linear": analyses.switching_linear(network, inputs=shown, fixed_points=points),
        "ablation": analyses.ablate_units(network, inputs=trials, by="clusters", n_groups=2, n_controls=3, points=True),
        "minimal_units": analyses.minimal_units(network, inputs=trials, n_controls=2),
        "patching": analyses.patch_states(network, inputs=trials, n_pairs=2, n_times=2),
        "least_pushes": analyses.find_least_pushes(bistable, states=np.array([[-0.5], [0.25]])),
        "automaton": analyses.extract_automaton(network, task=task, n_test_words=20),
        "alignment": analyses.align_subspace(
            network, inputs=np.concatenate([shown] * 4), trial_labels={"first": np.tile(shown[:, 0, 0], 4)}, **few
        ),
        "machine_states": analyses.machine_states(network, automaton=parity, **swaps),
        "predictor": predictor(with_process=True),
        "emitter": emitter(),
        "compare": analyses.compare_networks([network, other], inputs=shown),
    }
