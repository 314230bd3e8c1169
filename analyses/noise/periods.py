"""Has the driven orbit a period? A peak of its spectrum that noise with the same memory does not have."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LEVEL = 0.01  # of the test against surrogates


@dataclass(frozen=True)
class Period:
    """A period, if there is one.

    Attributes:
        frequency: cycles per step of the power spectrum.
        power: of the driven orbit in its plane, the mean over trials.
        threshold: what 1 in 100 surrogates reaches at that frequency by itself.
        steps: the period in steps; NaN where there is none.
        width: of its peak at half of its height, in cycles per step; NaN where there is none.
        p_value: the share of surrogates whose largest peak, relative to their own mean, is as large.
    """

    frequency: Float[np.ndarray, " frequency"]
    power: Float[np.ndarray, " frequency"]
    threshold: Float[np.ndarray, " frequency"]
    steps: float
    width: float
    p_value: float

    def words(self) -> str:
        """In words."""
        if not np.isfinite(self.steps):
            known = self.p_value > LEVEL
            why = f"p = {self.p_value:.2g} against noise of the same memory" if known else "its spectrum has no peak"
            return f"no period ({why})"
        return f"period {self.steps:.3g} steps (peak {self.width:.2g} cycles per step wide, p = {self.p_value:.2g})"


def period_of(path: Float[np.ndarray, "trial time axis"], n_surrogates: int, rng: np.random.Generator) -> Period:
    """Look for one.

    Surrogates are vector processes of the first order, x' = A x + e, with the A and the noise that fit the path, but
    for A being made symmetric in the coordinates in which the path is white: so they have the same memory, and are
    reversible, without any period. Compared is the largest ratio of the spectrum to the surrogates' mean one. As a
    process of another memory than theirs differs from them too, a peak must also fall to half of its height on both
    sides: a spectrum that only falls has none.
    """
    n_steps = path.shape[1]
    power = _spectrum(path)
    frequency = np.fft.rfftfreq(n_steps)[1:]
    moving = path.reshape(-1, path.shape[-1]).std(0) > 0
    if not moving.any():
        return Period(frequency, power, np.zeros_like(power), np.nan, np.nan, 1.0)
    surrogates = np.array([_spectrum(each) for each in _surrogates(path[..., moving], n_surrogates, rng)])
    mean = surrogates.mean(0)
    ratio, others = power / mean, (surrogates / mean).max(1)
    # Above the lowest frequencies, which one trial holds only once or twice: a trend is no period.
    ratio[: min(2, len(ratio) - 1)] = 0
    peak = int(ratio.argmax())
    p_value = float((1 + (others >= ratio[peak]).sum()) / (1 + n_surrogates))
    while (near := max(peak - 1, 0) + int(power[max(peak - 1, 0) : peak + 2].argmax())) != peak:
        peak = near  # to the top of its own hill
    threshold = np.quantile(surrogates, 1 - LEVEL, axis=0)
    half = power[peak] / 2
    falls = _falls(power[:peak][::-1], power[peak]) and _falls(power[peak + 1 :], power[peak])
    if p_value > max(LEVEL, 1 / (1 + n_surrogates)) or not falls:
        return Period(frequency, power, threshold, np.nan, np.nan, p_value)
    low = high = peak
    while low > 0 and power[low - 1] > half:
        low -= 1
    while high < len(power) - 1 and power[high + 1] > half:
        high += 1
    width = float((high - low + 1) / n_steps)
    return Period(frequency, power, threshold, float(1 / frequency[peak]), width, p_value)


def _falls(away: Float[np.ndarray, " away"], height: float) -> bool:
    """Whether the power, going away from a peak, is below half of it before it is above all of it."""
    below, above = (np.flatnonzero(each) for each in (away < height / 2, away > height))
    return len(below) > 0 and (not len(above) or bool(below[0] < above[0]))


def _spectrum(path: Float[np.ndarray, "trial time axis"]) -> Float[np.ndarray, " frequency"]:
    """Power at each frequency but 0, the sum over axes and the mean over trials, through Hann's window."""
    window = np.hanning(path.shape[1] + 2)[1:-1, None]
    found = np.abs(np.fft.rfft((path - path.mean(1, keepdims=True)) * window, axis=1)) ** 2
    return found.sum(2).mean(0)[1:] / path.shape[1]


def _surrogates(
    path: Float[np.ndarray, "trial time axis"], n: int, rng: np.random.Generator
) -> Float[np.ndarray, "surrogate trial time axis"]:
    n_trials, n_steps, size = path.shape
    flat = path.reshape(-1, size)
    values, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
    kept = values > 1e-12 * values.max()
    whiten = vectors[:, kept] / np.sqrt(values[kept])
    colour = (vectors[:, kept] * np.sqrt(values[kept])).T
    white = path @ whiten
    before, after = white[:, :-1].reshape(-1, kept.sum()), white[:, 1:].reshape(-1, kept.sum())
    memory = np.linalg.lstsq(before, after, rcond=None)[0]
    share, axes = np.linalg.eigh((memory + memory.T) / 2)
    share = np.clip(share, -0.9999, 0.9999)
    found = np.empty((n, n_trials, n_steps, len(share)))
    state = rng.standard_normal((n, n_trials, len(share)))
    for t in range(n_steps):
        found[:, :, t] = state = share * state + np.sqrt(1 - share**2) * rng.standard_normal(state.shape)
    return found @ axes.T @ colour
