"""How far a network counts, and what it does beyond, by the counter machine that was found for it (`find_counter`).

No network counts for ever. That it counts is said where the counter machine has the network's answers on words nested
to depth 4 at least, with less to remember than any finite machine that was found, and no finite machine has them all,
those of deeper words included: brackets nested to a bounded depth are regular, and so is a cyclic group. So a network
that never takes anything deeper for closed is not said to count either, though it slip. Where the count just stays
where it is beyond some depth, a finite machine may well have all answers: then both are reported.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.counting.beyond import beyond
from rnnscope.analyses.automata.counting.counter_machine import CounterMachine
from rnnscope.analyses.automata.counting.counters import LEAST_COUNT, machine_of_futures
from rnnscope.analyses.automata.counting.find_counter import LEAST_CHAIN, Tried, cost, find_counter, gather
from rnnscope.analyses.automata.counting.nested import nested
from rnnscope.analyses.automata.counting.result import ByDepth, CounterTable, Counting
from rnnscope.analyses.automata.reader import Reader
from rnnscope.tasks.languages import Language
from rnnscope.tasks.machine import Machine

N_WORDS = 16  # of each depth, and as many with an error
NEARLY = 0.9  # of the words of a depth
DEPTHS = (*range(1, 9), 10, 12, 16, 20, 24)
DEEPEST_OF_TWO = 12  # with two counters, the finite machine of all counts to a depth is the square of one's


def count(
    reader: Reader,
    machine: Machine,
    growth: Int64[np.ndarray, " repeated"],
    truth: Language | Machine | None,
    asked: bool,
    rng: np.random.Generator,
    right_to: int = 0,
) -> Counting | None:
    """What a network does that counts as a counter machine does; None where none was found, or a finite machine has its
    answers, or where it shows more than two classes.

    Args:
        machine: the finite machine that was found.
        growth: see `Counting`.
        truth: the task's language; where it is a finite machine that fits as well, the network does not count.
        asked: whether what is shown before the first symbol counts.
        right_to: see `find_counter`.
    """
    start = reader.initial_states(1, rng)
    reader = replace(reader, start=start[0])
    if reader.show(start).shape[-1] != 1:
        return None
    model = find_counter(reader, machine, asked, rng, right_to if growth[-1] < LEAST_CHAIN else 0)
    if model is None:
        return None
    deepest = DEPTHS[-1] if len(model.steps) == 1 else DEEPEST_OF_TWO
    tried = _tried(reader, model, deepest, asked, rng)
    right = {depth: 1 - float(each.wrong(model).mean()) for depth, each in tried.items()}
    exactly, nearly = (_as_far_as(right, share) for share in (1.0, NEARLY))
    if nearly < LEAST_COUNT:
        return None
    finite = nearly < deepest and _has_all(machine, model, reader, tried, 2 * nearly, rng)
    after = beyond(reader, model, nearly, rng)
    if finite and (nearly >= deepest or after is None or not after.stays):
        return None
    if nearly < deepest and after is not None and after.never.min() >= NEARLY:
        return None  # nothing deeper is ever taken for closed: nesting to a bound
    counted = [each for depth, each in tried.items() if depth <= nearly]
    if np.mean([cost(each, machine) for each in counted]) <= np.mean([cost(each, model) for each in counted]):
        return None
    if isinstance(truth, Machine) and truth.kind == "DFA" and not _worse(truth, model, counted):
        return None
    by_depth, fidelity, accuracy = _by_depth(reader, machine, model, nearly, tried, truth, rng)
    steps = model.steps
    pairs = {(int(a), int(b)) for row in steps for a in np.flatnonzero(row > 0) for b in np.flatnonzero(row < 0)}
    table = CounterTable(
        steps=steps,
        transitions=model.transitions,
        shown=model.shown,
        words_right=np.array(list(right.values())),
        word_depths=np.array(list(right)),
        n_tried=2 * N_WORDS,
        fidelity=fidelity,
        accuracy=accuracy,
    )
    return Counting(
        growth=growth, pairs=tuple(sorted(pairs)), depth=exactly, by_depth=by_depth, nearly=nearly, table=table,
        beyond=None if nearly >= deepest else after, finite=finite,
    )  # fmt: skip


def _tried(
    reader: Reader, model: CounterMachine, deepest: int, asked: bool, rng: np.random.Generator
) -> dict[int, Tried]:
    """Words of each depth that has some, up to twice the depth where many come out wrong; where first some and first
    many do, no depth is left out."""
    tried: dict[int, Tried] = {}
    worst = 0.0
    for i, depth in enumerate(DEPTHS):
        if depth > deepest:
            break
        some = _words(reader, model, depth, asked, rng)
        if some is None:
            continue
        tried[depth] = some
        wrong = float(some.wrong(model).mean())
        if wrong > 1 - NEARLY:
            deepest = min(deepest, 2 * depth)
        if worst == 0 < wrong or worst <= 1 - NEARLY < wrong:
            for between in range(DEPTHS[i - 1] + 1 if i else 1, depth):
                some = tried.get(between) or _words(reader, model, between, asked, rng)
                if some is not None:
                    tried[between] = some
        worst = max(worst, wrong)
    return {depth: tried[depth] for depth in sorted(tried)}


def _words(reader: Reader, model: CounterMachine, depth: int, asked: bool, rng: np.random.Generator) -> Tried | None:
    words = nested(model, depth, N_WORDS, rng)
    return None if words is None else gather(reader, [words], asked, rng)


def _as_far_as(right: dict[int, float], share: float) -> int:
    """The depth up to which this share of words is right at each depth."""
    far = 0
    for depth, found in right.items():
        if found < share:
            break
        far = depth
    return far


def _has_all(
    machine: Machine,
    model: CounterMachine,
    reader: Reader,
    tried: dict[int, Tried],
    depth: int,
    rng: np.random.Generator,
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
    tried: dict[int, Tried],
    truth: Language | Machine | None,
    rng: np.random.Generator,
) -> tuple[ByDepth, Float[np.ndarray, " tested_depth"], Float[np.ndarray, " tested_depth"] | None]:
    """On the words of each depth: machine and network, and the counter machine; and its share of prefixes that agree,
    and that are right."""
    # Words without an error come first; their counts are to be read off the state.
    inside = {depth: each.judged[:N_WORDS] for depth, each in tried.items()}
    states = {d: reader.visit(reader.alphabet[each.words[:N_WORDS]], rng)[inside[d]] for d, each in tried.items()}
    counts = {d: model.run(each.words[:N_WORDS])[1][inside[d]] for d, each in tried.items()}
    near = [d for d in tried if d <= nearly]
    weights, fit = _linear(np.concatenate([states[d] for d in near]), np.concatenate([counts[d] for d in near]))
    agrees, right, counted = np.empty((2, len(tried))), np.empty((3, len(tried))), []
    for i, (depth, some) in enumerate(tried.items()):
        by_machine = machine.outputs[
            np.column_stack([np.full(len(some.words), machine.initial), machine.run(some.words)]), 0
        ]
        instead = model.show(some.words)
        agrees[:, i] = [(shown == some.shown)[some.judged].mean() for shown in (by_machine, instead)]
        if isinstance(truth, Language):
            wanted = truth.labels(some.words)
            right[:, i] = [(shown == wanted)[some.judged].mean() for shown in (by_machine, some.shown, instead)]
        read = np.rint(_with_one(states[depth]) @ weights)
        counted.append(float((read == counts[depth]).all(1).mean()))
    of_machine, of_network, of_model = right if isinstance(truth, Language) else (None, None, None)
    found = ByDepth(
        depths=np.array(list(tried)),
        machine_fidelity=agrees[0],
        machine_accuracy=of_machine,
        network_accuracy=of_network,
        linear_fit=fit,
        linear_fidelity=np.array(counted),
    )
    return found, agrees[1], of_model


def _linear(
    states: Float[np.ndarray, "state unit"], counts: Int64[np.ndarray, "state counter"]
) -> tuple[Float[np.ndarray, "unit_or_one counter"], float]:
    """The counts as linear functions of the state, and the least R^2 of these."""
    design = _with_one(states)
    weights = np.linalg.lstsq(design, counts, rcond=None)[0]
    left = ((counts - design @ weights) ** 2).sum(0) / np.maximum(((counts - counts.mean(0)) ** 2).sum(0), 1e-12)
    return weights, float(1 - left.max())


def _with_one(states: Float[np.ndarray, "state unit"]) -> Float[np.ndarray, "state unit_or_one"]:
    return np.column_stack([states, np.ones(len(states))])
