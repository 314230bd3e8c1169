"""How far are machine and network right, by the task's own trials, language and machine?"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.deciding.distinction import myhill_nerode
from rnnscope.analyses.automata.deciding.fidelity import binomial_bounds, drawn_words
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import DISTRIBUTIONS
from rnnscope.records.schema1 import FORMERLY
from rnnscope.tasks import Task
from rnnscope.tasks.languages import Language
from rnnscope.tasks.machine import Machine


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The machine beside the task's true one.

    Attributes:
        equivalent: whether the two are equivalent, decided exactly. The empty word is left out where no trial asks for
            it.
        word: the shortest word after which they differ; None where they are equivalent.
        n_states: of the task's machine, minimal.
        compression, precision, recall: of the network by the task's machine in place of the extracted one; see
            `distinction.Distinction`.
    """

    equivalent: bool = field(metadata={FORMERLY: "truth_equivalent"})
    word: tuple[int, ...] | None = field(metadata={FORMERLY: "truth_word"})
    n_states: int = field(metadata={FORMERLY: "truth_states"})
    compression: float | None = field(metadata={FORMERLY: "truth_compression"})
    precision: float | None = field(metadata={FORMERLY: "truth_precision"})
    recall: float | None = field(metadata={FORMERLY: "truth_recall"})


@dataclass(frozen=True, kw_only=True)
class Correctness:
    """How often machine and network are right by the task's machine or language, on words of each distribution and
    length of the fidelity; language-near words are the true machine's own.

    Attributes:
        machine, network: the share of all prefixes on which each is right.
    """

    machine: Float[np.ndarray, "distribution length"] = field(metadata={FORMERLY: "machine_truth_prefixes"})
    network: Float[np.ndarray, "distribution length"] = field(metadata={FORMERLY: "network_truth_prefixes"})


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """How often machine and network are right on the task's own trials, in every head, at the last step that counts.

    Attributes:
        machine: the fraction of trials on which the machine is right, with Clopper and Pearson's bounds for 95 %,
            `machine_low` and `machine_high`.
        network: the same of the network.
        n_trials: how many trials there were; those with inputs outside the alphabet are left out.
    """

    machine: float = field(metadata={FORMERLY: "machine_accuracy"})
    machine_low: float = field(metadata={FORMERLY: "machine_accuracy_low"})
    machine_high: float = field(metadata={FORMERLY: "machine_accuracy_high"})
    network: float = field(metadata={FORMERLY: "network_accuracy"})
    n_trials: int = field(metadata={FORMERLY: "n_task_trials"})


@dataclass(frozen=True, kw_only=True)
class OnTask:
    """Machine and network on the task.

    Attributes:
        n_states: how many states of the machine the task's trials visit; 0 where no trial can be read.
        accuracy: on the task's trials; None where they have no targets for words.
        correctness: by the task's machine or language; None where it has none over these symbols.
    """

    n_states: int = field(metadata={FORMERLY: "task_states"})
    accuracy: Accuracy | None
    correctness: Correctness | None


def against_truth(
    reader: Reader,
    task: Task,
    machine: Machine,
    lengths: Int64[np.ndarray, " length"],
    n_words: int,
    rng: np.random.Generator,
    *,
    with_trials: bool = True,
) -> tuple[Truth | None, Correctness | None]:
    """Machine and network against the true language of the task, where it has one over the same symbols, on words of
    every distribution, the task's trials too if they can be read. What is shown before the first symbol counts only
    where trials have an opening, and ask for it."""
    asked = len(reader.opening) > 0
    truth, exact = task.ground_truth, None
    if isinstance(truth, Machine):
        if truth.outputs.ndim != 2 or truth.n_symbols != machine.n_symbols or truth.n_heads != machine.n_heads:
            return None, None
        same, word = machine.equivalent(truth) if asked else _begun(machine).equivalent(_begun(truth))
        sampler = truth
        mine = myhill_nerode(reader, truth, min(200, n_words), int(lengths[0]), rng)
        exact = Truth(
            equivalent=same,
            word=word,
            n_states=truth.minimise().n_states,
            compression=mine.compression,
            precision=mine.precision,
            recall=mine.recall,
        )
    elif isinstance(truth, Language) and len(truth.symbols) == machine.n_symbols and machine.n_heads == 1:
        sampler = machine
    else:
        return None, None
    kinds = ("task", *DISTRIBUTIONS) if with_trials else DISTRIBUTIONS
    found = np.full((2, len(kinds), len(lengths)), np.nan)
    for row, kind in enumerate(kinds):
        for words, ends, columns in drawn_words(kind, reader, sampler, lengths, n_words, rng, task):
            wanted = _shown(truth, words) if isinstance(truth, Machine) else truth.labels(words)[..., None]
            place = np.arange(wanted.shape[1])
            for who, shown in enumerate((_shown(machine, words), reader.read(words, rng))):
                right = (shown == wanted).all(-1)
                for column in columns:
                    counts = (place >= 1 - asked) & (place <= np.minimum(ends, lengths[column])[:, None])
                    found[who, row, column] = right[counts].mean()
    return exact, Correctness(machine=found[0], network=found[1])


def task_accuracy(
    reader: Reader, task: Task, machine: Machine, n_trials: int, rng: np.random.Generator
) -> Accuracy | None:
    """Machine and network against the task's targets, at the last step of each trial that counts. None where the task
    has no targets for words, or its trials hold inputs that are no symbols."""
    trials = task.sample(n_trials, rng)
    if task.loss == "sinkhorn":
        return None
    wanted = trials.targets if task.loss == "cross_entropy" else task.labels(trials.targets)
    end = np.where(trials.mask, np.arange(trials.mask.shape[1]), -1).max(1)
    n_opening = len(reader.opening)
    inputs, n_read = trials.inputs[:, n_opening:], end + 1 - n_opening
    is_symbol = np.all(np.abs(inputs[:, :, None] - reader.alphabet) < 1e-6, axis=-1)
    beyond = np.arange(inputs.shape[1]) >= n_read[:, None]
    readable = np.all(is_symbol.any(-1) | beyond, axis=1) & (end >= 0) & (n_read >= 0)
    if not readable.any():
        return None
    each, n_read = np.arange(int(readable.sum())), n_read[readable]
    wanted = wanted[readable][each, end[readable]]
    words = is_symbol[readable].argmax(-1)  # symbol 0 in the padding, which comes after all that is compared
    shown = reader.decide(inputs[readable], rng)[each, n_read]
    right = np.all(_shown(machine, words)[each, n_read] == wanted, axis=-1)
    low, high = binomial_bounds(np.array([right.mean()]), len(each))
    return Accuracy(
        machine=float(right.mean()),
        machine_low=float(low[0]),
        machine_high=float(high[0]),
        network=float(np.all(shown == wanted, axis=-1).mean()),
        n_trials=len(each),
    )


def _begun(machine: Machine) -> Machine:
    """The same machine, but for the empty word, after which it shows 0."""
    n = machine.n_states
    return Machine(
        np.vstack([machine.transitions, machine.transitions[machine.initial]]),
        np.vstack([machine.outputs, np.zeros((1, machine.n_heads), np.int64)]),
        n,
    )


def _shown(machine: Machine, words: Int64[np.ndarray, "word time"]) -> Int64[np.ndarray, "word prefix head"]:
    return machine.outputs[np.column_stack([np.full(len(words), machine.initial), machine.run(words)])]
