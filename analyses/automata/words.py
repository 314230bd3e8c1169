"""Words to try a network and a machine on."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.near_language import near_language_words
from rnnscope.tasks import Task
from rnnscope.tasks.machine import Machine

# Words and how many symbols of each are the task's.
TaskWords = Callable[[int, np.random.Generator], tuple[Int64[np.ndarray, "word time"], Int64[np.ndarray, " word"]]]
LONGEST_PATTERN = 6
Distribution = Literal["uniform", "structured", "border", "near-language"]
DISTRIBUTIONS: tuple[Distribution, ...] = ("uniform", "structured", "border", "near-language")


def draw_words(
    n_words: int,
    length: int,
    n_symbols: int,
    distribution: str,
    rng: np.random.Generator,
    machine: Machine | None = None,
) -> Int64[np.ndarray, "word time"]:
    """Random words.

    "uniform": every symbol equally likely, independent. "structured": half of them with symbol frequencies of their
    own, from a Dirichlet distribution that favours few symbols, half repetitions of a short pattern, every second of
    these with one symbol changed. Uniform words alone rarely stay within a sparse language: of length 40, one in
    10^12 is all ones. "border", of a `machine`: words that stay where what the machine shows can still change, with
    one symbol changed somewhere. "near-language", of a `machine` too: see `near_language_words`.
    """
    if distribution in ("border", "near-language"):
        if machine is None:
            raise ValueError(f"{distribution} words are those of a machine: give machine=")
        if distribution == "border":
            return _border_words(machine, n_words, length, rng)
        return near_language_words(machine, n_words, length, rng).words
    words = rng.integers(n_symbols, size=(n_words, length))
    if distribution == "uniform" or n_symbols == 1:
        return words
    half = n_words // 2
    frequencies = rng.dirichlet(np.full(n_symbols, 0.3), half).cumsum(1)
    words[:half] = np.minimum((rng.random((half, length, 1)) > frequencies[:, None]).sum(-1), n_symbols - 1)
    pattern = rng.integers(n_symbols, size=(n_words - half, LONGEST_PATTERN))
    period = rng.integers(1, LONGEST_PATTERN + 1, n_words - half)
    words[half:] = np.take_along_axis(pattern, np.arange(length) % period[:, None], 1)
    changed = np.arange(half, n_words, 2)
    words[changed, rng.integers(length, size=len(changed))] = rng.integers(n_symbols, size=len(changed))
    return words


def mixed_words(
    n_words: int, length: int, n_symbols: int, rng: np.random.Generator, of_task: TaskWords | None = None
) -> Int64[np.ndarray, "word time"]:
    """Half uniform, half structured; of a task, these in the place of every second one."""
    halves = (n_words - n_words // 2, n_words // 2)
    kinds = ("uniform", "structured")
    words = np.concatenate([draw_words(n, length, n_symbols, kind, rng) for n, kind in zip(halves, kinds, strict=True)])
    if of_task is not None:
        shown = of_task(n_words // 2, rng)[0][:, :length] if n_words > 1 else words[:0]
        words[1 : 2 * len(shown) : 2, : shown.shape[1]] = shown
    return words


def task_words(
    task: Task, alphabet: Float[np.ndarray, "symbol input"], n_opening: int, length: int
) -> TaskWords | None:
    """Draws words as the task's trials have them, so that a sparse language is not missed; each goes on at random up
    to `length` symbols. None where no trial can be read (`draw_trials`)."""

    def draw(
        n_words: int, rng: np.random.Generator
    ) -> tuple[Int64[np.ndarray, "word time"], Int64[np.ndarray, " word"]]:
        trials, ends = draw_trials(task, alphabet, n_opening, n_words, rng)
        words = rng.integers(len(alphabet), size=(len(trials), max(length, trials.shape[1])))
        within = np.arange(trials.shape[1]) < ends[:, None]
        words[:, : trials.shape[1]] = np.where(within, trials, words[:, : trials.shape[1]])
        return words, ends

    return draw if len(draw(16, np.random.default_rng(0))[1]) else None


def draw_trials(
    task: Task,
    alphabet: Float[np.ndarray, "symbol input"],
    n_opening: int,
    n_words: int,
    rng: np.random.Generator,
    length: int | None = None,
) -> tuple[Int64[np.ndarray, "word time"], Int64[np.ndarray, " word"]]:
    """The words of the task's trials, up to the last step that counts, and how many symbols each has.

    Trials with inputs that are no symbols are left out. With a `length`, words of about so many symbols, as only some
    tasks draw them (`Task.sample_held_out`); of any other, none: its trials laid end to end would be no trials of it.
    """
    trials = task.sample(n_words, rng) if length is None else task.sample_held_out(n_words, length, rng)
    if trials is None:
        return np.empty((0, length or 0), np.int64), np.empty(0, np.int64)
    inputs, mask = trials.inputs[:, n_opening:], trials.mask[:, n_opening:]
    steps = np.arange(mask.shape[1])
    ends = np.where(mask, steps + 1, 0).max(1, initial=0)
    is_symbol = np.all(np.abs(inputs[:, :, None] - alphabet) < 1e-6, axis=-1)
    readable = (is_symbol.any(-1) | (steps >= ends[:, None])).all(1)
    return is_symbol[readable].argmax(-1), ends[readable]


def draw_walks(machine: Machine, n_words: int, length: int, rng: np.random.Generator) -> Int64[np.ndarray, "word time"]:
    """For each state in turn, the shortest word that leads there, and then random symbols."""
    access = access_words(machine)
    walks = rng.integers(machine.n_symbols, size=(n_words, length))
    for state, word in enumerate(access):
        walks[state :: len(access), : len(word)] = word[:length]
    return walks


def access_words(machine: Machine) -> list[tuple[int, ...]]:
    """The shortest word to each state that can be reached, in breadth-first order."""
    found: dict[int, tuple[int, ...]] = {machine.initial: ()}
    order = [machine.initial]
    for state in order:  # grows while it is read
        for symbol, target in enumerate(machine.transitions[state].tolist()):
            if target not in found:
                found[target] = (*found[state], symbol)
                order.append(target)
    return [found[state] for state in order]


def _border_words(machine: Machine, n_words: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Walks that never enter a state which cannot be left again, where that can be helped; one symbol changed."""
    transitions, n_symbols = machine.transitions, machine.n_symbols
    trapped = (transitions == np.arange(machine.n_states)[:, None]).all(1)
    free = ~trapped[transitions]  # (state, symbol)
    # States from which nothing but traps can be reached are as bad as traps.
    for _ in range(machine.n_states):
        doomed = ~free.any(1)
        if not (free & doomed[transitions]).any():
            break
        free &= ~doomed[transitions]
    free[~free.any(1)] = True
    chance = (free / free.sum(1, keepdims=True)).cumsum(1)
    words = np.empty((n_words, length), np.int64)
    state = np.full(n_words, machine.initial)
    for t in range(length):
        words[:, t] = np.minimum((rng.random((n_words, 1)) >= chance[state]).sum(1), n_symbols - 1)
        state = transitions[state, words[:, t]]
    if n_symbols > 1 and length:
        # Half of them only: a word without its edit lies on the border's inner side.
        rows = np.arange(0, n_words, 2)
        place = rng.integers(length, size=len(rows))
        words[rows, place] = (words[rows, place] + rng.integers(1, n_symbols, len(rows))) % n_symbols
    return words
