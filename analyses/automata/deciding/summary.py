"""What an acceptor's machine is and how far it is to be trusted, sentence by sentence."""

import math

import numpy as np

from rnnscope.analyses.automata.counting.counter_machine import CounterMachine
from rnnscope.analyses.automata.counting.result import Beyond, CounterTable, Counting
from rnnscope.analyses.automata.deciding.doubts import Doubts
from rnnscope.analyses.automata.deciding.fidelity import LEAST_AGREEMENT, Fidelity
from rnnscope.analyses.automata.deciding.repeats import Repeats
from rnnscope.analyses.automata.deciding.truth import OnTask, Truth
from rnnscope.analyses.automata.wording import percent, plural_states

FAITHFUL = 0.9  # below this agreement the summary warns


def headline(n_states: int, fidelity: Fidelity, doubts: Doubts, out_of_budget: bool) -> str:
    """How many states there are, with a warning in front where the machine is not to be taken for the network's, or
    only as far as the task goes."""
    return _warning(n_states, fidelity, doubts, out_of_budget) + plural_states(n_states)


def _warning(n_states: int, fidelity: Fidelity, doubts: Doubts, out_of_budget: bool) -> str:
    budget = "the best found before the budget ran out: " if out_of_budget else ""
    if n_states == 1 and _errs(fidelity, doubts):
        return f"{budget}NOT faithful: "  # what is shown rarely may be all that it is for
    task, others = fidelity.rows()
    fault = _fault(n_states, fidelity, task + others)
    # With so few words that they prove little, nothing is said to be faithful.
    if fault and task and not _fault(n_states, fidelity, task) and fidelity.words_low[0, 0] >= FAITHFUL:
        return f"{budget}faithful on the task's words, on others {fault}: "
    if fault:
        return f"{budget}{fault}: "
    longest = int(fidelity.lengths[-1])
    if longest < 2 * n_states - 2:
        return f"{budget}tested up to {longest} symbols only: "
    drift = fidelity.drift.length
    reach = [] if drift is None else [f"only up to {drift} symbols"]
    reach += _exceptions(fidelity, doubts)
    return f"{budget}{', '.join(reach)}: " if reach else budget


def _exceptions(fidelity: Fidelity, doubts: Doubts) -> list[str]:
    """On how many words of the worst kind it errs; or that it errs rarely, or on long words only, and on how many of
    the longest if these are many; empty where nothing that was read shows it to err."""
    right, worst = fidelity.words, fidelity.worst
    if right[worst, 0] < LEAST_AGREEMENT:
        return [f"wrong on {percent(1 - right[worst, 0])} of {_kind(fidelity, worst)}"]
    of_long = np.where(np.isnan(right[:, -1]), 1, right[:, -1])
    row = int(of_long.argmin())
    long = f"wrong on {percent(1 - of_long[row])} of {_kind(fidelity, row)} of {fidelity.lengths[-1]} symbols"
    many = [long] if of_long[row] < LEAST_AGREEMENT else []
    if _errs(fidelity, doubts):
        return (
            [f"with rare exceptions up to {fidelity.lengths[0]} symbols", *many] if many else ["with rare exceptions"]
        )
    if np.nanmin(right) < 1 or doubts.wrong.any():
        return many or [f"with exceptions past {fidelity.lengths[0]} symbols"]
    return []


def _errs(fidelity: Fidelity, doubts: Doubts) -> bool:
    """Whether anything of up to the usual length that was read shows the machine to err."""
    return bool(fidelity.words[fidelity.worst, 0] < 1 or doubts.wrong[:, 0].any())


def _kind(fidelity: Fidelity, row: int) -> str:
    """Words of this row, in plural."""
    name = fidelity.distributions[row]
    return "the task's words" if name == "task" else f"{name} words"


def _fault(n_states: int, fidelity: Fidelity, rows: list[int]) -> str:
    """Why the machine is not faithful on words of these distributions; empty where it is."""
    if fidelity.last[rows, 0].min() < FAITHFUL:
        return "NOT faithful"
    if fidelity.words[rows, 0].min() < FAITHFUL:
        return "NOT faithful, except at the end of words"
    drift = _drift(fidelity, rows)
    # Words of up to 2 n - 2 symbols distinguish any two machines of n states: less is no test.
    return f"NOT faithful past {drift} symbols" if drift is not None and drift < 2 * n_states - 2 else ""


def _drift(fidelity: Fidelity, rows: list[int]) -> int | None:
    lengths = [length for row in rows if (length := fidelity.drift.lengths[row]) is not None]
    return min(lengths, default=None)


def repeated(repeats: Repeats | None) -> list[str]:
    """Whether the same search finds the same machine with other random words."""
    if repeats is None:
        return []
    n = len(repeats.same)
    if repeats.same.all():
        return [f"the same machine in {n + 1} of {n + 1} searches with other random words"]
    others = sorted(set(repeats.n_states[~repeats.same].tolist()))
    sizes = ", ".join(str(size) for size in others)
    return [
        f"which machine is found depends on the random words: {(~repeats.same).sum()} of {n} other searches found "
        f"another, of {sizes} states"
    ]


def led(n_states: int, n_led: int, fidelity: Fidelity, doubts: Doubts) -> list[str]:
    """Of one state alone: that more was looked for where the network's outputs lead."""
    if n_states > 1 or not n_led:
        return []
    if _errs(fidelity, doubts):
        return ["the network shows more than one thing, which no machine that was found does"]
    return [f"no word was found after which the network shows anything else, of {n_led} to which its outputs lead"]


def visited(n_states: int, on_task: OnTask | None, fidelity: Fidelity) -> list[str]:
    """That the task's words do not visit all states, or could not be read."""
    if on_task is None or on_task.n_states >= n_states:
        return []
    if not fidelity.rows()[0]:
        return ["the task's trials hold inputs that are no symbols: none of its own words could be tested"]
    return [f"the task's words visit {on_task.n_states} of these"]


def agreement(fidelity: Fidelity) -> list[str]:
    """How many words of the task agree, and how many others, of the worst distribution."""
    return [_agreement(fidelity, rows) for rows in fidelity.rows() if rows]


def _agreement(fidelity: Fidelity, rows: list[int]) -> str:
    last, every, longer = fidelity.last, fidelity.words, fidelity.lengths[-1]
    worst, name = min(rows, key=lambda row: every[row, 0]), "words of the task of up to"
    number, symbols = fidelity.word_counts[worst, 0], fidelity.word_lengths[worst, 0]
    if fidelity.distributions[worst] != "task":
        up_to = "of up to" if fidelity.distributions[worst] == "near-language" else "of"
        name = f"{fidelity.distributions[worst]} words {up_to}"
        number, symbols = fidelity.n_test_words, fidelity.lengths[0]
    beyond = f"of {longer} symbols {percent(last[rows, -1].min())} and {percent(every[rows, -1].min())}"
    if np.isnan(every[rows, -1]).any():
        beyond = f"of {longer} symbols the task draws none"
    return (
        f"of {number} {name} {symbols} symbols {percent(last[worst, 0])} agree with the network at the end, "
        f"{percent(every[worst, 0])} (95 % sure: at least {percent(fidelity.words_low[worst, 0])}) after every "
        f"prefix; {beyond}"
    )


def bound(fidelity: Fidelity) -> str:
    """How many words disagree anywhere, at most."""
    task, others = fidelity.rows()
    most = [f"{np.ceil(1e4 * fidelity.pac.epsilon[rows, 0].max()) / 100:.4g} %" for rows in (task, others) if rows]
    of_task = f"{most[0]} of the task's words and " if task else ""
    return (
        f"with a probability of {percent(1 - fidelity.pac.delta)}, at most {of_task}{most[-1]} of words of "
        f"{fidelity.lengths[0]} symbols, of whichever {'other ' if task else ''}kind, disagree anywhere"
    )


def parting(fidelity: Fidelity) -> list[str]:
    """Past which length machine and network part, on the task's words and on others."""
    if fidelity.drift.length is None:
        return []
    task, others = fidelity.rows()
    of_task, other = _drift(fidelity, task), _drift(fidelity, others)
    where = [] if of_task is None else [f"{of_task} symbols of the task's words"]
    if other is not None:
        kind = next(fidelity.distributions[row] for row in others if fidelity.drift.lengths[row] == other)
        where.append(f"{other} symbols of {kind} words")
    text = f"95 % sure: they part (98 % agree no more) past {' and '.join(where)}"
    if task and of_task is None:
        text += f", not within {fidelity.word_lengths[task].max()} of the task's"
    return [text]


def disagreements(doubts: Doubts, lengths: np.ndarray, symbols: tuple[str, ...]) -> list[str]:
    """What a search for disagreement came to, on the task's words and on others."""
    wrong = np.rint(doubts.n_words[:, None] * doubts.wrong).astype(int)
    task = np.array([kind == "rare" for kind in doubts.kinds])
    parts, short = [], 0
    if "short" in doubts.kinds and len(symbols) > 1:
        short = round(math.log(doubts.n_words[doubts.kinds.index("short")], len(symbols)))
    for rows, whose in ((task, "of the task's rarest"), (~task, "further")):
        if rows.any():
            near, far = (int(wrong[rows, column].sum()) for column in (0, -1))
            plural = "" if near == 1 else "s"
            beyond = f" and {far or 'no'} within {lengths[-1]}" if wrong.shape[1] > 1 and whose == "further" else ""
            every = f" (all of up to {short} symbols among them)" if short and whose == "further" else ""
            parts.append(
                f"a search of {doubts.n_words[rows].sum()} {whose} words{every} found {near or 'no'} "
                f"disagreement{plural} within {lengths[0]} symbols{beyond}"
            )
    if doubts.word is not None:
        parts[-1] += f", the shortest after {_spelled(symbols, doubts.word)}"
    return parts


def by_truth(truth: Truth | None, symbols: tuple[str, ...]) -> list[str]:
    """Whether it is the task's machine."""
    if truth is None:
        return []
    if truth.equivalent:
        return ["equivalent to the task's machine"]
    return [f"not the task's machine: they differ after {_spelled(symbols, truth.word)}"]


def accuracy(on_task: OnTask | None) -> list[str]:
    """How often machine and network are right on the task."""
    if on_task is None or on_task.accuracy is None:
        return []
    found = on_task.accuracy
    return [
        f"right on the task: machine {percent(found.machine)}, network {percent(found.network)} of {found.n_trials} "
        "trials"
    ]


def counts(counting: Counting | None, symbols: tuple[str, ...]) -> list[str]:
    """That the network counts, how far, what becomes of it beyond, and what counts in its place; nothing where it does
    not."""
    if counting is None or counting.by_depth is None:
        return []
    if counting.table is not None:
        return _counter(counting, counting.table, symbols)
    deepest, depth, stack = len(counting.growth) - 1, counting.by_depth.depths[-1], counting.pushdown()
    name, instead = "counter", counting.tally
    if stack is not None:
        places = f"{stack.n_locations} location" + "s" * (stack.n_locations > 1)
        name, instead = f"pushdown automaton of {places}", counting.stack
    right = None if instead is None else instead.accuracy
    text = ""
    if instead is not None:
        text = f"a {name} agrees with the network on {percent(instead.fidelity[-1])} of prefixes at depth {depth}"
    if right is not None and counting.by_depth.network_accuracy is not None:
        text += (
            f", and is right by the task's language on {percent(right[-1])} (the network on "
            f"{percent(counting.by_depth.network_accuracy[-1])})"
        )
    unbounded = right is not None  # by a task whose language has no bound
    return [
        "not regular: states grow with the depth tested, one for each symbol up to "
        f"{counting.depth} ({counting.growth[-1]} at {deepest})"
        + ("" if unbounded else ", which does not exclude that some deeper bound was learned"),
        text,
    ]


def _counter(counting: Counting, table: CounterTable, symbols: tuple[str, ...]) -> list[str]:
    """Of a counter machine: what it adds, how far it has the network's answers, what the network does beyond."""
    exactly, nearly = counting.depth, counting.nearly
    added = " and ".join(
        ", ".join(f"'{name}' {step:+d}" for name, step in zip(symbols, row, strict=True) if step)
        for row in table.steps.tolist()
    ).replace("-", "−")
    n_states = CounterMachine(table.steps, table.transitions, table.shown).n_locations
    what = f"a machine of {plural_states(n_states)} with {('a counter', 'two counters')[len(table.steps) - 1]}"
    far = [f"all {table.n_tried} words of each depth tried up to {exactly}"] if exactly else []
    if nearly > exactly:
        least = percent(table.words_right[table.word_depths <= nearly].min())
        far.append(f"at least {least} of the {table.n_tried} words of each depth tried up to {nearly}")
    begins = f"counts to {exactly}" if exactly == nearly else f"counts to {exactly} and, with slips, to {nearly}"
    text = [f"{begins} ({added}): {what} has the network's answers after every prefix of {' and of '.join(far)}"]
    if nearly == table.word_depths[-1] and table.accuracy is None:
        text.append("none deeper was tried, which does not exclude that some deeper bound was learned")
    if counting.beyond is not None:
        text.append(_beyond(counting.beyond))
    if counting.finite:
        text.append("a finite machine, too, has all answers on these and on deeper words")
    network = None if counting.by_depth is None else counting.by_depth.network_accuracy
    if table.accuracy is not None and network is not None:
        text.append(
            f"at depth {table.word_depths[-1]} the counter is right by the task's language on "
            f"{percent(table.accuracy[-1])} of prefixes (the network on {percent(network[-1])})"
        )
    return text


def _beyond(beyond: Beyond) -> str:
    """What becomes of words that go deeper."""
    first, last = (int(depth) for depth in beyond.depths[[0, -1]])
    begins = f"beyond it, on the shortest words to depths {first} to {last},"
    if beyond.never.min() == 1:
        return f"{begins} the network never takes a word for closed"
    low, high = int(beyond.least[beyond.most >= 0].min()), int(beyond.most.max())
    if beyond.stays:
        return f"{begins} the count stays at {low}" + (f" to {high}" if high > low else "")
    shares = [f"{percent(beyond.right.mean())} are right"]
    shares += [f"{percent(beyond.never.mean())} are never taken for closed"] if beyond.never.any() else []
    if beyond.most[-1] >= 0 and beyond.right[-1] < 1:
        back = (int(beyond.least[-1]), int(beyond.most[-1]))
        shares.append(f"from {last} it has counted {back[0] if back[0] == back[1] else f'{back[0]} to {back[1]}'} back "
                      "when it takes the word for closed")  # fmt: skip
    return f"{begins} {', '.join(shares)}"


def _spelled(symbols: tuple[str, ...], word: tuple[int, ...] | None) -> str:
    if not word:
        return "the empty word"
    names = [symbols[symbol] for symbol in word]
    return "'" + (", " if any(" " in name for name in names) else " ").join(names) + "'"
