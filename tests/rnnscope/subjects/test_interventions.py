"""Interventions do what they say, at the steps that are named, and what they do flows on."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnscope as rs
from rnnscope import analyses, cells, tasks
from rnnscope import interventions as iv
from rnnscope.maps import CellMap, EncodedMap, keeps_domain
from rnnscope.tasks import FlipFlop

RNG = np.random.default_rng(0)
N, T = 6, 9
DIRECTION = RNG.standard_normal(5)
SHOWN = RNG.standard_normal((N, T, 2))
EACH_CELL = {
    f"{kind.__name__} {number}": cell
    for kind in (cells.Vanilla, cells.Leaky, cells.LowRank, cells.GRU, cells.LSTM, cells.PiecewiseLinear)
    for number, cell in enumerate(kind.examples())
    if cell.units > 2
}


def network(cell: cells.Cell) -> rs.Network:
    return rs.Network(cell, 2, 3, generator=torch.Generator().manual_seed(1))


def stacked(kind: type[nn.Module] = nn.LSTM, n_layers: int = 2) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return kind(2, 5, n_layers, batch_first=True).double()


def by_hand(subject: rs.Subject, change: Any, initial: np.ndarray | None = None) -> np.ndarray:
    """The states of a network of one layer, `change(t, states)` after each step."""
    state = np.zeros((N, subject.map.state_size)) if initial is None else initial
    found = np.empty((N, T, subject.map.state_size))
    for t in range(T):
        state = change(t, subject.map.step(state, SHOWN[:, t]))
        found[:, t] = state
    return found


def run(subject: rs.Subject, *interventions: Any, seed: int = 0, **settings: Any) -> np.ndarray:
    start = np.zeros((N, subject.map.state_size))
    return rs.simulate(subject.under(*interventions), SHOWN, initial=start, seed=seed, **settings).states


def unit_columns(n_units: int, state_size: int, unit: int) -> list[int]:
    return list(range(unit, state_size, n_units))


@pytest.mark.parametrize("name", EACH_CELL)
def test_on_every_cell_as_a_loop_by_hand(name: str):
    """Ablate, Clamp, Steer, Gain, at every step and at some, of all parts of the state."""
    cell = EACH_CELL[name]
    subject = rs.as_subject(network(cell))
    size = subject.map.state_size
    there = unit_columns(cell.units, size, 2)
    push = RNG.standard_normal(size)

    def set_to(value: float) -> Any:
        def change(t: int, states: np.ndarray) -> np.ndarray:
            states = states.copy()
            states[:, there] = value
            return states

        return change

    def scaled(t: int, states: np.ndarray) -> np.ndarray:
        states = states.copy()
        states[:, there] *= 0.5
        return states

    for intervention, change in (
        (iv.Ablate(units=[2]), set_to(0.0)),
        (iv.Clamp(0.3, units=2), set_to(0.3)),
        (iv.Gain(0.5, units=2), scaled),
        (iv.Steer(push, 0.1), lambda t, states: states + 0.1 * push),
    ):
        always = by_hand(subject, change)
        np.testing.assert_allclose(run(subject, intervention), always, atol=1e-12, err_msg=repr(intervention))
        fields = {**vars(intervention), "times": (3, 5)}
        once = type(intervention)(**{k: v for k, v in fields.items() if not k.startswith("_")})
        at_some = by_hand(subject, lambda t, states, change=change: change(t, states) if t in (3, 5) else states)
        np.testing.assert_allclose(run(subject, once), at_some, atol=1e-12, err_msg=repr(once))
        intact = run(subject)
        assert np.abs(run(subject, once)[:, :3] - intact[:, :3]).max() < 1e-14, "an edit at step 3 acts on steps before"
        if "identity" not in repr(cell) and not isinstance(intervention, iv.Gain):
            assert np.abs(run(subject, once)[:, 6:] - intact[:, 6:]).max() > 0, "an edit does not reach later steps"


def test_a_direction_is_taken_out_held_or_scaled():
    subject = rs.as_subject(network(cells.GRU(5)))
    unit = DIRECTION / np.linalg.norm(DIRECTION)
    out = run(subject, iv.Ablate(directions=DIRECTION))
    np.testing.assert_allclose(out @ unit, 0, atol=1e-14)
    np.testing.assert_allclose(out, by_hand(subject, lambda t, h: h - np.outer(h @ unit, unit)), atol=1e-12)
    held = run(subject, iv.Clamp(-0.7, directions=DIRECTION))
    np.testing.assert_allclose(held @ unit, -0.7, atol=1e-14)
    half = run(subject, iv.Gain(0.5, directions=DIRECTION))
    np.testing.assert_allclose(half, by_hand(subject, lambda t, h: h - 0.5 * np.outer(h @ unit, unit)), atol=1e-12)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_layer_sees_what_the_one_below_shows_after_the_change(kind: type[nn.Module]):
    """Two layers of torch's cells, unrolled by hand, against the fused module under an intervention."""
    module = stacked(kind)
    cells_of = {nn.RNN: nn.RNNCell, nn.GRU: nn.GRUCell, nn.LSTM: nn.LSTMCell}
    by_layer = []
    for layer in range(2):
        cell = cells_of[kind](2 if layer == 0 else 5, 5).double()
        for name, _ in list(cell.named_parameters()):
            getattr(cell, name).data.copy_(getattr(module, f"{name}_l{layer}").data)
        by_layer.append(cell)

    def loop(unit: int | None, times: tuple[int, ...] | None) -> np.ndarray:
        h = [(torch.zeros(N, 5).double(),) * (2 if kind is nn.LSTM else 1) for _ in range(2)]
        found = []
        with torch.no_grad():
            for t in range(T):
                below = torch.tensor(SHOWN[:, t])
                for layer, cell in enumerate(by_layer):
                    new = cell(below, h[layer] if kind is nn.LSTM else h[layer][0])
                    new = new if kind is nn.LSTM else (new,)
                    if unit is not None and layer == 0 and (times is None or t in times):
                        new = tuple(part.clone() for part in new)
                        for part in new:
                            part[:, unit] = 0
                    h[layer] = new
                    below = new[0]
                found.append(torch.cat([part for layer in h for part in layer], 1))
        return torch.stack(found, 1).numpy()

    subject = rs.as_subject(module)
    np.testing.assert_allclose(run(subject), loop(None, None), atol=1e-12)
    np.testing.assert_allclose(run(subject, iv.Ablate(units=1, layer=0)), loop(1, None), atol=1e-12)
    np.testing.assert_allclose(run(subject, iv.Ablate(units=1, layer=0, times=4)), loop(1, (4,)), atol=1e-12)
    edited = subject.under(iv.Ablate(units=1, layer=0)).map
    h, u = RNG.standard_normal((4, edited.state_size)), SHOWN[:4, 0]
    moved = 1e-6 * RNG.standard_normal(edited.state_size)
    ahead = (edited.step(h + moved, u) - edited.step(h - moved, u)) / 2
    np.testing.assert_allclose(edited.jacobian(h, u) @ moved, ahead, atol=1e-12)


def test_behind_an_encoder_and_in_a_cell_of_another_make():
    """An encoder before a stack: layers and weights of the recurrence behind it; a called cell has h and c."""
    encoder, stack = nn.Sequential(nn.Linear(2, 2), nn.Tanh()).double(), stacked(nn.GRU)
    behind = rs.as_subject(EncodedMap(rs.wrap(stack), encoder, 2))
    plain = rs.as_subject(stack)
    with torch.no_grad():
        seen = encoder(torch.tensor(SHOWN)).numpy()
    start = np.zeros((N, 10))
    for each in (iv.Ablate(units=1, layer=0), iv.Ablate(units=1, layer=0, times=3), iv.Perturb(0.3, layer=1)):
        expected = rs.simulate(plain.under(each), seen, initial=start).states
        np.testing.assert_allclose(run(behind, each), expected, atol=1e-12, err_msg=repr(each))

    class Pair(nn.Module):
        input_size = 2

        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.LSTMCell(2, 5)

        def forward(self, x: torch.Tensor, state: Any = None) -> Any:
            return self.inner(x, state)

    called = rs.as_subject(rs.wrap(Pair()))
    found = run(called, iv.Clamp(0.5, units=1, part="c"))
    assert (found[..., 6] == 0.5).all()
    assert np.ptp(found[..., 1]) > 0


def test_the_memory_or_what_is_shown_of_an_lstm_alone():
    subject = rs.as_subject(network(cells.LSTM(5)))
    for part, column in (("h", 2), ("c", 7)):
        found = run(subject, iv.Ablate(units=2, part=part))
        zero = (found == 0).all((0, 1))
        assert np.flatnonzero(zero).tolist() == [column], f"ablating {part} of unit 2 changes other numbers"


def test_to_the_mean_and_to_other_trials():
    subject = rs.as_subject(network(cells.GRU(5)))
    mean = subject.visited().states.mean(0)
    found = run(subject, iv.Ablate(units=[1, 4], to="mean"))
    np.testing.assert_allclose(found[..., [1, 4]], np.broadcast_to(mean[[1, 4]], (N, T, 2)), atol=1e-15)
    intact, resampled = run(subject), run(subject, iv.Ablate(units=3, to="resample"))
    source = [int(np.abs(intact[:, :, 3] - resampled[i, :, 3]).max(1).argmin()) for i in range(N)]
    assert sorted(source) == list(range(N)), "each trial is the source of one other"
    assert all(i != j for i, j in enumerate(source)), "a trial was resampled from itself"
    np.testing.assert_array_equal(resampled[..., 3], intact[source, :, 3])
    np.testing.assert_array_equal(resampled, run(subject, iv.Ablate(units=3, to="resample")))
    assert (run(subject, iv.Ablate(units=3, to="resample"), seed=5) != resampled).any(), "the seed changes nothing"


def test_patches_from_other_trials_and_other_steps():
    subject = rs.as_subject(network(cells.GRU(5)))
    intact = run(subject)

    def patched(t: int, h: np.ndarray) -> np.ndarray:
        if t == 4:
            h = h.copy()
            h[[0, 2], 1] = intact[[3, 5], 4, 1]
        return h

    found = run(subject, iv.Patch(times=4, trials=(0, 2), source_trials=(3, 5), units=1))
    np.testing.assert_allclose(found, by_hand(subject, patched), atol=1e-12)
    whole = run(subject, iv.Patch(times=4, source_trials=3))
    np.testing.assert_allclose(whole[:, 4], np.broadcast_to(intact[3, 4], (N, 5)), atol=1e-15)
    back = run(subject, iv.Patch(times=(1, 2), source_times=(7, 8)))
    np.testing.assert_array_equal(back[:, 1], intact[:, 7])
    np.testing.assert_array_equal(back[:, 2], intact[:, 8])


def test_noise_and_mixed_inputs():
    subject = rs.as_subject(rs.FunctionMap(lambda h, u: 0 * h + u, state_size=2, input_size=2))
    many = np.zeros((4000, 5, 2))
    noisy = rs.simulate(subject.under(iv.Noise(0.3, units=1)), many).states
    assert (noisy[..., 0] == 0).all()
    assert noisy[..., 1].std() == pytest.approx(0.3, rel=0.03)
    shown = np.random.default_rng(1).standard_normal((4000, 5, 2))
    mixed = rs.simulate(subject.under(iv.MixInputs(0.6, 0.8)), shown).states
    assert np.mean(mixed * shown) == pytest.approx(0.6, abs=0.03), "x' should be independent of x"
    assert mixed.std() == pytest.approx(1.0, rel=0.03)
    loud = rs.simulate(subject.under(iv.MixInputs(2.0)), shown).states
    np.testing.assert_array_equal(loud, 2 * shown)


def test_process_noise_does_not_reach_what_is_held():
    subject = rs.as_subject(network(cells.GRU(5)))
    found = run(subject, iv.Clamp(0.25, units=3), noise=0.5)
    np.testing.assert_array_equal(found[..., 3], 0.25)


def test_interventions_compose_in_order():
    subject = rs.as_subject(network(cells.GRU(5)))
    first, second = iv.Clamp(0.5, units=1), iv.Gain(2.0, units=1)
    assert (run(subject, first, second)[..., 1] == 1.0).all()
    assert (run(subject, second, first)[..., 1] == 0.5).all()
    one_by_one = rs.simulate(subject.under(first).under(second), SHOWN, initial=np.zeros((N, 5))).states
    np.testing.assert_array_equal(one_by_one, run(subject, first, second))
    late = run(subject, iv.Steer(np.ones(5), times=range(T)), first)
    assert (late[..., 1] == 0.5).all(), "a hold that comes after a push at some steps holds"


def test_an_ablated_network_is_the_smaller_network():
    """Fixed points of a network without two units, against those of the network that never had them."""
    rng = np.random.default_rng(2)
    weight, bias = 2.0 * rng.standard_normal((6, 6)) / 6**0.5, 0.1 * rng.standard_normal(6)

    def tanh_network(w: np.ndarray, b: np.ndarray) -> rs.Network:
        made = rs.Network(cells.Vanilla(len(b)), 1, 1, generator=torch.Generator().manual_seed(0)).double()
        values = dict(made.cell.named_parameters())
        with torch.no_grad():
            values["weights.weight"].copy_(torch.tensor(w))
            values["weights.bias"].copy_(torch.tensor(b))
        return made

    kept = [0, 1, 3, 5]
    small = analyses.find_fixed_points(tanh_network(weight[np.ix_(kept, kept)], bias[kept]), n_starts=256)
    ablated = rs.as_subject(tanh_network(weight, bias)).under(iv.Ablate(units=[2, 4]))
    found = analyses.find_fixed_points(ablated, n_starts=256)
    assert len(found) == len(small)
    assert found.certificates.certified.all(), "points of an ablated network are not certified"
    order = np.lexsort(np.round(found.points[:, kept], 6).T)
    other = np.lexsort(np.round(small.points, 6).T)
    np.testing.assert_allclose(found.points[order][:, kept], small.points[other], atol=1e-9)
    np.testing.assert_allclose(found.points[:, [2, 4]], 0, atol=1e-14)
    spectra = np.sort(np.abs(found.eigenvalues[order]), 1)[:, 2:]
    np.testing.assert_allclose(spectra, np.sort(np.abs(small.eigenvalues[other]), 1), atol=1e-7)


@pytest.mark.parametrize("name", EACH_CELL)
def test_weights_are_perturbed_by_their_share_of_the_norm(name: str):
    subject = rs.as_subject(network(EACH_CELL[name]))
    before = {n: v.clone() for n, v in weights_of(subject).items()}
    changed = weights_of(subject.under(iv.Perturb(0.1)))
    moved = {n: (changed[n] - v).norm() / v.norm() for n, v in before.items() if (changed[n] != v).any()}
    assert moved, "no weight was changed"
    assert all("weight" in n or n.rsplit(".", 1)[-1] in ("left", "right", "diagonal") for n in moved), moved
    np.testing.assert_allclose([float(m) for m in moved.values()], 0.1, rtol=1e-6)
    for n, v in weights_of(subject).items():
        assert torch.equal(v, before[n]), f"the intact network's {n} was changed"
    other = weights_of(subject.under(iv.Perturb(0.1, seed=1)))
    assert any((other[n] != changed[n]).any() for n in moved)


def weights_of(subject: rs.Subject) -> dict[str, torch.Tensor]:
    assert isinstance(subject.map, CellMap)
    modules: Any = subject.map.layers
    return dict(modules[0].named_parameters())


def test_connections_are_cut_and_moved():
    subject = rs.as_subject(network(cells.GRU(5)))
    whole = weights_of(subject)["rnn.weight_hh_l0"].view(3, 5, 5)
    cut = weights_of(subject.under(iv.Cut(senders=[0, 1], receivers=[3])))["rnn.weight_hh_l0"].view(3, 5, 5)
    assert (cut[:, 3, :2] == 0).all()
    assert (cut != whole).sum() == 6
    assert (whole[:, 3, :2] != 0).all()
    moved = weights_of(subject.under(iv.Rewire(1.0)))["rnn.weight_hh_l0"].view(3, 5, 5)
    for gate in range(3):
        assert torch.equal(moved[gate].diagonal(), whole[gate].diagonal())
        assert torch.equal(moved[gate].flatten().sort().values, whole[gate].flatten().sort().values)
    assert (moved != whole).any()
    same = weights_of(subject.under(iv.Rewire(0.0)))["rnn.weight_hh_l0"].view(3, 5, 5)
    assert torch.equal(same, whole)


def test_time_constants_stay_possible():
    subject = rs.as_subject(network(cells.Leaky(5, tau=(1.0, 1.0))))
    tau = weights_of(subject.under(iv.Perturb(0.5, what="time constants")))["weights.tau"]
    assert (tau >= 1).all()
    assert (tau > 1).any()


def test_results_say_what_was_changed_and_are_not_taken_for_others(tmp_path):
    run_ = rs.train(FlipFlop(), cells.GRU(6), rs.Training(steps=2, checkpoints=(0,)), folder=tmp_path)
    intact = analyses.find_fixed_points(run_, n_starts=16)
    run_.save_result(intact)
    under = rs.as_subject(run_).under(iv.Ablate(units=[1]))
    found = analyses.find_fixed_points(under, n_starts=16)
    assert found.made.origin.interventions == ("Ablate(units=(1,))",)
    assert "Ablate" in found.made.label
    assert found.made.key != intact.made.key
    assert not found.made.origin.is_same(intact.made.origin)
    run_.save_result(found)
    labels = {each.made.label for each in rs.load_run(run_.path).kept("fixed_points")}
    assert labels == {"n_starts=16", "n_starts=16, Ablate(units=(1,))"}
    again = rs.load_run(run_.path).result("fixed_points", n_starts=16, interventions=[iv.Ablate(units=1)])
    np.testing.assert_array_equal(again.points, found.points)
    spectrum = analyses.lyapunov_spectrum(under, n_steps=20)
    assert spectrum.made.origin.interventions == ("Ablate(units=(1,))",)
    earlier = under.at(0)
    assert earlier.checkpoint == 0
    assert earlier.interventions == under.interventions
    assert earlier.map.digest() != under.map.digest()


def test_analyses_of_maps_refuse_what_is_no_map():
    subject = rs.as_subject(network(cells.GRU(5)))
    for intervention in (iv.Ablate(units=1, times=3), iv.Noise(0.1), iv.MixInputs(0.5), iv.Patch(3, source_trials=0)):
        with pytest.raises(rs.NotApplicable, match="asks about a map"):
            analyses.find_fixed_points(subject.under(intervention))
    seen = analyses.project_states(subject.under(iv.Ablate(units=1, times=3)), inputs=SHOWN)
    assert seen.made.origin.interventions == ("Ablate(units=(1,), times=(3,))",)


SENTENCES = {
    "no such unit": (lambda s: s.under(iv.Ablate(units=[7])), r"units must be of 0 to 4.*got 7"),
    "a negative unit": (lambda s: s.under(iv.Ablate(units=[-1])), r"got -1"),
    "no unit": (lambda s: s.under(iv.Ablate(units=[])), r"at least one, got none"),
    "no memory": (lambda s: s.under(iv.Ablate(units=[1], part="c")), r"no part 'c'; it has 'h' of layer 0"),
    "no such layer": (lambda s: s.under(iv.Gain(0.5, layer=2)), r"no layer 2"),
    "a direction too short": (lambda s: s.under(iv.Ablate(directions=[[1, 2]])), r"must have 5 numbers.*got 2"),
    "the same direction twice": (lambda s: s.under(iv.Ablate(directions=[DIRECTION, 2 * DIRECTION])), r"depend"),
    "both": (lambda s: s.under(iv.Ablate(units=[1], directions=DIRECTION)), r"cannot both be given"),
    "a short vector": (lambda s: s.under(iv.Steer([1.0, 2.0])), r"must have 5 numbers.*got 2"),
    "too many values": (lambda s: s.under(iv.Clamp([1.0, 2.0, 3.0], units=[1, 2])), r"one number or 2"),
    "a step past the end": (lambda s: run(s, iv.Ablate(units=1, times=9)), r"steps of 0 to 8.*got 9"),
    "a trial too many": (lambda s: run(s, iv.Patch(3, source_trials=6)), r"source_trials must be of 0 to 5.*got 6"),
    "a source step past the end": (lambda s: run(s, iv.Patch(3, source_times=20)), r"source_times must be.*got 20"),
    "a patch of nothing": (lambda s: iv.Patch(3), r"changes nothing"),
    "negative noise": (lambda s: iv.Noise(-1.0), r"must not be negative"),
    "all connections": (lambda s: iv.Cut(), r"name senders, receivers or both"),
    "a unit to cut": (lambda s: s.under(iv.Cut(senders=[9])), r"units must be of 0 to 4, got 9"),
    "units in words": (lambda s: iv.Ablate(units="three"), r"whole number or several, as 3 or \[3, 7\], got 'three'"),
    "half a unit": (lambda s: iv.Ablate(units=[1.5]), r"whole number or several.*got \[1.5\]"),
    "yes": (lambda s: iv.Ablate(units=True), r"whole number or several.*got True"),
    "numpy's numbers": (lambda s: iv.Ablate(units=np.array([0.5])), r"whole number or several"),
    "an unknown setting": (lambda s: iv.Ablate(unit=3), r"unit"),
    "a channel": (lambda s: run(s, iv.MixInputs(0.5, channels=3)), r"channels must be of 0 to 1"),
}


@pytest.mark.parametrize("what", SENTENCES)
def test_mistakes_get_one_clear_error(what: str):
    ask, sentence = SENTENCES[what]
    with pytest.raises((ValueError, TypeError), match=sentence):
        ask(rs.as_subject(network(cells.GRU(5))))


def test_what_is_no_intervention_and_what_has_no_weights():
    own = rs.as_subject(rs.FunctionMap(lambda h: 0.5 * h, state_size=2))
    with pytest.raises(rs.NotApplicable, match="weights are changed of networks of our cells"):
        own.under(iv.Perturb(0.1))
    wrong: Any = "ablate 3"
    with pytest.raises(TypeError, match=r"one of rs\.interventions"):
        own.under(wrong)
    low = rs.as_subject(network(cells.LowRank(5, rank=2)))
    with pytest.raises(rs.NotApplicable, match="no matrix of connections"):
        low.under(iv.Cut(senders=[1]))
    across = rs.as_subject(stacked(nn.GRU))
    with pytest.raises(ValueError, match="Name the layer"):
        across.under(iv.Ablate(directions=np.ones(10)))


def test_patches_stay_within_trials(tmp_path):
    task = rs.tasks.Parity(n=2)
    subject = rs.as_subject(rs.train(task, cells.GRU(4), rs.Training(steps=1), folder=tmp_path))
    trials = task.sample(8, np.random.default_rng(0))
    length = np.full(8, trials.inputs.shape[1])
    length[3] = 4
    short = rs.tasks.Trials(trials.inputs, trials.targets, trials.mask, {**trials.info, "length": length})
    with pytest.raises(ValueError, match=r"trial 3 is over before step 6"):
        rs.simulate(subject.under(iv.Patch(6, source_trials=3)), short)
    with pytest.raises(ValueError, match="of different lengths"):
        rs.simulate(subject.under(iv.Ablate(units=1, to="resample")), short)


def test_a_box_that_is_not_symmetric_proves_nothing_of_a_number_that_is_turned_over():
    """A ReLU network, one unit of which is turned over and pushed: of its two fixed points one lies below the box."""
    made = rs.Network(cells.Vanilla(2, nonlinearity="relu"), 1, 1, generator=torch.Generator().manual_seed(0)).double()
    values = {
        "weights.weight": [[0.0, 4.0], [-2.5, 0.0]],
        "weights.bias": [0.1, -0.05],
        "weights.weight_in": [[0], [0]],
    }
    with torch.no_grad():
        for name, value in values.items():
            dict(made.cell.named_parameters())[name].copy_(torch.tensor(value))
    changed = rs.as_subject(made).under(iv.Gain(-0.5, units=[0]), iv.Steer([4.5, 0.0]))
    both = np.array([[4.45, 0.0], [-1.1375, 2.79375]])
    np.testing.assert_allclose(changed.map.step(both, np.zeros((2, 1))), both, atol=1e-6)
    assert keeps_domain(changed.map) != "known"
    found = analyses.find_fixed_points(changed, starts=3 * RNG.standard_normal((64, 2)), n_starts=64)
    assert len(found) == 2 or "all having been found" not in found.summary()


def test_values_to_clamp_keep_the_order_of_their_units():
    subject = rs.as_subject(network(cells.LSTM(5)))
    found = run(subject, iv.Clamp([0.1, 0.2, 0.3, 0.4], units=[3, 1]))
    np.testing.assert_array_equal(found[0, 0, [3, 1, 8, 6]], [0.1, 0.2, 0.3, 0.4])
    same = run(subject, iv.Clamp([0.1, 0.2], units=[3, 1]))
    np.testing.assert_array_equal(same[0, 0, [3, 1, 8, 6]], [0.1, 0.2, 0.1, 0.2])
    with pytest.raises(ValueError, match="must be different ones"):
        subject.under(iv.Clamp([0.1, 0.2], units=[3, 3]))


def test_inputs_are_not_mixed_with_the_padding_of_shorter_trials():
    subject = rs.as_subject(network(cells.GRU(5)))
    trials = rs.tasks.Trials(
        SHOWN.astype(np.float32), np.zeros((N, T, 1), np.float32), np.ones((N, T), bool), {"length": np.arange(4, 10)}
    )
    with pytest.raises(ValueError, match="of different lengths"):
        rs.simulate(subject.under(iv.MixInputs(0.5, 0.5)), trials)
    rs.simulate(subject.under(iv.MixInputs(0.5)), trials)


def test_the_loss_of_the_trained_network_is_not_that_of_a_changed_one(tmp_path):
    run_ = rs.train(FlipFlop(), cells.GRU(6), rs.Training(steps=4, checkpoints=(0, 2)), folder=tmp_path, progress=False)
    under = rs.as_subject(run_).under(iv.Ablate(units=[1]))
    found = analyses.lyapunov_over_training(under, n_steps=20, transient=5)
    assert np.isnan(found.loss).all()


def test_the_mean_is_that_of_the_intact_network():
    subject = rs.as_subject(network(cells.GRU(5)))
    pushed = subject.under(iv.Steer(np.ones(5), 0.5))
    np.testing.assert_array_equal(pushed.mean_state(), subject.mean_state())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: iv.Ablate(unit=3), "Ablate: unknown setting 'unit'; known: units, directions, to, part"),
        (lambda: iv.Clamp(), "Clamp: value: Field required"),
        (lambda: iv.Clamp("a"), "Clamp: value: .* number.*, or: must be numbers.* got 'a'"),
        (lambda: iv.Perturb("a"), "Perturb: relative: .*got 'a'"),
        (lambda: iv.Noise(-1), "Noise: scale is a standard deviation"),
        (lambda: cells.GRU("x"), "GRU: units: .*got 'x'"),
        (lambda: cells.GRU(0), "GRU: units: .*at least 1, got 0"),
        (lambda: tasks.Parity("x"), "Parity: n: .*'x' is not a whole number"),
        (lambda: rs.Training(steps="x"), "Training: steps: .*got 'x'"),
        (lambda: dataclasses.replace(iv.Gain(2.0), factor="q"), "Gain: factor: .*got 'q'"),
    ],
)
def test_settings_that_are_refused_are_one_line(make, told):
    with pytest.raises(ValueError, match=told) as refused:
        make()
    assert "\n" not in str(refused.value)
    assert "pydantic" not in str(refused.value)
