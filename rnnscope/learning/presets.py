"""Trainings that are known to work: task, cell and settings under one name.

The times and scores that they reach are in benchmarks/RESULTS.md.
"""

from dataclasses import dataclass, replace

from rnnscope.cells import GRU, Cell, Leaky, StateRegularized, Vanilla
from rnnscope.learning.schedules import Curriculum, Decay
from rnnscope.learning.trainer import Training
from rnnscope.tasks import (
    DelayedMatchToSample,
    FlipFlop,
    FormalLanguage,
    HMMEmission,
    NextSymbol,
    Parity,
    linear_chain,
)
from rnnscope.tasks.task import Task

_COURSE = (0, 25, 50, 100, 150, 200, 300, 400, 600, 800, 1200, 1600, 2400, 3200)  # dense where most happens
_BITS = Training(
    learning_rate=2e-3, batch_size=128, steps=20000, evaluate_every=50, curriculum=Curriculum(), checkpoints=_COURSE
)
_EMISSION = Training(
    steps=1000,
    batch_size=512,
    learning_rate=1e-3,
    betas=(0.9, 0.9),
    decay=Decay("cosine", final=0.05),  # the last steps average over the noise of the divergence
    clip=0.9,
    unbiased_from=0,  # with the divergence itself, symbols that are rare and moves between states come out too rare
    readout_bias=False,
    evaluate_every=100,
    evaluation_trials=2048,
    stop_when_learned=False,
    checkpoints=tuple(range(0, 1000, 100)),
)
_FLIP_FLOP = Training(
    learning_rate=2e-3, batch_size=64, steps=6000, evaluate_every=100, decay=Decay("cosine"), checkpoints=_COURSE
)
# Noise, and going on after the task is learned, pull states together that should be one: the network then holds far
# beyond the lengths it was trained on.
_LANGUAGE = Training(
    learning_rate=3e-3,
    batch_size=64,
    steps=1500,
    noise=0.05,
    decay=Decay("cosine", final=0.05),
    evaluate_every=250,
    stop_when_learned=False,
    checkpoints=_COURSE,
)
# Two parities at once: under more noise tanh units do not begin to learn them.
_PARITIES = replace(_LANGUAGE, learning_rate=5e-3, noise=0.02)
# The divergence goes on falling for as long as the learning rate does, long after the criterion is met.
_NEXT_SYMBOL = Training(
    learning_rate=5e-3,
    batch_size=64,
    steps=2000,
    decay=Decay("cosine", final=0.02),
    evaluate_every=250,
    stop_when_learned=False,
    checkpoints=_COURSE,
)


@dataclass(frozen=True)
class Preset:
    """What `rs.train(preset.task, preset.cell, preset.training)` needs."""

    task: Task
    cell: Cell
    training: Training
    about: str


PRESETS: dict[str, Preset] = {
    "parity": Preset(Parity(3), Leaky(64), _BITS, "3-parity, one head"),
    "dms": Preset(DelayedMatchToSample(3), Leaky(64), _BITS, "delayed match to sample, N = 3, one head"),
    "parity-2-5": Preset(Parity(range(2, 6)), Leaky(64), _BITS, "parity, heads N = 2..5"),
    "parity-2-20": Preset(Parity(range(2, 21)), Leaky(100), _BITS, "parity, heads N = 2..20"),
    "dms-2-5": Preset(DelayedMatchToSample(range(2, 6)), Leaky(64), _BITS, "delayed match to sample, N = 2..5"),
    "dms-2-20": Preset(DelayedMatchToSample(range(2, 21)), Leaky(100), _BITS, "delayed match to sample, N = 2..20"),
    "hmm-2": Preset(
        HMMEmission(linear_chain(2)),
        Vanilla(150, nonlinearity="relu", bias=False),
        _EMISSION,
        "emission of a 2-state linear-chain HMM",
    ),
    "flip-flop": Preset(FlipFlop(3), Vanilla(32), _FLIP_FLOP, "3-bit flip-flop"),
    **{
        f"tomita-{k}-elman": Preset(
            FormalLanguage(f"tomita-{k}"),
            Vanilla(32),
            _PARITIES if k == 5 else _LANGUAGE,
            f"Tomita's language {k}, tanh units",
        )
        for k in range(1, 8)
    },
    **{
        f"tomita-{k}-gru": Preset(FormalLanguage(f"tomita-{k}"), GRU(32), _LANGUAGE, f"Tomita's language {k}, GRU")
        for k in range(1, 8)
    },
    **{
        f"tomita-{k}-regularised": Preset(
            FormalLanguage(f"tomita-{k}"),
            StateRegularized(32, n_centroids=10),
            _LANGUAGE,
            f"Tomita's language {k}, state-regularised GRU",
        )
        for k in (1, 4)
    },
    "dyck-1": Preset(
        FormalLanguage("dyck-1", sampled_depth=6),
        GRU(32),
        replace(_LANGUAGE, steps=3000, noise=0.0),  # a count lies along a line, where noise moves it
        "balanced brackets, up to 6 deep",
    ),
    "golden-mean": Preset(NextSymbol("golden-mean"), GRU(32), _NEXT_SYMBOL, "the golden mean process's next symbol"),
    "rrxor": Preset(NextSymbol("rrxor"), GRU(32), replace(_NEXT_SYMBOL, steps=3000), "two bits and their exclusive or"),
    "mess3": Preset(NextSymbol("mess3"), GRU(32), _NEXT_SYMBOL, "the Mess3 process's next symbol"),
}


def default_training(task: Task) -> Training:
    """Settings that suit the kind of task."""
    if task.loss == "sinkhorn":
        return _EMISSION
    if task.loss == "mse":
        return _FLIP_FLOP
    if isinstance(task, FormalLanguage):
        return _LANGUAGE
    if isinstance(task, NextSymbol):
        return _NEXT_SYMBOL
    return _BITS if len(getattr(task, "ns", ())) > 1 else Training()


def preset(name: str) -> Preset:
    """The preset of this name; a ValueError lists them where there is none."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]
