"""Branches and bifurcations that are known in closed form, or that a second method finds."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses import NotApplicable
from rnnscope.analyses.fixed_points.continuation.diagram import BifurcationDiagram
from rnnscope.analyses.fixed_points.continuation.follow import follow_fixed_points, follow_parameter
from rnnscope.analyses.fixed_points.search.find import find_fixed_points
from rnnscope.records.labelled import from_xarray, to_xarray

EDGE, EVENT, DOMAIN = range(3)
STARTS = np.linspace(-2, 2, 41)[:, None]


def scalar(step, **options):
    return rs.FunctionMap(step, state_size=1, **options)


def tanh_map(weight, bias=0.0):
    weight = np.asarray(weight, float)

    def step(h):
        return np.tanh(h @ weight.T + bias)

    return rs.FunctionMap(
        step,
        jacobian=lambda h: (1 - step(h) ** 2)[..., None] * weight,
        state_size=len(weight),
        domain=(-1, 1),
    )


def test_saddle_node(consistent):
    found = follow_parameter(lambda p: scalar(lambda x: x + p - x**2), values=np.linspace(-1, 1, 11), starts=STARTS)
    consistent(found)
    assert found.events.names == ["saddle-node"]
    assert abs(found.events.value[0]) < 1e-9
    assert found.events.error[0] < 1e-9
    assert abs(found.events.point[0, 0]) < 1e-9
    assert found.events.eigenvalue[0] == pytest.approx(1, abs=1e-8)
    assert sorted(found.events.branches[0]) == [0, 1]
    assert found.branches.ends.tolist() == [[EVENT, EDGE]] * 2
    np.testing.assert_allclose(found.point[:, 0] ** 2, found.value, atol=1e-10)
    np.testing.assert_array_equal(found.n_unstable, found.point[:, 0] < 0)
    for value, expected in ((-0.2, 0), (0.2, 2), (1.0, 2)):
        assert len(found.at(value)) == expected
    assert found.consistent
    assert "1 saddle-node at 0 " in found.summary()


def test_supercritical_pitchfork(consistent):
    found = follow_parameter(
        lambda g: scalar(lambda h: np.tanh(g * h), domain=(-1, 1)), values=np.linspace(0.5, 1.5, 11), axis="gain g"
    )
    consistent(found)
    assert found.events.names == ["supercritical pitchfork"]
    assert found.events.value[0] == pytest.approx(1, abs=1e-6)
    assert abs(found.events.value[0] - 1) <= found.events.error[0]
    assert sorted(found.events.branches[0]) == [0, 1, 2]
    trunk = int(found.branch[np.argmin(found.value)])
    assert np.abs(found.point[found.branch == trunk]).max() < 1e-9
    np.testing.assert_array_equal(
        found.n_unstable[found.branch == trunk], found.value[found.branch == trunk] > 1 + 1e-8
    )
    pair = found.branch != trunk
    # h = tanh(g h) in closed form: g = artanh(h) / h.
    h = found.point[pair, 0]
    np.testing.assert_allclose(np.arctanh(h) / h, found.value[pair], atol=1e-9)
    assert (found.n_unstable[pair] == 0).all()
    assert {np.sign(found.point[found.branch == b, 0]).mean() for b in range(3) if b != trunk} == {-1.0, 1.0}
    np.testing.assert_array_equal(found.index_sum[np.isfinite(found.index_sum)], 1)
    assert np.isfinite(found.index_sum).sum() == 10, "all but at the bifurcation itself"
    assert found.figure().layout.xaxis.title.text == "gain g"


def test_subcritical_pitchfork_with_its_two_folds(consistent):
    found = follow_parameter(
        lambda p: scalar(lambda x: x + 0.3 * (p * x + x**3 - x**5)), values=np.linspace(-0.6, 0.6, 13), starts=STARTS
    )
    consistent(found)
    assert found.events.names == ["saddle-node", "saddle-node", "subcritical pitchfork"]
    np.testing.assert_allclose(found.events.value, [-0.25, -0.25, 0], atol=1e-6)
    np.testing.assert_allclose(np.abs(found.events.point[:, 0]), [np.sqrt(0.5), np.sqrt(0.5), 0], atol=1e-6)
    assert (found.events.branches[2] >= 0).sum() == 3
    assert [len(found.at(value)) for value in (-0.4, -0.1, 0.3)] == [1, 5, 3]
    between = found.at(-0.1)
    order = np.argsort(found.point[between, 0])
    assert found.n_unstable[between][order].tolist() == [0, 1, 0, 1, 0]


def test_transcritical(consistent):
    found = follow_parameter(lambda p: scalar(lambda x: x + p * x - x**2), values=np.linspace(-1, 1, 11), starts=STARTS)
    consistent(found)
    assert found.events.names == ["transcritical"]
    assert abs(found.events.value[0]) < 1e-6
    assert len(found) == 2
    assert sorted(found.events.branches[0]) == [0, 1]
    assert (found.branches.ends == EDGE).all()
    for branch in range(2):
        x, p = found.point[found.branch == branch, 0], found.value[found.branch == branch]
        assert np.abs(x).max() < 1e-9 or np.abs(x - p).max() < 1e-9


def test_the_logistic_map_flips_at_3_and_leaves_its_domain_at_1(consistent):
    found = follow_parameter(lambda r: scalar(lambda x: r * x * (1 - x), domain=(0, 1)), values=np.linspace(0.5, 4, 8))
    consistent(found)
    assert found.events.names == ["transcritical", "flip"]
    np.testing.assert_allclose(found.events.value, [1, 3], atol=1e-6)
    np.testing.assert_allclose(found.events.point[:, 0], [0, 2 / 3], atol=1e-6)
    assert found.events.eigenvalue[1] == pytest.approx(-1, abs=1e-6)
    assert found.events.frequency[1] == pytest.approx(0.5)
    inner = found.events.branches[1, 0]
    assert found.branches.ends[inner].tolist() == [DOMAIN, EDGE]
    r = found.value[found.branch == inner]
    np.testing.assert_allclose(found.point[found.branch == inner, 0], 1 - 1 / r, atol=1e-7)
    np.testing.assert_allclose(found.eigenvalue[found.branch == inner], 2 - r, atol=1e-6)


def test_delayed_logistic_map_has_a_neimark_sacker_bifurcation_at_2(consistent):
    def delayed(r):
        return rs.FunctionMap(lambda x: np.stack([r * x[..., 0] * (1 - x[..., 1]), x[..., 0]], -1), state_size=2)

    starts = np.random.default_rng(0).uniform(-1, 1, (40, 2))
    found = follow_parameter(delayed, values=np.linspace(1.5, 2.5, 5), starts=starts)
    consistent(found)
    assert found.events.names == ["Neimark-Sacker"]
    assert found.events.value[0] == pytest.approx(2, abs=1e-6)
    np.testing.assert_allclose(found.events.point[0], 0.5, atol=1e-6)
    assert found.events.frequency[0] == pytest.approx(1 / 6, abs=1e-6)


BISTABLE = rs.FunctionMap(lambda h, u: np.tanh(2 * h + u), state_size=1, input_size=1, domain=(-1, 1))
# 2 (1 - h^2) = 1 at a fold of h = tanh(2 h + u).
FOLD = np.sqrt(2) - np.arctanh(np.sqrt(0.5))


@pytest.mark.parametrize("inputs", [[[-1.0], [1.0]], [[1.0], [-1.0]], [[-1.0], [-0.2], [0.1], [1.0]]])
def test_a_bistable_unit_has_hysteresis_in_its_input(consistent, inputs):
    given = np.array(inputs)
    found = follow_fixed_points(BISTABLE, inputs=given)
    consistent(found)
    assert found.along.name == "input 0"
    assert found.events.names == ["saddle-node"] * 2
    np.testing.assert_allclose(found.events.value, [-FOLD, FOLD], atol=1e-9)
    np.testing.assert_allclose(np.abs(found.events.point[:, 0]), np.sqrt(0.5), atol=1e-6)
    assert len(found) == 3
    middle = set(found.events.branches[0]) & set(found.events.branches[1])
    assert len(middle) == 1, "one branch, unstable, joins the folds"
    assert (found.n_unstable[np.isin(found.branch, list(middle))] == 1).all()
    np.testing.assert_array_equal(found.index_sum, 1)
    np.testing.assert_array_equal(given, np.array(inputs), err_msg="the caller's inputs were changed")


def test_a_way_through_several_inputs_has_positions():
    double = rs.FunctionMap(
        lambda h, u: np.tanh(2 * h + u.sum(-1, keepdims=True)), state_size=1, input_size=2, domain=(-1, 1)
    )
    found = follow_fixed_points(double, inputs=np.array([[-1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]))
    assert found.along.name == "position along the inputs"
    np.testing.assert_allclose(found.events.value, [1 - FOLD, 1 + FOLD], atol=1e-9)
    named = follow_fixed_points(
        double, inputs=np.array([[-1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]), values=[-1.0, 0.0, 1.0], axis="drive"
    )
    assert named.along.name == "drive"
    np.testing.assert_allclose(named.events.value, [-FOLD, FOLD], atol=1e-9)


def test_two_units_that_inhibit_each_other(consistent):
    # (1, -1) has the eigenvalue s + w, (1, 1) has s - w.
    s = 0.3
    found = follow_parameter(
        lambda w: tanh_map([[s, -w], [-w, s]]), values=np.linspace(0.1, 1.6, 7), axis="inhibition w"
    )
    consistent(found)
    first, second = np.flatnonzero(np.abs(found.events.point).max(1) < 1e-6)
    assert found.events.names[first] == "supercritical pitchfork"
    assert found.events.value[first] == pytest.approx(1 - s, abs=1e-6)
    assert found.events.names[second] == "flip"
    assert found.events.value[second] == pytest.approx(1 + s, abs=1e-6)
    winner = found.point[(found.value == 1.6) & (found.n_unstable == 0)]
    assert len(winner) == 2, "either unit wins"
    np.testing.assert_allclose(winner.sum(1), 0, atol=1e-9)


def test_what_happens_twice_at_once_is_two_events():
    # Eigenvalues w and -w pass the unit circle together.
    found = follow_parameter(lambda w: tanh_map([[0, -w], [-w, 0]]), values=np.linspace(0.5, 1.6, 5))
    at_once = np.flatnonzero(np.abs(found.events.point).max(1) < 1e-5)
    assert [found.events.names[i] for i in at_once] == ["supercritical pitchfork", "flip"]
    np.testing.assert_allclose(found.events.value[at_once], 1, atol=1e-6)
    assert {len(found.at(value)) for value in found.along.values[found.along.values > 1]} == {3}


def test_a_random_network_bifurcates_where_its_eigenvalues_say(consistent):
    """The origin of tanh(g W h) changes at g = 1 / |λ|, for every eigenvalue λ of W, by the kind of λ."""
    n = 16
    weight = np.random.default_rng(0).normal(0, n**-0.5, (n, n))
    values = np.linalg.eigvals(weight)
    found = follow_parameter(lambda g: tanh_map(g * weight), values=np.linspace(0.5, 2, 7))
    consistent(found)
    expected = sorted(
        (1 / abs(z), "Neimark-Sacker" if z.imag else "supercritical pitchfork" if z.real > 0 else "flip")
        for z in values
        if z.imag >= 0 and 0.5 < 1 / abs(z) < 2
    )
    origin = np.abs(found.events.point).max(1) < 1e-6
    np.testing.assert_allclose(found.events.value[origin], [g for g, _ in expected], atol=1e-6)
    assert [name for name, here in zip(found.events.names, origin, strict=True) if here] == [k for _, k in expected]
    spins = [abs(np.angle(z)) / (2 * np.pi) for _, z in sorted((1 / abs(z), z) for z in values if z.imag > 0)]
    told = found.events.frequency[origin & (np.array(found.events.names) == "Neimark-Sacker")]
    np.testing.assert_allclose(told, spins[: len(told)], atol=1e-6)
    np.testing.assert_array_equal(found.index_sum, 1)


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_an_input_takes_the_memories_of_a_flip_flop_away(consistent, flip_flop, kind):
    module, data = flip_flop(kind)
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    found = follow_fixed_points(module, inputs=np.array([[0.0, 0, 0], [0.2, 0, 0]]), n_starts=512)
    consistent(found)
    assert len(found) == 27
    none = found.at(0.0)
    apart = np.linalg.norm(found.point[none][:, None] - data["reference_fixed_points"], axis=-1)
    assert len(none) == 27
    assert apart.min(0).max() < 1e-8, "every reference point is there"
    np.testing.assert_array_equal(found.n_unstable[none], data["reference_n_unstable"][apart.argmin(1)])
    # A pulse in one channel leaves the states of the two others: 3^2.
    assert len(found.at(0.2)) == 9
    assert found.events.names == ["saddle-node"] * 9
    assert found.consistent, found.summary()
    # A second method: a fresh search just before and just after the first fold.
    for side, expected in ((-1, 27), (1, 25)):
        beside = np.array([found.events.value[0] + side * 1e-4, 0, 0])
        assert len(find_fixed_points(module, input=beside, starts=data["initial_states"])) == expected
    for name, value in module.state_dict().items():
        assert torch.equal(value, weights[name]), "the network was changed"


def test_a_closed_curve_that_only_a_search_in_the_middle_sees(consistent):
    found = follow_parameter(
        lambda p: scalar(lambda x: x + 0.3 * (1 - x**2 - p**2)), values=np.linspace(-2, 2, 9), starts=STARTS
    )
    consistent(found)
    assert len(found) == 2
    assert found.events.names == ["saddle-node"] * 2
    np.testing.assert_allclose(found.events.value, [-1, 1], atol=1e-9)
    assert (found.branches.ends == EVENT).all()
    np.testing.assert_allclose(found.point[:, 0] ** 2 + found.value**2, 1, atol=1e-9)
    assert not found.consistent, "other such curves could lie between the searches"


@pytest.mark.parametrize("exact", [True, False])
def test_a_fold_at_a_kink_is_a_border_collision(exact):
    def tent(p):
        jacobian = (lambda x: (1 - np.sign(x))[..., None]) if exact else None
        return scalar(lambda x: x + p - np.abs(x), jacobian=jacobian)

    found = follow_parameter(tent, values=np.linspace(-1, 1, 8), starts=STARTS)
    assert found.events.names == ["border collision"]
    assert abs(found.events.value[0]) <= found.events.error[0] < 2e-6
    assert len(found) == 2
    np.testing.assert_allclose(np.abs(found.point[:, 0]), found.value, atol=1e-9)


def test_rectified_units_that_inhibit_each_other_switch_at_kinks():
    weight = np.array([[0.5, -1.0], [-1.0, 0.5]])

    def drive(h, u):
        return h @ weight.T + 1 + u * np.array([1.0, -1.0])

    relu = rs.FunctionMap(
        lambda h, u: 0.5 * h + 0.5 * np.maximum(drive(h, u), 0),
        jacobian=lambda h, u: 0.5 * np.eye(2) + 0.5 * (drive(h, u) > 0)[..., None] * weight,
        input_jacobian=lambda h, u: 0.5 * ((drive(h, u) > 0) * np.array([1.0, -1.0]))[..., None],
        state_size=2,
        input_size=1,
        initial=lambda n, rng: rng.uniform(0, 3, (n, 2)),
    )
    found = follow_fixed_points(relu, inputs=np.array([[-1.0], [1.0]]))
    # With unit 1 off h_0 = 2 (1 + u), and unit 1 stays off while 1 - u < h_0: from u = -1/3 on.
    assert found.events.names == ["border collision"] * 2
    np.testing.assert_allclose(found.events.value, [-1 / 3, 1 / 3], atol=1e-8)
    assert [len(found.at(value)) for value in (-0.5, 0.0, 0.5)] == [1, 3, 1]


def test_a_continuum_of_fixed_points_is_told_and_not_followed():
    line = rs.FunctionMap(
        lambda h, u: np.stack([h[..., 0], 0.5 * h[..., 1] + u[..., 0]], -1), state_size=2, input_size=1
    )
    starts = np.random.default_rng(0).normal(size=(9, 2))
    found = follow_fixed_points(line, inputs=np.array([[0.0], [1.0]]), starts=starts, n_searches=2)
    assert len(found) == 0
    assert found.searches.n_not_followed == 18
    assert not found.consistent
    assert "18 points found and not followed" in found.summary()

    # x' = p x stands still everywhere at p = 1, which is no branch along p.
    found = follow_parameter(lambda p: scalar(lambda x: p * x), values=[0.5, 1.5], starts=STARTS)
    assert len(found) == 1
    assert found.events.names == ["degenerate point"]


def test_points_end_where_they_leave_the_domain():
    found = follow_parameter(
        lambda p: scalar(lambda x: x + 0.5 * (p - x), domain=(0, 1)), values=np.linspace(-0.5, 1.5, 11)
    )
    assert found.branches.ends.tolist() == [[DOMAIN, DOMAIN]]
    assert not found.events.names
    np.testing.assert_allclose(found.value[[0, -1]], [0, 1], atol=1e-6)
    np.testing.assert_allclose(found.point[:, 0], found.value, atol=1e-9)
    assert found.converged


def test_a_map_without_fixed_points_has_no_branch():
    found = follow_parameter(lambda p: scalar(lambda x: x + 1 + p), values=[0.0, 1.0], starts=STARTS)
    assert len(found) == 0
    assert found.summary().startswith("no branches of fixed points found over parameter from 0 to 1: no event")
    assert "no fixed point found" in found.figure().layout.annotations[0].text
    assert from_xarray(BifurcationDiagram, to_xarray(found)).summary() == found.summary()


def test_more_branches_than_asked_for_are_counted(flip_flop):
    module, _ = flip_flop("gru")
    found = follow_fixed_points(module, inputs=np.array([[0.0, 0, 0], [0.2, 0, 0]]), max_branches=5, n_searches=2)
    assert 5 <= len(found) <= 7, "a curve is followed as a whole"
    assert found.searches.n_not_followed > 0
    assert not found.consistent


def test_a_function_may_return_modules_and_is_never_asked_beyond_its_ends():
    asked = []

    def scaled(gain):
        asked.append(gain)
        module = torch.nn.RNN(2, 3)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.zero_()
            module.weight_hh_l0.copy_(gain * torch.eye(3) * torch.tensor([1.0, 0.6, 0.2]))
            module.weight_ih_l0[0, 0] = 1.0
        return module

    found = follow_parameter(scaled, values=[0.8, 1.3], input=np.zeros(2), n_starts=32, n_searches=2)
    assert found.events.names == ["supercritical pitchfork"]
    assert found.events.value[0] == pytest.approx(1, abs=1e-6)
    assert min(asked) >= 0.8
    assert max(asked) <= 1.3
    # A drive breaks the symmetry: of the pitchfork a fold is left.
    driven = follow_parameter(scaled, values=[0.8, 1.3], input=np.array([0.01, 0]), n_starts=32, n_searches=2)
    assert driven.events.names == ["saddle-node"]
    assert driven.events.value[0] > 1


def test_searches_along_a_parameter_begin_where_the_task_of_what_is_returned_leads(flip_flop_run):
    """Without a domain or states of a task nothing would tell where to start."""
    task, still = flip_flop_run("gru").task, rs.FunctionMap(lambda h, u: 0.5 * h + u, state_size=3, input_size=3)

    def gained(gain):
        return rs.Subject(rs.FunctionMap(lambda h, u: gain * h + u, state_size=3, input_size=3), task)

    with pytest.raises(NotApplicable, match="it is not known where to start"):
        follow_parameter(lambda gain: still, values=[0.5, 0.8], n_searches=2)
    found = follow_parameter(gained, values=[0.5, 0.8], n_searches=2, n_starts=16)
    assert len(found) == 1
    np.testing.assert_allclose(found.point, 0, atol=1e-9)


def test_how_it_was_made_is_told():
    found = follow_parameter(lambda p: scalar(lambda x: x + p - x**2), values=[-1.0, 1.0], starts=STARTS, axis="push")
    assert found.made.analysis == "follow_parameter"
    assert found.made.settings["values"] == [-1.0, 1.0]
    assert found.made.settings["axis"] == found.along.name == "push"
    assert found.made.settings["n_starts"] == 128
    assert found.made.origin.weights is None, "a function has no digest"
    along = follow_fixed_points(BISTABLE, inputs=[[-1.0], [1.0]], n_searches=2)
    assert along.made.analysis == "bifurcations"
    assert along.made.settings["inputs"] == [[-1.0], [1.0]]


def test_a_seed_repeats_itself():
    one, two = (follow_fixed_points(BISTABLE, inputs=np.array([[-1.0], [1.0]]), seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.point, two.point)
    np.testing.assert_array_equal(one.events.value, two.events.value)


# Result


def test_the_result_survives_and_its_figure_shows_all():
    found = follow_fixed_points(BISTABLE, inputs=np.array([[-1.0], [1.0]]))
    dataset = to_xarray(found)
    assert dataset["point"].dims == ("row", "unit")
    back = from_xarray(BifurcationDiagram, dataset)
    assert back.summary() == found.summary()
    assert back.outputs is None
    figure = found.figure()
    names = ["stable", "repelling", "saddle-node (2)", "numbers: of branches"]
    assert [trace.name for trace in figure.data] == names
    assert [trace.line.dash for trace in figure.data[:2]] == ["solid", "dot"]
    np.testing.assert_allclose(figure.data[2].x, [-FOLD, FOLD], atol=1e-9)
    drawn = np.array([figure.data[1].x, figure.data[1].y])
    for x, y in zip(figure.data[2].x, figure.data[2].y, strict=True):
        assert np.nanmin(np.abs(drawn - [[x], [y]]).max(0)) < 1e-9, "lines reach the folds"
    with pytest.raises(ValueError, match="no readout"):
        found.figure(output=0)
    with pytest.raises(ValueError, match="unit must be from 0 to 0, got 3"):
        found.figure(unit=3)
    with pytest.raises(ValueError, match=r"nearest of `along.values` is 0\.1"):
        found.at(0.08)


def test_where_only_0_is_fixed_its_rounding_is_not_magnified():
    shrinks = np.array([[0.3, 0.1], [-0.2, 0.4]])
    found = follow_parameter(
        lambda p: rs.FunctionMap(lambda x: np.tanh(p * x @ shrinks), state_size=2, domain=(-1, 1)),
        values=[0.5, 1.0],
        starts=np.array([[0.5, 0.1], [-0.3, 0.4]]),
    )
    assert len(found) == 1
    np.testing.assert_allclose(found.figure().layout.yaxis.range, [-1, 1], atol=1e-9)


MODULE = torch.nn.RNN(2, 4)


@pytest.mark.parametrize(
    ("system", "arguments", "error", "words"),
    [
        (MODULE, {}, NotApplicable, "nothing along which to follow.*give inputs"),
        (MODULE, {"inputs": np.zeros((1, 2))}, ValueError, r"\(value, 2\) with two rows.*\(1, 2\)"),
        (MODULE, {"inputs": np.zeros((2, 3))}, ValueError, r"\(value, 2\).*\(2, 3\)"),
        (MODULE, {"inputs": np.zeros((2, 2))}, ValueError, "rows 0 and 1 of inputs are the same"),
        (MODULE, {"inputs": np.array([[0, 0], [np.nan, 0]])}, ValueError, "inputs must be finite"),
        (MODULE, {"inputs": np.eye(2), "input": np.zeros(2)}, ValueError, "not both"),
        (MODULE, {"inputs": np.eye(2), "values": [0.0, 1.0, 2.0]}, ValueError, "3 numbers, inputs 2 rows"),
        (scalar(np.tanh), {"inputs": np.zeros((2, 1))}, ValueError, "takes no input"),
        (MODULE, {"inputs": np.eye(2), "n_starts": 0}, ValueError, "n_starts must be at least 1"),
        (MODULE, {"inputs": np.eye(2), "n_searches": 1}, ValueError, "n_searches must be at least 2"),
        (MODULE, {"inputs": np.eye(2), "max_step": 0.0}, ValueError, "max_step must be above 0, got 0.0"),
        (MODULE, {"inputs": np.eye(2), "max_step": 0.3}, ValueError, "max_step must be at most 0.25, got 0.3"),
        (MODULE, {"inputs": np.eye(2), "seed": -1}, ValueError, "seed must be at least 0"),
        (MODULE, {"inputs": np.eye(2), "starts": np.zeros((3, 5))}, ValueError, r"\(start, 4\).*\(3, 5\)"),
        (lambda p: scalar(np.tanh), {"values": [0.0, 1.0]}, TypeError, "cannot see a state in a function"),
    ],
)
def test_bad_input_is_named(system, arguments, error, words):
    with pytest.raises(error, match=words):
        follow_fixed_points(system, **arguments)


@pytest.mark.parametrize(
    ("function", "arguments", "error", "words"),
    [
        (lambda p: scalar(np.tanh), {}, TypeError, "values"),
        (lambda p: scalar(np.tanh), {"values": [1.0]}, ValueError, "two numbers at least"),
        (lambda p: scalar(np.tanh), {"values": [1.0, np.inf]}, ValueError, "finite, got inf"),
        (lambda p: scalar(np.tanh), {"values": [1.0, 1.0]}, ValueError, "must rise"),
        (lambda p: scalar(np.tanh), {"values": [0.0, 1.0], "inputs": np.eye(2)}, TypeError, "inputs"),
        (lambda p: np.tanh, {"values": [0.0, 1.0]}, TypeError, "must return a map at every value, at 0 it does not"),
        (lambda p: None, {"values": [0.0, 1.0]}, TypeError, "NoneType"),
        (lambda p: torch.nn.RNN(1, 2 + int(p)), {"values": [0.0, 1.0]}, ValueError, "2 states at 0 and 3 at 1"),
        (lambda p: MODULE, {"values": [0.0, 1.0], "input": np.zeros(3)}, ValueError, r"\(2,\).*\(3,\)"),
        (lambda p: scalar(np.tanh), {"values": [0.0, 1.0], "n_starts": 0}, ValueError, "n_starts must be at least 1"),
        (lambda p: scalar(np.tanh), {"values": [0.0, 1.0], "max_step": 0.3}, ValueError, "max_step must be at most"),
        (lambda p: scalar(lambda x: p * x), {"values": [0.5, 1.5]}, NotApplicable, "it is not known where to start"),
    ],
)
def test_bad_input_along_a_parameter_is_named(function, arguments, error, words):
    with pytest.raises(error, match=words):
        follow_parameter(function, **arguments)
