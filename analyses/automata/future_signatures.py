"""States of a next-symbol predictor told apart by their futures, and merged into a probabilistic automaton.

The signature of a state is the probabilities of all words of up to three symbols that may follow it. Visited states
are clustered by it into more clusters than needed; a symbol leads from a cluster to the one that most of the
probability flows to; then the two states whose futures differ least are merged, again and again (probabilistic
bisimulation with a price instead of a tolerance: Larsen & Skou, Information and Computation 1991). The futures that
are compared are those of the automaton, so that states are one only if what they lead to is one, too. At each size the
automaton is run on the sampled words, open loop, and its arrows and probabilities are set anew to what is likeliest
after the words that lead to a state.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.not_applicable import NotApplicable
from rnnscope.maps import StateMap

MAX_WORDS = {3: 20, 2: 300}  # in a signature, by their length: with many symbols they are shorter
MAX_POINTS = 3000
STRAY = 0.02  # share of the symbols in the words that an automaton is made from
ROUNDS = 6
N_CLUSTERS = 96
SOME_WORDS = 60  # for what need not be exact
TRIED = 8  # unions at each size, if the first ones break more than they save
SPLITS = 3  # arrows that are tried, one after another, before nothing is taken apart any more
LEAST_GAIN = 1e-6  # nats a symbol
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


_Judged = tuple[float, int, Automaton]  # what is minimised, number of states


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

    def write(
        self, n_words: int, length: int, rng: np.random.Generator, stray: float | Float[np.ndarray, " word"] = 0.0
    ) -> Sampled:
        """Let the network read what it writes; a share `stray` of the symbols (of all words, or of each) is drawn at
        random instead, because an automaton has to know where to go after unlikely symbols, too."""
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
    """How long the words of a signature are."""
    return next((depth for depth, most in MAX_WORDS.items() if n_symbols**depth <= most), 1)


def divergence(
    network: Float[np.ndarray, "*batch symbol"], model: Float[np.ndarray, "*batch symbol"]
) -> Float[np.ndarray, "*batch"]:
    """KL(network || model) of the next symbol, in nats."""
    return (network * (np.log(np.maximum(network, LEAST)) - np.log(np.maximum(model, LEAST)))).sum(-1)


class Track(NamedTuple):
    """Words laid out for automata to run on: thousands of runs are what extraction takes its time for."""

    symbols: Int64[np.ndarray, "time word"]
    probabilities: Float[np.ndarray, "symbol point"]  # of the network; points by time, then by word

    @classmethod
    def of(cls, sampled: Sampled, n_words: int | None = None) -> "Track":
        """Of the first words, or of all."""
        symbols, p = sampled.symbols[:n_words].T, sampled.probabilities[:n_words]
        return cls(np.ascontiguousarray(symbols), np.ascontiguousarray(p.swapaxes(0, 1).reshape(symbols.size, -1).T))

    def arrows(self, automaton: Automaton) -> Int64[np.ndarray, "time word"]:
        """The arrow taken at each symbol, as its state * number of symbols + symbol."""
        n_symbols = automaton.transitions.shape[1]
        after = automaton.transitions.ravel() * n_symbols
        found = np.empty_like(self.symbols)
        begin = np.full(self.symbols.shape[1], automaton.initial * n_symbols)
        for row, symbols in zip(found, self.symbols, strict=True):
            np.add(begin, symbols, out=row)
            after.take(row, out=begin, mode="clip")  # without a check of the range, a third of the time
        return found

    def shown(self, automaton: Automaton, arrows: Int64[np.ndarray, "time word"]) -> Float[np.ndarray, "state symbol"]:
        """The network's distributions of the next symbol, summed over the points at which the automaton is in each
        state."""
        n_states, n_symbols = automaton.transitions.shape
        return _sums(self.probabilities, arrows.ravel(), n_states * n_symbols).reshape(n_states, n_symbols, -1).sum(1)


def visited(automaton: Automaton, symbols: Int64[np.ndarray, "word time"]) -> Int64[np.ndarray, "word time"]:
    """The state before each symbol."""
    words = Track(np.ascontiguousarray(symbols.T), np.empty((0, symbols.size)))
    return words.arrows(automaton).T // automaton.transitions.shape[1]


def word_divergence(automaton: Automaton, words: Track) -> Float[np.ndarray, " word"]:
    """KL(network || model) in nats a symbol, along each word."""
    states = words.arrows(automaton) // automaton.transitions.shape[1]
    told = np.log(np.maximum(automaton.emission.T, LEAST))
    p = words.probabilities
    each = sum(p[x] * (np.log(np.maximum(p[x], LEAST)) - told[x, states.ravel()]) for x in range(len(p)))
    return np.asarray(each).reshape(states.shape).mean(0)


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
    limit = max_states if n_states is None else n_states
    doubted = Track.of(checked)
    fit = _Fit.of(writer, fitted)

    def judge(automaton: Automaton) -> _Judged:
        found = _reachable(automaton)
        sums = doubted.shown(found, doubted.arrows(found))
        loss = -float((sums * np.log(np.maximum(found.emission, LEAST))).sum()) / doubted.symbols.size
        return loss + PRICE * len(found.weight), len(found.weight), found

    best: dict[int, _Judged] = {}
    for made in _merged(writer, fitted, max(N_CLUSTERS, 2 * limit), rng):
        if len(made.weight) <= 1.5 * limit:
            found = judge(fit.refined(made))
            if found[1] <= limit and (found[1] not in best or found[0] < best[found[1]][0]):
                best[found[1]] = found
    if n_states is None:
        chosen = min(best.values(), key=itemgetter(0))
        # Bisimulation once more, now that every union can be judged by what it does to the whole automaton.
        while chosen[1] > 1:
            flow = _Flow.of(chosen[2])
            unions = [flow.join(a, b).automaton() for a, b in flow.nearest(fit.depth)]
            shrunk = min((judge(fit.refined(union)) for union in unions), key=itemgetter(0))
            if shrunk[0] >= chosen[0]:
                break
            chosen = shrunk
            best[chosen[1]] = min(best.get(chosen[1], chosen), chosen, key=itemgetter(0))
        chosen = _improved(chosen, fit, judge, limit)
        best[chosen[1]] = min(best.get(chosen[1], chosen), chosen, key=itemgetter(0))
    else:
        chosen = best[max(best)]
    return Chosen(chosen[2], [best[size][2] for size in sorted(best)])


def _improved(chosen: _Judged, fit: "_Fit", judge: Callable[[Automaton], _Judged], limit: int) -> _Judged:
    """What was merged early, when nothing was known of the whole, is taken apart again where that pays: an arrow gets a
    target of its own, and if that makes too many states, or even so, others are merged."""
    tries = 0
    while tries < SPLITS:
        grown = fit.refined(fit.split(chosen[2], tries))
        flow = _Flow.of(grown)
        options = [judge(fit.refined(flow.join(a, b).automaton())) for a, b in flow.nearest(fit.depth)]
        if len(grown.weight) <= limit:
            options.append(judge(grown))
        better = min(options, key=itemgetter(0))
        if better[0] < chosen[0] - LEAST_GAIN:
            chosen, tries = better, 0
        else:
            tries += 1
    return chosen


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
    some = Track.of(fitted, SOME_WORDS)
    _, loss, _ = _emitted(chain.automaton(), some)
    while True:
        path.append(chain.automaton())
        if len(chain.flow) == 1:
            return path
        tried: list[tuple[float, int, _Flow]] = []
        for rank, (a, b) in enumerate(chain.nearest(depth)):
            union = chain.join(a, b)
            tried.append((_emitted(union.automaton(), some)[1], rank, union))
            if tried[-1][0] <= loss + PRICE:
                break
        loss, _, chain = min(tried)


class _Fit(NamedTuple):
    """What arrows and probabilities are set by.

    `ahead` are the probabilities of the words of `depth` symbols after each but the first of the network's states in
    the first words, in the order of `first`.
    """

    words: Track
    first: Track
    ahead: Float[np.ndarray, "future point"]
    depth: int

    @classmethod
    def of(cls, writer: Writer, fitted: Sampled) -> "_Fit":
        depth = depth_for(len(writer.alphabet))
        states = fitted.states[:SOME_WORDS, 1:].swapaxes(0, 1)
        ahead = writer.futures(states.reshape(-1, states.shape[-1]), depth)[-1].T
        return cls(Track.of(fitted), Track.of(fitted, SOME_WORDS), np.ascontiguousarray(ahead), depth)

    def split(self, automaton: Automaton, rank: int) -> Automaton:
        """Give an arrow a target of its own: that whose future differs most from what else leads to its target, or, by
        rank, the next after it."""
        n_states, n_symbols = automaton.transitions.shape
        target = automaton.transitions.ravel()
        own = self._after(self.words.arrows(automaton), len(target))
        into = np.zeros((n_states, own.shape[1]))
        np.add.at(into, target, own)
        rest = into[target] - own
        one, other = own.sum(1), rest.sum(1).clip(0)
        overlap = np.sqrt(own * rest.clip(0)).sum(1) / np.maximum(np.sqrt(one * other), LEAST)
        gain = one * other / np.maximum(one + other, LEAST) * (1 - overlap)
        arrow = int(np.argsort(-gain, kind="stable")[min(rank, len(gain) - 1)])
        transitions, emission, initial, weight = automaton
        copied = np.append(np.arange(n_states), target[arrow])
        transitions = transitions[copied]
        transitions[arrow // n_symbols, arrow % n_symbols] = n_states
        return Automaton(transitions, emission[copied], initial, weight[copied])

    def _after(self, arrows: Int64[np.ndarray, "time word"], n_arrows: int) -> Float[np.ndarray, "arrow future"]:
        """The network's futures, summed over the points after each arrow."""
        return _sums(self.ahead, arrows[:-1, : self.first.symbols.shape[1]].ravel(), n_arrows)

    def refined(self, automaton: Automaton) -> Automaton:
        """Run the automaton on the words; give every state the mean distribution of the symbol where the automaton is
        in it, and every arrow the target whose future is likeliest there. Repeated until nothing changes."""
        best, best_loss = automaton, np.inf
        for _ in range(ROUNDS):
            current, loss, arrows = _emitted(automaton, self.words)
            if loss < best_loss:
                best, best_loss = current, loss
            old = current.transitions.ravel()
            after = self._after(arrows, len(old))
            scores = after @ np.log(np.maximum(_model_futures(current, self.depth)[-1], LEAST)).T
            # An arrow that was never taken stays where it is.
            new = np.where(after.sum(1) > 0, scores.argmax(1), old)
            if np.array_equal(new, old):
                break
            automaton = current._replace(transitions=new.reshape(current.transitions.shape))
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
        """The pairs of states whose union would lose least likelihood, the best first: by the squared Hellinger
        distance of their futures, to second order their loss, weighted by how often they are visited."""
        now = self.automaton()
        roots, w = np.sqrt(_model_futures(now, depth)[-1]), now.weight
        cost = w[:, None] * w / np.maximum(w[:, None] + w, LEAST) * (1 - roots @ roots.T)
        cost[np.tril_indices(len(w))] = np.inf
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


def _emitted(automaton: Automaton, words: Track) -> tuple[Automaton, float, Int64[np.ndarray, "time word"]]:
    """The automaton with the distributions and weights that suit the words best, its cross entropy with them in nats a
    symbol, and the arrows that it takes."""
    arrows = words.arrows(automaton)
    sums = words.shown(automaton, arrows)
    weight = sums.sum(1)
    # A state that no word visits keeps what it has.
    emission = np.where(weight[:, None] > 0, sums / np.maximum(weight[:, None], LEAST), automaton.emission)
    loss = -float((sums * np.log(np.maximum(emission, LEAST))).sum()) / arrows.size
    return automaton._replace(emission=emission, weight=weight / weight.sum()), loss, arrows


def _model_futures(automaton: Automaton, depth: int) -> list[Float[np.ndarray, "state word"]]:
    """As `Writer.futures`, of the automaton."""
    found = [automaton.emission]
    for _ in range(depth - 1):
        rest = found[-1][automaton.transitions]  # (state, symbol, word)
        found.append((automaton.emission[..., None] * rest).reshape(len(rest), -1))
    return found


def _sums(
    rows: Float[np.ndarray, "column point"], group: Int64[np.ndarray, " point"], n_groups: int
) -> Float[np.ndarray, "group column"]:
    return np.stack([np.bincount(group, row, n_groups) for row in rows], 1)


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
