"""Continuation: impossible labels on random networks, whose bifurcations nobody chose.

    python benchmarks/continuation.py [FIRST] [LAST]

200 networks h' = tanh(p W h + b) of 6 units along their gain p from .5 to 3, with W of variance 1 / 6 and biases b of a
deviation from 1e-4 to .1, whose logarithm is uniform: of the pitchforks that networks without biases have, folds beside
other branches are left. And 200 networks h' = tanh(g W h + b + v p) along p from -1 to 1, g uniform from 1 to 2.5, b of
deviation .3, v of deviation 1. Of what is reported, these cannot be true of a smooth map and of a curve
of its fixed points, and are counted, with the networks that have any:

- a border collision: there is no kink;
- a saddle-node whose two branches do not both end there;
- a branch that ends inside the axis without an event at its end;
- a change of stability along a branch without an event;
- indices that do not sum to 1: every network keeps [-1, 1]^6.

"Unclassified" events are no false claim, and counted apart. Seconds are those of the processor, for all networks.
The networks 0-99 were looked at while constants were chosen, 100-199 only once.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

import rnnscope as rs
import rnnscope.analyses as analyses

N_UNITS, N_NETWORKS = 6, 200


def along_gain(seed: int) -> analyses.BifurcationDiagram:
    """h' = tanh(p W h + b)."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, N_UNITS**-0.5, (N_UNITS, N_UNITS))
    bias = 10 ** rng.uniform(-4, -1) * rng.normal(0, 1, N_UNITS)

    def gained(p: float) -> rs.FunctionMap:
        def jacobian(h: np.ndarray) -> np.ndarray:
            return (1 - np.tanh(p * h @ weight.T + bias) ** 2)[..., None] * (p * weight)

        # |tanh''| is at most .77.
        lipschitz = 0.77 * float(np.linalg.norm(p * weight, 2)) ** 2
        step = lambda h: np.tanh(p * h @ weight.T + bias)  # noqa: E731
        return rs.FunctionMap(step, jacobian=jacobian, state_size=N_UNITS, domain=(-1, 1), jacobian_lipschitz=lipschitz)

    return analyses.follow_parameter(gained, values=[0.5, 3.0])


def along_input(seed: int) -> analyses.BifurcationDiagram:
    """h' = tanh(g W h + b + v p)."""
    rng = np.random.default_rng(seed)
    weight = rng.uniform(1, 2.5) * rng.normal(0, N_UNITS**-0.5, (N_UNITS, N_UNITS))
    bias, drive = rng.normal(0, 0.3, N_UNITS), rng.normal(0, 1, N_UNITS)
    module = torch.nn.RNN(1, N_UNITS, dtype=torch.float64)
    values = {"weight_hh_l0": weight, "weight_ih_l0": drive[:, None], "bias_ih_l0": bias, "bias_hh_l0": 0 * bias}
    module.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    return analyses.follow_fixed_points(module, inputs=[[-1.0], [1.0]])


def impossible(found: analyses.BifurcationDiagram) -> Counter[str]:
    """What cannot be true, by name."""
    counts: Counter[str] = Counter()
    events, ends = found.events, found.branches.ends
    counts["border collision"] = events.names.count("border collision")
    last_rows = [np.flatnonzero(found.branch == b)[[0, -1]] for b in range(len(found))]
    for e, name in enumerate(events.names):
        met = events.branches[e][events.branches[e] >= 0].tolist()
        # The arms of an event are 1e-4 from it, in units of the points' spread.
        near = [b for b in met for r in last_rows[b] if np.abs(found.point[r] - events.point[e]).max() < 1e-2]
        if name == "saddle-node" and (len(met) != 2 or set(near) != set(met)):
            counts["saddle-node that does not join two branches"] += 1
    for b in range(len(found)):
        rows = np.flatnonzero(found.branch == b)
        here = (events.branches == b).any(1)
        for side, row in ((0, rows[0]), (1, rows[-1])):
            at = np.abs(events.value - found.value[row]) < 1e-3
            if ends[b, side] == 3 or (ends[b, side] == 1 and not (here & at).any()):
                counts["end without an event"] += 1
        for i, j in pairwise(rows):
            low, high = found.value[i] - events.error - 1e-9, found.value[j] + events.error + 1e-9
            between = (events.value >= low) & (events.value <= high)
            counts["change without an event"] += int(
                found.n_unstable[i] != found.n_unstable[j] and not (here & between).any()
            )
    sums = found.index_sum
    counts["indices do not sum to 1"] = int((sums[np.isfinite(sums)] != 1).any())
    return +counts


def report(follow: Callable[[int], analyses.BifurcationDiagram], seeds: range) -> None:
    """Print the counts of some networks."""
    total: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    bad, seconds = [], 0.0
    for seed in seeds:
        began = time.process_time()
        found = follow(seed)
        seconds += time.process_time() - began
        wrong = impossible(found)
        total += wrong
        kinds += Counter(found.events.names)
        bad += [seed] if wrong else []
    print(f"{follow.__name__}, networks {seeds[0]} to {seeds[-1]}: {seconds:.1f} s")
    print(f"  {len(bad)} networks with something impossible: {dict(total)}")
    print(f"  events: {dict(kinds)}")
    print(f"  networks: {bad}")


if __name__ == "__main__":
    first, last = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else (0, N_NETWORKS)
    for start in range(first, last, 100):
        for follow in (along_gain, along_input):
            report(follow, range(start, min(start + 100, last)))
