"""The table of what `benchmarks/flows.py` found: each flow's spectrum beside the published one.

python benchmarks/flows_table.py flows.jsonl benchmarks/flows.md
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flows import DELAYED, JUMPS


@dataclass(frozen=True)
class Verdict:
    """What is said of one flow: ours and the published exponents side by side, the largest first.

    Attributes:
        ours, error, published: nats per unit of time; the error is the larger of that of `lyapunov_spectrum` and the
            difference of the halves of the run. The exponent of a clock that we added is left out.
        off: our sum minus the mean divergence, relative where that is above 1.
        divergence, spread: the mean divergence, and its standard error over the starts.
        zero: whether an exponent is 0 within twice its error, or None where orbits come to rest.
        breaks: whether the published ones do not add up to the divergence, by more than twice `spread` and 1e-3,
            relative where that is above 1.
        differs: whether one of them is off from ours by more than twice our error.
        tame: whether we see no positive exponent (beyond twice the error) where one is published.
    """

    ours: np.ndarray
    error: np.ndarray
    published: np.ndarray
    off: float
    divergence: float
    spread: float
    zero: bool | None
    breaks: bool
    differs: bool
    tame: bool


def verdict_on(found: dict[str, Any]) -> Verdict:
    ours = np.array(found["exponents"])
    # The halves of the run may differ by more than scatter says.
    error = np.fmax(found["standard_error"], np.abs(found["drift"]))
    published = np.sort(found["published"])[::-1]
    off = (ours.sum() - found["divergence"]) / max(1.0, abs(found["divergence"]))
    zero = None if found["rest"] else bool((np.abs(ours) <= np.maximum(2 * error, 1e-9)).any())
    if 0 < len(published) < len(ours):
        clock = np.abs(ours).argmin()
        ours, error = np.delete(ours, clock), np.delete(error, clock)
    spread = float(np.std(found["divergence_per_start"], ddof=1) / np.sqrt(len(found["divergence_per_start"])))
    allowed = 2 * spread + 1e-3 * max(1.0, abs(found["divergence"]))
    some = len(published) > 0
    return Verdict(
        ours=ours,
        error=error,
        published=published,
        off=float(off),
        divergence=found["divergence"],
        spread=spread,
        zero=zero,
        breaks=bool(some and abs(published.sum() - found["divergence"]) > allowed),
        differs=bool(some and (np.abs(published - ours) > 2 * error).any()),
        tame=bool(some and published[0] > 0 and ours[0] <= max(2 * error[0], 1e-9)),
    )


def table(raw: Path) -> str:
    """The table in Markdown, of the last line of each flow in the raw file."""
    lines = [json.loads(line) for line in raw.read_text().splitlines()]
    found = {each["flow"]: each for each in lines}
    failed = [name for name, each in found.items() if "failed" in each]
    seen = {name: verdict_on(found[name]) for name in sorted(found) if name not in failed}

    def named(names: list[str]) -> str:
        return f"{len(names)}: {', '.join(names)}" if names else "none"

    sums = [name for name, v in seen.items() if not abs(v.off) <= 1e-6]
    rest = [name for name, v in seen.items() if v.zero is None]
    no_zero = [name for name, v in seen.items() if v.zero is False]
    wrong = [name for name, v in seen.items() if v.breaks and v.differs]
    same_everywhere = [name for name in wrong if found[name]["constant_divergence"]]
    far = [
        name
        for name in wrong
        if abs(seen[name].published.sum() - seen[name].divergence) > 0.1 * max(1.0, abs(seen[name].divergence))
    ]
    tame = [name for name, v in seen.items() if v.tame]
    seconds = sum(each["seconds"] for each in found.values())
    head = f"""# Lyapunov spectra of the flows of dysts 0.96

Made by `benchmarks/flows.py`, which says how, and `benchmarks/flows_table.py`: {len(seen)} of {len(found)} flows
without delays, 32 stretches of one orbit each, {seconds / 60:.0f} minutes of processor time in all. Exponents are in
nats per unit of time, ± the larger of the error of `lyapunov_spectrum` and the difference of the halves of the run; the
published ones are those in the package (`lyapunov_spectrum_estimated`). The flows are as the package has them, with its
parameters, from the state that it lists: where its formula is not that of the paper, as may be for DoublePendulum,
whose divergence is not 0, ours are the exponents of its formula.

Not followed: {named(failed)}. Left out, as they have a delay: {", ".join(sorted(DELAYED))}. A jump of the
right-hand side has no Jacobian and is spread over a width of 1e-3 in {", ".join(JUMPS)}: ours are the exponents of the
smooth flow.

Our own truths:

- The sum is the mean divergence along the same orbits within 1e-6 max(1, |mean divergence|). Not so: {named(sums)}.
  Largest difference elsewhere: {max(abs(v.off) for name, v in seen.items() if name not in sums):.0e}.
- One exponent is 0 within twice its error. Not so: {named(no_zero)}. Orbits come to rest at a fixed point, and have
  none: {named(rest)}.

The published exponents:

- Contradicted, as one differs from ours by more than twice our error *and* they do not add up to the divergence (by
  more than twice its standard error and 1e-3 max(1, |divergence|)): {named(wrong)}.
- Of these the divergence was the same, to 1e-9, at all steps of all orbits, so that the sum has no statistical error:
  {named(same_everywhere)}.
- Of the contradicted, the sum is off by more than a tenth of max(1, |divergence|): {named(far)}.
- A positive exponent is published where we see none beyond twice the error, from the listed state (on the orbits
  and for the times that we looked at): {named(tame)}.

| flow | size | exponents | published | mean divergence | published sum | the published |
|---|---|---|---|---|---|---|
"""
    return head + "".join(_row(found[name], v) for name, v in seen.items())


def _row(found: dict[str, Any], v: Verdict) -> str:
    said = [
        "breaks the sum" if v.breaks else "",
        "differs" if v.differs else "",
        "no chaos seen" if v.tame else "",
    ]
    ours = ", ".join(f"{_short(x, e)} ± {e:.1g}" for x, e in zip(v.ours, v.error, strict=True))
    kind = " + phase" if found["driven"] else ""
    published = ", ".join(f"{x:.4g}" for x in v.published) or "none"
    total = f"{v.published.sum():.5g}" if len(v.published) else ""
    constant = " (constant)" if found["constant_divergence"] else ""
    return (
        f"| {found['flow']} | {len(v.ours) - bool(found['driven'])}{kind} | {ours} | {published} "
        f"| {v.divergence:.5g}{constant} | {total} | {', '.join(filter(None, said))} |\n"
    )


def _short(value: float, error: float) -> str:
    """As many digits as the error leaves."""
    digits = int(np.clip(1 - np.floor(np.log10(max(error, 1e-9))), 0, 12))
    return f"{round(value, digits) + 0.0:.{digits}f}"


def main() -> None:
    if len(sys.argv) != 3:
        print("name the raw file of benchmarks/flows.py, and where to write the table")
        return
    Path(sys.argv[2]).write_text(table(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
