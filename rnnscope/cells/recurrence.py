"""The recursion that the rate cells share, with its backward pass written out.

    h_t = keep * h_{t-1} + gain * f(W h_{t-1} + drive_t) + noise_t

A python loop under autograd spends its time on bookkeeping: one graph node, one allocation and one small weight
gradient for every operation of every step. Here a step is two operations each way (a matrix product with the
addition inside it, and the nonlinearity in place), everything is written into buffers made once, and the weight
gradient is a single matrix product over all steps at the end.
"""

from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from rnnscope.cells.products import add_product, all_steps

Nonlinearity = Literal["tanh", "relu", "leaky_relu", "identity"]
NONLINEARITIES: tuple[str, ...] = get_args(Nonlinearity)
LEAKY_SLOPE = 0.01


def apply_nonlinearity(kind: str, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """f(x), elementwise."""
    match kind:
        case "tanh":
            return torch.tanh(x)
        case "relu":
            return torch.relu(x)
        case "leaky_relu":
            return functional.leaky_relu(x, LEAKY_SLOPE)
        case "identity":
            return x
    raise ValueError(f"unknown nonlinearity {kind!r}; known: {', '.join(NONLINEARITIES)}")


def slope_from_rate(kind: str, rate: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """f'(x) written in terms of r = f(x), which every nonlinearity here allows."""
    match kind:
        case "tanh":
            return 1 - rate * rate
        case "relu":
            return (rate > 0).to(rate.dtype)
        case "leaky_relu":
            # Filled, not torch.where of two numbers, which is float32 and would round the slope in float64.
            return torch.full_like(rate, LEAKY_SLOPE).masked_fill_(rate > 0, 1.0)
        case "identity":
            return torch.ones_like(rate)
    raise ValueError(f"unknown nonlinearity {kind!r}; known: {', '.join(NONLINEARITIES)}")


def rate_domain(kind: str) -> tuple[float, float]:
    """The interval that f cannot leave."""
    return {"tanh": (-1.0, 1.0), "relu": (0.0, float("inf"))}.get(kind, (-float("inf"), float("inf")))


def unroll_rates(
    drive: Float[Tensor, "time *member trial unit"],
    state: Float[Tensor, "*member trial unit"],
    weight: Float[Tensor, "*member unit unit"],
    *,
    nonlinearity: str,
    keep: Float[Tensor, "*member unit"] | None = None,
    gain: Float[Tensor, "*member unit"] | None = None,
    noise: Float[Tensor, "time *member trial unit"] | None = None,
) -> Float[Tensor, "time *member trial unit"]:
    """The states h_1 ... h_T of the recursion above; `keep` None stands for 0, `gain` None for 1. With an axis of
    members each has weights and trials of its own.

    Differentiable once in every tensor.
    """
    if (keep is None) != (gain is None):
        raise ValueError("keep and gain go together: give both or neither")
    return _Recurrence.apply(drive, state, weight, keep, gain, noise, nonlinearity)  # type: ignore[return-value]


def _apply_in_place(kind: str, x: Tensor) -> None:
    match kind:
        case "tanh":
            x.tanh_()
        case "relu":
            x.relu_()
        case "leaky_relu":
            functional.leaky_relu_(x, LEAKY_SLOPE)


def _multiply_by_slope(kind: str, gradient: Tensor, rate: Tensor, out: Tensor) -> None:
    """out = gradient * f', in the one pass over memory that torch's own backward kernels take."""
    aten = torch.ops.aten
    match kind:
        case "tanh":
            aten.tanh_backward.grad_input(gradient, rate, grad_input=out)
        case "relu":
            aten.threshold_backward.grad_input(gradient, rate, 0, grad_input=out)
        case "leaky_relu":
            aten.leaky_relu_backward.grad_input(gradient, rate, LEAKY_SLOPE, True, grad_input=out)
        case "identity":
            out.copy_(gradient)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        drive: Tensor,
        state: Tensor,
        weight: Tensor,
        keep: Tensor | None,
        gain: Tensor | None,
        noise: Tensor | None,
        nonlinearity: str,
    ) -> Tensor:
        n_steps, *shape = drive.shape
        states = drive.new_empty(n_steps + 1, *shape)
        states[0] = state
        direct = keep is None and noise is None  # then a state is the rate itself and needs no second buffer
        rates = states[1:] if direct else torch.empty_like(drive)
        weight_t = weight.mT.contiguous()
        add = add_product(weight)
        wide_keep, wide_gain = (None if each is None else each.unsqueeze(-2) for each in (keep, gain))
        all_states, all_rates, all_drive = states.unbind(0), rates.unbind(0), drive.unbind(0)
        for t in range(n_steps):
            rate = all_rates[t]
            add(all_drive[t], all_states[t], weight_t, out=rate)
            _apply_in_place(nonlinearity, rate)
            if direct:
                continue
            new = all_states[t + 1]
            if wide_keep is None:
                new.copy_(rate)
            else:
                torch.mul(all_states[t], wide_keep, out=new)
                new.addcmul_(rate, wide_gain)  # type: ignore[arg-type]
            if noise is not None:
                new.add_(noise[t])
        ctx.save_for_backward(states, rates, weight, keep, gain)
        ctx.nonlinearity, ctx.noisy = nonlinearity, noise is not None
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        states, rates, weight, keep, gain = ctx.saved_tensors
        (grad_states,) = grad_outputs
        n_steps = len(rates)
        add = add_product(weight)
        wide_keep, wide_gain = (None if each is None else each.unsqueeze(-2) for each in (keep, gain))
        pre = torch.empty_like(rates)  # dL/d(W h + drive)
        # dL/dh_t with everything that comes after t. The gradients of noise and leak want it for all t; else one
        # buffer that stays in the cache serves every step.
        kept = torch.empty_like(rates) if keep is not None or ctx.noisy else None
        buffer = torch.empty_like(rates[0])
        all_total = [buffer] * n_steps if kept is None else list(kept.unbind(0))
        all_total[-1].copy_(grad_states[-1])
        all_rates, all_pre, all_grad = rates.unbind(0), pre.unbind(0), grad_states.unbind(0)
        for t in range(n_steps - 1, -1, -1):
            through = all_total[t] if wide_gain is None else torch.mul(all_total[t], wide_gain, out=all_pre[t])
            _multiply_by_slope(ctx.nonlinearity, through, all_rates[t], all_pre[t])
            if t == 0:
                break
            add(all_grad[t - 1], all_pre[t], weight, out=all_total[t - 1])
            if wide_keep is not None:
                all_total[t - 1].addcmul_(all_total[t], wide_keep)
        needs = ctx.needs_input_grad
        grad_state = grad_weight = grad_keep = grad_gain = None
        if needs[1]:
            grad_state = all_pre[0] @ weight
            if wide_keep is not None:
                grad_state = grad_state + all_total[0] * wide_keep
        if needs[2]:
            grad_weight = all_steps(pre).mT @ all_steps(states[:-1])
        if kept is not None and keep is not None:
            grad_keep = (kept * states[:-1]).sum((0, -2))
            grad_gain = (kept * rates).sum((0, -2))
        return pre, grad_state, grad_weight, grad_keep, grad_gain, kept if ctx.noisy else None, None
