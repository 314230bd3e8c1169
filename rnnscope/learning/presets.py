"""Trainings that are known to work: task, cell and settings under one name.

The times and scores that they reach are in benchmarks/RESULTS.md.
"""

from dataclasses import dataclass, replace
from typing import Any

from rnnscope.cells import GRU, Cell, Leaky, StateRegularized, Vanilla
from rnnscope.learning.defaults import TRAININGS
from rnnscope.learning.schedules import Decay
from rnnscope.learning.settings import Training
from rnnscope.tasks import (
    DelayedMatchToSample,
    FlipFlop,
    FormalLanguage,
    HMMEmission,
    NextSymbol,
    Parity,
    cyclic,
    fully_connected,
    linear_chain,
)
from rnnscope.tasks.task import Task

# Rectified units without biases, as in the paper (see `linear_chain`), whose sizes are 50 to 200 units and 1 to 200
# channels of noise. Two states are copied with those of its main network, and with few for a quick look.
_SMALL = Vanilla(50, nonlinearity="relu", bias=False)
_MOMENTS = TRAININGS["moments"]
# Where symbols stay for long, their shares in a batch vary most, and shares of the network follow while steps are long.
_LASTING = Decay("cosine", final=0.03)


# Torre et al. train on the Sinkhorn divergence in batches of 4096, three an epoch of 10,000 sequences; here sequences
# are drawn anew at every step. For a GPU or a cluster.
_PAPER = Training(
    batch_size=4096, learning_rate=1e-3, betas=(0.9, 0.9), clip=0.9, readout_bias=False, evaluate_every=100,
    evaluation_trials=10_000, stop_when_learned=False,
)  # fmt: skip
_PAPER_EPOCH = 3  # steps; the last of 1,808 sequences is one of 4096 here
# The name of a preset: the model, the length of its sequences, epochs and clip.
_PAPER_MODELS = {
    "2": (linear_chain(2), 100, 500, 0.9),
    "3": (linear_chain(3), 30, 500, 0.9),
    "4": (linear_chain(4), 30, 500, 0.9),
    "5": (linear_chain(5), 40, 500, 0.9),
    "fully-connected": (fully_connected(3), 30, 1000, 0.3),
    "cyclic": (cyclic(4), 40, 500, 0.3),
}


def _for(steps: int, **settings: Any) -> Training:
    return replace(_MOMENTS, steps=steps, moments_until=steps, **settings)


_HEADS, _LANGUAGE, _NEXT_SYMBOL = (TRAININGS[name] for name in ("heads", "language", "next-symbol"))
# Two parities at once: under more noise tanh units do not begin to learn them.
_PARITIES = replace(_LANGUAGE, learning_rate=5e-3, noise=0.02)


@dataclass(frozen=True)
class Preset:
    """What `rs.train(preset.task, preset.cell, preset.training)` needs."""

    task: Task
    cell: Cell
    training: Training
    about: str


PRESETS: dict[str, Preset] = {
    "parity": Preset(Parity(3), Leaky(64), _HEADS, "3-parity, one head"),
    "dms": Preset(DelayedMatchToSample(3), Leaky(64), _HEADS, "delayed match to sample, N = 3, one head"),
    "parity-2-5": Preset(Parity(range(2, 6)), Leaky(64), _HEADS, "parity, heads N = 2..5"),
    "parity-2-20": Preset(Parity(range(2, 21)), Leaky(100), _HEADS, "parity, heads N = 2..20"),
    "dms-2-5": Preset(DelayedMatchToSample(range(2, 6)), Leaky(64), _HEADS, "delayed match to sample, N = 2..5"),
    "dms-2-20": Preset(DelayedMatchToSample(range(2, 21)), Leaky(100), _HEADS, "delayed match to sample, N = 2..20"),
    "hmm-2": Preset(
        HMMEmission(linear_chain(2)),
        Vanilla(150, nonlinearity="relu", bias=False),
        _for(900, learning_rate=2e-3, decay=_LASTING),
        "emission of a 2-state linear-chain HMM",
    ),
    "hmm-2-small": Preset(
        HMMEmission(linear_chain(2), noise_size=10),
        _SMALL,
        _for(1200, decay=_LASTING),
        "the same with 50 units and 10 channels of noise",
    ),
    **{
        f"hmm-{m}": Preset(
            HMMEmission(linear_chain(m), noise_size=10, length=length),
            _SMALL,
            _for(800),
            f"emission of a {m}-state linear-chain HMM",
        )
        for m, length in ((3, 30), (4, 30), (5, 40))
    },
    "hmm-fully-connected": Preset(
        HMMEmission(fully_connected(3), noise_size=10),
        _SMALL,
        _for(1500, decay=_LASTING),
        "emission of three states, all connected",
    ),
    "hmm-cyclic": Preset(
        HMMEmission(cyclic(4), noise_size=10, length=40), _SMALL, _for(1200), "emission of four states on a ring"
    ),
    **{
        f"hmm-{name}-paper": Preset(
            HMMEmission(hmm, length=length),
            Vanilla(150, nonlinearity="relu", bias=False),
            replace(
                _PAPER,
                steps=epochs * _PAPER_EPOCH,
                clip=clip,
                checkpoints=(0, *(epochs * _PAPER_EPOCH * k // 20 for k in range(1, 20))),
            ),
            f"hmm-{name} with the paper's sizes, divergence and batches: for a GPU",
        )
        for name, (hmm, length, epochs, clip) in _PAPER_MODELS.items()
    },
    "flip-flop": Preset(FlipFlop(3), Vanilla(32), TRAININGS["regression"], "3-bit flip-flop"),
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


def preset(name: str) -> Preset:
    """The preset of this name; a ValueError lists them where there is none."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]
