"""How far is a network from the exact filter of its process? What it predicts, what it knows, and where it comes to
rest when one symbol is shown for ever."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge
from jaxtyping import Float

from rnnscope.analyses.headings import NOISE
from rnnscope.analyses.noise.belief_words import Read, held_symbols, read_own_words, read_process_words
from rnnscope.analyses.noise.decoding import Decoded, decode
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing import Drawing
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg
from rnnscope.question import Count, Seed, Whole
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.runs import blank_network
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.tasks import HMM, Process

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_SHOWN = 1500  # beliefs that are kept for the figure
HELD_STARTS = 20  # words after which a symbol is held: enough to see two points that a network comes to


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the network predicts on words of the process, beside the exact filter on the same words, in nats a symbol.

    Attributes:
        cross_entropy: minus the log of what the network gave the symbol that came.
        best: the same of the filter.
        regret, regret_error: the difference in the same words, and its standard error over words.
        divergence, divergence_error: KL(filter || network) of the next symbol, which is the regret without the luck of
            the symbol that came, and its standard error over words.
        over_time: the divergence at each step.
    """

    cross_entropy: float
    best: float
    regret: float
    regret_error: float
    divergence: float
    divergence_error: float
    over_time: Float[np.ndarray, " time"]


@dataclass(frozen=True, kw_only=True)
class BeliefDecoding:
    """What of the filter's belief can be read off states by a line, on words that it was not fitted to.

    Attributes:
        r2, r2_error: the share of the variance of the belief that is found, and its standard error over words.
        r2_of_latent: for each latent state of the process.
        controls: the same of networks with fresh weights, one for each seed; none where the cell is not known.
        last: the same from the last symbols alone.
        last_error: its standard error.
        n_last: how many symbols these are.
        true, found: beliefs of some held-out steps, and what is read off the network.
    """

    r2: float
    r2_error: float
    r2_of_latent: Float[np.ndarray, " latent"]
    controls: Float[np.ndarray, " control"]
    last: float
    last_error: float
    n_last: int
    true: Float[np.ndarray, "shown latent"]
    found: Float[np.ndarray, "shown latent"]


@dataclass(frozen=True, kw_only=True)
class HeldSymbols:
    """What is predicted when one symbol is shown for long, after words that filter and network have both read.

    Attributes:
        filter: the next symbol as the exact filter has it, in the mean over those words after which the process can go
            on like this; NaN where it can after none.
        network: as the network has it, in the mean over the same words; over all where the process can after none.
        distance: total variation between the two after the same word, in the mean over words.
        filter_apart: the largest total variation distance between two predictions of the filter after different words:
            above 0 there is no one point that it comes to.
        apart: the same of the network.
        moved: how far a prediction of the network still moved in the last step, the largest.
        n_steps: for how many steps the symbol was shown.
    """

    filter: Float[np.ndarray, "symbol next_symbol"]
    network: Float[np.ndarray, "symbol next_symbol"]
    distance: Float[np.ndarray, " symbol"]
    filter_apart: Float[np.ndarray, " symbol"]
    apart: Float[np.ndarray, " symbol"]
    moved: Float[np.ndarray, " symbol"]
    n_steps: int


@dataclass(frozen=True, repr=False)
class BayesDistance(Result):
    """A network beside the exact filter.

    Attributes:
        reads: True for a network that reads words of a process and predicts; False for one that writes symbols from
            noise, whose own words the filter reads.
        prediction: how well it predicts; None for a network that writes.
        decoding: what it knows of the belief.
        held: what it does with a constant symbol; None for a network that writes.
        n_words: words that were read, half of them to fit decoders.
        length: of a word.
        made: how it was found.
    """

    rows: ClassVar[str] = "latent"

    reads: bool
    prediction: Prediction | None
    decoding: BeliefDecoding
    held: HeldSymbols | None
    n_words: int
    length: int
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        """Regret in nats a symbol (NaN for a network that writes), R^2 of the belief, and that of the last symbols."""
        return {
            "regret": np.nan if self.prediction is None else self.prediction.regret,
            "belief_r2": self.decoding.r2,
            "belief_r2_of_last_symbols": self.decoding.last,
        }

    def summary(self) -> str:
        found, parts = self.decoding, []
        if self.prediction is not None:
            p = self.prediction
            parts.append(
                f"regret {p.regret:.3g} ± {p.regret_error:.1g} nats a symbol ({p.cross_entropy:.4f} against "
                f"{p.best:.4f} of the exact filter on the same words; KL {p.divergence:.3g} ± {p.divergence_error:.1g})"
            )
        else:
            parts.append("it writes symbols and predicts none, so there is no regret; the filter reads what it wrote")
        controls = (
            f"{found.controls.mean():.4g} (from {found.controls.min():.4g} to {found.controls.max():.4g}) off "
            f"{len(found.controls)} untrained networks, "
            if len(found.controls)
            else "no untrained network beside it, as its cell is known of a run alone, "
        )
        parts.append(
            f"a line reads {found.r2:.5g} ± {found.r2_error:.1g} of the variance of the belief off its states, "
            f"{controls}{found.last:.4g} ± {found.last_error:.1g} off the last {found.n_last} symbols"
        )
        if self.held is not None and np.isfinite(self.held.distance).any():
            parts.append(self._held_sentence(self.held))
        return f"{'; '.join(parts)}; {self.n_words} words of {self.length}"

    def _held_sentence(self, held: HeldSymbols) -> str:
        worst = int(np.nanargmax(held.distance))
        possible = int(np.isfinite(held.distance).sum())
        return (
            f"under symbol {worst} for {held.n_steps} steps it gives that symbol {held.network[worst, worst]:.4f}, the "
            f"filter {held.filter[worst, worst]:.4f} (distance {held.distance[worst]:.2g}, the largest of the "
            f"{possible} symbols that can go on so; after different words predictions lie up to "
            f"{held.apart[worst]:.1g} apart, those of the filter {held.filter_apart[worst]:.1g})"
        )

    def figure(self) -> "go.Figure":
        """The belief that is read off states against that of the exact filter, for held-out words."""
        from rnnscope.figures import new_figure, sentence_figure
        from rnnscope.figures.palette import series_look

        found = self.decoding
        if not np.isfinite(found.r2):
            return sentence_figure("Belief", "The belief of the exact filter does not vary: there is nothing to read.")
        figure = new_figure("Belief of the exact filter", "belief of the exact filter", "read off states")
        figure.add_scatter(
            x=[0, 1], y=[0, 1], mode="lines", line={"color": "#333333", "dash": "dot"}, showlegend=False,
            hoverinfo="skip",
        )  # fmt: skip
        for state in range(found.true.shape[1]):
            look, r2 = series_look(state), found.r2_of_latent[state]
            figure.add_scatter(
                x=found.true[:, state], y=found.found[:, state], mode="markers",
                marker={"color": look.colour, "symbol": look.symbol, "size": 5, "opacity": 0.5},
                name=f"state {state}: R<sup>2</sup> = {r2:.4g}".replace("-", "−"),
            )  # fmt: skip
        figure.update_layout(showlegend=True)
        return figure


def _held_figure(result: BayesDistance) -> "go.Figure":
    """What is predicted under a constant symbol, by network and filter."""
    from rnnscope.figures import COLOURS, new_figure

    held = result.held
    if held is None:
        raise NotApplicable("a network that writes symbols is shown none that could be held")
    figure = new_figure("One symbol for ever", "symbol that is shown", "probability that it comes next")
    symbols = np.arange(len(held.apart))
    own = np.arange(len(symbols))
    for name, values, mark, colour, errors in (
        ("exact filter", held.filter[own, own], "diamond-open", COLOURS[1], None),
        ("network", held.network[own, own], "circle", COLOURS[0], held.apart),
    ):
        figure.add_scatter(
            x=symbols, y=values, mode="markers", name=name, marker={"symbol": mark, "color": colour, "size": 10},
            error_y=None if errors is None else {"type": "data", "array": errors, "thickness": 1.5},
        )  # fmt: skip
    figure.update_xaxes(tickvals=symbols, ticktext=[str(each) for each in symbols], range=[-0.5, len(symbols) - 0.5])
    figure.update_yaxes(range=[-0.04, 1.04])
    return figure


def _cost(scale: Scale, settings: Settings) -> Expected:
    n, steps = settings["n_words"], settings["length"] or max(scale.trial_steps, 1)
    copies = 1 + settings["n_controls"]
    seconds = copies * (scale.simulation(n, steps) + 4e-9 * n * steps * scale.n**2)
    return scale.around(seconds, 4 * FLOAT * n * steps * scale.n)


@analysis(
    "bayes_distance",
    title="Distance from Bayes",
    group=NOISE,
    quick={"n_words": 8, "length": 12, "n_controls": 1, "n_held": 20},
    drawings=(Drawing("held", "One symbol for ever", _held_figure),),
    cost=Cost("light", "words x steps x units^2", _cost),
)
def bayes_distance(
    subject: Subject,
    *,
    n_words: Annotated[int, Ge(4)] = 600,
    length: Annotated[int, Ge(2)] | None = None,
    n_controls: Whole = 3,
    n_last: Count = 8,
    n_held: Count = 500,
    seed: Seed = 0,
) -> BayesDistance:
    """Set a network beside the exact filter of a process with hidden states.

    For a network that predicts the next symbol of a known process (NextSymbol), the filter reads the same words: regret
    is what the network's predictions cost more, and the belief (the distribution of the latent state) is read off its
    states by linear regression (Shai et al., NeurIPS 2024). The R^2 of a network with fresh weights, and of the last
    symbols, say what is there without any learning. A network that writes symbols from noise (HMMEmission) is no
    filter; the model it was trained on reads what it wrote, and what of that belief is in its states is a question all
    the same.

    Args:
        subject: a Run, or a `Subject` with a task.
        n_words: words that are read.
        length: of a word; None: as of the task's trials.
        n_controls: networks with fresh weights; only a run says of which cell.
        n_last: symbols from which the belief is decoded as another control, each by itself.
        n_held: steps for which a symbol is held.
        seed: for words, noise and fresh weights.

    Raises:
        NotApplicable: the task has no process with hidden states, or the states diverge.
        ValueError: a setting out of range.

    Example:
        >>> import rnnscope as rs
        >>> run = rs.train("next-symbol", steps=1, folder=tmp_path, progress=False)  # doctest: +SKIP
        >>> bayes_distance(run).prediction.regret  # doctest: +SKIP
    """
    task = subject.task
    truth = None if task is None else task.ground_truth
    if task is None or not isinstance(truth, Process | HMM):
        raise NotApplicable(
            "there is no exact filter to compare with: this asks of a network on a task with a known process, as "
            "NextSymbol and HMMEmission have. Give a run of one, or rs.Subject(map, task)"
        )
    reads, run = isinstance(truth, Process), subject.run
    if subject.map.readout_size != truth.n_symbols:
        raise NotApplicable(
            f"the process has {truth.n_symbols} symbols, and this readout {subject.map.readout_size} outputs: one logit"
            " for each symbol is wanted"
        )
    rng = np.random.default_rng([seed, 0xBA])
    steps = length or task.sample(1, np.random.default_rng(0)).inputs.shape[1]

    def read(state_map: CompleteMap, given: Read | None) -> Read:
        if isinstance(truth, Process):
            return read_process_words(state_map, task, truth, n_words, steps, given, rng)
        return read_own_words(state_map, task, truth, n_words, steps, given, rng)

    with linalg.one_thread(), np.errstate(all="ignore"):
        seen = read(subject.map, None)
        decoded = decode(seen.states, seen.beliefs)
        controls = []
        for k in range(0 if run is None else n_controls):
            generator = torch.Generator().manual_seed(int(np.random.default_rng([seed, 0xBA, k]).integers(2**31)))
            fresh = blank_network(task, run.cell, run.settings, generator).map()  # type: ignore[union-attr]
            controls.append(decode(read(fresh, seen).states, seen.beliefs).r2)
        last = decode(_last_symbols(seen, n_last, truth.n_symbols), seen.beliefs)
        held = None
        if isinstance(truth, Process):
            found = held_symbols(subject.map, task, truth, seen, HELD_STARTS, n_held)
            held = HeldSymbols(n_steps=n_held, **found._asdict())
    return BayesDistance(
        reads=reads,
        prediction=_prediction(seen) if reads else None,
        decoding=_decoding(decoded, last, np.array(controls), n_last, rng),
        held=held,
        n_words=n_words,
        length=seen.states.shape[1],
    )


def _prediction(seen: Read) -> Prediction:
    # Words of which the network gives a symbol no chance at all cost as much as can be written down.
    log_network, log_best = np.maximum(seen.log_predicted, -700), np.log(np.maximum(seen.best, 1e-300))
    came = seen.next_symbols[..., None]
    own, best = (-np.take_along_axis(each, came, 2)[..., 0].mean(1) for each in (log_network, log_best))
    each = np.where(seen.best > 0, seen.best * (log_best - log_network), 0.0).sum(-1)
    n = len(own)
    return Prediction(
        cross_entropy=float(own.mean()),
        best=float(best.mean()),
        regret=float((own - best).mean()),
        regret_error=float((own - best).std(ddof=1) / np.sqrt(n)),
        divergence=float(each.mean()),
        divergence_error=float(each.mean(1).std(ddof=1) / np.sqrt(n)),
        over_time=each.mean(0),
    )


def _decoding(
    decoded: Decoded, last: Decoded, controls: Float[np.ndarray, " control"], n_last: int, rng: np.random.Generator
) -> BeliefDecoding:
    true, found = (each.reshape(-1, each.shape[2]) for each in (decoded.true, decoded.found))
    kept = rng.permutation(len(true))[:MOST_SHOWN]
    return BeliefDecoding(
        r2=decoded.r2,
        r2_error=decoded.error,
        r2_of_latent=decoded.each,
        controls=controls,
        last=last.r2,
        last_error=last.error,
        n_last=n_last,
        true=true[kept],
        found=found[kept],
    )


def _last_symbols(seen: Read, n_last: int, n_symbols: int) -> Float[np.ndarray, "word time column"]:
    """One-hot, the last symbol first; zeros before the first."""
    n, steps = seen.states.shape[:2]
    one_hot = np.eye(n_symbols)[seen.symbols]
    begun = one_hot.shape[1] - steps  # symbols before the first state that counts, or -1 where that has seen none
    columns = np.zeros((n, steps, min(n_last, steps + begun), n_symbols))
    for back in range(columns.shape[2]):
        places = np.arange(steps) + begun - back
        there = places >= 0
        columns[:, there, back] = one_hot[:, places[there]]
    return columns.reshape(n, steps, -1)
