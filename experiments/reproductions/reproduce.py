"""Reproduce a paper: train its networks, run the analyses, and set each claim beside what was found."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rnnscope.experiments.reproductions.claim import Claim, Evidence, Measured, drawing_of
from rnnscope.experiments.reproductions.networks import Prepared, Wanted, named, prepare
from rnnscope.experiments.reproductions.paper import Paper
from rnnscope.experiments.reproductions.papers import paper
from rnnscope.experiments.reproductions.reproduction import Found, Reproduction
from rnnscope.records.runs import Run
from rnnscope.subjects.not_applicable import NotApplicable


def reproduce(
    name: str | Paper,
    *,
    scale: str = "tiny",
    claims: Sequence[str] = (),
    conditions: Sequence[str] = (),
    seeds: int | None = None,
    out: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    jobs: int = 1,
    progress: bool = True,
    say: Callable[[str], None] | None = None,
) -> Reproduction:
    """Train the networks of a paper, run the analyses that its claims need, and judge each claim by a criterion that
    was fixed beforehand.

    Everything goes on where it was: networks that are trained and analyses that are done are taken as they are, so
    that more seeds, or another claim, cost only themselves.

    Args:
        name: of the paper, as in `PAPERS`, or a `Paper` of your own.
        scale: the size, as in `PAPERS[name].scales`.
        claims: names of the claims to test, with those that they rest on; all if empty.
        conditions: of those of the scale; all if empty.
        seeds: networks for each condition, with seeds 0, 1, ...; as many as the scale has if None.
        out: the folder for runs and reports; "reproductions/NAME-SCALE" if None.
        device: on which networks are trained: "cpu", "cuda" ...
        jobs: networks at once, each in a process with one thread of its own.
        progress: show a bar while a network is trained, where there is one at a time.
        say: called with a line whenever a network is done.

    Raises:
        ValueError: an unknown paper, scale, claim, condition, analysis or figure, or a count below 1.
        RunError: a run in the folder was begun with other settings.

    Example:
        `rs.reproduce("hmm", scale="tiny", claims=["R2"]).summary()`
    """
    which = name if isinstance(name, Paper) else paper(name)
    size = which.scale(scale)
    n_seeds = size.seeds if seeds is None else seeds
    for what, count in (("seeds", n_seeds), ("jobs", jobs)):
        if count < 1:
            raise ValueError(f"{what} must be at least 1, got {count}")
    unknown = [each for each in conditions if each not in size.networks]
    if unknown:
        raise ValueError(
            f"{which.name} has no condition {', '.join(map(repr, unknown))} at scale {scale}; known: "
            f"{', '.join(size.networks)}"
        )
    asked = _asked(which, claims)
    tested = [claim for claim in asked if claim.name not in size.untested]
    for name in (name for claim in tested for name in claim.drawings):
        drawing_of(name)
    uses = list(dict.fromkeys(use for claim in tested for use in claim.uses))
    analyses = {condition: named(uses, size.asked_of(condition)) for condition in size.networks}
    folder = Path("reproductions") / f"{which.name}-{scale}" if out is None else Path(out)
    wanted = [
        Wanted(condition, seed, preset, f"{condition}-{seed}", analyses[condition])
        for seed in range(n_seeds)  # one of each condition first: what is interrupted has something of each
        for condition, preset in size.networks.items()
        if not conditions or condition in conditions
    ]
    done = []
    for network in prepare(wanted, folder / "runs", device, jobs, progress):
        done.append(network)
        if say is not None:
            say(f"[{len(done)}/{len(wanted)}] {_said(network)}")
    order = list(size.networks)
    done.sort(key=lambda each: (order.index(each.wanted.condition), each.wanted.seed))
    found = [found for network in done for found in _of_network(network, tested, done)]
    return Reproduction(which, scale, folder, tuple(done), tuple(asked), tuple(found))


def _asked(which: Paper, names: Sequence[str]) -> list[Claim]:
    """The claims of these names and those that they rest on, in the order of the paper."""
    wanted: set[str] = set()
    waiting = list(names) or [claim.name for claim in which.claims]
    while waiting:
        claim = which.claim(waiting.pop())
        wanted.add(claim.name)
        if claim.only_where is not None and claim.only_where not in wanted:
            waiting.append(claim.only_where)
    return [claim for claim in which.claims if claim.name in wanted]


def _said(network: Prepared) -> str:
    run = network.run
    how = f"{run.status} after {run.record['steps_done']} steps, {run.record['seconds']:.0f} s"
    skipped = f"; does not apply: {', '.join(network.skipped)}" if network.skipped else ""
    return f"{network.wanted.name}: {how}{skipped}"


def _of_network(network: Prepared, claims: Sequence[Claim], everyone: Sequence[Prepared]) -> list[Found]:
    siblings = {
        each.wanted.condition: each.run
        for each in everyone
        if each.wanted.seed == network.wanted.seed and each is not network and not each.diverged
    }
    found: dict[str, Found] = {}
    for claim in claims:
        found[claim.name] = _of_claim(network, claim, found, siblings)
    return list(found.values())


def _of_claim(
    network: Prepared, claim: Claim, before: Mapping[str, Found], siblings: Mapping[str, Run]
) -> Found:  # fmt: skip
    if network.diverged:
        # A training that fails is a failure of what is claimed of trainings; of mechanisms it says nothing.
        diverged = Measured(False, against="its training diverged") if claim.only_where is None else None
        return Found(claim.name, network, diverged, "its training diverged")
    skipped = [f"{use} does not apply: {network.skipped[use]}" for use in claim.uses if use in network.skipped]
    if skipped:
        return Found(claim.name, network, None, "; ".join(skipped))
    if claim.only_where is not None:
        rests_on = before[claim.only_where].measured if claim.only_where in before else None
        if rests_on is None or not rests_on.holds:
            return Found(claim.name, network, None, f"{claim.only_where} was not seen to hold for it")
    results = {use: network.result(use) for use in claim.uses}
    try:
        measured = claim.measure(Evidence(network.run, results, siblings))
    except NotApplicable as error:
        return Found(claim.name, network, None, str(error))
    return Found(claim.name, network, measured)
