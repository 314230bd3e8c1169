"""Hidden Markov models with discrete outputs: sampling, likelihood, exact statistics of what they emit."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Integer
from pydantic import BeforeValidator, StrictFloat

from rnnscope.tasks.settings import settings_class
from rnnscope.tasks.task import check_count

SUM_TOLERANCE = 1e-8


class EntropyRate(NamedTuple):
    """An estimate and its standard error, both in nats per symbol."""

    estimate: float
    standard_error: float


def tuples(values: Any) -> Any:
    """Arrays and lists, nested or not, as tuples: what is stored is hashable and cannot be changed."""
    plain = values.tolist() if isinstance(values, np.ndarray | np.generic) else values
    return tuple(tuples(value) for value in plain) if isinstance(plain, list | tuple) else plain


Vector = Annotated[tuple[StrictFloat, ...], BeforeValidator(tuples)]
Matrix = Annotated[tuple[tuple[StrictFloat, ...], ...], BeforeValidator(tuples)]


@settings_class
class HMM:
    """A hidden Markov model: a Markov chain on states, each of which emits a symbol.

    Args:
        transitions: (state, state), row i the distribution of the state that follows i. Arrays or nested
            lists.
        emissions: (state, symbol), row i the distribution of the symbol that state i emits.
        start: (state,), the distribution of the first state; None is uniform.

    Raises:
        ValueError: shapes that do not agree, a negative probability, a row that does not sum to 1.
    """

    transitions: Matrix
    emissions: Matrix
    start: Vector | None = None

    def __post_init__(self) -> None:
        n_states = len(self.transitions)
        if n_states == 0:
            raise ValueError("transitions is empty; give at least one state, as [[1.0]]")
        for i, row in enumerate(self.transitions):
            if len(row) != n_states:
                raise ValueError(
                    f"transitions is not square: {n_states} rows, but row {i} has {len(row)} entries; "
                    "give one row and one column per state"
                )
        if len(self.emissions) != n_states:
            raise ValueError(f"emissions has {len(self.emissions)} rows for {n_states} states; give one row per state")
        for i, row in enumerate(self.emissions):
            if len(row) != len(self.emissions[0]):
                raise ValueError(
                    f"emissions row {i} has {len(row)} entries, row 0 has {len(self.emissions[0])}; "
                    "give every row one entry per symbol"
                )
        if self.start is not None and len(self.start) != n_states:
            raise ValueError(f"start has {len(self.start)} entries for {n_states} states; give one per state")
        for name, rows in (("transitions", self.transitions), ("emissions", self.emissions)):
            for i, row in enumerate(rows):
                _check_distribution(f"{name} row {i}", row)
        if self.start is not None:
            _check_distribution("start", self.start)

    @property
    def transition_matrix(self) -> Float64[np.ndarray, "state state"]:
        return np.array(self.transitions)

    @property
    def emission_matrix(self) -> Float64[np.ndarray, "state symbol"]:
        return np.array(self.emissions)

    @property
    def start_distribution(self) -> Float64[np.ndarray, " state"]:
        return np.full(self.n_states, 1 / self.n_states) if self.start is None else np.array(self.start)

    def __repr__(self) -> str:
        return f"HMM(n_states={self.n_states}, n_symbols={self.n_symbols})"

    @property
    def n_states(self) -> int:
        return len(self.transitions)

    @property
    def n_symbols(self) -> int:
        return len(self.emissions[0])

    def sample(
        self, n_sequences: int, length: int, rng: np.random.Generator
    ) -> tuple[Int64[np.ndarray, "sequence time"], Int64[np.ndarray, "sequence time"]]:
        """Draw (states, symbols). Raises ValueError where a count is below 1."""
        check_count("n_sequences", n_sequences)
        check_count("length", length)
        # The last row is where a sequence comes from at its start.
        sources = np.vstack([self.transition_matrix, self.start_distribution])
        draws = rng.random((length, n_sequences))
        return walk(sources[:, :, None] * self.emission_matrix, np.full(n_sequences, self.n_states), draws)

    def log_likelihood(self, symbols: Integer[np.ndarray, "sequence time"]) -> Float64[np.ndarray, " sequence"]:
        """log p(symbols) in nats, per sequence; -inf where the model cannot emit it.

        Raises:
            ValueError: a symbol outside 0 ... n_symbols - 1.
        """
        return self._forward(symbols)[1].sum(axis=1)

    def filtered(self, symbols: Integer[np.ndarray, "sequence time"]) -> Float64[np.ndarray, "sequence time state"]:
        """Belief states: the distribution of the state at t given the symbols up to and including t.

        Raises:
            ValueError: a symbol outside 0 ... n_symbols - 1, or a sequence that the model cannot emit.
        """
        beliefs, log_predictive = self._forward(symbols)
        impossible = np.argwhere(np.isneginf(log_predictive))
        if len(impossible):
            sequence, t = impossible[0]
            raise ValueError(
                f"the model cannot emit sequence {sequence} beyond step {t} (symbol {symbols[sequence, t]}), and "
                "no belief is defined there; log_likelihood gives -inf for such sequences"
            )
        return beliefs

    def predictions(self, symbols: Integer[np.ndarray, "sequence time"]) -> Float64[np.ndarray, "sequence time symbol"]:
        """The distribution of each symbol given those before it. Raises ValueError as `filtered` does."""
        start = np.broadcast_to(self.start_distribution, (len(symbols), 1, self.n_states))
        states = np.concatenate([start, self.filtered(symbols)[:, :-1] @ self.transition_matrix], axis=1)
        return states @ self.emission_matrix

    def stationary(self) -> Float64[np.ndarray, " state"]:
        """The stationary distribution of the states.

        Raises:
            ValueError: there are several, because the chain has closed sets of states that never meet.
        """
        return stationary_distribution(self.transition_matrix)

    def symbol_frequencies(self) -> Float64[np.ndarray, " symbol"]:
        """How often each symbol is emitted under stationarity. Raises ValueError as `stationary` does."""
        return self.stationary() @ self.emission_matrix

    def symbol_pairs(self) -> Float64[np.ndarray, "symbol symbol"]:
        """Joint distribution of two successive symbols under stationarity.

        Raises:
            ValueError: as `stationary` does.
        """
        return self._pairs(self.stationary())

    def symbol_transitions(self) -> Float64[np.ndarray, "symbol symbol"]:
        """P(next symbol | symbol) under stationarity; NaN in the row of a symbol that is never emitted.

        The outputs are no Markov chain: this is the marginal over everything that came before.

        Raises:
            ValueError: as `stationary` does.
        """
        pairs = self.symbol_pairs()
        total = pairs.sum(axis=1, keepdims=True)
        return np.divide(pairs, total, out=np.full_like(pairs, np.nan), where=total > 0)

    def volatility(self) -> float:
        """Expected output changes per step under stationarity. Raises ValueError as `stationary` does."""
        return float(1 - np.trace(self.symbol_pairs()))

    def marginals(self, length: int) -> Float64[np.ndarray, "time state"]:
        """The distribution of the state at each of `length` steps from the start. Raises ValueError where `length` is
        below 1."""
        check_count("length", length)
        marginals = np.empty((length, self.n_states))
        marginals[0] = self.start_distribution
        for t in range(1, length):
            marginals[t] = marginals[t - 1] @ self.transition_matrix
        return marginals

    def expected(self, length: int) -> tuple[Float64[np.ndarray, " symbol"], Float64[np.ndarray, "symbol symbol"]]:
        """Exact expectations, averaged over time, for sequences of `length` steps from the start distribution.

        Returns:
            frequencies: of the symbols over all steps.
            pairs: joint distribution of two successive symbols over all length - 1 steps; 1 - trace is the
                volatility.

        Raises:
            ValueError: `length` is below 2.
        """
        check_count("length", length, 2)
        marginals = self.marginals(length)
        return marginals.mean(0) @ self.emission_matrix, self._pairs(marginals[:-1].mean(0))

    def lagged_pairs(self, lags: Sequence[int], length: int) -> Float64[np.ndarray, "lag symbol symbol"]:
        """Exact joint distribution of a symbol and the one `lag` steps after it, for each of `lags`, averaged over the
        length - lag places that a sequence of `length` steps from the start distribution has for them.

        Raises:
            ValueError: no lag, one below 1, or one that does not fit into `length`.

        Example:
            >>> import numpy as np
            >>> from rnnscope.tasks import linear_chain
            >>> changes = 1 - np.trace(linear_chain(2).lagged_pairs([1, 2, 4], 30), axis1=1, axis2=2)
            >>> changes.round(3).tolist()
            [0.069, 0.113, 0.188]
        """
        if len(lags) == 0 or min(lags) < 1 or max(lags) >= length:
            raise ValueError(
                f"lags must be from 1 to length - 1 = {length - 1}, at least one of them, got {list(lags)}"
            )
        marginals, emissions = self.marginals(length), self.emission_matrix
        powers = (np.linalg.matrix_power(self.transition_matrix, lag) for lag in lags)
        states = [marginals[:-lag].mean(0)[:, None] * power for lag, power in zip(lags, powers, strict=True)]
        return emissions.T @ np.array(states) @ emissions

    def word_probabilities(self, width: int, length: int) -> Float64[np.ndarray, " word"]:
        """Exact probability of every word of `width` symbols, averaged over the places that a sequence of `length`
        steps from the start distribution has for it. Words are in the order of `itertools.product`: the last symbol
        changes fastest.

        Raises:
            ValueError: `width` is below 1, or above `length`.
        """
        if not 1 <= width <= length:
            raise ValueError(f"width must be from 1 to the length of a sequence, {length}, got {width}")
        by_symbol = self.emission_matrix.T
        joint = self.marginals(length)[: length - width + 1].mean(0) * by_symbol
        for _ in range(width - 1):
            joint = ((joint @ self.transition_matrix)[:, None] * by_symbol).reshape(-1, self.n_states)
        return joint.sum(1)

    def entropy_rate(self, n_sequences: int, length: int, rng: np.random.Generator) -> EntropyRate:
        """Monte-Carlo estimate of the entropy rate of the output, in nats per symbol.

        The mean of -log p(symbol | all symbols before it) over the second half of `n_sequences` sequences, so
        that the first half wears off the start; the standard error comes from the spread between sequences.

        Raises:
            ValueError: fewer than 2 sequences or 2 steps.
        """
        check_count("n_sequences", n_sequences, 2)
        check_count("length", length, 2)
        _, symbols = self.sample(n_sequences, length, rng)
        rates = -self._forward(symbols)[1][:, length // 2 :].mean(axis=1)
        return EntropyRate(float(rates.mean()), float(rates.std(ddof=1) / np.sqrt(n_sequences)))

    def to_json(self) -> str:
        """The model as JSON; `HMM.from_json` reads it."""
        return json.dumps({"transitions": self.transitions, "emissions": self.emissions, "start": self.start})

    @classmethod
    def from_json(cls, text: str) -> "HMM":
        """The inverse of `to_json`.

        Raises:
            ValueError: the text is no hidden Markov model.
        """
        try:
            fields = json.loads(text)
            return cls(fields["transitions"], fields["emissions"], fields.get("start"))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"this is no hidden Markov model in JSON ({error}): it needs transitions (state, state) and emissions "
                "(state, symbol), and may have start (state)"
            ) from error

    def to_dot(self, symbols: tuple[str, ...] | None = None) -> str:
        """The model in Graphviz's language: states with their symbols' probabilities, arrows with their own; `symbols`
        names the symbols ("0", "1", ... if None).

        Raises:
            ValueError: not one name for each symbol.
        """
        names = tuple(map(str, range(self.n_symbols))) if symbols is None else symbols
        if len(names) != self.n_symbols:
            raise ValueError(f"{len(names)} names for {self.n_symbols} symbols")
        lines = ["digraph hmm {", "  rankdir=LR; node [shape=circle];"]
        for i, row in enumerate(self.emissions):
            label = "\n".join(f"{name}: {p:.3g}" for name, p in zip(names, row, strict=True) if p > 0)
            lines.append(f"  q{i} [label={json.dumps(label, ensure_ascii=False)}];")
        for i, row in enumerate(self.transitions):
            lines += [f'  q{i} -> q{j} [label="{p:.3g}"];' for j, p in enumerate(row) if p > 0]
        return "\n".join([*lines, "}"]) + "\n"

    def _pairs(self, states: Float64[np.ndarray, " state"]) -> Float64[np.ndarray, "symbol symbol"]:
        """Joint distribution of the symbol emitted from `states` and the one after it."""
        return self.emission_matrix.T @ (states[:, None] * self.transition_matrix) @ self.emission_matrix

    def _forward(
        self, symbols: Integer[np.ndarray, "sequence time"]
    ) -> tuple[Float64[np.ndarray, "sequence time state"], Float64[np.ndarray, "sequence time"]]:
        """The scaled forward algorithm (Rabiner 1989): beliefs, and log p(symbol | symbols before)."""
        if symbols.size and not (symbols.min() >= 0 and symbols.max() < self.n_symbols):
            raise ValueError(f"symbols run from {symbols.min()} to {symbols.max()}; give 0 to {self.n_symbols - 1}")
        transitions, by_symbol = self.transition_matrix, self.emission_matrix.T
        beliefs = np.empty((*symbols.shape, self.n_states))
        log_predictive = np.empty(symbols.shape)
        prior = np.broadcast_to(self.start_distribution, (len(symbols), self.n_states))
        for t in range(symbols.shape[1]):
            joint = prior * by_symbol[symbols[:, t]]
            predictive = joint.sum(axis=1)
            possible = predictive > 0
            log_predictive[:, t] = np.log(predictive, out=np.full(len(symbols), -np.inf), where=possible)
            # After an impossible symbol the likelihood is -inf whatever follows: any prior will do.
            beliefs[:, t] = (
                np.where(possible[:, None], joint, 1) / np.where(possible, predictive, self.n_states)[:, None]
            )
            prior = beliefs[:, t] @ transitions
        return beliefs, log_predictive


def linear_chain(m: int) -> HMM:
    """A chain of m states whose ends emit symbols 0 and 2; symbol 1 is rare everywhere.

    Neighbours are entered with probability q = .05^(1/(m-1)); state i emits [.99 (1-a), .01, .99 a] with
    a = i/(m-1). Torre et al., "Mechanistic Interpretability of RNNs emulating Hidden Markov Models"
    (NeurIPS 2025).

    Raises:
        ValueError: m outside 2 ... 5: from 6 states on q > 1/2, and an inner state cannot leave both ways
            with it.
    """
    if not 2 <= m <= 5:
        raise ValueError(f"linear_chain({m}): inner states must be able to leave both ways; give m = 2, 3, 4 or 5")
    q = 0.05 ** (1 / (m - 1))
    transitions = q * (np.eye(m, k=1) + np.eye(m, k=-1))
    np.fill_diagonal(transitions, 1 - transitions.sum(axis=1))
    a = np.arange(m) / (m - 1)
    emissions = np.column_stack([0.99 * (1 - a), np.full(m, 0.01), 0.99 * a])
    return HMM(tuples(transitions), tuples(emissions))


def fully_connected(m: int = 3) -> HMM:
    """m states, each with a symbol of its own, every one entered from every other equally.

    Staying has probability .95; the state's own symbol .98, the others share .02. The paper's (see
    `linear_chain`) is m = 3.

    Raises:
        ValueError: m below 2.
    """
    check_count("m", m, 2)
    off = 1 - np.eye(m)
    transitions = 0.95 * np.eye(m) + 0.05 / (m - 1) * off
    return HMM(tuples(transitions), tuples(0.98 * np.eye(m) + 0.02 / (m - 1) * off))


def cyclic(m: int = 4) -> HMM:
    """Four states on a ring, two of which share each main symbol. Source: see `linear_chain`.

    Staying has probability .95, each neighbour .025.

    Raises:
        ValueError: m is not 4; the paper's emissions have no form for another ring.
    """
    if m != 4:
        raise ValueError(f"cyclic({m}): only the ring of m = 4 states has emissions defined; give 4")
    ring = np.roll(np.eye(4), 1, axis=1) + np.roll(np.eye(4), -1, axis=1)
    emissions = [[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.0, 0.1, 0.9], [0.0, 0.9, 0.1]]
    return HMM(tuples(0.95 * np.eye(4) + 0.025 * ring), tuples(emissions))


def walk(
    joint: Float64[np.ndarray, "source next_state symbol"],
    first: Int64[np.ndarray, " sequence"],
    draws: Float64[np.ndarray, "time sequence"],
) -> tuple[Int64[np.ndarray, "sequence time"], Int64[np.ndarray, "sequence time"]]:
    """The (next states, symbols) of sequences that come from `first`, given uniform numbers from 0 to 1.

    One number per step picks next state and symbol together, by the inverse of their joint cumulative distribution.
    """
    n_symbols = joint.shape[2]
    cumulative = np.cumsum(joint.reshape(len(joint), -1), axis=1)
    cumulative /= cumulative[:, -1:]  # exactly 1 from the last possible pair on, so that no draw overshoots
    by_pair = np.ascontiguousarray(cumulative.T)
    pairs = np.empty(draws.shape, dtype=np.int64)
    state = first
    for t, drawn in enumerate(draws):
        pairs[t] = np.sum(by_pair[:, state] <= drawn, axis=0)
        state = pairs[t] // n_symbols
    states, symbols = np.divmod(pairs.T, n_symbols)
    return np.ascontiguousarray(states), np.ascontiguousarray(symbols)


def stationary_distribution(transitions: Float64[np.ndarray, "state state"]) -> Float64[np.ndarray, " state"]:
    """The stationary distribution of a Markov chain.

    Raises:
        ValueError: there are several, because the chain has closed sets of states that never meet.
    """
    n_states = len(transitions)
    reach = np.eye(n_states, dtype=bool) | (transitions > 0)
    for _ in range(n_states.bit_length()):
        reach = reach @ reach  # paths of up to 2, 4, 8, ... steps
    recurrent = [i for i in range(n_states) if np.all(reach[reach[i], i])]
    closed = sorted({tuple(np.flatnonzero(reach[i]).tolist()) for i in recurrent})
    if len(closed) > 1:
        sets = " and ".join(str(list(states)) for states in closed)
        raise ValueError(
            f"the stationary distribution is not unique: the chain is reducible and never leaves the states "
            f"{sets} once there; connect them, or model each by itself"
        )
    inside = list(closed[0])
    distribution = np.zeros(n_states)
    distribution[inside] = _stationary_irreducible(transitions[np.ix_(inside, inside)])
    return distribution


def _check_distribution(name: str, values: tuple[float, ...]) -> None:
    if not values:
        raise ValueError(f"{name} is empty; give at least one probability")
    if min(values) < 0:
        raise ValueError(f"{name} has the negative probability {min(values):g}; give numbers from 0 to 1")
    total = sum(values)
    if abs(total - 1) > SUM_TOLERANCE:
        raise ValueError(f"{name} sums to {total:.10g}, not to 1; divide it by its sum")


def _stationary_irreducible(
    transitions: Float64[np.ndarray, "state state"],
) -> Float64[np.ndarray, " state"]:
    """By elimination of one state after the other without a subtraction (Grassmann, Taksar and Heyman 1985),
    so that no digits cancel however rarely the chain moves."""
    rates = transitions.copy()
    for k in range(len(rates) - 1, 0, -1):
        rates[:k, k] /= rates[k, :k].sum()
        rates[:k, :k] += np.outer(rates[:k, k], rates[k, :k])
    weights = np.ones(len(rates))
    for k in range(1, len(rates)):
        weights[k] = weights[:k] @ rates[:k, k]
    return weights / weights.sum()
