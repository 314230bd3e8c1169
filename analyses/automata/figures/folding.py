"""A machine of many states, folded into groups of states that follow one another: few circles, arrows by their flow."""

from collections import Counter

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.figures.graph import MAX_SHOWN, Edge, Graph, Node
from rnnscope.percent import percent

# More circles than this would need folding again. Fewer are drawn where modularity is largest with fewer.
MOST_GROUPS = 12
# An arrow is drawn for at least this share of the steps that a group takes, and is written on from the other on.
LEAST_SHARE, LEAST_WRITTEN = 0.02, 0.1
THIN, THICK = 0.8, 5.0


def folds(n_states: int, fold: bool | None) -> bool:
    """Whether to fold: as is said, or where nothing is said, machines that have too many states to draw."""
    return n_states > MAX_SHOWN if fold is None else fold


def flow_of(
    transitions: Float[np.ndarray, "state next_state"] | Int64[np.ndarray, "state symbol"],
    occupancy: Float[np.ndarray, " state"],
    emission: Float[np.ndarray, "state symbol"] | None = None,
) -> Float[np.ndarray, "state next_state"]:
    """The share of all steps that lead from each state to each.

    Args:
        transitions: probabilities, or the next state for each symbol.
        occupancy: how often the machine is in each state.
        emission: how likely each symbol is in each state; if None, each as likely as the others.
    """
    n = len(occupancy)
    if transitions.dtype.kind == "f":
        return occupancy[:, None] * transitions
    likely = np.full(transitions.shape, 1 / transitions.shape[1]) if emission is None else emission
    flow = np.zeros((n, n))
    for symbol in range(transitions.shape[1]):
        leads = transitions[:, symbol] >= 0
        np.add.at(flow, (np.flatnonzero(leads), transitions[leads, symbol]), (occupancy * likely[:, symbol])[leads])
    return flow


def fold_graph(graph: Graph, flow: Float[np.ndarray, "state next_state"], n_states: int) -> Graph:
    """Groups of states as circles: those between which the machine goes to and fro more than by chance (modularity,
    joined greedily; Clauset, Newman and Moore 2004). An arrow says which share of the steps of a group leads to the
    other.

    Args:
        graph: of all states that are to be folded.
        flow: the share of all steps from each state of the machine to each.
        n_states: how many states the machine has.
    """
    flow = flow[np.ix_(graph.shown, graph.shown)]
    groups = groups_of(flow)
    group = np.empty(len(graph.shown), np.int64)
    for number, members in enumerate(groups):
        group[members] = number
    between = np.zeros((len(groups), len(groups)))
    np.add.at(between, (group[:, None].repeat(len(group), 1), group[None].repeat(len(group), 0)), flow)
    share = between / np.maximum(between.sum(1, keepdims=True), 1e-300)
    nodes = []
    for members in groups:
        colours = Counter(graph.nodes[i].colour for i in members)
        colour, count = min(colours.items(), key=lambda each: (-each[1], each[0]))
        states = graph.shown[members].tolist()
        named = ", ".join(f"q{state}" for state in states[:12]) + (", ..." if len(states) > 12 else "")
        legend = graph.legend[colour] if graph.legend else "one colour"
        told = f"{len(states)} states: {named}<br>{legend} in {count} of them"
        nodes.append(Node(f"q{states[0]}" if len(states) == 1 else f"{len(states)}<br>states", colour, told))
    most = max(float(between[~np.eye(len(groups), dtype=bool)].max(initial=0.0)), 1e-300)
    edges = []
    for a, b in zip(*np.nonzero(share >= LEAST_SHARE), strict=True):
        if a != b:
            width = THIN + (THICK - THIN) * float(np.sqrt(between[a, b] / most))
            label = percent(float(share[a, b])) if share[a, b] >= LEAST_WRITTEN else ""
            edges.append(Edge(int(a), int(b), label, round(min(width, THICK), 2)))
    start = None if graph.initial is None else int(group[graph.initial])
    kept = "" if len(graph.shown) == n_states else f" (of {n_states})"
    title = (
        f"{len(graph.shown)} states{kept} in {len(groups)} groups that keep among themselves (by modularity); "
        f"colour: most of a group; arrows: share of its steps, {percent(LEAST_SHARE)} or more, wider for more flow"
    )
    firsts = np.array([graph.shown[members[0]] for members in groups])
    return Graph(firsts, nodes, edges, start, title, graph.legend)


def groups_of(flow: Float[np.ndarray, "state next_state"]) -> list[list[int]]:
    """Groups of states, the largest first, by greedy modularity of the flow both ways."""
    import networkx

    joint = flow + flow.T
    joint = joint / max(float(joint.max(initial=0.0)), 1e-300)
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(flow)))
    # Rounded, so that pairs that are equal but for rounding are equal, and the order of the states decides.
    graph.add_weighted_edges_from(
        (a, b, round(float(joint[a, b]), 9)) for a, b in zip(*np.nonzero(joint > 1e-9), strict=True) if a <= b
    )
    if not graph.number_of_edges():
        return [[state] for state in range(len(flow))]
    found = networkx.algorithms.community.greedy_modularity_communities(
        graph, weight="weight", best_n=min(MOST_GROUPS, len(flow))
    )
    return sorted((sorted(int(state) for state in each) for each in found), key=lambda each: (-len(each), each[0]))
