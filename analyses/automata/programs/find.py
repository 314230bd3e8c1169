"""Which short program of whole numbers does a network follow, also where it counts without bound?

Small recurrent networks that were trained on a task of whole numbers often hold these as points of a lattice, from
which an affine map reads them (Michaud et al., "Opening the AI black box: program synthesis via mechanistic
interpretability", 2024). Here programs are proposed from the network's answers alone, and ranked by whether what they
keep can be read from its states: z = round(A h + b), A and b by least squares. Whether network and program agree is
then asked of held-out words. Agreement on samples is no proof.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy.typing import ArrayLike

from rnnscope.analyses.automata.programs.result import Agreement, Decoding, NetworkProgram
from rnnscope.analyses.automata.reader import Reader
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import as_subject
from rnnscope.tasks.programs.of_machine import Symbols, read_as
from rnnscope.tasks.programs.program import Program
from rnnscope.tasks.programs.search import Examples, Limits
from rnnscope.tasks.programs.search import find_program as search_program

Draw = Callable[[int, int, np.random.Generator], np.ndarray]
FLAT = 1e-9  # directions of the states with less of the largest singular value hold nothing but rounding


def find_program(
    system: Any,
    *,
    alphabet: ArrayLike,
    symbols: Symbols | None = None,
    labels: Callable[[np.ndarray], np.ndarray] | None = None,
    draw: Draw | None = None,
    n_words: int = 150,
    length: int = 20,
    n_test_words: int = 300,
    test_lengths: tuple[int, ...] = (50, 100),
    least_agreement: float = 0.999,
    least_decoded: float = 0.98,
    limits: Limits | None = None,
    seed: int = 0,
) -> NetworkProgram:
    """Look for a short program that shows with each symbol what the network shows.

    Args:
        system: a Run, Network, torch module or StateMap, with a readout.
        alphabet: the input vector of each symbol, (symbol, input).
        symbols: what the symbols are: names, whole numbers, or tuples of as many whole numbers each (several streams),
            which formulas then are of. None: 0, 1 ...
        labels: outputs (..., output) -> whole numbers (..., head). None: a single output rounded to the nearest whole
            number, of several the largest.
        draw: (number, length, rng) -> words of symbol numbers, such as the network was trained with. None: every symbol
            equally likely.
        n_words: words that the program is found from, and as many that it has to agree on.
        length: symbols in each of them; where nothing is found, half as many are tried.
        n_test_words: held-out words of `length` and each of `test_lengths`.
        test_lengths: see above.
        least_agreement: the share of symbols with which a program has to agree, on words that it was not found from.
        least_decoded: the share of prefixes at which a number has to be read from the states, to be built on, or
            preferred to others.
        limits: how far the search goes; None: `Limits()`.
        seed: of words.

    Returns:
        The first program of the simplest kind that agrees, or none. None found is no proof that there is none.

    Raises:
        NotApplicable: the network has no readout, or its states diverge.
        ValueError: symbols and alphabet do not fit, or labels are no whole numbers.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> from rnnscope.analyses.automata import find_program
        >>> counter = rs.FunctionMap(
        ...     lambda h, u: np.maximum(h + u, 0.0), state_size=1, input_size=1, readout=lambda h: h, readout_size=1)
        >>> found = find_program(counter, alphabet=[[-1.0], [1.0]], symbols=[-1, 1])
        >>> print(found.to_python())
        def step(symbols):
            \"\"\"Yields what is shown after each of the symbols.\"\"\"
            level = 0
            for x in symbols:
                level = max(level + x, 0)
                yield level
        <BLANKLINE>
    """
    state_map = as_subject(system).map
    if state_map.readout_size == 0:
        raise NotApplicable("a program needs answers, and this map has no readout: give the network one")
    vectors = np.asarray(alphabet, np.float64)
    if vectors.ndim != 2 or vectors.shape[1] != state_map.input_size or not len(vectors):
        raise ValueError(f"alphabet must have shape (symbol, {state_map.input_size}), got {vectors.shape}")
    values, streams, names = read_as(range(len(vectors)) if symbols is None else symbols, len(vectors))
    reader = Reader(state_map, vectors, labels or _round_or_choose)
    rng = np.random.default_rng(seed)
    draw = draw or (lambda n, steps, rng: rng.integers(len(vectors), size=(n, steps)))
    found, n_examples = None, 0
    for steps in dict.fromkeys((length, max(length // 2, 2))):
        words = draw(n_words, steps, rng)
        states, shown = _visit(reader, words, rng)
        held = draw(n_words, steps, rng)
        wanted = reader.read(held, rng)[:, 1:]
        basis = _basis(states)
        n_examples += words.size

        def accept(program: Program, held: np.ndarray = held, wanted: np.ndarray = wanted) -> bool:
            try:
                return bool((program.run(values[held]) == wanted).all(-1).mean() >= least_agreement)
            except ValueError:  # its table lacks a row
                return False

        found = search_program(
            Examples(values[words], shown, streams, names),
            limits or Limits(),
            lambda kept, basis=basis: _read(basis, kept) >= least_decoded,
            accept,
        )
        if found is not None:
            break
    if found is None:
        return NetworkProgram(program=None, agreement=None, decoding=None, n_examples=n_examples)
    lengths = (length, *(each for each in test_lengths if each > length))
    return NetworkProgram(
        program=found,
        agreement=_agreement(found, reader, values, draw, lengths, n_test_words, rng),
        decoding=_decoding(found, reader, values, draw, n_words, length, rng),
        n_examples=n_examples,
    )


def _round_or_choose(outputs: np.ndarray) -> np.ndarray:
    if outputs.shape[-1] == 1:
        return np.rint(outputs).astype(np.int64)
    return outputs.argmax(-1, keepdims=True)


def _visit(
    reader: Reader, words: np.ndarray, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "word prefix unit"], Int64[np.ndarray, "word time head"]]:
    states = reader.visit(reader.alphabet[words], rng)
    return states, reader.show(states[:, 1:])


def _basis(states: Float[np.ndarray, "word prefix unit"]) -> Float[np.ndarray, "sample direction"]:
    """Of all that an affine map can read from these states."""
    flat = states.reshape(-1, states.shape[-1])
    left, size, _ = np.linalg.svd(np.column_stack([flat, np.ones(len(flat))]), full_matrices=False)
    return left[:, size > FLAT * size[0]]


def _read(
    basis: Float[np.ndarray, "sample direction"], kept: Int64[np.ndarray, "candidate word prefix"]
) -> Float[np.ndarray, " candidate"]:
    """The share of these states at which each number is read, rounded."""
    flat = kept.reshape(len(kept), len(basis)).astype(np.float64)
    return (np.rint(flat @ basis @ basis.T) == flat).mean(1)


def _agreement(
    program: Program,
    reader: Reader,
    values: np.ndarray,
    draw: Draw,
    lengths: tuple[int, ...],
    n_words: int,
    rng: np.random.Generator,
) -> Agreement:
    symbols, words, follows = [], [], 0
    for length in lengths:
        tested = draw(n_words, length, rng)
        same = _same(program, values[tested], reader.read(tested, rng)[:, 1:])
        symbols.append(same.mean())
        words.append(same.all(1).mean())
        follows = int(np.logical_and.accumulate(same.all(0)).sum())
    return Agreement(
        lengths=np.array(lengths), n_words=n_words, symbols=np.array(symbols), words=np.array(words), follows=follows
    )


def _same(program: Program, read: np.ndarray, wanted: np.ndarray) -> Bool[np.ndarray, "word time"]:
    """Whether both show the same; at no symbol of a word for which a table of the program lacks a row."""
    try:
        return (program.run(read) == wanted).all(-1)
    except ValueError:
        same = np.zeros(wanted.shape[:2], bool)
    for i in range(len(read)):
        with contextlib.suppress(ValueError):
            same[i] = (program.run(read[i : i + 1])[0] == wanted[i]).all(-1)
    return same


def _decoding(
    program: Program,
    reader: Reader,
    values: np.ndarray,
    draw: Draw,
    n_words: int,
    length: int,
    rng: np.random.Generator,
) -> Decoding | None:
    """Fitted on words, tried on others."""
    if not program.registers:
        return None
    sides = []
    for _ in range(2):
        words = draw(n_words, length, rng)
        states = _visit(reader, words, rng)[0][:, 1:]
        columns = np.column_stack([states.reshape(-1, states.shape[-1]), np.ones(words.size)])
        sides.append((columns, program.trace(values[words]).reshape(words.size, -1)))
    (fitted, kept), (columns, wanted) = sides
    weights = np.linalg.lstsq(fitted, kept.astype(np.float64), rcond=FLAT)[0]
    right = (np.rint(columns @ weights) == wanted).mean(0)
    chance = np.array([np.unique(each, return_counts=True)[1].max() / len(each) for each in wanted.T])
    return Decoding(weights=weights[:-1].T, bias=weights[-1], right=right, chance=chance)
