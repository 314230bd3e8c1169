"""How often does the true exponent lie within two stated errors? Systems whose exponents are known, over 50 seeds each.

    python benchmarks/exponent_errors.py

"Standard error" is what starts and blocks of time say alone; "error" is what a spectrum states. "Signed" is how often a
sign of λ_1 is stated, "converged" how often it is said to have converged. Constants of `lyapunov.trust` were chosen on
the first half; the second half was looked at when they stood. Where no closed form is there, the truth is the mean over
4,000 starts of 12,000 steps. Orbits of maps with an infinite invariant measure slow down for ever: their exponent is 0,
as a power of time or of its logarithm, which no run of this length reaches.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

import rnnscope as rs
import rnnscope.analyses as analyses

N_SEEDS = 50
Array = np.ndarray


@dataclass(frozen=True)
class Known:
    """A map, where its orbits start, and its first exponent, or the sum of all where `sums` is True."""

    state_map: rs.FunctionMap
    truth: float
    starts: Callable[[np.random.Generator], Array] | None = None
    drive: Callable[[np.random.Generator, int], Array] | None = None


def on_a_line(step: Callable[[Array], Array], slope: Callable[[Array], Array], truth: float | None, low=0.0, high=1.0):
    """A map of an interval, by its step and its derivative."""
    if truth is None:
        rng = np.random.default_rng(0)
        x, total = rng.uniform(low, high, 4000), 0.0
        for t in range(16000):
            total += np.log(np.abs(slope(x))).mean() * (t >= 4000)
            x = step(x)
        truth = float(total / 12000)
    state_map = rs.FunctionMap(step, jacobian=lambda x: slope(x)[..., None], state_size=1)
    return Known(state_map, truth, lambda rng: rng.uniform(low, high, (10, 1)))


def logistic(r: float, truth: float = 0.0) -> Known:
    return on_a_line(lambda x: r * x * (1 - x), lambda x: r - 2 * r * x, truth)


def intermittent(a: float) -> Known:
    """Of Liverani, Saussol and Vaienti: its invariant measure is infinite from a = 1 on."""

    def bent(x: Array) -> Array:
        return (2 * np.minimum(x, 0.5)) ** a

    return on_a_line(
        lambda x: np.where(x < 0.5, x * (1 + bent(x)), 2 * x - 1),
        lambda x: np.where(x < 0.5, 1 + (1 + a) * bent(x), 2.0),
        None if a < 1 else 0.0,
    )


def skew_tent(p: float) -> Known:
    entropy = -p * np.log(p) - (1 - p) * np.log1p(-p)
    return on_a_line(
        lambda x: np.where(x < p, x / p, (1 - x) / (1 - p)), lambda x: np.where(x < p, 1 / p, -1 / (1 - p)), entropy
    )


def odd(step: Callable[[Array], Array], slope: Callable[[Array], Array], truth: float) -> Known:
    return on_a_line(step, slope, truth, -0.9, 0.9)


def circle(k: float, turn: float, truth: float = 0.0) -> Known:
    return on_a_line(
        lambda x: (x + turn - k / (2 * np.pi) * np.sin(2 * np.pi * x)) % 1,
        lambda x: 1 - k * np.cos(2 * np.pi * x),
        truth,
    )


def henon() -> Known:
    def jacobian(x: Array) -> Array:
        rows = np.zeros((*x.shape, 2))
        rows[..., 0, 0], rows[..., 0, 1], rows[..., 1, 0] = -2.8 * x[..., 0], 1.0, 0.3
        return rows

    step = rs.FunctionMap(
        lambda x: np.stack([1 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]], -1), jacobian=jacobian, state_size=2
    )
    return Known(step, 0.41922, lambda rng: rng.uniform(-0.1, 0.1, (10, 2)))


def delayed_logistic(r: float = 2.1) -> Known:
    """Past its Neimark-Sacker bifurcation at 2: an invariant circle."""

    def jacobian(x: Array) -> Array:
        rows = np.zeros((*x.shape, 2))
        rows[..., 0, 0], rows[..., 0, 1], rows[..., 1, 0] = r * (1 - x[..., 1]), -r * x[..., 0], 1.0
        return rows

    step = rs.FunctionMap(
        lambda x: np.stack([r * x[..., 0] * (1 - x[..., 1]), x[..., 0]], -1), jacobian=jacobian, state_size=2
    )
    return Known(step, 0.0, lambda rng: 0.5 + rng.uniform(-0.1, 0.1, (10, 2)))


def gaussian_products(n: int, gain: float) -> Known:
    products = rs.FunctionMap(
        lambda x, u: 0 * x, jacobian=lambda x, u: u.reshape(*x.shape, n), state_size=n, input_size=n * n
    )
    truth = np.log(gain) + (np.log(2) + digamma(n / 2)) / 2
    return Known(
        products,
        float(truth),
        lambda rng: rng.uniform(-1, 1, (10, n)),
        lambda rng, steps: gain * rng.standard_normal((10, steps, n * n)),
    )


def switching(stay: float) -> Known:
    """x' = u x, where u is .5 or 1.2 and changes with a chance of 1 - stay."""

    def drive(rng: np.random.Generator, steps: int) -> Array:
        state = np.cumsum(rng.random((10, steps, 1)) > stay, 1) + rng.integers(0, 2, (10, 1, 1))
        return np.where(state % 2, 0.5, 1.2)

    step = rs.FunctionMap(lambda x, u: u * x, jacobian=lambda x, u: u[..., None], state_size=1, input_size=1)
    return Known(step, float(np.log(0.6) / 2), lambda rng: rng.uniform(-1, 1, (10, 1)), drive)


def tanh(gain: float) -> Known:
    truth = 0.0 if gain == 1 else float(np.log(gain))
    return odd(lambda x: np.tanh(gain * x), lambda x: gain * (1 - np.tanh(gain * x) ** 2), truth)


def first_half() -> dict[str, Known]:
    return {
        "logistic 4": logistic(4.0, np.log(2)),
        "skew tent .3": skew_tent(0.3),
        "logistic 3": logistic(3.0),
        "logistic 1": logistic(1.0),
        "logistic, Feigenbaum": logistic(3.5699456718709449),
        "tanh 1": tanh(1.0),
        "tanh .999": tanh(0.999),
        "circle map, golden": circle(0.5, 0.606661),
        "Gaussian products, 4": gaussian_products(4, 0.6),
        "intermittent .3": intermittent(0.3),
        "intermittent .5": intermittent(0.5),
        "intermittent 1.5": intermittent(1.5),
        "intermittent 2.5": intermittent(2.5),
    }


def second_half() -> dict[str, Known]:
    return {
        "Hénon": henon(),
        "skew tent .07": skew_tent(0.07),
        "Gauss map": on_a_line(lambda x: (1 / x) % 1, lambda x: -1 / x**2, np.pi**2 / (6 * np.log(2))),
        "logistic 1 + sqrt 6": logistic(1 + np.sqrt(6)),
        "logistic 1 + sqrt 8": logistic(1 + np.sqrt(8)),
        "x - x^3": odd(lambda x: x - x**3, lambda x: 1 - 3 * x**2, 0.0),
        "x - x^5": odd(lambda x: x - x**5, lambda x: 1 - 5 * x**4, 0.0),
        "circle map, tangent": circle(0.9, 0.9 / (2 * np.pi)),
        "delayed logistic 2.1": delayed_logistic(),
        "Gaussian products, 10": gaussian_products(10, 0.3),
        "switching, 5 steps": switching(0.8),
        "switching, 100 steps": switching(0.99),
        "intermittent .4": intermittent(0.4),
        "intermittent .7": intermittent(0.7),
        "intermittent 1.2": intermittent(1.2),
        "intermittent 2": intermittent(2.0),
        "intermittent 4": intermittent(4.0),
        "Farey": on_a_line(
            lambda x: np.where(x < 0.5, x / np.maximum(1 - x, 0.5), (1 - x) / np.maximum(x, 0.5)),
            lambda x: 1 / np.maximum(x, 1 - x) ** 2,
            0.0,
        ),
        "Boole": on_a_line(lambda x: x - 1 / x, lambda x: 1 + 1 / x**2, 0.0, -2.0, 2.0),
    }


def row(name: str, known: Known, n_steps: int) -> str:
    within, errors, signed, converged, values = [], [], [], [], []
    for seed in range(N_SEEDS):
        rng = np.random.default_rng([seed, 0xEE])
        inputs = None if known.drive is None else known.drive(rng, n_steps + 200)
        starts = known.starts(rng) if known.starts else None
        found = analyses.lyapunov_spectrum(known.state_map, n_steps=n_steps, inputs=inputs, starts=starts, seed=seed)
        value, error, before = found.exponents[0], found.standard_error[0], scatter(found)
        within.append([abs(value - known.truth) <= 2 * each + 1e-9 for each in (before, error)])
        signed.append([abs(value) > max(2 * before, 1e-9), found.sign != 0])
        small = max(before, abs(found.convergence.drift[0])) <= found.allowed[0]
        converged.append([small and found.convergence.agree[0], found.converged[0]])
        errors.append([before, error])
        values.append(value)
    shares = [f"{a:.0f}, {b:.0f}" for a, b in (100 * np.mean(each, 0) for each in (within, signed, converged))]
    sizes = [f"{each:.2g}" for each in np.median(errors, 0)]
    return f"| {name} | {known.truth:.4f} | {np.median(values):.4f} | {' | '.join([*sizes, *shares])} |"


def scatter(found: analyses.LyapunovSpectrum) -> float:
    """The standard error alone, of starts and of ten blocks of time."""
    logs, n = found.convergence.running[:, 0] * found.convergence.time, len(found.convergence.time) // 10
    blocks = np.diff(logs[n - 1 :: n], prepend=0) / np.diff(found.convergence.time[n - 1 :: n], prepend=0)
    first = found.starts.exponents[found.starts.alive, 0]
    return float(max(first.std(ddof=1) / np.sqrt(len(first)), blocks.std(ddof=1) / np.sqrt(10)))


def main() -> None:
    print("| system | truth | median | standard error | error | truth within 2: % before, after | signed | converged |")
    print("|---|---|---|---|---|---|---|---|")
    for half in (first_half, second_half):
        for name, known in half().items():
            for n_steps in (1000, 4000):
                print(row(f"{name}, {n_steps} steps", known, n_steps), flush=True)


if __name__ == "__main__":
    main()
