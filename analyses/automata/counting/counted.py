"""How far a network counts, and what it does beyond, by the counter machine that was found for it (`find_counter`).

No network counts for ever. That it counts is said where the counter machine has the network's answers on words nested to
depth 4 at least, with less to remember than any finite machine that was found, and no finite machine has them all,
those of deeper words included: brackets nested to a bounded depth are regular, and so is a cyclic group. Where the count
just stays where it is beyond some depth, a finite machine may well have all answers: then both are reported.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.counting.beyond import beyond
from rnnscope.analyses.automata.counting.counter_machine import CounterMachine
from rnnscope.analyses.automata.counting.counters import DEEPEST, LEAST_COUNT, TESTED_DEPTHS, machine_of_futures
from rnnscope.analyses.automata.counting.find_counter import Tried, cost, find_counter, gather
from rnnscope.analyses.automata.counting.nested import nested
from rnnscope.analyses.automata.counting.result import Beyond, ByDepth, CounterTable, Counting
from rnnscope.analyses.automata.reader import Reader
from rnnscope.tasks.languages import Language
from rnnscope.tasks.machine import Machine

N_WORDS = 16  # of each depth, and as many with an error
N_PREFIXED = 50  # of each tested depth, and as many with an error
NEARLY = 0.9  # of the words of a depth
DEEPEST_OF_TWO = 12  # with two counters, the finite machine of all counts to a depth is the square of one's


def count(
    reader: Reader,
    machine: Machine,
    growth: Int64[np.ndarray, " repeated"],
    truth: Language | Machine | None,
    asked: bool,
    rng: np.random.Generator,
) -> Counting | None:
    """What a network does that counts as a counter machine does; None where none was found, or a finite machine has its
    answers, or where it shows more than two classes.

    Args:
        machine: the finite machine that was found.
        growth: see `Counting`.
        truth: the task's language; where it is a finite machine that fits as well, the network does not count.
        asked: whether what is shown before the first symbol counts.
    """
    reader = replace(reader, start=reader.initial_states(1, rng)[0])
    if reader.show(reader.start[None]).shape[-1] != 1:
        return None
    model = find_counter(reader, machine, asked, rng)
    if model is None:
        return None
    deepest = DEEPEST if len(model.steps) == 1 else DEEPEST_OF_TWO
    tried = _tried(reader, model, deepest, asked, rng)
    right = {depth: 1 - float(each.wrong(model).mean()) for depth, each in tried.items()}
    exactly, nearly = (_as_far_as(right, share) for share in (1.0, NEARLY))
    if nearly < LEAST_COUNT:
        return None
    finite = nearly < deepest and _has_all(machine, model, reader, tried, 2 * nearly, rng)
    after = beyond(reader, model, nearly, rng)
    if finite and (nearly >= deepest or after is None or not stays(after)):
        return None
    counted = [each for depth, each in tried.items() if depth <= nearly]
    if np.mean([cost(each, machine) for each in counted]) <= np.mean([cost(each, model) for each in counted]):
        return None
    if isinstance(truth, Machine) and truth.kind == "DFA" and not _worse(truth, model, counted):
        return None
    by_depth, fidelity, accuracy = _by_depth(reader, machine, model, nearly, deepest, truth, asked, rng)
    steps = model.steps
    pairs = {(int(a), int(b)) for row in steps for a in np.flatnonzero(row > 0) for b in np.flatnonzero(row < 0)}
    table = CounterTable(
        steps=steps,
        transitions=model.transitions,
        shown=model.shown,
        words_right=np.array(list(right.values())),
        word_depths=np.array(list(right)),
        n_words=2 * N_WORDS,
        fidelity=fidelity,
        accuracy=accuracy,
    )
    return Counting(
        growth=growth, pairs=tuple(sorted(pairs)), depth=exactly, by_depth=by_depth, nearly=nearly, table=table,
        beyond=None if nearly >= deepest else after, finite=finite,
    )  # fmt: skip


def stays(after: Beyond) -> bool:
    """Whether the network comes back as if the count had stayed where it was, from nearly all depths."""
    came = after.most >= 0
    spread = int(after.most[came].max() - after.least[came].min()) if came.any() else 0
    return bool(came.mean() >= NEARLY and after.never.mean() <= 1 - NEARLY and spread <= 2 and
                after.most.max() < after.depths.max())  # fmt: skip


def _tried(
    reader: Reader, model: CounterMachine, deepest: int, asked: bool, rng: np.random.Generator
) -> dict[int, Tried]:
    """Words of each depth that has some, up to twice the depth where many come out wrong."""
    tried: dict[int, Tried] = {}
    for depth in range(1, deepest + 1):
        words = nested(model, depth, N_WORDS, rng)
        gathered = None if words is None else gather(reader, [words], asked, rng)
        if gathered is not None:
            tried[depth] = gathered
            if gathered.wrong(model).mean() > 1 - NEARLY:
                deepest = min(deepest, 2 * depth)
        if depth >= deepest:
            break
    return tried


def _as_far_as(right: dict[int, float], share: float) -> int:
    """The depth up to which this share of words is right at each depth."""
    far = 0
    for depth, found in right.items():
        if found < share:
            break
        far = depth
    return far


def _has_all(
    machine: Machine, model: CounterMachine, reader: Reader, tried: dict[int, Tried], depth: int, rng: np.random.Generator
) -> bool:
    """Whether a finite machine, the one that was found or that of the futures, agrees with the network on all words of
    up to this depth."""
    futures = machine_of_futures(reader, tuple(np.flatnonzero((model.steps < 0).any(0)).tolist()), rng)
    rivals = [machine] if futures is None else [machine, futures]
    some = [each for deep, each in tried.items() if deep <= depth]
    return any(not any(each.wrong(rival).any() for each in some) for rival in rivals)


def _worse(truth: Machine, model: CounterMachine, tried: list[Tried]) -> bool:
    """Whether the task's machine has fewer words right."""
    return bool(sum(each.wrong(truth).sum() for each in tried) > sum(each.wrong(model).sum() for each in tried))


def _by_depth(
    reader: Reader,
    machine: Machine,
    model: CounterMachine,
    nearly: int,
    deepest: int,
    truth: Language | Machine | None,
    asked: bool,
    rng: np.random.Generator,
) -> tuple[ByDepth, Float[np.ndarray, " tested_depth"], Float[np.ndarray, " tested_depth"] | None]:
    """Words nested to each depth: machine and network there, and the counter machine; and its share of prefixes that
    agree, and that are right."""
    each = [(depth, words) for depth in TESTED_DEPTHS if depth <= max(deepest, nearly)
            if (words := nested(model, depth, N_PREFIXED, rng)) is not None]  # fmt: skip
    weights, fit = _linear_counts(reader, model, nearly, rng)
    agrees, right, counted = np.empty((2, len(each))), np.empty((3, len(each))), []
    for i, (_, some) in enumerate(each):
        judged = some.judged.copy()
        judged[:, 0] &= asked
        visited = reader.visit(reader.alphabet[some.words], rng)
        network, instead = reader.show(visited)[..., 0], model.show(some.words)
        by_machine = machine.outputs[np.column_stack([np.full(len(judged), machine.initial), machine.run(some.words)]), 0]
        agrees[:, i] = [(shown == network)[judged].mean() for shown in (by_machine, instead)]
        if isinstance(truth, Language):
            wanted = truth.labels(some.words)
            right[:, i] = [(shown == wanted)[judged].mean() for shown in (by_machine, network, instead)]
        inside = some.judged[:N_PREFIXED]
        read = np.rint(_with_one(visited[:N_PREFIXED][inside]) @ weights)
        counted.append(float((read == model.run(some.words[:N_PREFIXED])[1][inside]).all(1).mean()))
    of_machine, of_network, of_model = right if isinstance(truth, Language) else (None, None, None)
    found = ByDepth(
        depths=np.array([depth for depth, _ in each]),
        machine_fidelity=agrees[0],
        machine_accuracy=of_machine,
        network_accuracy=of_network,
        linear_fit=fit,
        linear_fidelity=np.array(counted),
    )
    return found, agrees[1], of_model


def _linear_counts(
    reader: Reader, model: CounterMachine, depth: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "unit_or_one counter"], float]:
    """The counts as linear functions of the state, and the least R^2 of these, on words of up to this depth."""
    states, counts = [], []
    for deep in range(1, depth + 1):
        some = nested(model, deep, N_WORDS, rng)
        if some is not None:
            inside = some.judged[:N_WORDS]
            states.append(reader.visit(reader.alphabet[some.words[:N_WORDS]], rng)[inside])
            counts.append(model.run(some.words[:N_WORDS])[1][inside])
    design, wanted = _with_one(np.concatenate(states)), np.concatenate(counts)
    weights = np.linalg.lstsq(design, wanted, rcond=None)[0]
    left = ((wanted - design @ weights) ** 2).sum(0) / np.maximum(((wanted - wanted.mean(0)) ** 2).sum(0), 1e-12)
    return weights, float(1 - left.max())


def _with_one(states: Float[np.ndarray, "state unit"]) -> Float[np.ndarray, "state unit_or_one"]:
    return np.column_stack([states, np.ones(len(states))])
