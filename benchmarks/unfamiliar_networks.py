"""200 networks that recognise languages which nothing here was tuned on: random ones, brackets, counters, keywords.

    python benchmarks/unfamiliar_networks.py FOLDER [--processes 2] [--longer]

Each is a torch module and a linear readout (or this package's leaky cell), trained on words of up to 30 symbols: a
third uniform, a third of the language, a third one edit away from it. Training ends early, at 90, 99 or 100 % of
prefixes right, or late. Even numbers are for tuning; odd ones are to be looked at once, at the end (`unfamiliar.py`).
Hardly any of those with counters, brackets or groups come out without an error: 24 more of these (from 200 on, all to
be looked at once) are trained four times as long, on words of up to 60 symbols, until 100 %.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import rnnscope as rs
from rnnscope.tasks.languages import Dyck, dyck_machine
from rnnscope.tasks.machine import Machine
from rnnscope.tasks.regex import regex_machine

LONGEST = 30  # symbols in a word of training
BATCH, RATE = 64, 4e-3
STOPS = ("early", "90", "99", "100", "late")
MOST_STEPS, EARLY_STEPS = 1500, 150
SECONDS = 25  # of training, at most
CELLS = ("vanilla", "leaky", "gru", "lstm")
SIZES = (8, 16, 32, 64, 128)
# How many of each kind.
KINDS = {
    "machine": 40,
    "expression": 40,
    "bounded brackets": 24,
    "counting": 32,
    "sparse": 24,
    "arithmetic": 20,
    "group": 20,
}


@dataclass(frozen=True)
class Words:
    """A language: the class of every prefix, and words of it.

    Attributes:
        name, n_symbols: of the language.
        machine: its minimal machine; None where it has none.
        accepts: whether each prefix of one word is in the language, where there is no machine.
        member: draws a word of the language of at most so many symbols, where there is no machine.
    """

    name: str
    n_symbols: int
    machine: Machine | None = None
    accepts: Callable[[list[int]], list[bool]] | None = None
    member: Callable[[np.random.Generator, int], list[int]] | None = None

    def labels(self, words: np.ndarray) -> np.ndarray:
        """(word, prefix), the empty one first."""
        if self.machine is not None:
            before = np.full(len(words), self.machine.initial)
            return self.machine.outputs[np.column_stack([before, self.machine.run(words)]), 0]
        assert self.accepts is not None
        return np.array([self.accepts(word) for word in words.tolist()], np.int64)

    @cached_property
    def _possible(self) -> np.ndarray:
        assert self.machine is not None
        return np.flatnonzero(self.machine.count_words(400)[:, self.machine.initial] > 0)

    def draw(self, n_words: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """Words of this length; the beginnings of most are uniform, of the language, or one edit away from it."""
        words = rng.integers(self.n_symbols, size=(n_words, length))
        lengths = rng.integers(1, length + 1, n_words)
        if self.machine is not None:
            possible = self._possible[self._possible <= length]
            if len(possible):
                lengths = possible[np.minimum(np.searchsorted(possible, lengths), len(possible) - 1)]
                inside = self.machine.sample(lengths, rng)
                members = [word[:n].tolist() for word, n in zip(inside, lengths, strict=True)]
            else:
                members = [[] for _ in range(n_words)]
        else:
            assert self.member is not None
            members = [self.member(rng, n)[:n] for n in lengths.tolist()]
        for row in range(n_words // 3, n_words):
            word = list(members[row])
            if row >= 2 * n_words // 3 and word:
                place, how = int(rng.integers(len(word))), int(rng.integers(3))
                if how == 0:
                    word[place] = int(rng.integers(self.n_symbols))
                elif how == 1:
                    word.insert(place, int(rng.integers(self.n_symbols)))
                else:
                    del word[place]
            word = word[:length]
            words[row, : len(word)] = word
        return words


def random_machine(rng: np.random.Generator) -> Words:
    while True:
        n, k = int(rng.integers(5, 21)), int(rng.integers(2, 7))
        machine = Machine(rng.integers(n, size=(n, k)), rng.integers(2, size=(n, 1))).minimise()
        if machine.n_states >= 5:
            return Words(f"random machine, {machine.n_states} states, {k} symbols", k, machine)


def expression(rng: np.random.Generator) -> Words:
    symbols = "abcd"[: int(rng.integers(2, 5))]

    def part(depth: int) -> str:
        if depth == 0 or rng.random() < 0.2:
            return str(rng.choice(list(symbols)))
        kind = rng.integers(4)
        if kind == 0:
            return f"({part(depth - 1)}|{part(depth - 1)})"
        if kind == 1:
            return f"({part(depth - 1)})*"
        return part(depth - 1) + part(depth - 1)

    while True:
        text = part(4)
        machine = regex_machine(text, symbols)
        if 4 <= machine.n_states <= 20:
            return Words(text, len(symbols), machine)


def bounded_brackets(rng: np.random.Generator) -> Words:
    n_types = int(rng.integers(1, 3))
    depth = int(rng.integers(2, 7 if n_types == 1 else 4))
    return Words(f"brackets of {n_types} types to depth {depth}", 2 * n_types, dyck_machine(n_types, depth).minimise())


def by_state(step: Callable, start: object, accepting: Callable) -> Callable[[list[int]], list[bool]]:
    """Prefixes from a step function; a state None is out for good."""

    def accepts(word: list[int]) -> list[bool]:
        state, shown = start, [bool(accepting(start))]
        for symbol in word:
            state = None if state is None else step(state, symbol)
            shown.append(state is not None and bool(accepting(state)))
        return shown

    return accepts


def runs(*multiples: int) -> Words:
    """a^(m1 n) b^(m2 n) ..., n >= 0."""

    def step(state: tuple[int, ...], symbol: int) -> tuple[int, ...] | None:
        last = max((i for i, n in enumerate(state) if n), default=0)
        if symbol < last:
            return None
        return tuple(n + (i == symbol) for i, n in enumerate(state))

    def accepting(state: tuple[int, ...]) -> bool:
        return all(state[0] * m == n * multiples[0] for m, n in zip(multiples, state, strict=True)) and (
            state[0] % multiples[0] == 0
        )

    def member(rng: np.random.Generator, longest: int) -> list[int]:
        n = int(rng.integers(0, longest // sum(multiples) + 1))
        return [symbol for symbol, m in enumerate(multiples) for _ in range(m * n)]

    name = " ".join(f"{'abcd'[i]}^{m if m > 1 else ''}n" for i, m in enumerate(multiples))
    return Words(name, len(multiples), None, by_state(step, (0,) * len(multiples), accepting), member)


def nested_runs() -> Words:
    """a^n b^m c^m d^n."""

    def step(state: tuple[int, ...], symbol: int) -> tuple[int, ...] | None:
        last = max((i for i, n in enumerate(state) if n), default=0)
        return None if symbol < last else tuple(n + (i == symbol) for i, n in enumerate(state))

    def member(rng: np.random.Generator, longest: int) -> list[int]:
        n = int(rng.integers(0, longest // 2 + 1))
        m = int(rng.integers(0, longest // 2 - n + 1))
        return [0] * n + [1] * m + [2] * m + [3] * n

    return Words("a^n b^m c^m d^n", 4, None, by_state(step, (0,) * 4, lambda s: s[0] == s[3] and s[1] == s[2]), member)


def marked() -> Words:
    """a^n c b^n."""

    def step(state: tuple[int, int], symbol: int) -> tuple[int, int] | None:
        depth, closing = state
        if symbol == 2:
            return None if closing else (depth, 1)
        if symbol == 0:
            return None if closing else (depth + 1, 0)
        return (depth - 1, 1) if closing and depth else None

    def member(rng: np.random.Generator, longest: int) -> list[int]:
        n = int(rng.integers(0, max((longest - 1) // 2, 0) + 1))
        return [0] * n + [2] + [1] * n

    return Words("a^n c b^n", 3, None, by_state(step, (0, 0), lambda s: s == (0, 1)), member)


def balance(kind: str) -> Words:
    """As many a as b; more a than b; brackets with a symbol that changes nothing."""
    k = 3 if kind == "brackets with c" else 2

    def step(state: int, symbol: int) -> int | None:
        state += (1, -1, 0)[symbol]
        return None if state < 0 and k == 3 else state

    def member(rng: np.random.Generator, longest: int) -> list[int]:
        word: list[int] = []
        while len(word) < longest:
            height = word.count(0) - word.count(1)
            if height >= longest - len(word):
                word.append(1)
            elif k == 3 and rng.random() < 0.15:
                word.append(2)
            else:
                word.append(int(rng.random() < 0.5 and (height > 0 or k == 2)))
        return word

    accepting = {"more a than b": lambda s: s > 0}.get(kind, lambda s: s == 0)
    return Words(kind, k, None, by_state(step, 0, accepting), member)


def brackets(n_types: int) -> Words:
    language = Dyck(n_types)

    def member(rng: np.random.Generator, longest: int) -> list[int]:
        n = longest // 2 * 2
        return language.sample(np.array([n]), rng)[0].tolist() if n else []

    def accepts(word: list[int]) -> list[bool]:
        return (language.labels(np.array([word]))[0] == 1).tolist()

    return Words(f"brackets of {n_types} types", 2 * n_types, None, accepts, member)


COUNTING = (
    lambda: brackets(1), lambda: runs(1, 1), lambda: balance("as many a as b"), lambda: runs(1, 1, 1),
    lambda: runs(1, 2), marked, lambda: balance("more a than b"), lambda: balance("brackets with c"),
)  # fmt: skip


def sparse(rng: np.random.Generator, number: int) -> Words:
    """A keyword, as the whole word, its end or anywhere; or a^n b^m c^m d^n."""
    if number % 6 >= 4:
        return nested_runs()
    k = int(rng.integers(4, 11))
    keyword = rng.integers(k, size=int(rng.integers(4, 9))).tolist()
    letters = "abcdefghij"[:k]
    text = "".join(letters[symbol] for symbol in keyword)
    pattern = (text, f"({text})*", f".*{text}.*", f".*{text}")[number % 4]
    return Words(pattern, k, regex_machine(pattern, letters))


def arithmetic(rng: np.random.Generator, number: int) -> Words:
    """Numbers in a base, the greatest digit first, or sums of digits, whose remainder lies in a set."""
    base, modulus = int(rng.integers(2, 6)), int(rng.integers(3, 9))
    wanted = rng.permutation(modulus)[: int(rng.integers(1, modulus))]
    state, digit = np.arange(modulus)[:, None], np.arange(base)
    to = (base * state + digit) % modulus if number % 2 else (state + digit) % modulus
    name = f"{'numbers' if number % 2 else 'sums'} in base {base} mod {modulus} in {sorted(wanted.tolist())}"
    return Words(name, base, Machine(to, np.isin(np.arange(modulus), wanted)[:, None].astype(np.int64)).minimise())


def group(rng: np.random.Generator, number: int) -> Words:
    """Words of generators whose product lies in a subset of the group."""
    name = ("S3", "D4", "Q8", "Z2 x Z2", "A4")[number % 5]
    if name in ("S3", "A4"):
        degree = 3 if name == "S3" else 4
        elements = [p for p in permutations(range(degree)) if degree == 3 or _even(p)]

        def times(p: tuple[int, ...], q: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(p[i] for i in q)
    elif name == "Z2 x Z2":
        elements = list(product(range(2), repeat=2))

        def times(p: tuple[int, ...], q: tuple[int, ...]) -> tuple[int, ...]:
            return tuple((a + b) % 2 for a, b in zip(p, q, strict=True))
    else:  # r^a s^b, s r = r^-1 s; s^2 = 1 in the dihedral group, r^2 in the quaternions
        twist = 2 if name == "Q8" else 0
        elements = list(product(range(4), range(2)))

        def times(p: tuple[int, ...], q: tuple[int, ...]) -> tuple[int, ...]:
            a, b = p[0] + (-q[0] if p[1] else q[0]), p[1] + q[1]
            return ((a + twist * (b == 2)) % 4, b % 2)

    place = {element: i for i, element in enumerate(elements)}
    while True:
        chosen = [elements[i] for i in rng.permutation(len(elements))[: int(rng.integers(2, 4))]]
        to = np.array([[place[times(g, s)] for s in chosen] for g in elements])
        wanted = rng.random(len(elements)) < 0.4
        unit = next(i for i, g in enumerate(elements) if all(times(g, h) == h for h in elements))
        machine = Machine(to, wanted[:, None].astype(np.int64), unit).minimise()
        if machine.n_states > 2:
            return Words(f"{name}, {len(chosen)} generators", len(chosen), machine)


def _even(p: tuple[int, ...]) -> bool:
    return sum(p[i] > p[j] for i in range(len(p)) for j in range(i + 1, len(p))) % 2 == 0


# Of networks from this number on: their kinds in turn, and how they are trained.
LONGER, N_LONGER = 200, 24
LONGER_KINDS, LONGER_WORDS, LONGER_STEPS, LONGER_SECONDS = ("counting", "bounded brackets", "group"), 60, 6000, 100


def language(number: int) -> tuple[str, Words]:
    """The kind and the language of a network; two in a row, one for tuning and one not, are of one kind."""
    rng = np.random.default_rng([1, number])
    if number >= LONGER:
        within = number - LONGER
        kind, turn = LONGER_KINDS[within % len(LONGER_KINDS)], within // len(LONGER_KINDS)
        makers = {"counting": COUNTING[turn % len(COUNTING)], "bounded brackets": lambda: bounded_brackets(rng),
                  "group": lambda: group(rng, turn)}  # fmt: skip
        return kind, makers[kind]()
    kinds = [kind for kind, n in KINDS.items() for _ in range(n)]
    kind = kinds[number]
    within = (number - kinds.index(kind)) // 2
    match kind:
        case "machine":
            return kind, random_machine(rng)
        case "expression":
            return kind, expression(rng)
        case "bounded brackets":
            return kind, bounded_brackets(rng)
        case "counting":
            return kind, COUNTING[within % len(COUNTING)]()
        case "sparse":
            return kind, sparse(rng, within)
        case "arithmetic":
            return kind, arithmetic(rng, within)
    return kind, group(rng, within)


def settings(number: int) -> dict[str, object]:
    """The cell, its size and when training ends, drawn for each network."""
    rng = np.random.default_rng([2, number])
    if number >= LONGER:
        return {"number": number, "cell": CELLS[int(rng.integers(4))], "units": int(rng.choice((16, 32, 64))),
                "stop": "longer"}  # fmt: skip
    cell, stop = CELLS[int(rng.integers(4))], STOPS[int(rng.integers(5))]
    return {"number": number, "cell": cell, "units": int(rng.choice(SIZES)), "stop": stop}


def build(cell: str, units: int, n_symbols: int) -> torch.nn.Module:
    if cell == "leaky":
        return rs.Network(rs.cells.Leaky(units, nonlinearity="tanh", start="zero"), n_symbols, 1)
    return Recogniser(cell, units, n_symbols)


class Recogniser(torch.nn.Module):
    def __init__(self, cell: str, units: int, n_symbols: int) -> None:
        super().__init__()
        kind = {"vanilla": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
        self.core = kind(n_symbols, units, batch_first=True)
        self.readout = torch.nn.Linear(units, 1)

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.readout(self.core(inputs)[0]), None


def learn_batch(
    module: torch.nn.Module, optimiser: torch.optim.Optimizer, words: Words, longest: int, rng: np.random.Generator
) -> float:
    """One step of training; the share of prefixes that were right before it."""
    shown = words.draw(BATCH, int(rng.integers(4, longest + 1)), rng)
    wanted = torch.as_tensor(words.labels(shown)[:, 1:], dtype=torch.float32)
    outputs = module(torch.nn.functional.one_hot(torch.as_tensor(shown), words.n_symbols).float())[0][..., 0]
    # Of a sparse language the few prefixes that are in it count as much as all others.
    share = wanted.mean().clamp(0.05, 0.95)
    weight = torch.where(wanted > 0, 0.5 / share, 0.5 / (1 - share))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(outputs, wanted, weight)
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimiser.step()
    return float(((outputs > 0) == (wanted > 0.5)).float().mean())


def train(number: int, folder: Path) -> dict[str, object]:
    """Train one network and save it; a running mean of about 20 batches decides when it ends."""
    torch.set_num_threads(1)
    torch.manual_seed(number)
    rng, begin = np.random.default_rng([3, number]), time.process_time()
    (kind, words), given = language(number), settings(number)
    module = build(str(given["cell"]), int(str(given["units"])), words.n_symbols)
    optimiser = torch.optim.Adam(module.parameters(), lr=RATE)
    stop = str(given["stop"])
    right, step, long = 0.0, 0, stop == "longer"
    steps, seconds, longest = (LONGER_STEPS, LONGER_SECONDS, LONGER_WORDS) if long else (MOST_STEPS, SECONDS, LONGEST)
    for step in range(1, steps + 1):
        right = 0.95 * right + 0.05 * learn_batch(module, optimiser, words, longest, rng)
        if long:  # so small a rate at the end lets it settle
            for group_ in optimiser.param_groups:
                group_["lr"] = RATE * max(0.02, 1 - (time.process_time() - begin) / seconds)
        ended = {"early": step >= EARLY_STEPS, "90": right > 0.90, "99": right > 0.99, "100": right > 0.9999,
                 "longer": right > 1 - 1e-7}  # fmt: skip
        if ended.get(stop, False) or time.process_time() - begin > seconds:
            break
    row = {**given, "kind": kind, "language": words.name, "steps": step, "right": right,
           "seconds": time.process_time() - begin}  # fmt: skip
    save_file(module.state_dict(), folder / f"{number}.safetensors")
    (folder / f"{number}.json").write_text(json.dumps(row))
    return row


def load(number: int, folder: Path) -> tuple[dict[str, Any], Words, Any]:
    """What is known of a network, its language, and the network to be asked, with its readout."""
    row, words = json.loads((folder / f"{number}.json").read_text()), language(number)[1]
    module: Any = build(row["cell"], row["units"], words.n_symbols).double()
    module.load_state_dict(load_file(folder / f"{number}.safetensors"))
    subject = module if isinstance(module, rs.Network) else rs.wrap(module.core, readout=module.readout)
    return row, words, subject


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="where the networks are kept")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", type=int, nargs="*", help="numbers")
    parser.add_argument("--longer", action="store_true", help="those that are trained longer")
    given = parser.parse_args()
    if given.folder is None:
        print("name a folder for the networks")
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    all_ = range(LONGER, LONGER + N_LONGER) if given.longer else range(sum(KINDS.values()))
    numbers = given.only or [n for n in all_ if not (given.folder / f"{n}.json").exists()]
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        for row in pool.starmap(train, [(n, given.folder) for n in numbers], chunksize=1):
            print(row, flush=True)


if __name__ == "__main__":
    main()
