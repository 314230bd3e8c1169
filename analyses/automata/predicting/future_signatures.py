"""States of a next-symbol predictor told apart by their futures, and merged into a probabilistic automaton.

The signature of a state is the probabilities of all words of a few symbols that may follow it. Visited states are
clustered by it into more clusters than needed; a symbol leads from a cluster to the one that most of the probability
flows to; then two states whose futures differ little are merged, again and again (probabilistic bisimulation with a
price instead of a tolerance: Larsen & Skou, Information and Computation 1991). The futures that are compared are those
of the automaton, so that states are one only if what they lead to is one, too. Where it matters most, unions are
judged by running each automaton on the sampled words, open loop, and arrows and probabilities are set anew to what is
likeliest after the words that lead to a state. At last, states of the best size are taken apart and others merged while
that pays.
"""

from operator import itemgetter
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.maps import CompleteMap
from rnnscope.subjects.not_applicable import NotApplicable

MAX_WORDS = {4: 16, 3: 16, 2: 300}  # in a signature, by their length: with many symbols they are shorter
MAX_STEPS = 45_000  # of the network, for signatures
STRAY = 0.02  # share of the symbols in the words that an automaton is made from; a quarter where it is judged
ROUNDS = 4
LLOYD_ROUNDS = 3  # of k-means: what follows betters clusters more cheaply
N_CLUSTERS = 128
JUDGED = 1.5  # times the states wanted: from here down to them, unions are judged by what they do to the whole
TRIED = 8  # unions that are judged
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


_Judged = tuple[float, Automaton]  # what is minimised, and by which


class Writer(NamedTuple):
    """A network that predicts the next symbol and reads it."""

    map: CompleteMap
    alphabet: Float[np.ndarray, "symbol input"]

    def probabilities(self, states: Float[np.ndarray, "*batch unit"]) -> Float[np.ndarray, "*batch symbol"]:
        """Of the next symbol.

        Raises:
            NotApplicable: the states have diverged.
        """
        logits = self.map.readout(states)
        highest = logits.max(-1, keepdims=True)  # of symbols that cannot come the logit may be -inf
        if not np.isfinite(highest).all():
            raise NotApplicable("the network's states diverge on its own words: train it further, or shorten `length`")
        weights = np.exp(logits - highest)
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
    probabilities: Float[np.ndarray, "symbol point"]  # of the network, weighted; points by time, then by word

    @classmethod
    def of(cls, sampled: Sampled, stray: float = 0.0) -> "Track":
        """Points of words with a share `stray` of random symbols count as often as the network would get there by
        itself: strays lead to rare states without making them frequent."""
        symbols, p = sampled.symbols.T, sampled.probabilities
        if stray:
            p = p * _importance(sampled, stray)[..., None]
        return cls(np.ascontiguousarray(symbols), np.ascontiguousarray(p.swapaxes(0, 1).reshape(symbols.size, -1).T))

    def arrows(
        self, automaton: Automaton, initial: Int64[np.ndarray, "*start 1"] | None = None
    ) -> Int64[np.ndarray, "time *start word"]:
        """The arrow taken at each symbol, as its state * number of symbols + symbol; from each of `initial` states."""
        n_symbols = automaton.transitions.shape[1]
        after = automaton.transitions.ravel() * n_symbols
        begin = np.add(automaton.initial if initial is None else initial, np.zeros_like(self.symbols[0])) * n_symbols
        found: np.ndarray = np.empty((len(self.symbols), *begin.shape), np.int64)
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
    words other than those it was made from; with `n_states`, the one of that size (failing that the next smaller).

    A share `STRAY` of the symbols in `fitted` is random, a quarter of it in `checked`.
    """
    limit = max_states if n_states is None else n_states
    doubted = Track.of(checked, STRAY / 4)
    fit, automaton = _started(writer, fitted, max(N_CLUSTERS, 2 * limit), rng)
    best: dict[int, _Judged] = {}

    def judge(automaton: Automaton) -> _Judged:
        sums, n_found = doubted.shown(automaton, doubted.arrows(automaton)), len(automaton.weight)
        loss = -float((sums * np.log(np.maximum(automaton.emission, LEAST))).sum()) / doubted.symbols.size
        judged = loss + PRICE * n_found, automaton
        if n_found <= limit:
            best[n_found] = min(best.get(n_found, judged), judged, key=itemgetter(0))
        return judged

    automaton = fit.refined(automaton)
    judge(automaton)
    while len(automaton.weight) > 1:
        automaton = fit.shrunk(automaton, TRIED if limit < len(automaton.weight) <= JUDGED * limit else 1)
        if len(automaton.weight) > limit:
            automaton = _reachable(automaton)
        if len(automaton.weight) <= limit:
            refined = fit.refined(automaton)
            judge(refined)
            # What better arrows lead past stays a state, here and in the next union, so that few sizes are left out.
            if len(refined.weight) == len(automaton.weight):
                automaton = refined
            else:
                judge(_reachable(_emitted(automaton, fit.words)[0]))
    if n_states is not None:
        chosen = best[max(best)]
    else:
        # What was merged early, when nothing was known of the whole, is taken apart again where that pays: an arrow
        # gets a target of its own, and if that makes too many states, or even so, others are merged.
        chosen, tries = min(best.values(), key=itemgetter(0)), 0
        while tries < SPLITS:
            grown = fit.refined(fit.split(chosen[1], tries))
            options = [judge(fit.refined(fit.shrunk(grown, TRIED)))]
            if len(grown.weight) <= limit:
                options.append(judge(grown))
            better = min(options, key=itemgetter(0))
            if better[0] < chosen[0] - LEAST_GAIN:
                chosen, tries = better, 0
            else:
                tries += 1
    return Chosen(chosen[1], [best[size][1] for size in sorted(best)])


class _Fit(NamedTuple):
    """What arrows and probabilities are set by: words, and at some of their points, the probabilities of each next
    symbol and the words of `depth` symbols after it."""

    words: Track
    points: Int64[np.ndarray, " point"]  # of the track
    ahead: Float[np.ndarray, "future point"]  # by symbol, then by word
    depth: int

    def split(self, automaton: Automaton, rank: int) -> Automaton:
        """Give an arrow a target of its own: that whose future differs most from what else leads to its target, or, by
        rank, the next after it."""
        n_states, n_symbols = automaton.transitions.shape
        target = automaton.transitions.ravel()
        own = self._after(automaton, self.words.arrows(automaton))
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

    def refined(self, automaton: Automaton) -> Automaton:
        """Run the automaton on the words; give every state the mean distribution of the symbol where the automaton is
        in it, and every arrow the target whose future is likeliest there. Repeated until nothing changes."""
        best, best_loss = automaton, np.inf
        for _ in range(ROUNDS):
            current, loss, arrows = _emitted(automaton, self.words)
            if loss < best_loss:
                best, best_loss = current, loss
            old = current.transitions.ravel()
            after = self._after(current, arrows)
            scores = after @ np.log(np.maximum(_model_futures(current, self.depth), LEAST)).T
            # An arrow that was never taken stays where it is.
            new = np.where(after.sum(1) > 0, scores.argmax(1), old)
            if np.array_equal(new, old):
                break
            automaton = current._replace(transitions=new.reshape(current.transitions.shape))
        return _reachable(best)

    def shrunk(self, automaton: Automaton, n_tried: int) -> Automaton:
        """Make one of two states: of the `n_tried` pairs whose union would lose least likelihood by the squared
        Hellinger distance of their futures (to second order their loss), weighted by how often they are visited, the
        one that loses least on the words. One state stays as it is."""
        if len(automaton.weight) == 1:
            return automaton
        transitions, emission, initial, weight = automaton
        roots, n_states = np.sqrt(_model_futures(automaton, self.depth)), len(weight)
        shared = weight[:, None] * weight / np.maximum(weight[:, None] + weight, LEAST)
        cost = np.where(np.tri(n_states, dtype=bool), np.inf, shared * (1 - roots @ roots.T)).ravel()
        n_pairs = min(n_tried, n_states * (n_states - 1) // 2)
        kept, dropped = np.divmod(np.argpartition(cost, n_pairs - 1)[:n_pairs], n_states)
        pair = np.arange(n_pairs)
        number = np.tile(np.arange(n_states), (n_pairs, 1))
        number[pair, dropped] = kept
        moved = weight[:, None] * emission
        unions = np.tile(transitions, (n_pairs, 1, 1))
        unions[pair, kept] = np.where(moved[kept] >= moved[dropped], transitions[kept], transitions[dropped])
        unions = number[pair[:, None, None], unions]
        first = int(_losses(unions, number[:, initial], self.words).argmin()) if n_pairs > 1 else 0
        a, b = int(kept[first]), int(dropped[first])
        emission, weight = emission.copy(), weight.copy()
        emission[a] = (moved[a] + moved[b] + LEAST) / (moved[a] + moved[b] + LEAST).sum()
        weight[a] += weight[b]
        left = np.delete(np.arange(n_states), b)
        place = np.arange(n_states) - (np.arange(n_states) > b)
        return Automaton(place[unions[first][left]], emission[left], int(place[number[first, initial]]), weight[left])

    def _after(self, automaton: Automaton, arrows: Int64[np.ndarray, "time word"]) -> Float[np.ndarray, "arrow future"]:
        """The network's futures after each arrow, summed over the points where it could be taken."""
        n_states, n_symbols = automaton.transitions.shape
        sums = _sums(self.ahead, arrows.ravel()[self.points] // n_symbols, n_states)
        return sums.reshape(n_states * n_symbols, -1)


def _started(writer: Writer, fitted: Sampled, n_clusters: int, rng: np.random.Generator) -> tuple[_Fit, Automaton]:
    """An automaton of `n_clusters` states (fewer where fewer differ), and what to better it by."""
    n_symbols = len(writer.alphabet)
    depth = depth_for(n_symbols)
    flat = fitted.states.swapaxes(0, 1).reshape(fitted.symbols.size, -1)
    weight = _importance(fitted, STRAY).T.ravel()
    n_points = min(len(flat), MAX_STEPS // sum(n_symbols**length for length in range(1, depth + 1)))
    points = np.append(0, 1 + rng.choice(len(flat) - 1, n_points - 1, replace=False))  # the first word begins at 0
    levels = writer.futures(flat[points], depth + 1)
    own = np.sqrt(np.concatenate(levels[:-1], 1))
    after = [level.reshape(n_points, n_symbols, -1) / np.maximum(levels[0][..., None], LEAST) for level in levels[1:]]
    cluster, target = _cluster(own, np.sqrt(np.concatenate(after, 2)), n_clusters, rng)
    n_found = int(cluster.max()) + 1
    moved = levels[0] * weight[points, None]
    flow = np.zeros((n_found, n_symbols, n_found))
    np.add.at(flow, (cluster[:, None], np.arange(n_symbols), target), moved)
    shown = _sums(np.ascontiguousarray(moved.T), cluster, n_found)
    share = shown.sum(1)
    automaton = Automaton(flow.argmax(2), shown / share[:, None], int(cluster[0]), share / share.sum())
    ahead = np.ascontiguousarray((levels[-1] * weight[points, None]).T)
    return _Fit(Track.of(fitted, STRAY), points, ahead, depth), automaton


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


def _losses(
    transitions: Int64[np.ndarray, "automaton state symbol"], initial: Int64[np.ndarray, " automaton"], words: Track
) -> Float[np.ndarray, " automaton"]:
    """The cross entropy of each automaton with the words as in `_emitted`, all in one run."""
    n_automata, n_states, n_symbols = transitions.shape
    n_all = n_automata * n_states
    base = np.arange(0, n_all, n_states)
    # The automata beside one another are one, with a part for the words of each.
    whole = Automaton((transitions + base[:, None, None]).reshape(n_all, n_symbols), np.empty((0, 0)), 0, np.empty(0))
    arrows = words.arrows(whole, (base + initial)[:, None])
    state = arrows.swapaxes(0, 1).reshape(-1) // n_symbols
    sums = _sums(np.tile(words.probabilities, n_automata), state, n_all)
    told = sums * np.log(np.maximum(sums, LEAST) / np.maximum(sums.sum(1, keepdims=True), LEAST))
    return -told.reshape(n_automata, -1).sum(1) / words.symbols.size


def _model_futures(automaton: Automaton, depth: int) -> Float[np.ndarray, "state word"]:
    """The probabilities of all words of `depth` symbols, as in `Writer.futures`, of the automaton."""
    found = automaton.emission
    for _ in range(depth - 1):
        rest = found[automaton.transitions]  # (state, symbol, word)
        found = (automaton.emission[..., None] * rest).reshape(len(rest), -1)
    return found


def _importance(sampled: Sampled, stray: float) -> Float[np.ndarray, "word time"]:
    """How much likelier the network is to write what comes before each point than a writer who strays; where it never
    does, next to nothing, so that states there still have a future."""
    own = np.take_along_axis(sampled.probabilities, sampled.symbols[..., None], 2)[..., 0]
    ratio = own / ((1 - stray) * own + stray / sampled.probabilities.shape[2])
    return np.maximum(np.concatenate([np.ones((len(own), 1)), ratio[:, :-1].cumprod(1)], 1), LEAST)


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
    means = KMeans(
        min(n_clusters, n_different), n_init="auto", max_iter=LLOYD_ROUNDS, random_state=int(rng.integers(2**31))
    )
    cluster = means.fit_predict(own).astype(np.int64)
    used, cluster = np.unique(cluster, return_inverse=True)  # points that coincide can leave a cluster empty
    centres, flat = means.cluster_centers_[used], ahead.reshape(-1, ahead.shape[-1])
    target = ((centres**2).sum(1) - 2 * flat @ centres.T).argmin(1).reshape(ahead.shape[:2])
    return cluster.reshape(-1), target


def _draw(probabilities: Float[np.ndarray, "word symbol"], rng: np.random.Generator) -> Int64[np.ndarray, " word"]:
    below = probabilities.cumsum(-1)
    return (rng.random((len(below), 1)) * below[:, -1:] >= below).sum(-1)
