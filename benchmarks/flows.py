"""Lyapunov spectra of the flows of the package `dysts`, beside those that it lists.

    pip install --no-deps --target LIBRARY dysts==0.96
    python benchmarks/flows.py LIBRARY --raw flows.jsonl [--only Lorenz Chen ...]
    python benchmarks/flows_table.py flows.jsonl benchmarks/flows.md

`dysts` (Gilpin, NeurIPS 2021) is no dependency: its right-hand sides are read with symbols in the place of numbers,
from which come the Jacobian matrix and C code (a compiler is needed, `cc`). A step of our map takes a state along the
flow for a time dt, and with it the variational equation and the integral of the divergence, by the Runge-Kutta method
of Dormand and Prince of order 8 with steps that its error decides (the coefficients are scipy's). `lyapunov_spectrum`
is given this map. Starts are states of one long orbit from the state that `dysts` lists, so that they belong to one
attractor. Each flow is a line of the raw file as soon as it is done, and is not done again.

Three truths are held against each spectrum: its sum is the mean divergence along the same orbits (Liouville); an
autonomous flow that is not at rest has an exponent 0, a driven one that of its phase; and the divergence of a flow on a
bounded attractor is what the published exponents, too, must add up to.
"""

import argparse
import ctypes
import importlib
import json
import signal
import subprocess
import sys
import tempfile
import time
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import rnnscope as rs
import rnnscope.analyses as analyses

# Tolerance of a Runge-Kutta step, relative: a sum is to be right to 1e-6.
TOLERANCE = 1e-11
# The most that directions may part in a step of the map: what is lost of the smallest is this times the tolerance.
WIDEST = 1e3
# Numbers that are carried (state, Jacobian, divergence) times evaluations of their slopes, for one flow: about 4 s.
WORK, FEWEST, MOST = 3e8, 2000, 12000
N_STARTS = 32
LONGEST = 600  # seconds for one flow
# A jump of the right-hand side has no Jacobian; it is spread over this width.
JUMPS = {"SprottMore": 1e-3, "StickSlipOscillator": 1e-3, "FluidTrampoline": 1e-3}
# In polar coordinates the flow through the centre is singular; in Cartesian ones it is smooth, with the same exponents.
POLAR = {"InteriorSquirmer", "BlinkingRotlet", "BlinkingVortex"}
DELAYED = {"MackeyGlass", "IkedaDelay", "SprottDelay", "VossDelay", "ScrollDelay", "PiecewiseCircuit"}

CODE = """
#include <math.h>
#include <string.h>
#define N %(n)d
#define M (N + N * N + 1)
static double Heaviside(double x) { return x > 0 ? 1. : x < 0 ? 0. : .5; }
static const double A[12][12] = %(a)s, B[12] = %(b)s, E3[13] = %(e3)s, E5[13] = %(e5)s;
static void slope(const double *x, double *d) {
  double J[N * N];
%(body)s
  d[N + N * N] = 0;
  for (int i = 0; i < N; i++) d[N + N * N] += J[i * N + i];
  for (int i = 0; i < N; i++) for (int k = 0; k < N; k++) {
    double sum = 0;
    for (int j = 0; j < N; j++) sum += J[i * N + j] * x[N + j * N + k];
    d[N + i * N + k] = sum;
  }
}
/* states, and for each its Jacobian and the integral of the divergence; how many evaluations it took, -1 for failed */
void advance(int count, double *states, double *jacobians, double *divergence, long *taken, const double *scale,
             double time, double tolerance) {
  for (int s = 0; s < count; s++) {
    double y[M], new[M], k[13][M], unit[M], t = 0, h = time / 4;
    memset(y, 0, sizeof y);
    memcpy(y, states + s * N, N * sizeof(double));
    for (int i = 0; i < N; i++) y[N + i * N + i] = 1;
    slope(y, k[0]);
    long n = 1;
    while (t < time) {
      if (n > 4000000) { n = -1; break; }
      int last = t + h >= time;
      if (last) h = time - t;
      for (int j = 1; j < 12; j++) {
        for (int i = 0; i < M; i++) {
          double sum = 0;
          for (int l = 0; l < j; l++) sum += A[j][l] * k[l][i];
          new[i] = y[i] + h * sum;
        }
        slope(new, k[j]);
      }
      for (int i = 0; i < M; i++) {
        double sum = 0;
        for (int l = 0; l < 12; l++) sum += B[l] * k[l][i];
        new[i] = y[i] + h * sum;
      }
      slope(new, k[12]);
      n += 12;
      double widest = 0;
      for (int i = 0; i < N; i++) {
        unit[i] = scale[i] + fabs(new[i]);
        for (int j = 0; j < N; j++) widest = fmax(widest, fabs(new[N + i * N + j]) * scale[j] / scale[i]);
      }
      for (int i = 0; i < N; i++) for (int j = 0; j < N; j++) unit[N + i * N + j] = widest * scale[i] / scale[j];
      unit[M - 1] = 1 + fabs(new[M - 1]);
      double fifth = 0, third = 0;
      for (int i = 0; i < M; i++) {
        double five = 0, three = 0;
        for (int l = 0; l < 13; l++) { five += E5[l] * k[l][i]; three += E3[l] * k[l][i]; }
        fifth += five * five / (unit[i] * unit[i]);
        third += three * three / (unit[i] * unit[i]);
      }
      double error = fifth == 0 ? 0 : h * fifth / sqrt((fifth + .01 * third) * M) / tolerance; /* NaN stays NaN */
      double factor = error == 0 ? 5 : .9 * pow(error, -.125);
      if (!(error <= 1)) {
        if (!(h > 1e-14 * time)) { n = -1; break; }
        h *= isfinite(factor) ? fmax(.2, factor) : .1;
        continue;
      }
      t = last ? time : t + h;
      memcpy(y, new, sizeof y);
      memcpy(k[0], k[12], sizeof k[0]);
      h *= fmin(5, factor);
    }
    taken[s] = n;
    if (n < 0) y[0] = NAN;
    memcpy(states + s * N, y, N * sizeof(double));
    memcpy(jacobians + s * N * N, y + N, N * N * sizeof(double));
    divergence[s] = y[M - 1];
  }
}
"""


@dataclass(frozen=True)
class Flow:
    """A right-hand side as C code.

    Attributes:
        name, size: of the flow, and how many numbers a state has, the phase of a drive included.
        driven: the states whose speed is constant, the phases.
        code: the compiled function.
        begin: the state that `dysts` lists.
        period: that it lists.
        published: the exponents that it lists.
        scale: the size of each number of a state, by which errors are measured.
        spent: evaluations so far.
    """

    name: str
    size: int
    driven: tuple[int, ...]
    code: Any
    begin: np.ndarray
    period: float
    published: list[float]
    scale: np.ndarray
    spent: dict[str, Any] = field(default_factory=lambda: {"evaluations": 0})

    def advance(self, states: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(the states after dt, the Jacobians of that, the integrals of the divergence)."""
        new = np.array(states, np.float64).reshape(-1, self.size)
        jacobians, divergence = np.empty((len(new), self.size, self.size)), np.empty(len(new))
        taken = np.empty(len(new), ctypes.c_long)
        arrays = (a.ctypes for a in (new, jacobians, divergence, taken, self.scale))
        self.code(len(new), *arrays, ctypes.c_double(dt), ctypes.c_double(TOLERANCE))
        self.spent["evaluations"] += int(np.abs(taken).sum())
        return new, jacobians, divergence


def library(folder: Path) -> types.ModuleType:
    """The module of flows, in which mathematics is done with symbols."""
    import sympy

    if not (folder / "dysts").is_dir():
        sys.exit(f"no package dysts in {folder}: pip install --no-deps --target {folder} dysts==0.96")
    for name in ("gluonts", "gluonts.dataset", "gluonts.dataset.arrow"):  # for its data sets alone
        sys.modules.setdefault(name, types.ModuleType(name))
    vars(sys.modules["gluonts.dataset.arrow"]).setdefault("ArrowWriter", None)
    sys.path.insert(0, str(folder))
    flows = importlib.import_module("dysts.flows")
    numbers = types.ModuleType("numbers")
    vars(numbers).update(vars(np))
    for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "sqrt", "sign", "log"):
        setattr(numbers, name, np.frompyfunc(getattr(sympy, name), 1, 1))
    numbers.abs = np.frompyfunc(sympy.Abs, 1, 1)  # type: ignore[attr-defined]
    numbers.heaviside = lambda x, middle: sympy.Heaviside(x, middle)  # type: ignore[attr-defined]
    numbers.min = lambda rows, axis: np.array([sympy.Min(*row) for row in rows])  # type: ignore[attr-defined]
    flows.np, flows.max = numbers, sympy.Max  # type: ignore[attr-defined]
    return flows


def flow_of(flows: types.ModuleType, name: str, folder: Path) -> Flow:
    """One flow, compiled."""
    import sympy
    from scipy.integrate import DOP853

    system = getattr(flows, name)()
    begin = np.atleast_2d(np.asarray(system.ic, float))
    n, t = begin.shape[1], sympy.Symbol("t", real=True)
    x = list(sympy.symbols(f"x:{n}", real=True))
    slopes = [sympy.sympify(each) for each in np.ravel(system.rhs(np.array(x, object), t))]
    if any(each.has(t) for each in slopes):  # a clock as one more number of the state
        clock = sympy.Symbol(f"x{n}", real=True)
        x, slopes = [*x, clock], [*(each.subs(t, clock) for each in slopes), sympy.Integer(1)]
        begin, n = np.append(begin, np.zeros((len(begin), 1)), 1), n + 1
    if name in POLAR:
        begin[:, :2] = begin[:, :1] * np.concatenate([np.cos(begin[:, 1:2]), np.sin(begin[:, 1:2])], 1)
        r, angle = sympy.sqrt(x[0] ** 2 + x[1] ** 2), sympy.atan2(x[1], x[0])
        out, around, *rest = (each.subs({x[0]: r, x[1]: angle}, simultaneous=True) for each in slopes)
        slopes = [(x[0] * out) / r - x[1] * around, (x[1] * out) / r + x[0] * around, *rest]
    if name in JUMPS:
        slopes = [
            each.replace(sympy.sign, lambda z: sympy.tanh(z / JUMPS[name])).replace(
                sympy.Heaviside, lambda z, _: (1 + sympy.tanh(z / JUMPS[name])) / 2
            )
            for each in slopes
        ]
    slopes = [each.replace(lambda e: e.is_Float and e == int(e), lambda e: sympy.Integer(int(e))) for each in slopes]
    jacobian = [sympy.diff(row, column) for row in slopes for column in x]
    jacobian = [each.replace(sympy.DiracDelta, lambda *_: sympy.Integer(0)) for each in jacobian]
    shared: Any = sympy.cse([*slopes, *jacobian])
    steps, ends = shared
    lines = [f"  const double x{i} = x[{i}];" for i in range(n)]
    used = {symbol.name for symbol in x}
    renamed = {symbol: sympy.Symbol(f"c_{symbol.name}", real=True) for symbol, _ in steps if symbol.name in used}
    lines += [f"  const double {renamed.get(s, s)} = {sympy.ccode(e.subs(renamed))};" for s, e in steps]
    places = [*(f"d[{i}]" for i in range(n)), *(f"J[{i}]" for i in range(n * n))]
    lines += [f"  {place} = {sympy.ccode(e.subs(renamed))};" for place, e in zip(places, ends, strict=True)]
    tables = {"a": DOP853.A, "b": DOP853.B, "e3": DOP853.E3, "e5": DOP853.E5}
    text = CODE % {"n": n, "body": "\n".join(lines), **{key: _braces(value) for key, value in tables.items()}}
    (folder / f"{name}.c").write_text(text)
    built = folder / f"{name}.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", built, folder / f"{name}.c", "-lm"], check=True)
    code = ctypes.CDLL(str(built)).advance
    code.restype = None
    return Flow(
        name=name,
        size=n,
        driven=tuple(i for i, each in enumerate(slopes) if each.is_number),
        code=code,
        begin=begin[0],
        period=float(system.period),
        published=[float(each) for each in getattr(system, "lyapunov_spectrum_estimated", None) or []],
        scale=np.maximum(np.abs(begin[0]), 1e-3),
    )


def _braces(table: np.ndarray) -> str:
    return repr(np.asarray(table).tolist()).replace("[", "{").replace("]", "}")


def measure(flow: Flow) -> dict[str, Any]:
    """The spectrum of one flow, and what it is held against."""
    begun = time.process_time()
    dt, state = flow.period / 10, flow.begin[None]
    orbit = []
    for _ in range(2000):  # 200 periods to come to the attractor, of which the second half says how large it is
        state, _, _ = flow.advance(state, dt)
        if not np.isfinite(state).all():
            raise FloatingPointError(f"the orbit cannot be followed past {len(orbit) / 10} periods, from {orbit[-1:]}")
        orbit.append(state[0])
    late = np.array(orbit[1000:])
    flow.scale[:] = np.maximum(late.std(0), 1e-6 * np.abs(late).max(0) + 1e-12)
    flow.scale[list(flow.driven)] = 1.0
    starts = []
    for _ in range(N_STARTS):
        for _ in range(37):  # 3.7 periods, so that starts are spread over all phases
            state, _, _ = flow.advance(state, dt)
        starts.append(state[0])
    while True:  # shorter steps, until no direction is lost within one
        parted = states = np.array(starts)
        for _ in range(int(5 * flow.period / dt)):
            states, jacobians, _ = flow.advance(states, dt)
            if not np.isfinite(jacobians).all():
                raise FloatingPointError("an orbit cannot be followed on")
            sizes = np.linalg.svd(jacobians * flow.scale / flow.scale[:, None], compute_uv=False)
            parted = (sizes[:, 0] / sizes[:, -1]).max()
            if not parted <= WIDEST:
                break
        else:
            break
        dt /= 2
    before = flow.spent["evaluations"]
    states = np.array(starts)
    for _ in range(50):
        states, _, _ = flow.advance(states, dt)
    each = (flow.spent["evaluations"] - before) / 50
    carried = flow.size * (flow.size + 1) + 1
    n_steps = int(np.clip(WORK / (carried * max(each, 1)), FEWEST, MOST)) // 1000 * 1000
    transient = n_steps // 10
    total = transient + n_steps
    states = np.empty((total, len(starts), flow.size))
    jacobians, divergence = np.empty((*states.shape, flow.size)), np.empty(states.shape[:2])
    state = np.array(starts)
    for t in range(total):
        states[t] = state
        state, jacobians[t], divergence[t] = flow.advance(state, dt)
    # The Jacobians are asked for by their states.
    place = {row.tobytes(): i for i, row in enumerate(states.reshape(-1, flow.size))}
    every = jacobians.reshape(-1, flow.size, flow.size)

    def jacobian(x: np.ndarray) -> np.ndarray:
        rows = [place[row.tobytes()] for row in x.reshape(-1, flow.size)]
        return every[rows].reshape(*x.shape, flow.size)

    time_step = rs.FunctionMap(
        lambda x: flow.advance(x, dt)[0].reshape(x.shape), jacobian=jacobian, state_size=flow.size, dt=dt
    )
    # dt is short enough for no direction to be lost in a step; more steps together can lose one where a flow is stiff.
    found = analyses.lyapunov_spectrum(
        time_step, trajectory=states.swapaxes(0, 1), n_steps=n_steps, transient=transient, qr_every=1
    )
    divergence = divergence[transient:]
    alive = found.starts.alive
    per_start = divergence[:, alive].sum(0) / (n_steps * dt)
    return {
        "flow": flow.name,
        "size": flow.size,
        "driven": list(flow.driven),
        "exponents": found.rates.tolist(),
        "standard_error": (found.standard_error / dt).tolist(),
        "drift": (found.convergence.drift / dt).tolist(),
        "running": (found.convergence.running / dt).tolist(),
        "agree": found.convergence.agree.tolist(),
        "converged": found.converged.tolist(),
        "resolved": found.reductions.resolved.tolist(),
        "per_start": (found.starts.exponents / dt).tolist(),
        "divergence": float(per_start.mean()) if alive.any() else None,
        "divergence_per_start": per_start.tolist(),
        "constant_divergence": bool(np.ptp(divergence / dt) < 1e-9 * max(1.0, np.abs(divergence / dt).max())),
        "published": flow.published,
        "lost": found.starts.lost,
        "dt": dt,
        "period": flow.period,
        "n_steps": n_steps,
        "transient": transient,
        "rest": _comes_to_rest(flow, np.array(starts), dt),
        "steps_checked": len(divergence),
        "seconds": time.process_time() - begun,
        "evaluations": flow.spent["evaluations"],
        "summary": found.summary(),
    }


def _comes_to_rest(flow: Flow, states: np.ndarray, dt: float) -> bool:
    """Whether the states go to fixed points: all stand still after 1000 more periods."""
    for _ in range(int(1000 * flow.period / dt)):
        states, _, _ = flow.advance(states[:1], dt)
    later, _, _ = flow.advance(states, 10 * dt)
    return bool((np.abs(later - states) / flow.scale).max() < 1e-6)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {LONGEST} s of processor time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path, nargs="?", help="the folder that dysts was installed into")
    parser.add_argument("--raw", type=Path, default=Path("flows.jsonl"), help="a line for each flow")
    parser.add_argument("--only", nargs="*", help="these flows alone, again where they are done")
    asked = parser.parse_args()
    if asked.library is None:
        print("name the folder of dysts, which is no dependency: pip install --no-deps --target FOLDER dysts==0.96")
        return
    flows = library(asked.library)
    signal.signal(signal.SIGVTALRM, _too_long)
    names = list(json.loads((asked.library / "dysts" / "data" / "chaotic_attractors.json").read_text()))
    done = {json.loads(line)["flow"] for line in asked.raw.read_text().splitlines()} if asked.raw.exists() else set()
    for name in asked.only or [name for name in names if name not in done | DELAYED]:
        with tempfile.TemporaryDirectory() as folder:
            begun = time.process_time()
            signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST)
            try:
                found = measure(flow_of(flows, name, Path(folder)))
            except Exception as reason:  # noqa: BLE001 - whatever it was, the others go on
                found = {"flow": name, "failed": repr(reason), "seconds": time.process_time() - begun}
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        with asked.raw.open("a") as file:
            file.write(json.dumps(found) + "\n")
        print(_line(found), flush=True)


def _line(found: dict[str, Any]) -> str:
    if "failed" in found:
        return f"{found['flow']}: {found['failed']}"
    off = sum(found["exponents"]) - (np.nan if found["divergence"] is None else found["divergence"])
    return f"{found['flow']} {np.round(found['exponents'], 4)}, sum off by {off:.1e}, {found['seconds']:.0f} s"


if __name__ == "__main__":
    main()
