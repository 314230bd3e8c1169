"""The GRU's recursion over a whole sequence, with its backward pass written out.

    r, z = sigmoid of W_in u_t + b_in + W h_{t-1} + b        n_t = tanh(W_in u_t + b_in + r (W h_{t-1} + b))
    h_t = (1 - z) n_t + z h_{t-1}, then noise_t is added

As in `recurrence.py`, everything is written into buffers made once, and each weight gradient is a single matrix product
over all steps at the end. All slopes are known before the recursion backwards begins, which is left with three
operations a step.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnscope.cells.products import add_product, all_steps, by_steps


def unroll_gru(
    inputs: Float[Tensor, "time *member trial input"],
    state: Float[Tensor, "*member trial unit"],
    weight_in: Float[Tensor, "*member gates input"],
    weight: Float[Tensor, "*member gates unit"],
    bias_in: Float[Tensor, "*member gates"],
    bias: Float[Tensor, "*member gates"],
    noise: Float[Tensor, "time *member trial unit"] | None = None,
) -> Float[Tensor, "time *member trial unit"]:
    """The states after each input; gates in torch's order: reset, update, new. With an axis of members each has weights
    and trials of its own. Differentiable once in every tensor."""
    return _Recurrence.apply(inputs, state, weight_in, weight, bias_in, bias, noise)  # type: ignore[return-value]


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        state: Tensor,
        weight_in: Tensor,
        weight: Tensor,
        bias_in: Tensor,
        bias: Tensor,
        noise: Tensor | None,
    ) -> Tensor:
        n_steps, *members, n_trials, _ = inputs.shape
        n_units = weight.shape[-1]
        add = add_product(weight)
        # The buffer of the gates first holds what the inputs add to them.
        gates = by_steps(add(bias_in.unsqueeze(-2), all_steps(inputs), weight_in.mT), n_steps)
        states = gates.new_empty(n_steps + 1, *members, n_trials, n_units)
        states[0] = state
        from_state = gates.new_empty(*members, n_trials, 3 * n_units)
        kept = gates.new_empty(n_steps, *members, n_trials, n_units)  # what the reset gate lets through, of the state
        gated, through = from_state.split([2 * n_units, n_units], -1)
        weight_t, wide_bias = weight.mT.contiguous(), bias.unsqueeze(-2)
        both, new = (part.unbind(0) for part in gates.split([2 * n_units, n_units], -1))
        reset, update = (part.unbind(0) for part in gates[..., : 2 * n_units].split(n_units, -1))
        all_states, all_kept = states.unbind(0), kept.unbind(0)
        for t in range(n_steps):
            add(wide_bias, all_states[t], weight_t, out=from_state)
            both[t].add_(gated).sigmoid_()
            all_kept[t].copy_(through)
            new[t].addcmul_(reset[t], through).tanh_()
            torch.lerp(new[t], all_states[t], update[t], out=all_states[t + 1])
            if noise is not None:
                all_states[t + 1].add_(noise[t])
        ctx.save_for_backward(inputs, states, gates, kept, weight_in, weight)
        ctx.noisy = noise is not None
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        inputs, states, gates, kept, weight_in, weight = ctx.saved_tensors
        (grad_states,) = grad_outputs
        n_steps, n_units = len(kept), kept.shape[-1]
        add = add_product(weight)
        reset, update, new = gates.split(n_units, -1)
        # dL/d(what enters the gates) by dL/dh_t: of reset and update, of new through the state, and of new itself.
        aten = torch.ops.aten
        pre = gates.new_empty(*gates.shape[:-1], 4 * n_units)
        pre_reset, pre_update, pre_through, pre_new = pre.split(n_units, -1)
        aten.tanh_backward.grad_input(1 - update, new, grad_input=pre_new)
        aten.sigmoid_backward.grad_input(states[:-1] - new, update, grad_input=pre_update)
        aten.sigmoid_backward.grad_input(pre_new * kept, reset, grad_input=pre_reset)
        torch.mul(pre_new, reset, out=pre_through)
        # dL/dh_t with everything that comes after t: the gradient of the noise wants it for all t; else one buffer
        # that stays in the cache serves every step.
        needs = ctx.needs_input_grad
        total = torch.empty_like(kept) if ctx.noisy else torch.empty_like(kept[:1]).expand_as(kept)
        all_total, all_grad, all_update = total.unbind(0), grad_states.unbind(0), update.unbind(0)
        by_gate = pre.unflatten(-1, (4, n_units)).unbind(0)
        to_state = pre[..., : 3 * n_units].unbind(0)
        before = torch.empty_like(kept[0])
        all_total[-1].copy_(all_grad[-1])
        for t in range(n_steps - 1, -1, -1):
            by_gate[t].mul_(all_total[t].unsqueeze(-2))
            if t > 0:
                torch.addcmul(all_grad[t - 1], all_total[t], all_update[t], out=before)
                add(before, to_state[t], weight, out=all_total[t - 1])
        flat = all_steps(pre)
        of_state = flat[..., : 3 * n_units]
        of_input = torch.cat([flat[..., : 2 * n_units], flat[..., 3 * n_units :]], -1)
        grads: list[Tensor | None] = [None] * 6
        if needs[0]:
            grads[0] = by_steps(of_input @ weight_in, n_steps)
        if needs[1]:
            grads[1] = torch.addcmul(to_state[0] @ weight, all_total[0], all_update[0])
        if needs[2]:
            # This way round: with few inputs the other takes the matrix product ten times as long.
            grads[2] = (all_steps(inputs).mT @ of_input).mT
        if needs[3]:
            grads[3] = of_state.mT @ all_steps(states[:-1])
        if needs[4]:
            grads[4] = of_input.sum(-2)
        if needs[5]:
            grads[5] = of_state.sum(-2)
        return *grads, total if ctx.noisy else None
