"""How to draw a machine that reads: circles hold what it shows, arrows the symbols read."""

import numpy as np
from jaxtyping import Float

from rnnscope.analyses.automata.deciding.fidelity import Fidelity
from rnnscope.analyses.automata.figures.graph import MAX_SHOWN, Edge, Graph, Node, most_visited
from rnnscope.analyses.automata.wording import percent, plural_states
from rnnscope.tasks.machine import Machine, grouped_edges

MAX_LABELS, MAX_LETTERS = 100, 300  # arrows with text, letters on all of them; more texts hide one another
LEAST_WIDTH, MORE_WIDTH = 0.6, 2.6  # of arrows without text: for no symbol, and more for all
MAX_TEXT, MAX_TEXT_OF_MANY = 8, 3  # characters in a circle; past 16 circles they would be too small to read


def acceptor_graph(
    machine: Machine,
    symbols: tuple[str, ...],
    occupancy: Float[np.ndarray, " state"],
    fidelity: Fidelity,
    most: int = MAX_SHOWN,
) -> Graph:
    """Circles hold the output (of each head), arrows the symbols read; colours repeat the outputs."""
    from rnnscope.figures import COLOURS

    shown, note = most_visited(occupancy, most)
    place = {int(state): i for i, state in enumerate(shown)}
    rows = machine.outputs[shown]
    texts = [",".join(map(str, row)) for row in rows.tolist()]
    if max(map(len, texts)) > (MAX_TEXT if len(shown) <= 16 else MAX_TEXT_OF_MANY):
        texts = [f"q{state}" for state in shown.tolist()]
        note += ";<br>in the circles: numbers of states (outputs: point at one)"
    what = "output"
    if len(np.unique(rows, axis=0)) > len(COLOURS) and rows.shape[1] > 1:
        rows, what = rows[:, :1], "output of head 0:"
    shows, colours = np.unique(rows, axis=0, return_inverse=True)
    nodes = [
        Node(
            texts[i],
            int(colours.reshape(-1)[i]),
            f"state {state}<br>output {machine.outputs[state].tolist()}<br>"
            f"{percent(float(occupancy[state]))} of the time",
        )
        for i, state in enumerate(shown.tolist())
    ]
    edges = [
        Edge(place[a], place[b], ", ".join(symbols[s] for s in read))
        for (a, b), read in grouped_edges(machine.transitions).items()
        if a in place and b in place
    ]
    if len(edges) > MAX_LABELS or sum(len(edge.label) for edge in edges) > MAX_LETTERS:
        counts = [edge.label.count(",") + 1 for edge in edges]
        widths = [LEAST_WIDTH + MORE_WIDTH * count / max(counts) for count in counts]
        edges = [edge._replace(label="", width=round(w, 2)) for edge, w in zip(edges, widths, strict=True)]
        wider = ", wider for more symbols" if max(counts) > min(counts) else ""
        note += f"; {len(edges)} arrows{wider}, too many to write their symbols"
    worst = fidelity.worst
    last, every = (percent(float(share[worst, 0])) for share in (fidelity.last, fidelity.words))
    title = (
        f"{plural_states(machine.n_states)}: of {fidelity.distributions[worst]} test words of "
        f"{fidelity.lengths[0]} symbols, {last} agree with the network at the end, {every} after every prefix{note}"
    )
    legend = [f"{what} {','.join(map(str, row))}" for row in shows.tolist()]
    legend = legend if len(legend) <= len(COLOURS) else []
    return Graph(shown, nodes, edges, place.get(machine.initial), title, legend)
