"""How many time constants does an autocorrelation have, one or two? Fits that know how exact it is, chosen by AIC."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

SHORTEST, LONGEST = 0.2, 100.0  # time constants that are looked for, in steps
GRID = 48
BETTER = 4.0  # by which the AIC of two must be lower: less is weak evidence (Burnham & Anderson, 2002, 2.6)
NOTHING = 9.2  # by which chi-square must fall for there to be a time constant: 99 % of it with two degrees of freedom
MOST_LAGS = 4000  # in Bartlett's sum


class Exponentials(NamedTuple):
    """A fit of sum_i weight_i exp(-lag / tau_i), from lag 1 on.

    Attributes:
        tau: time constants in steps, the slower last; NaN for what is not there, both where a step leaves nothing.
        weight: of each.
        error: standard error of the slower time constant.
        better: by how much the AIC of two is lower than that of one; negative where it is higher.
        misfit: chi-square over the degrees of freedom of the chosen fit: far above 1 where neither describes it.
    """

    tau: Float[np.ndarray, " two"]
    weight: Float[np.ndarray, " two"]
    error: float
    better: float
    misfit: float

    @property
    def slow(self) -> float:
        """The slower time constant, in steps; 0 where nothing is left after a step."""
        return float(np.nanmax(self.tau)) if np.isfinite(self.tau).any() else 0.0


def fit_exponentials(correlation: Float[np.ndarray, " lag"], n: int) -> Exponentials:
    """Fit one and two exponentials to an autocorrelation from lag 1 on, and choose.

    Neighbouring lags of an estimated autocorrelation err alike, so that least squares takes their common errors for a
    second time constant. Here they are weighted by Bartlett's covariance (J. R. Statist. Soc. Suppl. 8, 1946) of a
    process with the autocorrelation of the fit; two are chosen where their AIC is lower by 4.

    Args:
        correlation: at lags 1, 2, ...
        n: steps that it was estimated from.

    Raises:
        ValueError: fewer than six lags.
    """
    n_lags = len(correlation)
    if n_lags < 6:
        raise ValueError(f"two exponentials need at least six lags, got {n_lags}")
    lags = np.arange(1, n_lags + 1)
    grid = np.geomspace(SHORTEST, LONGEST, GRID)
    whiten = np.eye(n_lags)
    one, weight, chi_one = _one(correlation, whiten, lags, grid)
    for _ in range(2):  # the weights of the fit are those of the fit before
        whiten = _whitening(one, min(max(weight, 0.0), 1.0), n_lags, n)
        one, weight, chi_one = _one(correlation, whiten, lags, grid)
    chi_none = float(((whiten @ correlation) ** 2).sum())
    if chi_none - chi_one < NOTHING:
        return Exponentials(np.full(2, np.nan), np.full(2, np.nan), np.nan, np.nan, chi_none / n_lags)
    two, weights, chi_two = _two(correlation, whiten, lags, grid)
    better = (chi_one + 2 * 2) - (chi_two + 2 * 4)
    if better > BETTER:
        tau, amount, chi, free = two, weights, chi_two, n_lags - 4
    else:
        tau, amount, chi, free = np.array([np.nan, one]), np.array([np.nan, weight]), chi_one, n_lags - 2
    return Exponentials(tau, amount, _error(tau, amount, whiten, lags), float(better), float(chi / free))


def _whitening(tau: float, weight: float, n_lags: int, n: int) -> Float[np.ndarray, "lag lag"]:
    """What makes the errors of the lags independent and of size 1."""
    most = int(min(MOST_LAGS, 20 * tau + 2 * n_lags + 10))
    rho = np.concatenate([[1.0], weight * np.exp(-np.arange(1, most + n_lags + 1) / tau)])
    m, j = np.arange(1, most + 1)[:, None], np.arange(1, n_lags + 1)[None]
    terms = rho[m + j] + rho[np.abs(m - j)] - 2 * rho[j] * rho[m]
    covariance = terms.T @ terms / n
    covariance += 1e-10 * np.trace(covariance) / n_lags * np.eye(n_lags)
    return np.linalg.inv(np.linalg.cholesky(covariance))


def _one(correlation, whiten, lags, grid) -> tuple[float, float, float]:
    """(time constant, weight, chi-square)"""
    from scipy.optimize import minimize_scalar

    wanted = whiten @ correlation

    def at(log_tau: float) -> tuple[float, float]:
        shape = whiten @ np.exp(-lags / np.exp(log_tau))
        amount = float(shape @ wanted / (shape @ shape))
        return float(((wanted - amount * shape) ** 2).sum()), amount

    logs = np.log(grid)
    best = int(np.argmin([at(each)[0] for each in logs]))
    low, high = logs[max(best - 1, 0)], logs[min(best + 1, len(logs) - 1)]
    found = minimize_scalar(lambda each: at(each)[0], bounds=(low, high), method="bounded", options={"xatol": 1e-8})
    chi, amount = at(float(found.x))
    return float(np.exp(found.x)), amount, chi


def _two(correlation, whiten, lags, grid) -> tuple[np.ndarray, np.ndarray, float]:
    """(time constants, weights, chi-square); infinite where no two with positive weights are better than one."""
    from scipy.optimize import minimize

    wanted = whiten @ correlation
    shapes = whiten @ np.exp(-lags[:, None] / grid)
    gram, aim = shapes.T @ shapes, shapes.T @ wanted
    i, j = np.triu_indices(len(grid), 1)
    determinant = gram[i, i] * gram[j, j] - gram[i, j] ** 2
    a = (aim[i] * gram[j, j] - aim[j] * gram[i, j]) / determinant
    b = (aim[j] * gram[i, i] - aim[i] * gram[i, j]) / determinant
    chi = wanted @ wanted - a * aim[i] - b * aim[j]
    chi = np.where((a > 0) & (b > 0), chi, np.inf)
    best = int(np.argmin(chi))
    none = np.full(2, np.nan), np.full(2, np.nan), np.inf
    if not np.isfinite(chi[best]):
        return none

    def at(logs: np.ndarray) -> tuple[float, np.ndarray]:
        shape = whiten @ np.exp(-lags[:, None] / np.exp(np.clip(logs, np.log(SHORTEST), np.log(LONGEST))))
        amounts, *_ = np.linalg.lstsq(shape, wanted, rcond=None)
        return float(((wanted - shape @ amounts) ** 2).sum()), amounts

    start = np.log([grid[i[best]], grid[j[best]]])
    found = minimize(lambda each: at(each)[0], start, method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-6})
    logs = np.clip(found.x, np.log(SHORTEST), np.log(LONGEST))
    value, amounts = at(logs)
    if not (amounts > 0).all():
        return none
    order = np.argsort(logs)
    return np.exp(logs[order]), amounts[order], value


def _error(tau, weight, whiten, lags) -> float:
    """Of the slower time constant, from the curvature at the fit."""
    columns = []
    for each, amount in zip(tau, weight, strict=True):
        if np.isfinite(each):
            decay = np.exp(-lags / each)
            columns += [decay, amount * decay * lags / each**2]
    design = whiten @ np.stack(columns, 1)
    return float(np.sqrt(np.linalg.pinv(design.T @ design)[-1, -1]))
