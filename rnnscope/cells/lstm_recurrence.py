"""The LSTM's recursion over a whole sequence, with its backward pass written out.

    i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of W_in u_t + W h_{t-1} + b
    c_t = f c_{t-1} + i g        h_t = o tanh(c_t)        then noise_t is added to (h_t, c_t)

torch's own loop gives h alone, and analyses want c too; to rebuild c from h under autograd costs twice that loop.
As in `recurrence.py`, everything is written into buffers made once, and each weight gradient is a single matrix
product over all steps at the end.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnscope.cells.products import add_product, all_steps, by_steps


def unroll_lstm(
    inputs: Float[Tensor, "time *member trial input"],
    state: Float[Tensor, "*member trial state"],
    weight_in: Float[Tensor, "*member gates input"],
    weight: Float[Tensor, "*member gates unit"],
    bias: Float[Tensor, "*member gates"],
    noise: Float[Tensor, "time *member trial state"] | None = None,
) -> Float[Tensor, "time *member trial state"]:
    """The states (h, c) after each input. With an axis of members each has weights and trials of its own.
    Differentiable once in every tensor."""
    return _Recurrence.apply(inputs, state, weight_in, weight, bias, noise)  # type: ignore[return-value]


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        state: Tensor,
        weight_in: Tensor,
        weight: Tensor,
        bias: Tensor,
        noise: Tensor | None,
    ) -> Tensor:
        n_steps, *members, n_trials, _ = inputs.shape
        n_units = weight.shape[-1]
        add = add_product(weight)
        # The buffer of the gates first holds what the inputs add to them.
        drive = add(bias.unsqueeze(-2), all_steps(inputs), weight_in.mT)
        gates = by_steps(drive, n_steps)
        states = gates.new_empty(n_steps + 1, *members, n_trials, 2 * n_units)
        states[0] = state
        squashed = gates.new_empty(n_steps, *members, n_trials, n_units)  # tanh(c_t), before noise
        weight_t = weight.mT.contiguous()
        hidden, memory = (part.unbind(0) for part in states.split(n_units, -1))
        i_f, g, o = (part.unbind(0) for part in gates.split([2 * n_units, n_units, n_units], -1))
        i, f = (part.unbind(0) for part in gates[..., : 2 * n_units].split(n_units, -1))
        all_gates, all_squashed = gates.unbind(0), squashed.unbind(0)
        for t in range(n_steps):
            add(all_gates[t], hidden[t], weight_t, out=all_gates[t])
            i_f[t].sigmoid_()
            g[t].tanh_()
            o[t].sigmoid_()
            new = torch.mul(f[t], memory[t], out=memory[t + 1])
            new.addcmul_(i[t], g[t])
            torch.tanh(new, out=all_squashed[t])
            torch.mul(o[t], all_squashed[t], out=hidden[t + 1])
            if noise is not None:
                states[t + 1].add_(noise[t])
        ctx.save_for_backward(inputs, states, gates, squashed, weight_in, weight)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        inputs, states, gates, squashed, weight_in, weight = ctx.saved_tensors
        (grad_states,) = grad_outputs
        n_steps, n_units = len(squashed), squashed.shape[-1]
        add = add_product(weight)
        i, f, g, o = gates.split(n_units, -1)
        # dL/d(what enters the gates). Filled first with all of it that is known before the recursion: the slopes of
        # (i, f, g) against c_t and of o against h_t.
        aten = torch.ops.aten
        pre = torch.empty_like(gates)
        pre_i, pre_f, pre_g, pre_o = pre.split(n_units, -1)
        aten.sigmoid_backward.grad_input(g, i, grad_input=pre_i)
        aten.sigmoid_backward.grad_input(states[:-1, ..., n_units:], f, grad_input=pre_f)
        aten.tanh_backward.grad_input(i, g, grad_input=pre_g)
        aten.sigmoid_backward.grad_input(squashed, o, grad_input=pre_o)
        by_hidden = torch.empty_like(squashed)  # dc_t counts in h_t by this
        aten.tanh_backward.grad_input(o, squashed, grad_input=by_hidden)

        # dL/d(h_t, c_t) with everything that comes after t: the gradient of the noise wants it for all t; else one
        # buffer that stays in the cache serves every step.
        needs = ctx.needs_input_grad
        total = torch.empty_like(states[1:]) if needs[5] else torch.empty_like(states[:1]).expand_as(states[1:])
        to_hidden, to_memory = total[..., :n_units].unbind(0), total[..., n_units:].unbind(0)
        grad_hidden, grad_memory = grad_states[..., :n_units].unbind(0), grad_states[..., n_units:].unbind(0)
        to_hidden[-1].copy_(grad_hidden[-1])
        to_memory[-1].copy_(grad_memory[-1])
        through_memory = torch.empty_like(squashed[0])
        wide = through_memory.unsqueeze(-2)
        by_memory = pre.unflatten(-1, (4, n_units))[..., :3, :].unbind(0)
        all_pre, all_pre_o, all_f, all_by_hidden = pre.unbind(0), pre_o.unbind(0), f.unbind(0), by_hidden.unbind(0)
        for t in range(n_steps - 1, -1, -1):
            torch.addcmul(to_memory[t], to_hidden[t], all_by_hidden[t], out=through_memory)
            by_memory[t].mul_(wide)
            all_pre_o[t].mul_(to_hidden[t])
            if t > 0:
                add(grad_hidden[t - 1], all_pre[t], weight, out=to_hidden[t - 1])
                torch.addcmul(grad_memory[t - 1], through_memory, all_f[t], out=to_memory[t - 1])
        flat = all_steps(pre)
        grad_inputs = grad_state = grad_weight_in = grad_weight = grad_bias = None
        if needs[0]:
            grad_inputs = by_steps(flat @ weight_in, n_steps)
        if needs[1]:
            grad_state = torch.cat([all_pre[0] @ weight, through_memory * all_f[0]], -1)
        if needs[2]:
            # This way round: with few inputs the other takes the matrix product ten times as long.
            grad_weight_in = (all_steps(inputs).mT @ flat).mT
        if needs[3]:
            grad_weight = flat.mT @ all_steps(states[:-1, ..., :n_units])
        if needs[4]:
            grad_bias = flat.sum(-2)
        return grad_inputs, grad_state, grad_weight_in, grad_weight, grad_bias, total if needs[5] else None
