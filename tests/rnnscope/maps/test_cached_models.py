"""Models of transformers with a recurrent state in their cache: a step at a time is the model's own pass, and a state
that is put into another sequence makes it go on as where it comes from."""

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    FalconMambaConfig,
    FalconMambaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    Mamba2Config,
    Mamba2ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MambaModel,
)

import rnnscope as rs
from rnnscope import interventions, maps
from rnnscope.maps.state_map import central_differences, repeat

SIZES = {"hidden_size": 4, "state_size": 3, "conv_kernel": 3, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
PLAIN = {**SIZES, "vocab_size": 5, "num_hidden_layers": 2, "expand": 2, "time_step_rank": 2}
HEADS = {**SIZES, "vocab_size": 6, "num_hidden_layers": 2, "expand": 2, "head_dim": 4, "num_heads": 2, "n_groups": 1}
N_TRIALS, N_STEPS = 4, 9


def seeded(make, *given: object, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        found = make(*given).eval()
        for value in found.parameters():  # else layers hardly do anything, and channels all the same
            value.data += 0.4 * torch.randn(value.shape)
    return found


MODELS = {
    "Mamba": lambda: seeded(MambaForCausalLM, MambaConfig(**PLAIN)),
    "Mamba of one layer": lambda: seeded(MambaForCausalLM, MambaConfig(**{**PLAIN, "num_hidden_layers": 1}), seed=1),
    "Mamba without biases": lambda: seeded(MambaForCausalLM, MambaConfig(**PLAIN, use_conv_bias=False), seed=2),
    "FalconMamba": lambda: seeded(FalconMambaForCausalLM, FalconMambaConfig(**PLAIN)),
    "Mamba2": lambda: seeded(Mamba2ForCausalLM, Mamba2Config(**HEADS, chunk_size=4)),
}


def tokens_of(model: nn.Module, seed: int = 0) -> torch.Tensor:
    return torch.randint(model.config.vocab_size, (N_TRIALS, N_STEPS), generator=torch.Generator().manual_seed(seed))


def one_hot(tokens: torch.Tensor, model: nn.Module) -> np.ndarray:
    return nn.functional.one_hot(tokens, model.config.vocab_size).double().numpy()


def own_logits(model: nn.Module, tokens: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return model(input_ids=tokens, use_cache=False).logits.double().numpy()


def unrolled(state_map: rs.StateMap, inputs: np.ndarray) -> np.ndarray:
    found = maps.complete(state_map)
    return found.unroll(found.initial_states(len(inputs), np.random.default_rng(0)), inputs)


@pytest.mark.parametrize("name", MODELS)
def test_a_step_at_a_time_is_the_models_own_pass(name: str):
    model = MODELS[name]()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    tokens = tokens_of(model)
    state_map = rs.wrap(model)
    read = state_map.readout(unrolled(state_map, one_hot(tokens, model)))
    np.testing.assert_allclose(read, own_logits(model, tokens), atol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert next(model.parameters()).dtype == torch.float32


@pytest.mark.parametrize("name", MODELS)
def test_in_double_precision_too(name: str):
    # The model rounds to single precision within; where it does not, the two agree to rounding.
    class Never(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            single = {torch.float32: torch.float64}
            args = [single.get(a, a) if isinstance(a, torch.dtype) else a for a in args]
            kwargs = {k: single.get(a, a) if isinstance(a, torch.dtype) else a for k, a in (kwargs or {}).items()}
            return args[0] if func is torch.Tensor.float else func(*args, **kwargs)

    model = MODELS[name]()
    tokens, state_map = tokens_of(model), rs.wrap(model)
    with Never():
        wanted = own_logits(model.double(), tokens)
    read = state_map.readout(unrolled(state_map, one_hot(tokens, model)))
    np.testing.assert_allclose(read, wanted, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_its_derivatives_are_those_of_its_step(name: str):
    state_map = rs.as_subject(MODELS[name]()).map
    rng = np.random.default_rng(0)
    h, u = 0.5 * rng.standard_normal((3, state_map.state_size)), rng.standard_normal((3, state_map.input_size))
    by_state = central_differences(lambda x: state_map.step(x, repeat(u, x)), h)
    by_input = central_differences(lambda x: state_map.step(repeat(h, x), x), u)
    jacobian = state_map.jacobian(h, u)
    np.testing.assert_allclose(jacobian, by_state, atol=1e-7)
    np.testing.assert_allclose(state_map.input_jacobian(h, u), by_input, atol=1e-7)
    # Many at once go another way.
    many = state_map.jacobian(np.repeat(h, 60, 0), np.repeat(u, 60, 0))
    np.testing.assert_allclose(many, np.repeat(jacobian, 60, 0), atol=1e-12)
    vectors = rng.standard_normal((3, state_map.state_size, 2))
    np.testing.assert_allclose(state_map.jvp(h, u, vectors), jacobian @ vectors, atol=1e-10)
    np.testing.assert_allclose(state_map.vjp(h, u, vectors), jacobian.swapaxes(1, 2) @ vectors, atol=1e-10)
    assert state_map.jacobian(h[:0], u[:0]).shape == (0, *jacobian.shape[1:])
    assert state_map.jvp(h[:0], u[:0], vectors[:0]).shape == (0, *vectors.shape[1:])


@pytest.mark.parametrize("name", MODELS)
def test_the_state_is_what_the_cache_holds(name: str):
    model = MODELS[name]()
    tokens, state_map = tokens_of(model), rs.wrap(model)
    states = unrolled(state_map, one_hot(tokens, model))
    with torch.no_grad():
        cache = model(input_ids=tokens[:, :6], use_cache=True)["cache"]
    for part in state_map.layout:
        if part.name != "output":
            get = cache.get_conv_state if part.name == "conv" else cache.get_recurrent_state
            wanted = get(part.layer).flatten(1).numpy()
            np.testing.assert_allclose(states[:, 5, part.start : part.stop], wanted, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_whole_state_that_is_put_in_goes_on_as_the_donor_does(name: str):
    model = MODELS[name]()
    tokens = tokens_of(model)
    tokens[:, 5:] = tokens[0, 5:]  # what comes after the patch is the same in all
    subject, inputs, at = rs.as_subject(model), one_hot(tokens, model), 4
    intact = subject.trajectories(inputs).states
    assert np.abs(intact[1:, at:] - intact[:1, at:]).max() > 0.01
    patched = subject.under(interventions.Patch(times=at, source_trials=0)).trajectories(inputs).states
    np.testing.assert_array_equal(patched[:, :at], intact[:, :at])
    np.testing.assert_allclose(patched[:, at:], np.broadcast_to(intact[0, at:], patched[:, at:].shape), atol=1e-13)
    read = subject.map.readout(patched)
    np.testing.assert_allclose(read[1:, at:], np.tile(own_logits(model, tokens)[:1, at:], (3, 1, 1)), atol=1e-5)


@pytest.mark.parametrize(("part", "layer"), [("ssm", 0), ("ssm", 1), ("conv", 0)])
def test_a_patch_of_one_part_of_one_layer_changes_what_comes_after(part: str, layer: int):
    model = MODELS["Mamba"]()
    subject, tokens, at = rs.as_subject(model), tokens_of(model, 3), 4
    inputs = one_hot(tokens, model)
    intact = subject.trajectories(inputs)
    changed = subject.under(interventions.Patch(times=at, source_trials=0, trials=[1, 2], part=part, layer=layer))
    patched = changed.trajectories(inputs)
    before, after = subject.map.readout(intact.states), subject.map.readout(patched.states)
    np.testing.assert_array_equal(after[:, : at + 1], before[:, : at + 1])
    np.testing.assert_array_equal(after[[0, 3]], before[[0, 3]])
    assert (np.abs(after - before)[[1, 2], at + 1].max(-1) > 1e-3).all()
    # The same by hand, in the model's own cache.
    with torch.no_grad():
        cache = model(input_ids=tokens[:, : at + 1], use_cache=True)["cache"]
        states = cache.layers[layer].recurrent_states if part == "ssm" else cache.layers[layer].conv_states
        states[0][[1, 2]] = states[0][0].clone()
        by_hand = [
            model(input_ids=tokens[:, t : t + 1], cache=cache, use_cache=True).logits[:, 0].numpy()
            for t in range(at + 1, N_STEPS)
        ]
    np.testing.assert_allclose(after[:, at + 1 :], np.stack(by_hand, 1), atol=1e-5)


def test_units_are_channels_by_states_and_are_taken_out_for_good():
    model = MODELS["Mamba"]()
    subject = rs.as_subject(model)
    cut = subject.under(interventions.Ablate(units=[1, 2], part="ssm", layer=1))
    (part,) = (each for each in subject.map.layout if (each.name, each.layer) == ("ssm", 1))
    states = cut.trajectories(one_hot(tokens_of(model), model)).states
    assert (states[..., part.start + 1 : part.start + 3] == 0).all()
    assert (states[..., part.start + 3] != 0).all()
    with pytest.raises(ValueError, match="'conv' of layer 0"):
        subject.under(interventions.Ablate(part="c"))


def test_embeddings_readouts_and_encoders_of_ones_own():
    model = seeded(MambaModel, MambaConfig(**PLAIN))
    assert rs.wrap(model).readout_size == 0  # no output layer: the state alone
    own = seeded(nn.Linear, 4, 2)
    state_map = rs.wrap(model, input_size=4, readout=own)
    assert [part.name for part in state_map.layout][-1] == "output"
    inputs = np.random.default_rng(0).standard_normal((N_TRIALS, N_STEPS, 4))
    with torch.no_grad():
        wanted = own(model(inputs_embeds=torch.as_tensor(inputs).float()).last_hidden_state)
    np.testing.assert_allclose(state_map.readout(unrolled(state_map, inputs)), wanted, atol=1e-5)
    encoder = seeded(nn.Linear, 3, 4)
    shown = np.random.default_rng(1).standard_normal((N_TRIALS, N_STEPS, 3))
    encoded = maps.EncodedMap(state_map, encoder, 3)
    with torch.no_grad():
        wanted = own(model(inputs_embeds=encoder(torch.as_tensor(shown).float())).last_hidden_state)
    np.testing.assert_allclose(encoded.readout(unrolled(encoded, shown)), wanted, atol=1e-5)


def test_what_has_no_state_of_one_size_is_refused():
    settings = {"vocab_size": 5, "n_embd": 4, "n_layer": 1, "n_head": 1, "bos_token_id": 0, "eos_token_id": 0}
    with pytest.raises(ValueError, match=r"attention in layer 0 .*grows with every step"):
        rs.wrap(seeded(GPT2LMHeadModel, GPT2Config(**settings)))
    model = MODELS["Mamba"]()
    with pytest.raises(ValueError, match=r"input_size=7: .*EncodedMap"):
        rs.wrap(model, input_size=7)
    with pytest.raises(ValueError, match="state_size = 7 was given"):
        rs.wrap(model, state_size=7)
    model.backbone.layers[0].register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match="hooks"):
        rs.as_subject(model)


def test_what_keeps_more_than_its_cache_is_refused():
    class Counting(MambaForCausalLM):
        """Adds to its logits how long the sequence is."""

        def forward(self, input_ids=None, inputs_embeds=None, cache=None, use_cache=None):
            given = {"input_ids": input_ids, "inputs_embeds": inputs_embeds}
            found = super().forward(**given, cache=cache, use_cache=use_cache)
            found.logits = found.logits + 0.01 * found.logits.shape[1]
            return found

    with pytest.raises(ValueError, match=r"outputs that are 0\.05 off .*more than what is in its cache"):
        rs.wrap(seeded(Counting, MambaConfig(**PLAIN)))
