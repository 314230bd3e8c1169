"""Folding of machines with many states: planted groups are found, and shares of flow add up."""

import numpy as np
import pytest

from rnnscope.analyses.automata.figures.folding import flow_of, fold_graph, folds, groups_of
from rnnscope.analyses.automata.figures.graph import Edge, Graph, Node, draw_graph


def planted(n_groups: int, size: int, inside: float, rng: np.random.Generator) -> np.ndarray:
    """Transition probabilities of groups that are left with a probability of 1 - inside, in an order of chance."""
    n = n_groups * size
    within = np.kron(np.eye(n_groups), np.ones((size, size)))
    chain = inside * within * rng.random((n, n))
    chain /= chain.sum(1, keepdims=True) / inside
    across = (1 - within) * rng.random((n, n))
    return chain + (1 - inside) * across / across.sum(1, keepdims=True)


@pytest.mark.parametrize(("n_groups", "size", "inside"), [(5, 12, 0.9), (3, 20, 0.8), (8, 6, 0.9), (2, 30, 0.7)])
def test_planted_groups_are_found(n_groups, size, inside):
    rng = np.random.default_rng(n_groups)
    chain = planted(n_groups, size, inside, rng)
    order = rng.permutation(len(chain))
    flow = flow_of(chain[np.ix_(order, order)], np.full(len(chain), 1 / len(chain)))
    found = {frozenset(order[members] // size) for members in groups_of(flow)}
    assert found == {frozenset([group]) for group in range(n_groups)}


def test_flow_is_the_share_of_all_steps():
    chain = planted(2, 4, 0.8, np.random.default_rng(0))
    occupancy = np.arange(1.0, 9.0) / 36
    flow = flow_of(chain, occupancy)
    np.testing.assert_allclose(flow.sum(1), occupancy)
    # A machine that reads: two of four symbols lead from each state to the next, two keep it.
    table = np.stack([(np.arange(8) + 1) % 8] * 2 + [np.arange(8)] * 2, 1)
    read = flow_of(table, occupancy)
    np.testing.assert_allclose(np.diag(read), occupancy / 2)
    np.testing.assert_allclose(read.sum(1), occupancy)
    likely = np.tile([0.7, 0.1, 0.2, 0.0], (8, 1))
    np.testing.assert_allclose(np.diag(flow_of(table, occupancy, likely)), 0.2 * occupancy)


def test_a_folded_machine_says_what_is_in_it():
    chain = planted(4, 12, 0.85, np.random.default_rng(1))
    occupancy = np.full(48, 1 / 48)
    nodes = [Node(str(i), int(i % 12 > 8), f"state {i}") for i in range(48)]
    whole = Graph(np.arange(48), nodes, [], 13, "", ["output 0", "output 1"])
    folded = fold_graph(whole, flow_of(chain, occupancy), 48)
    assert [node.text for node in folded.nodes] == ["12<br>states"] * 4
    assert {node.colour for node in folded.nodes} == {0}
    assert "output 0 in 9 of them" in folded.nodes[0].hover
    assert folded.initial == 1
    # Truth: a step leaves its group with the probability .15.
    written = sum(float(edge.label.split()[0]) for edge in folded.edges if edge.source == 0 and edge.label)
    assert 0 <= written <= 15.5
    assert "48 states in 4 groups" in folded.title
    assert len(folded.figure().layout.shapes) == 4
    assert (folds(48, None), folds(40, None), folds(40, True), folds(99, False)) == (True, False, True, False)


@pytest.mark.parametrize("seed", range(4))
def test_no_text_of_an_arrow_lies_on_a_circle(seed):
    rng = np.random.default_rng(seed)
    n = 16
    nodes = [Node(str(i), 0, "") for i in range(n)]
    pairs = {(int(a), int(b)) for a, b in rng.integers(n, size=(3 * n, 2)) if a != b}
    figure = draw_graph(nodes, [Edge(a, b, "0") for a, b in sorted(pairs)], 0, "", [])
    circles = np.array([[(s.x0 + s.x1) / 2, (s.y0 + s.y1) / 2, (s.x1 - s.x0) / 2] for s in figure.layout.shapes])
    for note in figure.layout.annotations:
        away = np.hypot(circles[:, 0] - note.x, circles[:, 1] - note.y)
        assert (away > circles[:, 2]).all(), note.text
