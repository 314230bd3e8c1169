"""Time and memory that an analysis will take: counts of operations, which each analysis states, times what these take
on this machine.

None of this is exact. How many steps a search takes is known once it is done; until then it is what such searches took
on the networks of the demo.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from rnnscope.numerics import linalg
from rnnscope.tasks.task import Trials

if TYPE_CHECKING:
    from rnnscope.subjects.subject import Subject

FLOAT = 8  # bytes of a number
# A rate is measured on one item and on as many as have so many numbers in all. The fastest of some repetitions counts,
# each of so many seconds at least.
NUMBERS, REPEATS, LEAST_SECONDS = 2**17, 3, 1e-3
# Matrices are not larger than this: what theirs takes grows with the cube.
LARGEST, VECTORS = 256, 64
# Trials drawn to see how long they are.
SAMPLE = 32
# Fixed points of a network that nobody has searched yet.
FEW_POINTS = 3.0
# What reading, checking and putting together a result takes, whatever it is, in calls of numpy; and in bytes.
AROUND, AROUND_BYTES = 40_000, 9e6


Settings = Mapping[str, Any]
Number = int | float  # of operations, in the mean


class Expected(NamedTuple):
    """Processor seconds, and bytes at the peak beyond what is there before."""

    seconds: Number
    memory: Number


class Rate(NamedTuple):
    """The processor seconds of an operation on a batch."""

    call: float
    each: float

    def of(self, calls: Number, items: Number) -> Number:
        """Of so many calls with so many items in all."""
        return calls * self.call + items * self.each


@dataclass(frozen=True)
class Scale:
    """What costs grow with: the sizes of a subject, and how long its operations take on this machine. Each rate is
    measured when it is first asked for, in a few hundredths of a second.

    Attributes:
        subject: the network.
        n_points: fixed points that it has, or may have.
    """

    subject: "Subject"
    n_points: float = FEW_POINTS

    @property
    def n(self) -> int:
        """Numbers in a state."""
        return self.subject.state_size

    @property
    def n_inputs(self) -> int:
        return self.subject.input_size

    @property
    def n_checkpoints(self) -> int:
        return len(self.subject.checkpoints)

    @cached_property
    def _sampled(self) -> tuple[int, float, float]:
        """(steps of the longest of a few trials, of the mean one, seconds to draw one)."""
        if self.subject.task is None:
            return 0, 0.0, 0.0
        began = time.process_time()
        trials = self.subject.task.sample(SAMPLE, np.random.default_rng(0))
        seconds = time.process_time() - began
        length = trials.info.get("length", [trials.inputs.shape[1]])
        return trials.inputs.shape[1], float(np.mean(length)), seconds / SAMPLE

    @property
    def trial_steps(self) -> int:
        """Steps of the task's trials, padding included; 0 without a task."""
        return self._sampled[0]

    @property
    def mean_steps(self) -> float:
        """Steps of the task's trials in the mean, without padding."""
        return self._sampled[1]

    def shown(self, settings: Settings) -> tuple[int, int, Number]:
        """(trials, steps of each with padding, and without) that an analysis with these settings shows."""
        if self.subject.recording is not None:
            valid = self.subject.recording.valid
            return len(valid), valid.shape[1], float(valid.sum(1).mean())
        inputs = settings["inputs"]
        if inputs is None:
            return settings["n_trials"], self.trial_steps, self.mean_steps
        shape = np.shape(inputs.inputs if isinstance(inputs, Trials) else inputs)
        return shape[0], shape[1], shape[1]

    def simulation(self, n_trials: Number, n_steps: Number) -> Number:
        """Seconds to draw trials and show them; none for what was recorded."""
        if self.subject.recording is not None:
            return 0.0
        return n_trials * self._sampled[2] + self.unroll.of(1, n_trials * n_steps)

    def around(self, seconds: Number, memory: Number) -> Expected:
        """Add what surrounds every analysis."""
        return Expected(seconds + AROUND * self.numpy_call, memory + AROUND_BYTES)

    # --- rates ---------------------------------------------------------------------------------------------------

    @cached_property
    def scan(self) -> float:
        """Seconds for each number of a large array that numpy goes over once."""
        numbers = np.random.default_rng(0).standard_normal(NUMBERS)
        return _fastest(lambda: np.abs(numbers)) / NUMBERS

    @cached_property
    def numpy_call(self) -> float:
        """Seconds for a call of numpy on next to nothing."""
        few = np.zeros((4, 4))
        return _fastest(lambda: [np.abs(few).max(1) for _ in range(100)]) / 200

    @cached_property
    def step(self) -> Rate:
        """A step of the map, for each state."""
        return self._rate(lambda h, u: self.subject.map.step(h, u))

    @cached_property
    def jacobian(self) -> Rate:
        """A Jacobian."""
        return self._rate(lambda h, u: self.subject.map.jacobian(h, u), self.n)

    @cached_property
    def unroll(self) -> Rate:
        """A step in a sequence pass, for each trial and step."""
        state_map, steps = self.subject.map, 8
        return self._rate(lambda h, u: state_map.unroll(h, np.repeat(u[:, None], steps, 1)), scale=steps)

    @cached_property
    def readout(self) -> Rate:
        """A readout; nothing where there is none."""
        state_map = self.subject.map
        return self._rate(lambda h, _: state_map.readout(h)) if state_map.readout_size else Rate(0.0, 0.0)

    @cached_property
    def jvp(self) -> Rate:
        """A Jacobian times a vector, for each vector of several."""
        state_map, n, k = self.subject.map, self.n, min(self.n, VECTORS)
        return self._rate(lambda h, u: state_map.jvp(h, u, np.ones((len(h), n, k))), k, scale=k)

    @cached_property
    def eigenvalues(self) -> Rate:
        """Of a Jacobian."""
        return self._matrices(linalg.eigenvalues, self._jacobians)

    @cached_property
    def eigenvectors(self) -> Rate:
        return self._matrices(linalg.eigenvectors, self._jacobians)

    @cached_property
    def factorisation(self) -> Rate:
        """An LU factorisation."""
        return self._matrices(linalg.factorise)

    @cached_property
    def substitution(self) -> Rate:
        """A solution with the factors of an LU factorisation, for each right side."""
        matrices = self._random
        factors = linalg.factorise(matrices.copy())
        vectors, which = np.ones(matrices.shape[:2]), np.arange(len(matrices))
        one = _fastest(lambda: factors.solve(vectors[:1], which[:1]))
        return _line(one, _fastest(lambda: factors.solve(vectors, which)), len(matrices), 1 / self._larger**2)

    @cached_property
    def matmul(self) -> Rate:
        """A product of two matrices of the size of a Jacobian."""
        return self._matrices(lambda a: a @ a)

    @cached_property
    def singular_values(self) -> Rate:
        return self._matrices(linalg.singular_values)

    @cached_property
    def qr(self) -> Rate:
        return self._matrices(linalg.qr)

    @cached_property
    def reduction(self) -> Rate:
        """Elimination in place of a QR, as frames are reduced."""
        return self._matrices(lambda a: linalg.lower_factor(a, True))

    def _rate(self, function: Callable[[np.ndarray, np.ndarray], Any], width: int = 1, scale: int = 1) -> Rate:
        """Of a function of states and inputs: of one, and of many (fewer where `width` numbers come of each)."""
        many = int(np.clip(NUMBERS / (self.n * width * scale), 4, 256))
        with np.errstate(all="ignore"):
            states = self.subject.map.initial_states(many, np.random.default_rng(0))
            inputs = np.zeros((many, self.n_inputs))
            one = _fastest(lambda: function(states[:1], inputs[:1]))
            all_ = _fastest(lambda: function(states, inputs))
        return _line(one, all_, many, scale)

    def _matrices(self, function: Callable[[np.ndarray], Any], matrices: np.ndarray | None = None) -> Rate:
        """Of a function of square matrices, at random where none are given."""
        matrices = self._random if matrices is None else matrices
        one = _fastest(lambda: function(matrices[:1].copy()))
        return _line(one, _fastest(lambda: function(matrices.copy())), len(matrices), 1 / self._larger**3)

    @property
    def _larger(self) -> float:
        """How many times larger than those that are measured the Jacobian is."""
        return max(1.0, self.n / LARGEST)

    @cached_property
    def _random(self) -> np.ndarray:
        size = min(self.n, LARGEST)
        return np.random.default_rng(0).standard_normal((int(np.clip(NUMBERS / size**2, 2, 32)), size, size))

    @cached_property
    def _jacobians(self) -> np.ndarray:
        """Some of its own, for what depends on the matrix: rectified units have many zeros."""
        if self.subject.recording is not None:
            return self._random
        many, size, _ = self._random.shape
        with np.errstate(all="ignore"):
            states = np.random.default_rng(0).standard_normal((many, self.n))
            found = self.subject.map.jacobian(states, np.zeros((many, self.n_inputs)))
        return np.nan_to_num(found[:, :size, :size], posinf=0.0, neginf=0.0)


@dataclass(frozen=True)
class Cost:
    """What an analysis takes.

    Attributes:
        kind: "light" analyses may be started without asking: a second or so for a network of 64 units.
        grows: what it grows with, in words.
        expected: a function of a subject's scale and of all settings, the defaults too.
    """

    kind: Literal["light", "heavy"]
    grows: str
    expected: Callable[[Scale, Settings], Expected]


def _fastest(function: Callable[[], Any]) -> float:
    """Processor seconds, on one thread as in analyses; what is fast is repeated, as clocks have ticks."""
    best = np.inf
    with linalg.one_thread():
        function()  # the first call is slower
        for _ in range(REPEATS):
            n, began, spent = 0, time.process_time(), 0.0
            while spent < LEAST_SECONDS:
                function()
                n, spent = n + 1, time.process_time() - began
            best = min(best, spent / n)
    return best


def _line(one: float, all_: float, many: int, scale: Number = 1) -> Rate:
    """Through the seconds of one item and of many; an item is at least a tenth of what it looks."""
    each = max((all_ - one) / (many - 1), 0.1 * all_ / many)
    return Rate(max(one - each, 0.0), each / scale)
