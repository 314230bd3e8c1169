"""States of a next-symbol predictor told apart by their futures, and merged into a probabilistic automaton.

The signature of a state is the probabilities of all words of up to `DEPTH` symbols that may follow it. Visited states
are clustered by it into more clusters than needed; a symbol leads from a cluster to the one that most of the
probability flows to; then the two states whose futures differ least are merged, again and again (probabilistic
bisimulation with a price instead of a tolerance: Larsen & Skou, Information and Computation 1991). The futures that
are compared are those of the automaton, so that states are one only if what they lead to is one, too. At each size the
automaton is run on the sampled words, open loop, and its arrows and probabilities are set anew to what is likeliest
after the words that lead to a state.
"""

from operator import itemgetter
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.not_applicable import NotApplicable
from rnnscope.maps import StateMap

DEPTH = 3
MAX_WORDS = 300  # of the longest words of a signature: with many symbols they are shorter
MAX_POINTS = 3000
STRAY = 0.02  # share of the symbols in the words that an automaton is made from
ROUNDS = 6
N_CLUSTERS = 96
SOME_WORDS = 60  # for what need not be exact
TRIED = 8  # unions at each size, if the first ones break more than they save
PRICE = 5e-6  # nats a symbol that a state has to win: what it costs in a description of a few million symbols
LEAST = 1e-12


class Sampled(NamedTuple):
    """Words that the network wrote: its state before each symbol, the distribution of the symbol there, the symbol."""

    states: Float[np.ndarray, "sequence time unit"]
    probabilities: Float[np.ndarray, "sequence time symbol"]
    symbols: Int64[np.ndarray, "sequence time"]


class Automaton(NamedTuple):
    """A probabilistic automaton; `weight` is how often each state was visited, as a share."""

    transitions: Int64[np.ndarray, "state symbol"]
    emission: Float[np.ndarray, "state symbol"]
    initial: int
    weight: Float[np.ndarray, " state"]


class Writer(NamedTuple):
    """A network that predicts the next symbol and reads it."""

    map: StateMap
    alphabet: Float[np.ndarray, "symbol input"]

    def probabilities(self, states: Float[np.ndarray, "*batch unit"]) -> Float[np.ndarray, "*batch symbol"]:
        """Of the next symbol.

        Raises:
            NotApplicable: the states have diverged.
        """
        logits = self.map.readout(states)
        if not np.isfinite(logits).all():
            raise NotApplicable("the network's states diverge on its own words: train it further, or shorten `length`")
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        return weights / weights.sum(-1, keepdims=True)

    def read(
        self, states: Float[np.ndarray, "*batch unit"], symbols: Int64[np.ndarray, "*batch"]
    ) -> Float[np.ndarray, "*batch unit"]:
        return self.map.step(states, self.alphabet[symbols])

    def write(self, n_words: int, length: int, rng: np.random.Generator, stray: float = 0.0) -> Sampled:
        """Let the network read what it writes; a share `stray` of the symbols is drawn at random instead, because an
        automaton has to know where to go after unlikely symbols, too."""
        state = self.map.initial_states(n_words, rng)
        states, probabilities, symbols = [], [], []
        for _ in range(length):
            states.append(state)
            probabilities.append(self.probabilities(state))
            drawn = _draw(probabilities[-1], rng)
            astray = rng.random(n_words) < stray
            symbols.append(np.where(astray, rng.integers(len(self.alphabet), size=n_words), drawn))
            state = self.read(state, symbols[-1])
        return Sampled(np.stack(states, 1), np.stack(probabilities, 1), np.stack(symbols, 1))

    def futures(self, states: Float[np.ndarray, "point unit"], depth: int) -> list[Float[np.ndarray, "point word"]]:
        """The probabilities of all words of 1, 2, ... `depth` symbols after each state; words in alphabetical order."""
        n_points, n_symbols = len(states), len(self.alphabet)
        reached, weight, found = states[:, None], np.ones((n_points, 1)), []
        for level in range(depth):
            weight = (weight[..., None] * self.probabilities(reached)).reshape(n_points, -1)
            found.append(weight)
            if level < depth - 1:
                many = np.repeat(reached, n_symbols, 1)
                next_symbol = np.tile(np.arange(n_symbols), (n_points, reached.shape[1]))
                reached = self.read(many, next_symbol)
        return found


def depth_for(n_symbols: int) -> int:
    """How long the words of a signature are: `DEPTH`, less where there would be too many."""
    return max(1, min(DEPTH, int(np.log(MAX_WORDS) / np.log(max(n_symbols, 2)))))


def divergence(
    network: Float[np.ndarray, "*batch symbol"], model: Float[np.ndarray, "*batch symbol"]
) -> Float[np.ndarray, "*batch"]:
    """KL(network || model) of the next symbol, in nats."""
    return (network * (np.log(np.maximum(network, LEAST)) - np.log(np.maximum(model, LEAST)))).sum(-1)


def visited(automaton: Automaton, symbols: Int64[np.ndarray, "word time"]) -> Int64[np.ndarray, "word time"]:
    """The state before each symbol."""
    states = np.empty(symbols.shape, np.int64)
    state = np.full(len(symbols), automaton.initial)
    for t in range(symbols.shape[1]):
        states[:, t] = state
        state = automaton.transitions[state, symbols[:, t]]
    return states


def word_divergence(automaton: Automaton, sampled: Sampled) -> Float[np.ndarray, " word"]:
    """KL(network || model) in nats a symbol, along each word."""
    return divergence(sampled.probabilities, automaton.emission[visited(automaton, sampled.symbols)]).mean(1)


class Chosen(NamedTuple):
    """The automaton with the best bargain of divergence and size, and what it was chosen from, smallest first."""

    automaton: Automaton
    tried: list[Automaton]


def choose(
    writer: Writer,
    fitted: Sampled,
    checked: Sampled,
    n_states: int | None,
    max_states: int,
    rng: np.random.Generator,
) -> Chosen:
    """The automaton of at most `max_states` states that minimises KL(network || model) + `PRICE` for each state, on
    words other than those it was made from; with `n_states`, the one of that size (failing that the next smaller)."""
    depth = depth_for(len(writer.alphabet))
    limit = max_states if n_states is None else n_states
    some = fitted.states[:SOME_WORDS]
    ahead = writer.futures(some.reshape(-1, some.shape[-1]), depth)[-1].reshape(*some.shape[:2], -1)

    def judge(automaton: Automaton) -> tuple[float, int, Automaton]:
        found = _reachable(automaton)
        states = visited(found, checked.symbols)
        sums = _sums(checked.probabilities.reshape(states.size, -1), states.ravel(), len(found.weight))
        loss = -float((sums * np.log(np.maximum(found.emission, LEAST))).sum()) / states.size
        return loss + PRICE * len(found.weight), len(found.weight), found

    best: dict[int, tuple[float, int, Automaton]] = {}
    for made in _merged(writer, fitted, max(N_CLUSTERS, 2 * limit), rng):
        if len(made.weight) <= 1.5 * limit:
            for found in (judge(_emit(made, fitted)), judge(_refit(made, fitted, ahead, depth))):
                if found[1] <= limit and (found[1] not in best or found[0] < best[found[1]][0]):
                    best[found[1]] = found
    if n_states is None:
        chosen = min(best.values(), key=itemgetter(0))
        # Bisimulation once more, now that every union can be judged by what it does to the whole automaton.
        while chosen[1] > 1:
            flow = _Flow.of(chosen[2])
            unions = [flow.join(a, b).automaton() for a, b in flow.nearest(depth)]
            shrunk = min((judge(_refit(u, fitted, ahead, depth)) for u in unions), key=itemgetter(0))
            if shrunk[0] >= chosen[0]:
                break
            chosen = shrunk
            best[chosen[1]] = min(best.get(chosen[1], chosen), chosen, key=itemgetter(0))
    else:
        chosen = best[max(best)]
    return Chosen(chosen[2], [best[size][2] for size in sorted(best)])


def _merged(writer: Writer, fitted: Sampled, n_clusters: int, rng: np.random.Generator) -> list[Automaton]:
    """Automata of `n_clusters` states (fewer where fewer differ) and every smaller number, largest first."""
    n_symbols = len(writer.alphabet)
    depth = depth_for(n_symbols)
    flat = fitted.states.reshape(-1, fitted.states.shape[-1])
    points = np.concatenate([flat[:1], flat[rng.choice(len(flat), min(len(flat), MAX_POINTS), replace=False)]])
    levels = writer.futures(points, depth + 1)
    own = np.sqrt(np.concatenate(levels[:-1], 1))
    after = [
        level.reshape(len(points), n_symbols, -1) / np.maximum(levels[0][..., None], LEAST) for level in levels[1:]
    ]
    ahead = np.sqrt(np.concatenate(after, 2))
    cluster, target = _cluster(own, ahead, n_clusters, rng)
    n_found = int(cluster.max()) + 1
    flow = np.zeros((n_found, n_symbols, n_found))
    np.add.at(flow, (cluster[:, None], np.arange(n_symbols), target), levels[0])
    emission = np.zeros((n_found, n_symbols))
    np.add.at(emission, cluster, levels[0])
    chain, path = _Flow(flow, emission, int(cluster[0])), []
    some = Sampled(*(part[:SOME_WORDS] for part in fitted))
    loss = _loss(chain.automaton(), some)
    while True:
        path.append(chain.automaton())
        if len(chain.flow) == 1:
            return path
        tried: list[tuple[float, int, _Flow]] = []
        for rank, (a, b) in enumerate(chain.nearest(depth)):
            union = chain.join(a, b)
            tried.append((_loss(union.automaton(), some), rank, union))
            if tried[-1][0] <= loss + PRICE:
                break
        loss, _, chain = min(tried)


def _refit(
    automaton: Automaton, fitted: Sampled, ahead: Float[np.ndarray, "word time future"], depth: int
) -> Automaton:
    """Run the automaton on the words; give every state the mean distribution of the symbol where the automaton is in
    it, and every arrow the target whose future is likeliest there. Repeated until nothing changes.

    Args:
        ahead: the probabilities of the words of `depth` symbols after each state of the network, in the first words.
    """
    n_symbols = fitted.probabilities.shape[-1]
    best = _emit(automaton, fitted)
    best_loss = _loss(best, fitted)
    flat = ahead[:, 1:].reshape(-1, ahead.shape[-1])
    current = best
    for _ in range(ROUNDS):
        n_states = len(current.transitions)
        read = fitted.symbols[: len(ahead)]
        arrow = visited(current, read) * n_symbols + read
        after = _sums(flat, arrow[:, :-1].ravel(), n_states * n_symbols)
        scores = after @ np.log(np.maximum(_model_futures(current, depth)[-1], LEAST)).T
        seen = after.sum(1) > 0
        old = current.transitions.ravel()
        # An arrow that was never taken stays where it is.
        transitions = np.where(seen, scores.argmax(1), old).reshape(n_states, n_symbols)
        if np.array_equal(transitions, current.transitions):
            break
        current = _emit(current._replace(transitions=transitions), fitted)
        loss = _loss(current, fitted)
        if loss < best_loss:
            best, best_loss = current, loss
    return best


def _reachable(automaton: Automaton) -> Automaton:
    """Without the states that no word leads to, numbered in the order in which they are met."""
    order, place = [automaton.initial], {automaton.initial: 0}
    for state in order:
        for target in automaton.transitions[state].tolist():
            if target not in place:
                place[target] = len(order)
                order.append(target)
    kept = np.array(order)
    number = np.full(len(automaton.transitions), -1)
    number[kept] = np.arange(len(kept))
    share = automaton.weight[kept]
    return Automaton(number[automaton.transitions[kept]], automaton.emission[kept], 0, share / share.sum())


class _Flow(NamedTuple):
    """Probability that moves from state to state by each symbol."""

    flow: Float[np.ndarray, "state symbol next_state"]
    emission: Float[np.ndarray, "state symbol"]  # summed over points
    initial: int

    @classmethod
    def of(cls, automaton: Automaton) -> "_Flow":
        n_states, n_symbols = automaton.transitions.shape
        moved = automaton.weight[:, None] * automaton.emission
        flow = np.zeros((n_states, n_symbols, n_states))
        flow[np.arange(n_states)[:, None], np.arange(n_symbols), automaton.transitions] = moved
        return cls(flow, moved, automaton.initial)

    def automaton(self) -> Automaton:
        weight = self.emission.sum(1)
        emission = self.emission / np.maximum(weight[:, None], LEAST)
        emission[weight <= LEAST] = 1 / emission.shape[1]  # a state of no weight, which words lead past
        return Automaton(self.flow.argmax(2), emission, self.initial, weight / weight.sum())

    def nearest(self, depth: int) -> list[tuple[int, int]]:
        """The pairs of states whose union would lose least likelihood, the best first: by the Jensen-Shannon divergence
        of their futures, weighted by how often they are visited."""
        now = self.automaton()
        futures = np.maximum(_model_futures(now, depth)[-1], LEAST)
        w = now.weight
        entropy = -(futures * np.log(futures)).sum(1)
        both = np.maximum(w[:, None] + w, LEAST)
        cost = np.full(both.shape, np.inf)
        for a in range(len(w) - 1):  # row by row: all pairs at once would not fit into the cache
            mean = (w[a] * futures[a] + w[a + 1 :, None] * futures[a + 1 :]) / both[a, a + 1 :, None]
            mean = np.maximum(mean, LEAST)
            mixed = -(mean * np.log(mean)).sum(1)
            cost[a, a + 1 :] = both[a, a + 1 :] * mixed - w[a] * entropy[a] - w[a + 1 :] * entropy[a + 1 :]
        n_pairs = len(w) * (len(w) - 1) // 2
        first = np.argpartition(cost.ravel(), min(TRIED, n_pairs) - 1)[: min(TRIED, n_pairs)]
        first = first[np.argsort(cost.ravel()[first], kind="stable")]
        return [(int(pair) // len(w), int(pair) % len(w)) for pair in first]

    def join(self, a: int, b: int) -> "_Flow":
        """Make one state of a < b."""
        n = len(self.flow)
        new = np.arange(n)
        new[b] = a
        new[new > b] -= 1
        kept = np.arange(n) != b
        rows = self.flow[kept]
        rows[a] += self.flow[b]
        emission = self.emission[kept]
        emission[a] += self.emission[b]
        flow = rows[..., kept]
        flow[..., a] += rows[..., b]
        return _Flow(flow, emission, int(new[self.initial]))


def _loss(automaton: Automaton, fitted: Sampled) -> float:
    """Cross entropy of the automaton on the words, in nats a symbol, each state with the distribution that suits the
    words best."""
    states = visited(automaton, fitted.symbols).ravel()
    sums = _sums(fitted.probabilities.reshape(len(states), -1), states, len(automaton.transitions))
    emission = sums / np.maximum(sums.sum(1, keepdims=True), LEAST)
    return -float((sums * np.log(np.maximum(emission, LEAST))).sum()) / len(states)


def _model_futures(automaton: Automaton, depth: int) -> list[Float[np.ndarray, "state word"]]:
    """As `Writer.futures`, of the automaton."""
    found = [automaton.emission]
    for _ in range(depth - 1):
        rest = found[-1][automaton.transitions]  # (state, symbol, word)
        found.append((automaton.emission[..., None] * rest).reshape(len(rest), -1))
    return found


def _emit(automaton: Automaton, fitted: Sampled) -> Automaton:
    states = visited(automaton, fitted.symbols).ravel()
    flat = fitted.probabilities.reshape(len(states), -1)
    sums = _sums(flat, states, len(automaton.transitions))
    weight = sums.sum(1)
    seen = weight > 0
    emission = automaton.emission.copy()
    emission[seen] = sums[seen] / weight[seen, None]
    return automaton._replace(emission=emission, weight=weight / weight.sum())


def _sums(rows: Float[np.ndarray, "row column"], group: np.ndarray, n_groups: int) -> Float[np.ndarray, "group column"]:
    columns = [np.bincount(group, rows[:, i], n_groups) for i in range(rows.shape[1])]
    return np.stack(columns, 1)


def _cluster(
    own: Float[np.ndarray, "point column"],
    ahead: Float[np.ndarray, "point symbol column"],
    n_clusters: int,
    rng: np.random.Generator,
) -> tuple[Int64[np.ndarray, " point"], Int64[np.ndarray, "point symbol"]]:
    """k-means on square roots of probabilities, where Euclidean distance is Hellinger's; the cluster of each point and
    of each of its successors."""
    from sklearn.cluster import KMeans

    n_different = len(np.unique(own.round(6), axis=0))
    means = KMeans(min(n_clusters, n_different), n_init="auto", random_state=int(rng.integers(2**31)))
    cluster = means.fit_predict(own).astype(np.int64)
    used, cluster = np.unique(cluster, return_inverse=True)  # points that coincide can leave a cluster empty
    centres, flat = means.cluster_centers_[used], ahead.reshape(-1, ahead.shape[-1])
    target = ((centres**2).sum(1) - 2 * flat @ centres.T).argmin(1).reshape(ahead.shape[:2])
    return cluster.reshape(-1), target


def _draw(probabilities: Float[np.ndarray, "word symbol"], rng: np.random.Generator) -> Int64[np.ndarray, " word"]:
    below = probabilities.cumsum(-1)
    return (rng.random((len(below), 1)) * below[:, -1:] >= below).sum(-1)
