"""Pushes on a flip-flop: do saddles decide, and does a push just beyond the border flip a bit that one just short of it
does not?

    python benchmarks/pushes.py RUN [saddles trials borders speed]

RUN is the folder of a trained flip-flop, such as that of the demo; or tanh or gru, for those of tests/data.

- saddles: both ends of the unstable direction of every saddle with one, with pushes of two sizes, made as interventions
  to a trial that stands at the saddle: the attractors that are reached, and whether the readout's bits differ in one.
- trials: the least push of each of many trials is found from the fixed points. Then the intact run of the network is
  repeated under `Steer` with a share of that push, at one step in the middle of the trial, with no pulses after it, and
  its readout says the bits at the end. The pushes are found from states; what judges them is the interventions'
  trajectories and the readout, which the search never sees.
- borders: the same on trials that no border was looked for on: each is pushed along the normal of a plane, as far as
  that plane says. The planes touch the border where other trials (of another seed) crossed it; or they go through
  saddles, across their left eigenvectors, for which no trial was looked at.
- speed: the seconds that the search takes.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import rnnscope as rs
from rnnscope import analyses, tasks
from rnnscope.analyses.fixed_points.orbits.intervals import wilson_interval
from rnnscope.subjects.interventions import Steer

DATA = Path(__file__).parents[1] / "tests" / "data"
SHARES = (0.9, 0.99, 0.999, 1.001, 1.01, 1.1)
MIDDLE, QUIET = 31, 64  # the step of the push, and how long the network runs on without pulses


def quiet_trials(run: rs.Subject, n: int, seed: int) -> np.ndarray:
    """Trials of the task up to the middle, and nothing after it."""
    trials = run.trials(n, seed)
    shown = np.zeros((n, MIDDLE + 1 + QUIET, trials.inputs.shape[2]))
    shown[:, : MIDDLE + 1] = trials.inputs[:, : MIDDLE + 1]
    return shown


def bits_after(subject: rs.Subject, shown: np.ndarray, push: Steer | None) -> np.ndarray:
    """The signs of the outputs at the end of one trial."""
    changed = subject if push is None else subject.under(push)
    return np.sign(subject.map.readout(changed.trajectories(shown[None]).states[0, -1]))


def told(name: str, right: np.ndarray) -> None:
    low, high = wilson_interval(np.array([right.sum()]), len(right))
    print(f"| {name} | {right.sum()} of {len(right)} | {low[0]:.1%} to {high[0]:.1%} |", flush=True)


def saddles(run: rs.Subject, found: analyses.FixedPoints) -> None:
    subject, scale = run, found.starts.scale
    lines = analyses.linearise(run, fixed_points=found)
    graph = analyses.connect_fixed_points(run, fixed_points=found)
    one = np.flatnonzero(found.n_unstable == 1)
    bits = np.sign(subject.map.readout(found.points))
    print("| saddle | λ | to, by the readout | as `connect_fixed_points` says | bits that differ | both sizes agree |")
    print("|---|---|---|---|---|---|")
    right = []
    for point in one.tolist():
        ends = []
        for size in (1e-3, 1e-1):
            for sign in (1, -1):
                push = analyses.steer_along_eigenvector(lines, point, size=sign * size * scale, times=0)
                still = subject.under(push).trajectories(
                    np.zeros((1, 200, subject.input_size)), initial=found.points[[point]]
                )
                ends.append(np.linalg.norm(found.points - still.states[0, -1], axis=1).argmin())
        small, large = ends[:2], ends[2:]
        by_graph = sorted(int(each) for each in graph.target[graph.source == point])
        differ = int((bits[small[0]] != bits[small[1]]).sum())
        agree = small == large and sorted(map(int, small)) == by_graph and not found.n_unstable[np.array(small)].any()
        right.append(agree and differ == 1)
        value = found.eigenvalues[point, 0].real
        print(f"| {point} | {value:.2f} | {small[0]}, {small[1]} | {by_graph} | {differ} | {small == large} |")
    told("saddles that part two attractors, one bit apart", np.array(right))


def pushed(subject: rs.Subject, shown: np.ndarray, found: analyses.LeastPushes, points: np.ndarray) -> None:
    """Share of the push -> whether the bits at the end are those of the attractor that it is to lead to."""
    bits = np.sign(subject.map.readout(points))
    intact = np.array([bits_after(subject, shown[trial], None) for trial in found.trial])
    told("no push: bits of the attractor that it is at", (intact == bits[found.own]).all(1))
    told("attractors one bit apart", (bits[found.own] != bits[found.target]).sum(1) == 1)
    for share in SHARES:
        ends = [bits_after(subject, shown[found.trial[row]], found.steer(row, share)) for row in range(len(found))]
        wanted = bits[found.own if share < 1 else found.target]
        told(f"push x {share:g}: {'stays' if share < 1 else 'flips that bit alone'}", (np.array(ends) == wanted).all(1))


def trials(run: rs.Subject, points: analyses.FixedPoints, n: int) -> None:
    shown = quiet_trials(run, n, seed=11)
    found = analyses.find_least_pushes(run, fixed_points=points, inputs=shown, times=[MIDDLE])
    print(found.summary())
    print("| | trials | 95 % |\n|---|---|---|")
    pushed(run, shown, found, found.points)


def borders(run: rs.Subject, points: analyses.FixedPoints, n: int) -> None:
    """Planes of the border, judged on trials that they were not found on."""
    learnt = analyses.find_least_pushes(run, fixed_points=points, inputs=quiet_trials(run, n, 12), times=[MIDDLE])
    shown = quiet_trials(run, n, seed=13)
    states = run.trajectories(shown).states[:, MIDDLE]
    bits = np.sign(run.map.readout(points.points))
    own = np.array([bits_after(run, each, None) for each in shown])
    at_crossings = (
        learnt.state + learnt.push,
        learnt.border.normal,
        learnt.listed[learnt.own],
        learnt.listed[learnt.target],
    )
    lines = analyses.linearise(run, fixed_points=points)
    at_saddles = _saddle_planes(run, points, lines)
    print("| | trials | 95 % |\n|---|---|---|")
    for name, (on_it, normal, one, other) in (("crossings of other trials", at_crossings), ("saddles", at_saddles)):
        right: dict[float, list[bool]] = {share: [] for share in SHARES}
        for trial, state in enumerate(states):
            same = np.flatnonzero((bits[one] == own[trial]).all(1))
            away = ((on_it[same] - state) * normal[same]).sum(1)
            # The plane that touches the border nearest to where the push goes; of saddles, the nearest plane.
            beside = np.linalg.norm(state + away[:, None] * normal[same] - on_it[same], axis=1)
            chosen = (beside if name != "saddles" else np.abs(away)).argmin()
            push, to = away[chosen] * normal[same[chosen]], other[same[chosen]]
            for share in SHARES:
                steer = Steer(vector=tuple(push.tolist()), strength=share, times=(MIDDLE,))
                wanted = own[trial] if share < 1 else bits[to]
                right[share].append(bool((bits_after(run, shown[trial], steer) == wanted).all()))
        for share in SHARES:
            told(
                f"plane at {name}, x {share:g}: {'stays' if share < 1 else 'flips that bit alone'}",
                np.array(right[share]),
            )


def _saddle_planes(
    run: rs.Subject, points: analyses.FixedPoints, lines: analyses.Linearisation
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(saddle, normal, attractor before it, attractor beyond it), each saddle with one unstable direction twice."""
    graph = analyses.connect_fixed_points(run, fixed_points=points)
    found = []
    for saddle in np.flatnonzero(points.n_unstable == 1).tolist():
        normal = lines.vectors.left[saddle, 0].real
        normal = normal / np.linalg.norm(normal)
        for edge in np.flatnonzero(graph.source == saddle).tolist():
            end, back = (
                graph.target[edge],
                graph.target[(graph.source == saddle) & (graph.target != graph.target[edge])][0],
            )
            side = np.sign((graph.points[end] - points.points[saddle]) @ normal)
            found.append((points.points[saddle], side * normal, back, end))
    on_it, normal, before, beyond = zip(*found, strict=True)
    return np.array(on_it), np.array(normal), np.array(before), np.array(beyond)


def speed(run: rs.Subject, points: analyses.FixedPoints) -> None:
    for to, n in (("nearest", 64), ("each", 8)):
        began = time.process_time()
        found = analyses.find_least_pushes(run, fixed_points=points, to=to, n_trials=n)  # type: ignore[arg-type]
        seconds = time.process_time() - began
        print(
            f"| to {to} | {len(found)} pushes | {seconds:.1f} s | {1e3 * seconds / len(found):.0f} ms each |",
            flush=True,
        )


def system(name: str) -> rs.Subject:
    if name not in ("tanh", "gru"):
        return rs.as_subject(rs.load_run(Path(name)))
    with np.load(DATA / f"flipflop_{name}16.npz") as file:
        weights = {key: torch.from_numpy(file[key]) for key in file.files}
    rnn = {"tanh": torch.nn.RNN, "gru": torch.nn.GRU}[name](3, 16)
    rnn.load_state_dict({key[4:]: value for key, value in weights.items() if key.startswith("rnn.")})
    head = torch.nn.Linear(16, 3)
    head.load_state_dict({key[8:]: value for key, value in weights.items() if key.startswith("readout.")})
    return rs.Subject(rs.as_subject(rs.wrap(rnn, readout=head)).map, tasks.FlipFlop(3, 64), name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("parts", nargs="*", default=["saddles", "trials", "borders", "speed"])
    parser.add_argument("--trials", type=int, default=200)
    asked = parser.parse_args()
    run = system(asked.run)
    points = analyses.find_fixed_points(run, input=np.zeros(run.input_size))
    print(points.summary())
    for part in asked.parts:
        print(f"\n### {part}\n")
        if part == "saddles":
            saddles(run, points)
        elif part == "trials":
            trials(run, points, asked.trials)
        elif part == "borders":
            borders(run, points, asked.trials)
        else:
            speed(run, points)


if __name__ == "__main__":
    main()
