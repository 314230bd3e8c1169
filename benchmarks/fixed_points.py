"""Fixed points: how fast they are found and how many of the true ones, beside what is usually done.

    python benchmarks/fixed_points.py [--plot FILE]

Processor seconds (all threads together) on the same networks from the same starts, in one process. Contenders:

- `find_fixed_points`, the whole verb with its proofs, and `search_roots`, the search alone. Medians.
- Adam on q = 1/2 |F(h) - h|^2 of all starts jointly, as most tools do it: learning rate .1 (and 1) falling
  exponentially to a thousandth in 10,000 steps, stopped early when every start is below 1e-12; ends within 1e-3 are one
  point. What it reports is then recounted: how many have q < 1e-12 in float64, and which of the true points they are.
- Newton's method with a pseudo-transient shift and backtracking, which takes no step that does not lower q.

The two flip-flops have 27 fixed points, all known (tests/data). The random networks h' = tanh(W h + b), with W of
variance g^2 / n, have an unknown number; theirs are checked by q < 1e-20 in float64 alone. Starts: states visited
within 50 steps from U(-1, 1), plus noise of .1 standard deviations.

What the search is bound by. A start of the random network of 256 units takes some 4 factorisations and 65 steps with
them. "LAPACK and BLAS alone" is the time that the same number of Jacobians, factorisations (2/3 n^3 operations each),
substitutions and evaluations of the map take here when nothing else is done, measured in the same run.
"""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import rnnscope as rs
from rnnscope.analyses import find_fixed_points
from rnnscope.analyses.fixed_points.search.root_search import FIXED, SLOW, Search, search_box, search_roots
from rnnscope.maps import CompleteMap, complete
from rnnscope.numerics import linalg

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
UNITS = (16, 32, 64, 128, 256, 512, 1024)
Network = torch.nn.RNN | torch.nn.GRU
STARTS = (64, 128, 256, 512, 1024, 2048, 4096)


def seconds(function: Callable[..., Any], *arguments: Any, repeats: int = 1) -> tuple[Any, float]:
    """(what it returns, median processor seconds)."""
    times, found = [], None
    for _ in range(repeats):
        began = time.process_time()
        found = function(*arguments)
        times.append(time.process_time() - began)
    return found, statistics.median(times)


def flip_flop(kind: str) -> tuple[Network, np.ndarray, np.ndarray]:
    """(network, starts, true fixed points)."""
    data = np.load(DATA / f"flipflop_{kind}16.npz")
    module = {"tanh": torch.nn.RNN, "gru": torch.nn.GRU}[kind](3, 16)
    module.load_state_dict({name[4:]: torch.tensor(data[name]) for name in data.files if name.startswith("rnn.")})
    return module, data["initial_states"], data["reference_fixed_points"]


def random_network(n: int, gain: float, bias: float = 0.0, seed: int = 0) -> torch.nn.RNN:
    rng = np.random.default_rng([seed, n])
    weights = {
        "weight_hh_l0": gain / np.sqrt(n) * rng.standard_normal((n, n)),
        "bias_hh_l0": bias * rng.standard_normal(n),
        "weight_ih_l0": np.zeros((n, 1)),
        "bias_ih_l0": np.zeros(n),
    }
    module = torch.nn.RNN(1, n)
    module.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    return module


def visited(state_map: CompleteMap, n_starts: int) -> np.ndarray:
    rng = np.random.default_rng([0, 7])
    states, inputs = rng.uniform(-1, 1, (n_starts, state_map.state_size)), np.zeros((n_starts, state_map.input_size))
    when, chosen = rng.integers(10, 50, n_starts), states.copy()
    for step in range(50):
        states = state_map.step(states, inputs)
        chosen[when == step] = states[when == step]
    return np.clip(chosen + 0.1 * chosen.std(0) * rng.standard_normal(chosen.shape), -1, 1)


def spread(states: np.ndarray) -> float:
    return float(np.median(np.linalg.norm(states - np.median(states, 0), axis=1)))


def search(state_map: CompleteMap, starts: np.ndarray) -> Search:
    return search_roots(
        state_map,
        starts,
        np.zeros((len(starts), state_map.input_size)),
        box=search_box(state_map, starts),
        scale=spread(starts),
        tolerance=1e-20,
        max_iterations=200,
        distance=1e-5,
        kept=True,
    )


def distinct(points: np.ndarray, distance: float) -> np.ndarray:
    kept = []
    while len(points):
        kept.append(points[0])
        points = points[np.linalg.norm(points - points[0], axis=1) >= distance]
    return np.array(kept)


def speed(state_map: CompleteMap, states: np.ndarray) -> np.ndarray:
    """q in float64."""
    return 0.5 * ((state_map.step(states, np.zeros((len(states), state_map.input_size))) - states) ** 2).sum(1)


def adam(module: Network, starts: np.ndarray, rate: float, dtype: torch.dtype, n_steps: int) -> np.ndarray:
    """The ends of gradient descent on the mean of q over all starts."""
    weights = {name: value.detach().to(dtype) for name, value in module.named_parameters()}
    cell = (torch.nn.GRUCell if isinstance(module, torch.nn.GRU) else torch.nn.RNNCell)(
        module.input_size, module.hidden_size, dtype=dtype
    )
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in weights.items()})
    cell.requires_grad_(False)
    states = torch.tensor(starts, dtype=dtype, requires_grad=True)
    inputs = torch.zeros(len(starts), module.input_size, dtype=dtype)
    optimiser = torch.optim.Adam([states], rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 1e-3 ** (1 / n_steps))
    for step in range(n_steps):
        q = 0.5 * (cell(inputs, states) - states).square().sum(1)
        optimiser.zero_grad()
        q.mean().backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0 and q.max() < 1e-12:
            break
    return states.detach().double().numpy()


def descending_newton(state_map: CompleteMap, x: np.ndarray, max_steps: int = 100) -> np.ndarray:
    """The ends of pseudo-transient Newton steps that must lower q, each with up to four lengths."""
    n = x.shape[1]
    inputs = np.zeros((len(x), state_map.input_size))
    x, failures, q = x.copy(), np.zeros(len(x), int), speed(state_map, x)
    active = np.arange(len(x))
    for _ in range(max_steps):
        if not len(active):
            break
        shift = np.sqrt(2 * q[active] / n) * 4.0 ** failures[active]
        matrices = state_map.jacobian(x[active], inputs[active]) - (1 + shift[:, None, None]) * np.eye(n)
        step = linalg.solve(matrices, x[active] - state_map.step(x[active], inputs[active]))
        tried = np.clip(x[active] + np.array([1, 0.5, 0.25, 0.1])[:, None, None] * step, *search_box(state_map, x))
        tried_q = np.array([speed(state_map, one) for one in tried])
        best, each = tried_q.argmin(0), np.arange(len(active))
        lower = tried_q[best, each] < q[active]
        x[active[lower]], q[active[lower]] = tried[best, each][lower], tried_q[best, each][lower]
        failures[active] = np.maximum(failures[active] + np.where(lower, -1, 1), 0)
        active = active[(q[active] >= 1e-20) & (failures[active] < 12)]
    return x


class Counted:
    """A map that counts the states it is asked about."""

    def __init__(self, inner: CompleteMap) -> None:
        self.inner, self.counts = inner, Counter[str]()
        self.state_size, self.input_size = inner.state_size, inner.input_size
        self.domain = inner.domain
        self.initial_states, self.input_jacobian = inner.initial_states, inner.input_jacobian

    def step(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        self.counts["steps"] += len(states)
        return self.inner.step(states, inputs)

    def jacobian(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        self.counts["jacobians"] += len(states)
        return self.inner.jacobian(states, inputs)


def bare(state_map: CompleteMap, starts: np.ndarray, counts: Counter) -> float:
    """Processor seconds of the counted operations alone: Jacobian and factorisation, substitution and evaluation."""
    states = np.resize(starts, (16, starts.shape[1]))
    inputs, which = np.zeros((16, state_map.input_size)), np.arange(16)
    with linalg.one_thread():
        eye = np.eye(states.shape[1])
        factors, one = seconds(lambda: linalg.factorise(state_map.jacobian(states, inputs) - eye), repeats=15)
        _, two = seconds(lambda: factors.solve(state_map.step(states, inputs), which), repeats=15)
    return (counts["jacobians"] * one + counts["steps"] * two) / 16


def flip_flop_rows(kind: str) -> None:
    module, starts, true = flip_flop(kind)
    state_map = rs.as_subject(module).map
    search(state_map, starts)
    found, ours = seconds(search, state_map, starts, repeats=21)

    def row(name: str, cpu: float, ends: np.ndarray, points: np.ndarray) -> None:
        real = points[speed(state_map, points) < 1e-12]
        distances = np.linalg.norm(true[:, None] - real, axis=-1) if len(real) else np.full((27, 1), np.inf)
        print(
            f"| {kind} | {name} | {cpu:.3f} | {cpu / ours:.1f} | {(speed(state_map, ends) < 1e-12).sum()} "
            f"| {len(points)} | {len(real)} | {(distances.min(1) < 1e-3).sum()} |",
            flush=True,
        )

    row("`search_roots`", ours, found.ends, distinct(found.ends[found.outcome == FIXED], 1e-5))
    verb, cpu = seconds(lambda: find_fixed_points(module, starts=starts), repeats=5)
    row("`find_fixed_points`", cpu, verb.points[verb.starts.point], verb.points)
    for rate in (0.1, 1.0):
        for dtype in (torch.float32, torch.float64):
            ends, cpu = seconds(adam, module, starts, rate, dtype, 10_000)
            row(f"Adam, rate {rate:g}, {str(dtype)[6:]}", cpu, ends, distinct(ends, 1e-3))


def random_rows(seed: int) -> None:
    module = random_network(256, 1.5, seed=seed)
    counted = Counted(rs.as_subject(module).map)
    state_map = complete(counted)
    starts = visited(state_map, 1024)
    scale = spread(starts)

    def row(name: str, cpu: float, n: int, ends: np.ndarray, slow: str, extra: str) -> None:
        print(
            f"| {seed} | {name} | {n} | {cpu:.1f} | {1e3 * cpu / n:.1f} | {len(ends) / n:.0%} "
            f"| {len(distinct(ends, 1e-5 * scale))} | {slow} | {extra} "
            f"| {counted.counts['jacobians'] / n:.1f} | {counted.counts['steps'] / n:.0f} |",
            flush=True,
        )
        counted.counts.clear()

    search(state_map, starts[:8])
    counted.counts.clear()
    found, cpu = seconds(search, state_map, starts)
    alone = bare(counted.inner, starts, counted.counts)
    slow = distinct(found.ends[found.outcome == SLOW], 3e-3 * scale)
    row("`search_roots`", cpu, 1024, found.ends[found.outcome == FIXED], str(len(slow)), f"{alone:.1f}")
    few = starts[:256]
    ends, cpu = seconds(descending_newton, state_map, few)
    row("descending Newton", cpu, 256, ends[speed(counted.inner, ends) < 1e-20], "", "")
    if seed == 0:
        ends, cpu = seconds(adam, module, few, 0.1, torch.float32, 2_000)
        row("Adam, 2,000 steps, q < 1e-12", cpu, 256, ends[speed(counted.inner, ends) < 1e-12], "", "")


def growth_with_units() -> dict[str, list[float]]:
    print("## Growth with the number of units, 64 starts\n")
    print("| units | network | CPU ms a start | fixed | slow | failed | distinct |")
    print("|---|---|---|---|---|---|---|")
    curves: dict[str, list[float]] = {}
    for gain, bias in ((0.9, 0.5), (1.5, 0.0)):
        name = f"g = {gain}" + (", bias .5" if bias else "")
        for n in UNITS:
            state_map = rs.as_subject(random_network(n, gain, bias)).map
            starts = visited(state_map, 64)
            search(state_map, starts[:2])
            found, cpu = seconds(search, state_map, starts, repeats=5 if n < 256 else 1)
            fixed, slow, failed = np.bincount(found.outcome, minlength=3)
            points = distinct(found.ends[found.outcome == FIXED], 1e-5 * spread(starts))
            print(f"| {n} | {name} | {1e3 * cpu / 64:.2f} | {fixed} | {slow} | {failed} | {len(points)} |", flush=True)
            curves.setdefault(name, []).append(1e3 * cpu / 64)
    print()
    return curves


def growth_with_starts() -> dict[str, list[float]]:
    print("## Growth with the number of starts\n")
    print("| starts | network | CPU s | CPU ms a start | fixed | distinct |")
    print("|---|---|---|---|---|---|")
    module, starts, _ = flip_flop("gru")
    noisy = np.concatenate(
        [starts, *(starts + np.random.default_rng(i).normal(0, 0.1, starts.shape) for i in range(3))]
    )
    chaotic = rs.as_subject(random_network(128, 1.5)).map
    curves: dict[str, list[float]] = {}
    for name, state_map, many in (
        ("flip-flop, GRU, 16 units", rs.as_subject(module).map, np.clip(noisy, -1, 1)),
        ("random, 128 units, g = 1.5", chaotic, visited(chaotic, 4096)),
    ):
        for n in STARTS:
            found, cpu = seconds(search, state_map, many[:n], repeats=5 if n < 512 else 1)
            fixed = found.outcome == FIXED
            points = distinct(found.ends[fixed], 1e-5 * spread(many[:n]))
            print(f"| {n} | {name} | {cpu:.3f} | {1e3 * cpu / n:.3f} | {fixed.sum()} | {len(points)} |", flush=True)
            curves.setdefault(name, []).append(1e3 * cpu / n)
    print()
    return curves


def plot(file: Path, by_units: dict[str, list[float]], by_starts: dict[str, list[float]]) -> None:
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, TEMPLATE

    figure = make_subplots(cols=2, horizontal_spacing=0.12)
    panels = ((1, "units", UNITS, by_units), (2, "starts", STARTS, by_starts))
    style = iter(zip(COLOURS, ("circle", "square", "diamond", "x"), strict=False))
    for column, axis, across, curves in panels:
        for name, values in curves.items():
            colour, symbol = next(style)
            figure.add_scatter(
                x=across,
                y=values,
                name=name,
                mode="lines+markers",
                line={"color": colour},
                marker={"color": colour, "symbol": symbol, "size": 8},
                legend="legend" if column == 1 else "legend2",
                row=1,
                col=column,
            )
        figure.update_xaxes(title=axis, type="log", tickvals=across, ticktext=[str(n) for n in across], col=column)
        figure.update_yaxes(title="CPU ms per start" if column == 1 else None, type="log", dtick=1, col=column)
    place = {"yanchor": "bottom", "y": 1.02, "xanchor": "left"}
    figure.update_layout(
        template=TEMPLATE, legend=place | {"x": 0.0}, legend2=place | {"x": 0.56}, width=1000, height=440
    )
    if file.suffix == ".html":
        figure.write_html(file)
    else:
        figure.write_image(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the growth tables into .html, .png, .svg, .pdf")
    file = parser.parse_args().plot
    torch.set_num_threads(1)
    print("## Flip-flops, 16 units, 1024 starts, 27 true fixed points\n")
    print("| network | contender | CPU s | times ours | starts, q < 1e-12 | reported | q < 1e-12 | true points |")
    print("|---|---|---|---|---|---|---|---|")
    flip_flop_rows("tanh")
    flip_flop_rows("gru")
    print("\n## Random networks of 256 units, g = 1.5, no bias\n")
    print(
        "| seed | contender | starts | CPU s | ms a start | starts, q < 1e-20 | distinct | slow points "
        "| LAPACK and BLAS alone, s | Jacobians a start | evaluations a start |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for seed in range(3):
        random_rows(seed)
    print()
    by_units, by_starts = growth_with_units(), growth_with_starts()
    if file is not None:
        plot(file, by_units, by_starts)


if __name__ == "__main__":
    main()
