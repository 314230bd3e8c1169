"""Do a network's symbols carry more than its own chaos can? Then what drives it writes them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.lyapunov.spectrum_result import LyapunovSpectrum
from rnnscope.analyses.noise.symbol_entropy import symbol_entropy
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Beside the spread of the driven outputs: what differs by less is no decision, but the last digits of a state at rest.
UNDECIDED = 1e-6
MOST_EXPONENTS = 64  # positive exponents that are looked for: with more, the bound is not known, and this is said
# What the bound needs (Ruelle 1978; with kinks Katok & Strelcyn 1986), by what is known of the map.
NEEDS = {
    True: "",
    False: "; the map has kinks, and the bound then needs that states are seldom near them, which was not checked",
    None: "; the bound needs a map with a continuous derivative, and nobody said that this is one",
}


@dataclass(frozen=True)
class RuelleBound:
    """What symbols carry, beside the sum of the positive exponents under the same drive, in nats per step.

    Attributes:
        rate: the entropy of a symbol given those before it, which is never below the entropy rate; see `SymbolEntropy`.
        rate_error: its standard error over independent runs.
        lowest: where it would come to rest if it fell on as 1 / length of the context.
        lowest_error: its standard error.
        context: what was known of the symbols before, in words.
        bound: the sum of the positive exponents.
        bound_error: how much more it may be, at one standard error of each exponent.
        whole: whether all positive exponents are in it.
        n_symbols: how many symbols were seen, undecided outputs as one.
        n_steps: steps of each run from which symbols were read.
        reading: what counts as a symbol.
        smooth: whether the map has a continuous derivative; None where nobody knows.
    """

    rate: Float[np.ndarray, " condition"]
    rate_error: Float[np.ndarray, " condition"]
    lowest: Float[np.ndarray, " condition"]
    lowest_error: Float[np.ndarray, " condition"]
    context: tuple[str, ...]
    bound: Float[np.ndarray, " condition"]
    bound_error: Float[np.ndarray, " condition"]
    whole: tuple[bool, ...]
    n_symbols: int
    n_steps: int
    reading: str
    smooth: bool | None

    @property
    def excess(self) -> Float[np.ndarray, " condition"]:
        """By how much the symbols carry more than the exponents allow, at the least: `lowest` less `bound`."""
        return self.lowest - self.bound

    @property
    def excess_error(self) -> Float[np.ndarray, " condition"]:
        return np.hypot(self.lowest_error, self.bound_error)

    @property
    def exceeds(self) -> tuple[bool, ...]:
        """Whether the excess is above two of its errors and above what the rate may still fall, with all positive
        exponents in the bound."""
        least = np.fmax(2 * self.excess_error, self.rate - self.lowest)
        return tuple(bool(more) and whole for more, whole in zip(self.excess > least, self.whole, strict=True))

    def sentence(self, condition: tuple[str, ...]) -> str:
        """What follows, in words."""
        parts = []
        for k, name in enumerate(condition):
            least = "" if self.whole[k] else "at least "
            against = f"against {least}{self.bound[k]:.3g} ± {self.bound_error[k]:.1g} of positive exponents"
            if self.rate[k] == 0:
                parts.append(f"{name} 0 nats per step {against}")
                continue
            parts.append(
                f"{name} {self.rate[k]:.3g} ± {self.rate_error[k]:.1g} nats per step ({self.context[k]}; longer ones "
                f"may lower it to {self.lowest[k]:.3g}) {against}"
            )
        exceeds = dict(zip(condition, self.exceeds, strict=True))
        if exceeds["alone"]:
            said = (
                "the symbols that it writes alone carry more than its exponents allow, which cannot be of a map with a "
                "continuous derivative: too few steps or states, or no such map"
            )
        elif exceeds.get("driven"):
            said = (
                f"what drives it brings in {self.excess[0]:.3g} ± {self.excess_error[0]:.1g} nats per step or more, "
                "unless longer contexts lower that further"
            )
        else:
            said = "no excess, which proves nothing"
        return f"symbols ({self.reading}): {', '.join(parts)}: {said}{NEEDS[self.smooth]}"


class Exponents(NamedTuple):
    """The sum of the positive exponents, how much more it may be, and whether all are in it."""

    total: float
    error: float
    whole: bool


def positive_sum(first: LyapunovSpectrum, more: Callable[[int], LyapunovSpectrum], n: int) -> Exponents:
    """Add up the positive exponents of a map of n numbers; `more(k)` finds the first k, and is asked where the first
    one is not clearly negative. Exponents that may be positive count in the error."""
    found = first
    while True:
        values, error = found.exponents, np.nan_to_num(found.standard_error, nan=np.inf)
        open_ = bool((values + 2 * error > 0)[-1]) if np.isfinite(values[-1]) else False
        if not open_ or len(values) >= min(n, MOST_EXPONENTS):
            break
        found = more(min(n, MOST_EXPONENTS, max(8, 4 * len(values))))
    known = np.isfinite(values)
    total = float(np.maximum(values[known], 0).sum())
    upper = float(np.maximum(values[known] + error[known], 0).sum())
    return Exponents(total, upper - total, not open_ or len(values) == n)


def read_symbols(
    subject: Subject, runs: list[Float[np.ndarray, "time run state"]]
) -> tuple[list[Int64[np.ndarray, "run time"]], str]:
    """What is written in each condition, in the same symbols: the largest output; of one output its sign; without a
    readout, on which side of the widest gap in their middle half states lie, along the first principal component of
    those of the first condition. Any such division into finitely many parts obeys the bound.

    Returns:
        symbols of each condition, and what counts as one, in words.
    """
    if subject.map.readout_size:
        outputs = [subject.map.readout(states) for states in runs]
        size = float(np.sqrt(outputs[0].var((0, 1)).sum())) or 1.0
        if subject.map.readout_size == 1:
            # Of a single output 0 is the border, and what is as good as on it has no sign.
            signs = [np.sign(np.where(np.abs(out) < UNDECIDED * size, 0, out))[..., 0] + 1 for out in outputs]
            return [each.T.astype(np.int64) for each in signs], "the sign of the output"
        found = []
        for out in outputs:
            first, second = np.moveaxis(np.sort(out, -1)[..., -2:][..., ::-1], -1, 0)
            clear = first - second > UNDECIDED * size
            found.append(np.where(clear, out.argmax(-1), out.shape[-1]).T.astype(np.int64))
        return found, "the largest output"
    flat = runs[0].reshape(-1, runs[0].shape[-1])
    mean = flat.mean(0)
    direction = np.linalg.eigh((flat - mean).T @ (flat - mean))[1][:, -1]
    places = [(states - mean) @ direction for states in runs]
    border = _widest_gap(np.sort(places[0].ravel()))
    return [(place > border).T.astype(np.int64) for place in places], "a side of the first principal component"


def _widest_gap(sorted_values: Float[np.ndarray, " value"]) -> float:
    """The middle of the widest gap in the middle half: no state of a cycle lies on such a border."""
    n = len(sorted_values)
    middle = sorted_values[n // 4 : max(n - n // 4, n // 4 + 2)]
    widest = int(np.diff(middle).argmax())
    return float((middle[widest] + middle[widest + 1]) / 2)


def ruelle_bound(
    subject: Subject, runs: list[Float[np.ndarray, "time run state"]], exponents: list[Exponents]
) -> RuelleBound | None:
    """Set the entropy rate of a network's symbols beside its positive exponents. Exponents of the driven network are
    those under common drive, so that an excess comes from what drives it (Ruelle, "An inequality for the entropy of
    differentiable maps", 1978; of random maps Kifer, "Ergodic Theory of Random Transformations", 1986). None where
    states are not finite or too few."""
    if not all(np.isfinite(states).all() and len(states) >= 2 for states in runs) or runs[0].shape[1] < 2:
        return None
    symbols, reading = read_symbols(subject, runs)
    found = [symbol_entropy(each) for each in symbols]
    return RuelleBound(
        rate=np.array([each.rate for each in found]),
        rate_error=np.array([each.error for each in found]),
        lowest=np.array([each.lowest for each in found]),
        lowest_error=np.array([each.lowest_error for each in found]),
        context=tuple(each.context for each in found),
        bound=np.array([each.total for each in exponents]),
        bound_error=np.array([each.error for each in exponents]),
        whole=tuple(each.whole for each in exponents),
        n_symbols=len(np.unique(np.concatenate([each.ravel() for each in symbols]))),
        n_steps=symbols[0].shape[1],
        reading=reading,
        smooth=subject.map.smooth,
    )


def bound_figure(bound: RuelleBound, condition: tuple[str, ...]) -> "go.Figure":
    """Entropy rates beside the sums of positive exponents, with two standard errors; a line down to where the rate may
    fall."""
    from rnnscope.figures import COLOURS, new_figure

    figure = new_figure("What symbols carry, and what exponents allow", "", "nats per step")
    places = np.arange(len(condition), dtype=float)
    series = (
        ("symbols", bound.rate, bound.rate_error, "circle", -0.12),
        ("if longer words lower it", bound.lowest, bound.lowest_error, "circle-open", -0.04),
        ("positive exponents", bound.bound, bound.bound_error, "diamond", 0.12),
    )
    for i, (name, values, errors, symbol, shift) in enumerate(series):
        figure.add_scatter(
            x=places + shift, y=values, mode="markers", name=name,
            marker={"color": COLOURS[min(i, 1) if i < 2 else 2], "symbol": symbol, "size": 10},
            error_y={"type": "data", "array": 2 * np.nan_to_num(errors, posinf=0.0), "thickness": 1.5},
            hovertemplate="%{y:.3g} nats per step<extra>" + name + "</extra>",
        )  # fmt: skip
    figure.update_xaxes(tickvals=places, ticktext=list(condition), range=[-0.6, len(condition) - 0.4])
    most = np.nanmax([*bound.rate + 2 * np.nan_to_num(bound.rate_error), *bound.bound, 1e-3])
    figure.update_yaxes(range=[-0.05 * most, 1.08 * most])  # what is 0 is seen whole
    return figure
