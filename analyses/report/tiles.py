"""What a run is in five numbers, each with how far it can be trusted."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from rnnscope.analyses.automata import Acceptor, Emitter, Predictor
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.analyses.lyapunov import LyapunovSpectrum
from rnnscope.analyses.state_space import StateSpace
from rnnscope.records.provenance import Made
from rnnscope.records.runs import Run

# How far a number can be trusted: proven or checked, an estimate with an error, not to be relied on.
SURE, ESTIMATE, DOUBT = "sure", "estimate", "doubt"


class Tile(NamedTuple):
    """One number.

    Attributes:
        label: what it is.
        value: the number, as text.
        note: what belongs to it.
        badge: how far it can be trusted, in a few words; "" for none.
        trust: "sure", "estimate" or "doubt".
        card: the card that says all.
        full: the whole summary, shown when pointed at.
    """

    label: str
    value: str
    note: str = ""
    badge: str = ""
    trust: str = ESTIMATE
    card: str = ""
    full: str = ""


def tiles_of(run: Run) -> list[Tile]:
    """All of them, of what the run keeps: the score, fixed points, λ₁, dimension and automaton."""
    return [_score(run), *(_tile(run, analysis, label, make) for analysis, label, make in _OF)]


def _tile(run: Run, analysis: str, label: str, make: Callable[[Any], Tile]) -> Tile:
    shown = run.shown(analysis)
    if shown is None:
        return Tile(label, "–", "not run yet", card=analysis)
    if shown.reason is not None:
        return Tile(label, "–", "does not apply", card=analysis, full=shown.reason)
    try:
        result = shown.load()
    except (ValueError, OSError) as error:
        return Tile(label, "–", "cannot be read", "damaged", DOUBT, analysis, str(error))
    tile = make(result)._replace(label=label, card=analysis, full=result.summary())
    apart = of_what_else(run, result.made)
    return tile._replace(badge=apart, trust=DOUBT, full=f"{apart}: {tile.full}") if apart else tile


def _score(run: Run) -> Tile:
    metric, score = headline(run)
    if run.imported is not None:
        value = "–" if score is None else f"{score:.4g}"
        return Tile("score", value, metric or "no metric", "imported weights", ESTIMATE, "training")
    badge, trust = {
        "learned": ("learned", SURE),
        "finished": ("not learned", DOUBT),
        "diverged": ("diverged", DOUBT),
        "training": ("training", ESTIMATE),
    }.get(run.status, (run.status, ESTIMATE))
    value = "–" if score is None else f"{score:.4g}"
    return Tile("score", value, metric or "no metric yet", badge, trust, "training")


def _points(found: FixedPoints) -> Tile:
    n, certified = len(found), int(found.certificates.certified.sum())
    stable = int((found.stable & found.smooth).sum())
    unsure = int((found.marginal | ~found.smooth).sum())
    counts = [f"{stable} stable", f"{n - stable - unsure} not"] + [f"{unsure} undecided"] * bool(unsure)
    note = ", ".join(counts) if n else "none found"
    if found.unseen is not None and found.unseen.complete:
        badge, trust = "all there are: proven", SURE
    elif n and certified == n:
        badge, trust = "each certified", SURE
    else:
        badge, trust = f"{certified} of {n} certified", ESTIMATE if n else DOUBT
    return Tile("", str(n), note, badge, trust)


def _exponent(found: LyapunovSpectrum) -> Tile:
    value, error = float(found.exponents[0]), float(found.standard_error[0])
    ok = bool(found.converged[0])
    note = f"± {error:.2g}"
    return Tile(
        "", f"{value:.4g}".replace("-", "−"), note, "converged" if ok else "not converged", SURE if ok else DOUBT
    )


def _dimension(found: StateSpace) -> Tile:
    note = f"{found.dimension_90} PC{'' if found.dimension_90 == 1 else 's'}: 90 %"
    return Tile("", f"{found.participation_ratio:.3g}", note, f"{found.trials.n_trials} trials", ESTIMATE)


def _machine(found: Acceptor | Predictor | Emitter) -> Tile:
    n = len(found.occupancy)
    head = found.summary().split(":")[0].split(";")[0]
    states = f"state{'' if n == 1 else 's'}"
    if isinstance(found, Acceptor):
        share = float(found.fidelity.words[found.fidelity.worst, 0])
        trust = DOUBT if "NOT" in head else ESTIMATE
        if head == f"{n} {states}":
            said = "no difference found"
        elif head.startswith("faithful") and "NOT" in head:
            said = "NOT faithful on other words"
        else:
            said = _short(head)
        return Tile("", str(n), f"{states}, fidelity {share:.3g}", said, trust)
    return Tile("", str(n), states, _short(head), DOUBT if "NOT" in head else ESTIMATE)


def _short(text: str) -> str:
    return text if len(text) < 44 else text[:40].rsplit(" ", 1)[0] + " …"


_OF: tuple[tuple[str, str, Callable[[Any], Tile]], ...] = (
    ("fixed_points", "fixed points", _points),
    ("lyapunov", "λ₁, nats per step", _exponent),
    ("state_space", "dimension", _dimension),
    ("automaton", "automaton", _machine),
)


def headline(run: Run) -> tuple[str, float | None]:
    """The metric that the task is judged by, and its value after training."""
    try:
        wanted = [criterion.metric for criterion in run.task.criterion]
    except ValueError:  # a task that this rnnscope does not know: its numbers can be shown all the same
        wanted = []
    for name in [*wanted, *run.metrics]:
        if name in run.metrics:
            value = run.metrics[name]
            return name.replace("_", " "), value if math.isfinite(value) else None
    return "", None


def of_what_else(run: Run, made: Made | None) -> str:
    """Of what a result is, if not of the run as it is at its end, under default settings; else ""."""
    if made is None:
        return ""
    last = max(run.checkpoints, default=None)
    step = made.origin.checkpoint
    parts = [f"at step {step}"] if step is not None and step != last else []
    parts += [f"under {', '.join(made.origin.interventions)}"] if made.origin.interventions else []
    return ", ".join(parts)
