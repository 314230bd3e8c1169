"""Linear dynamics whose spectrum, non-normality and alignments are known."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.fixed_points.linearisation.linearise import ILL_CONDITIONED, Linearisation, linearise
from rnnscope.analyses.fixed_points.search.find import find_fixed_points
from rnnscope.records.result_files import load_result, save_result


def linear(matrix, by_input=None, readout=None):
    matrix = np.asarray(matrix, float)
    n = len(matrix)
    by_input = np.zeros((n, 0)) if by_input is None else np.asarray(by_input, float)
    shown = {} if readout is None else {"readout": lambda x: x @ np.asarray(readout).T, "readout_size": len(readout)}
    if not by_input.shape[1]:
        return rs.FunctionMap(
            lambda x: x @ matrix.T, jacobian=lambda x: np.broadcast_to(matrix, (*x.shape, n)), state_size=n, **shown
        )
    return rs.FunctionMap(
        lambda x, u: x @ matrix.T + u @ by_input.T,
        jacobian=lambda x, u: np.broadcast_to(matrix, (*x.shape, n)),
        input_jacobian=lambda x, u: np.broadcast_to(by_input, (*x.shape, by_input.shape[1])),
        state_size=n,
        input_size=by_input.shape[1],
        **shown,
    )


def at_origin(matrix, *more, **settings):
    return linearise(linear(matrix, *more), points=np.zeros((1, len(matrix))), n_vectors=None, **settings)


def readout_of(data):
    readout = torch.nn.Linear(16, 3)
    readout.load_state_dict({name[8:]: torch.tensor(data[name]) for name in data.files if name.startswith("readout.")})
    return readout


def orthogonal(n, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def test_a_rotation_has_its_frequency_and_time_constant_and_is_normal():
    angle, radius = 2 * np.pi / 12, 0.9
    matrix = radius * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = at_origin(matrix)
    np.testing.assert_allclose(found.eigenvalues[0], radius * np.exp([1j * angle, -1j * angle]))
    np.testing.assert_allclose(found.time_constants[0], -1 / np.log([0.9, 0.9]))
    np.testing.assert_allclose(found.frequencies[0], [1 / 12, -1 / 12])
    np.testing.assert_allclose(found.distance_to_circle, [0.1])
    np.testing.assert_allclose(found.growth.spectral_norm, [0.9])
    np.testing.assert_allclose(found.vectors.condition, [[1, 1]])
    assert found.growth.non_normality.tolist() == [0.0]
    assert found.growth.transient.tolist() == [1.0]
    assert found.n_unstable.tolist() == [0]


@pytest.mark.parametrize("shear", [0.5, 3.0])
def test_a_shear_of_known_non_normality_grows_before_it_fades(shear):
    """[[a, s], [0, a/2]]: Henrici's departure is s; the powers are known."""
    a = 0.95
    matrix = np.array([[a, shear], [0, a / 2]])
    found = at_origin(matrix)
    np.testing.assert_allclose(found.growth.non_normality, [shear / np.sqrt(1.25 * a**2 + shear**2)])
    # (1, 0) and (s, a/2 - a) are the eigenvectors: their sine tells the condition of both eigenvalues.
    np.testing.assert_allclose(found.vectors.condition, np.full((1, 2), np.hypot(shear, a / 2) / (a / 2)), rtol=1e-12)
    every = [np.linalg.norm(np.linalg.matrix_power(matrix, k), 2) for k in range(300)]
    np.testing.assert_allclose(found.growth.transient, [max(every[0], *(every[2**i] for i in range(9)))], rtol=1e-12)
    assert found.growth.transient[0] >= max(every) / 1.5


def test_transient_growth_of_an_unstable_point_is_beyond_that_of_its_eigenvalues():
    shear = np.array([[1.2, 4.0], [0, 0.3]])
    powers = [np.linalg.norm(np.linalg.matrix_power(shear, k), 2) / 1.2**k for k in (1, 2, 4, 8, 16, 32)]
    np.testing.assert_allclose(at_origin(shear).growth.transient, [max(powers)], rtol=1e-6)
    normal = at_origin(np.diag([3.0, 0.2]))
    np.testing.assert_allclose(normal.growth.transient, [1.0], rtol=1e-12, err_msg="a normal matrix")


@pytest.mark.parametrize("nearly", [0.0, 1e-17])
def test_a_jordan_block_is_told_to_be_defective(nearly):
    matrix = np.array([[0.5, 1.0, 0.0], [nearly, 0.5, 0.0], [0.0, 0.0, 0.9]])
    found = at_origin(matrix)
    assert found.vectors.defective.tolist() == [[False, True, True]]
    assert (found.vectors.condition[0, 1:] > ILL_CONDITIONED).all()
    np.testing.assert_allclose(found.vectors.condition[0, 0], 1.0)
    np.testing.assert_allclose(np.linalg.norm(found.vectors.left[0], axis=1), 1.0, err_msg="unscaled where defective")
    assert np.isfinite(found.vectors.left).all()
    assert "2 of 3 eigenvalues ill-conditioned or defective" in found.summary()


def test_nilpotent_matrices_are_as_far_from_normal_as_can_be():
    found = at_origin(np.array([[0.0, 2.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found.growth.non_normality, [1.0])
    np.testing.assert_allclose(found.growth.transient, [2.0])
    nothing = at_origin(np.zeros((2, 2)))
    assert nothing.growth.non_normality.tolist() == [0.0], "0 is normal"
    assert nothing.time_constants.tolist() == [[0.0, 0.0]]


def test_repeated_eigenvalues_of_a_normal_matrix_still_have_vectors_that_belong_together():
    basis = orthogonal(5, 0)
    found = at_origin(basis @ np.diag([0.9, 0.5, 0.5, 0.5, -0.2]) @ basis.T)
    products = np.einsum("pvi,pwi->pvw", found.vectors.left.conj(), found.vectors.right)[0]
    np.testing.assert_allclose(products, np.eye(5), atol=1e-10)
    assert not found.vectors.defective.any()
    assert found.growth.non_normality[0] < 1e-7


def test_vectors_are_eigenvectors_scaled_to_each_other():
    matrix = np.random.default_rng(0).standard_normal((40, 40)) / np.sqrt(40)
    found = at_origin(matrix)
    values, right, left = found.eigenvalues[0], found.vectors.right[0], found.vectors.left[0]
    np.testing.assert_allclose(right @ matrix.T, values[:, None] * right, atol=1e-10)
    np.testing.assert_allclose(left.conj() @ matrix, values[:, None] * left.conj(), atol=1e-10)
    np.testing.assert_allclose(left.conj() @ right.T, np.eye(40), atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(right, axis=1), 1.0)
    np.testing.assert_allclose(np.linalg.norm(left, axis=1), found.vectors.condition[0], rtol=1e-9)
    largest = right[np.arange(40), np.abs(right).argmax(1)]
    np.testing.assert_allclose(largest.imag, 0, atol=1e-12)
    assert (largest.real > 0).all()


def test_the_condition_bounds_what_a_small_error_does_to_an_eigenvalue():
    rng = np.random.default_rng(3)
    matrix = np.triu(rng.standard_normal((6, 6)), 1) + np.diag([0.9, 0.7, 0.5, 0.3, 0.1, -0.2])
    found = at_origin(matrix)
    left, right = found.vectors.left[0], found.vectors.right[0]
    for i in (0, 3):
        # The worst error of size 1e-9 is along l r^H.
        worst = np.outer(left[i], right[i].conj()).real
        worst *= 1e-9 / np.linalg.norm(worst, 2)
        moved = at_origin(matrix + worst).eigenvalues[0, i] - found.eigenvalues[0, i]
        assert abs(moved) == pytest.approx(1e-9 * found.vectors.condition[0, i], rel=1e-3)


def test_inputs_align_with_left_and_outputs_with_right_vectors():
    """r_1 = (1, 0, 0), r_2 = (.6, .8, 0); l_1 is orthogonal to r_2 and l_2 to r_1."""
    right = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]).T
    matrix = right @ np.diag([0.9, 0.6, 0.1]) @ np.linalg.inv(right)
    by_input = np.array([[0.8, 0.0, 1.0], [-0.6, 3.0, 0.0], [0.0, 0.0, 0.0]])  # along l_1, along l_2, along r_1
    readout = np.array([[5.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    found = linearise(linear(matrix, by_input, readout), points=np.ones((2, 3)))
    np.testing.assert_allclose(found.coupling.input_alignment[0], [[1, 0.6, 0.8], [0.6, 1, 0], [0, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(found.coupling.readout_alignment[1], [[1, 0], [0.6, 0], [0, 1]], atol=1e-8)
    np.testing.assert_array_equal(found.coupling.input_jacobian[1], by_input)
    np.testing.assert_allclose(found.coupling.readout_jacobian[0], readout, atol=1e-8)


def test_a_readout_that_bends_is_linearised_where_it_is_read():
    bent = rs.FunctionMap(lambda x: 0.5 * x, state_size=2, readout=lambda x: np.tanh(3 * x[..., :1]), readout_size=1)
    points = np.array([[0.0, 0.0], [0.4, 1.0]])
    slope = linearise(bent, points=points).coupling.readout_jacobian
    np.testing.assert_allclose(slope[:, 0], [[3, 0], [3 * (1 - np.tanh(1.2) ** 2), 0]], atol=1e-8)


def test_a_rank_one_network_integrates_along_its_one_left_vector():
    """h' = m n·h + B u with n·m = 1: λ = 1, r = m / |m|, l = n |m|."""
    rng = np.random.default_rng(2)
    m, n = rng.standard_normal((2, 8))
    m /= n @ m
    by_input = np.stack([n, rng.standard_normal(8)], 1)
    found = linearise(linear(np.outer(m, n), by_input, m[None]), points=np.zeros((1, 8)), n_vectors=1)
    np.testing.assert_allclose(found.eigenvalues[0, 0], 1.0)
    np.testing.assert_allclose(found.distance_to_circle, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.coupling.input_alignment[0, 0, 0], 1.0)
    np.testing.assert_allclose(found.coupling.readout_alignment[0, 0, 0], 1.0)
    np.testing.assert_allclose(np.abs(found.vectors.left[0, 0]), np.abs(n) * np.linalg.norm(m), rtol=1e-10)
    assert found.vectors.right.shape == (1, 1, 8)


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_saddles_of_the_flip_flop_listen_to_the_input_that_they_decide_about(flip_flop, kind):
    module, data = flip_flop(kind)
    readout = readout_of(data)
    found = linearise(rs.wrap(module, readout=readout), points=data["reference_fixed_points"])
    np.testing.assert_array_equal(found.n_unstable, data["reference_n_unstable"])
    assert found.q.max() < 1e-15
    # The two memories that a saddle parts differ in one bit: its outputs are near ±1 but for this one.
    for saddle in np.flatnonzero(found.n_unstable == 1):
        undecided = np.abs(readout(torch.tensor(found.points[saddle]).float()).detach().numpy()).argmin()
        assert found.coupling.input_alignment[saddle, 0].argmax() == undecided
        assert found.coupling.readout_alignment[saddle, 0].argmax() == undecided
        assert found.coupling.input_alignment[saddle, 0, undecided] > 0.75
        assert np.delete(found.coupling.input_alignment[saddle, 0], undecided).max() < 0.2
    # Displacements along an unstable right vector do leave as the eigenvalue says.
    saddle = np.flatnonzero(found.n_unstable == 1)[0]
    start, vector = found.points[saddle], 1e-6 * found.vectors.right[saddle, 0].real
    state_map = rs.as_subject(module).map
    moved = state_map.step((start + vector)[None], np.zeros((1, 3)))[0] - start
    np.testing.assert_allclose(moved, found.eigenvalues[saddle, 0].real * vector, atol=1e-10)


def test_a_gru_agrees_with_automatic_differentiation(flip_flop):
    module, data = flip_flop("gru")
    point, held = data["reference_fixed_points"][3], np.array([0.3, -0.2, 0.1])
    found = linearise(module, points=point[None], input=held, n_vectors=None)
    cell = module.double()

    def step(h, u):
        return cell(u[None, None], h[None, None])[1][0, 0]

    by_state, by_input = torch.autograd.functional.jacobian(step, (torch.tensor(point), torch.tensor(held)))
    np.testing.assert_allclose(found.coupling.input_jacobian[0], by_input.numpy(), atol=1e-12)
    rebuilt = np.einsum("vi,v,vj->ij", found.vectors.right[0], found.eigenvalues[0], found.vectors.left[0].conj())
    np.testing.assert_allclose(rebuilt, by_state.numpy(), atol=1e-10)


def test_fixed_points_are_searched_for_or_taken_with_their_inputs(flip_flop):
    module, _ = flip_flop("tanh")
    held = np.array([0.0, 0.05, 0.0])
    given = find_fixed_points(module, input=held, seed=1)
    found = linearise(module, fixed_points=given)
    np.testing.assert_array_equal(found.inputs, np.broadcast_to(held, (len(given), 3)))
    np.testing.assert_allclose(np.abs(found.eigenvalues), np.abs(given.eigenvalues), atol=1e-9)
    np.testing.assert_array_equal(found.n_unstable, given.n_unstable)
    searched = linearise(module, input=held, seed=1)
    np.testing.assert_array_equal(searched.points, given.points)
    assert "(8 stable)" in searched.summary()


def test_of_fixed_points_at_several_inputs_those_asked_for_are_taken():
    bent = rs.FunctionMap(lambda x, u: np.tanh(2 * x + u), state_size=1, input_size=1, domain=(-1, 1))
    given = find_fixed_points(bent, input=[[0.0], [0.1], [3.0]], n_starts=60)
    assert len(linearise(bent, fixed_points=given)) == 3 + 3 + 1
    found = linearise(bent, fixed_points=given, input=[0.1])
    np.testing.assert_array_equal(found.points, given.points[given.at(1)])
    assert found.inputs.tolist() == [[0.1]] * 3
    both = linearise(bent, fixed_points=given, input=[[3.0], [0.0]])
    assert both.inputs[:, 0].tolist() == [0.0] * 3 + [3.0]
    with pytest.raises(ValueError, match=r"input must have shape \(1,\), one input to hold, got \(2,\)"):
        linearise(bent, fixed_points=given, input=[0.1, 0.2])


def test_how_it_was_made_is_told(flip_flop):
    module, _ = flip_flop("tanh")
    found = linearise(module, points=np.zeros((1, 16)), n_vectors=3)
    assert found.made.analysis == "linearisation"
    assert found.made.settings["n_vectors"] == 3
    assert found.made.settings["points"] == [[0.0] * 16]
    assert found.made.origin.is_same(rs.as_subject(module).origin)
    used = rs.analyses.ANALYSES["linearisation"].on(module, input=[0.0, 0.05, 0.0])
    assert {argument: made.analysis for argument, made in used.made.used.items()} == {"fixed_points": "fixed_points"}
    np.testing.assert_array_equal(used.inputs[0], [0.0, 0.05, 0.0])


def test_each_point_has_its_own_input():
    bent = rs.FunctionMap(lambda x, u: np.tanh(2 * x + u), state_size=1, input_size=1)
    found = linearise(bent, points=np.zeros((2, 1)), input=np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(found.eigenvalues[:, 0].real, [2, 2 * (1 - np.tanh(1) ** 2)], rtol=1e-8)
    np.testing.assert_allclose(found.q, [0, np.tanh(1) ** 2 / 2])


def test_neither_inputs_nor_readout_nor_points_are_needed():
    found = linearise(linear(np.diag([0.5, 2.0])), points=np.zeros((1, 2)))
    assert found.coupling.input_alignment.shape == found.coupling.readout_alignment.shape == (1, 2, 0)
    assert "alignment" not in found.summary()
    nowhere = linearise(rs.FunctionMap(lambda x: x + 1, state_size=3), points=np.empty((0, 3)))
    assert nowhere.eigenvalues.shape == (0, 3)
    assert nowhere.vectors.right.shape == (0, 3, 3)
    assert nowhere.summary() == "no point to linearise at"
    nowhere.figure()


def test_a_jacobian_that_is_not_finite_is_told():
    root = rs.FunctionMap(
        lambda x: np.sqrt(np.abs(x)),
        jacobian=lambda x: (0.5 / np.sqrt(np.abs(x)))[..., None] * np.eye(1),
        state_size=1,
    )
    found = linearise(root, points=np.array([[0.0], [1.0]]))
    assert np.isnan(found.eigenvalues[0, 0])
    np.testing.assert_allclose(found.eigenvalues[1, 0], 0.5)
    assert "the Jacobian is not finite at 1" in found.summary()


def test_complex_vectors_survive_zarr(flip_flop, tmp_path):
    module, data = flip_flop("gru")
    readout = readout_of(data)
    found = linearise(rs.wrap(module, readout=readout))
    assert np.abs(found.vectors.right.imag).max() > 0.1
    save_result(found, tmp_path / "linearisation.zarr")
    back = load_result(Linearisation, tmp_path / "linearisation.zarr")
    np.testing.assert_array_equal(back.vectors.right, found.vectors.right)
    np.testing.assert_array_equal(back.vectors.left, found.vectors.left)
    assert back.summary() == found.summary()
    assert found.to_xarray()["vectors/left"].dims == ("point", "vector", "unit")


def test_the_figure_shows_all_points_or_one(flip_flop):
    module, data = flip_flop("tanh")
    readout = readout_of(data)
    found = linearise(rs.wrap(module, readout=readout), points=data["reference_fixed_points"])
    counts = {trace.name: len(trace.x) for trace in found.figure().data if trace.name and trace.showlegend}
    assert counts == {"|λ| < 1 (405)": 405, "|λ| > 1 (27)": 27}, "12 + 2 * 6 + 3 unstable eigenvalues"
    saddle = int(np.flatnonzero(found.n_unstable == 3)[0])
    one = found.figure(point=saddle)
    assert "|λ| > 1 (3)" in [trace.name for trace in one.data]
    table = next(np.asarray(trace.z) for trace in one.data if trace.type == "heatmap")
    assert np.isnan(table[:, 3]).all(), "a gap between inputs and outputs"
    both = np.concatenate(
        [found.coupling.input_alignment[saddle, :3], found.coupling.readout_alignment[saddle, :3]], -1
    )
    np.testing.assert_array_equal(np.delete(table, 3, axis=1)[:3], both)
    marginal = linearise(linear(np.diag([1.0, 0.5])), points=np.zeros((1, 2))).figure()
    assert "|λ| ≈ 1 (1)" in [trace.name for trace in marginal.data]
    with pytest.raises(ValueError, match="no point 27: the result has 27"):
        found.figure(point=27)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"points": np.zeros((3, 5))}, r"\(point, 4\).*\(3, 5\)"),
        ({"points": np.full((3, 4), np.nan)}, "finite"),
        ({"points": np.zeros((3, 4)), "input": np.zeros(3)}, r"\(2,\) or \(3, 2\), got \(3,\)"),
        ({"points": np.zeros((3, 4)), "n_vectors": 0}, "n_vectors must be at least 1, got 0"),
    ],
)
def test_bad_input_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        linearise(torch.nn.RNN(2, 4), **arguments)


def test_fixed_points_of_another_system_or_with_another_input_are_refused():
    given = find_fixed_points(torch.nn.RNN(1, 3), n_starts=4)
    with pytest.raises(ValueError, match="3 numbers in a state and 1 in an input, the system 4 and 2"):
        linearise(torch.nn.RNN(2, 4), fixed_points=given)
    with pytest.raises(ValueError, match=r"found at other inputs than \[0.5\]: find them there"):
        linearise(torch.nn.RNN(1, 3), fixed_points=given, input=[0.5])
    with pytest.raises(ValueError, match="choose one"):
        linearise(torch.nn.RNN(1, 3), fixed_points=given, points=np.zeros((1, 3)))
