"""Small driven systems of which it is known what noise does in them."""

from typing import Any

import numpy as np
from scipy.special import ndtr
from scipy.stats import norm

import rnnscope as rs

TWO = rs.tasks.HMM([[0.9, 0.1], [0.1, 0.9]], [[1.0, 0.0], [0.0, 1.0]])  # type: ignore[arg-type]


def noise_task(size: int = 1, length: int = 20) -> rs.tasks.HMMEmission:
    """White noise, and nothing else that matters."""
    return rs.tasks.HMMEmission(TWO, noise_size=size, length=length)


def telegraph(p: float, length: int = 20) -> rs.Subject:
    """A state of -1 or 1, which flips with probability p in every step."""
    above = norm.isf(p)
    flips = rs.FunctionMap(
        lambda s, u: np.where(u > above, -s, s),
        state_size=1,
        input_size=1,
        jacobian=lambda s, u: np.where(u > above, -1.0, 1.0)[..., None],
        readout=lambda s: np.concatenate([-5 * s, 5 * s], -1),
        readout_size=2,
        initial=lambda n, rng: np.where(rng.random((n, 1)) < 0.5, -1.0, 1.0),
    )
    return rs.Subject(flips, noise_task(1, length))


def linear(matrix: Any, into: Any = None, read: Any = None, bias: Any = 0.0) -> rs.Subject:
    """h <- A h + B u, with B the identity and, as outputs, its first number and less that, unless said."""
    a = np.asarray(matrix, float)
    b = np.eye(len(a)) if into is None else np.asarray(into, float)
    r = np.stack([np.eye(len(a))[0], -np.eye(len(a))[0]]) if read is None else np.asarray(read, float)
    found = rs.FunctionMap(
        lambda h, u: h @ a.T + u @ b.T + bias,
        state_size=len(a),
        input_size=b.shape[1],
        jacobian=lambda h, u: np.broadcast_to(a, (*h.shape, len(a))),
        readout=lambda h: h @ r.T,
        readout_size=len(r),
    )
    return rs.Subject(found, noise_task(b.shape[1]))


def kicked(p: float = 0.05, per_pole: bool = False) -> rs.Subject:
    """Five units that hold a symbol by majority (0 to 4), kick neurons (5 to 7, and 8 to 10 where each pole has its
    own), each of which makes it change with probability p in a step, and four that do nothing."""
    n_kick = 6 if per_pole else 3
    above, size = norm.isf(p), 5 + n_kick + 4

    def step(h, u):
        sign = np.where(h[..., :5].sum(-1) >= 0, 1.0, -1.0)
        over = h[..., 5 : 5 + n_kick] > above
        heard = [over[..., :3], over[..., 3:]] if per_pole else [over, over]
        kick = np.where(sign > 0, heard[0].any(-1), heard[1].any(-1))
        held = np.where(kick, -sign, sign)
        return np.concatenate([np.repeat(held[..., None], 5, -1), u], -1)

    found = rs.FunctionMap(
        step,
        state_size=size,
        input_size=size - 5,
        readout=lambda h: np.stack([h[..., :5].sum(-1), -h[..., :5].sum(-1)], -1),
        readout_size=2,
        initial=lambda n, rng: np.concatenate([np.ones((n, 5)), np.zeros((n, size - 5))], -1),
    )
    return rs.Subject(found, noise_task(size - 5))


def exact_copy(hmm: rs.tasks.HMM) -> rs.FunctionMap:
    """A map that is the model: its state is the latent state and the symbol, drawn by the inverse of their joint
    distribution from a normal input; its logits leave no doubt about the symbol."""
    sources = np.vstack([hmm.transition_matrix, hmm.start_distribution])
    joint = (sources[:, :, None] * hmm.emission_matrix).reshape(len(sources), -1)
    cumulative = np.cumsum(joint, 1) / joint.sum(1, keepdims=True)

    def step(state: np.ndarray, noise: np.ndarray) -> np.ndarray:
        drawn = (cumulative[state[..., 0].astype(int)] <= ndtr(noise[..., :1])).sum(-1)
        return np.stack(np.divmod(np.minimum(drawn, joint.shape[1] - 1), hmm.n_symbols), -1)

    return rs.FunctionMap(
        step,
        state_size=2,
        input_size=1,
        initial=lambda n, rng: np.tile([float(hmm.n_states), 0.0], (n, 1)),
        readout=lambda state: 1000.0 * (state[..., 1:] == np.arange(hmm.n_symbols)),
        readout_size=hmm.n_symbols,
    )
