"""The GRU of TensorFlow 1, and how it becomes a `GRU` operator in an exported graph.

TensorFlow 1's cell lets the reset gate act on the state *before* the candidate's matrix product:

    z, r = sigmoid(W_zr x + R_zr h + b_zr),  c = tanh(W_h x + R_h (r * h) + b_h),  h' = z * h + (1 - z) * c

(Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.) `torch.nn.GRU` applies it
after the product, which is another function with another number of biases. ONNX has both: this one is
`linear_before_reset=0`, with its gates in the order z (update), r (reset), h (candidate), which is the order of
the weights here as well.

torch's exporter would unroll a loop over the steps, so while exporting the layer calls one operator of our own,
`seisedge::gru`, which `gru_translations` turns into ONNX:

    torch.onnx.export(..., dynamo=True, custom_translation_table=gru_translations())
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def gru_scan(x: Tensor, weight: Tensor, recurrence: Tensor, bias: Tensor) -> Tensor:
    """Run D independent layers side by side over all steps, from a state of zeros.

    Parameters
    ----------
    x
        (step, D, batch, input)
    weight, recurrence, bias
        (D, 3 size, input), (D, 3 size, size) and (D, 3 size): z, r, h.

    Returns the states, (step, D, batch, size). A loop in Python: meant for training, not for speed.
    """
    size = recurrence.shape[-1]
    # One product per layer for all steps; with the steps as a batch, torch would copy the weights for each.
    rows = x.transpose(0, 1).flatten(1, 2)
    inputs = torch.baddbmm(bias[:, None], rows, weight.transpose(1, 2))
    inputs = torch.unflatten(inputs, 1, (-1, x.shape[2]))
    gates, candidates = inputs[..., : 2 * size], inputs[..., 2 * size :]
    recurrent_gates = recurrence[:, : 2 * size].transpose(1, 2).contiguous()
    recurrent_candidate = recurrence[:, 2 * size :].transpose(1, 2).contiguous()
    state = x.new_zeros(x.shape[1], x.shape[2], size)
    states: list[Tensor] = []
    # unbind, not an index per step, whose gradient would be as large as the whole for each of them.
    for gate, candidate in zip(torch.unbind(gates, 1), torch.unbind(candidates, 1), strict=True):
        update, reset = torch.sigmoid(gate + state @ recurrent_gates).chunk(2, dim=-1)
        proposal = torch.tanh(candidate + (reset * state) @ recurrent_candidate)
        state = proposal + update * (state - proposal)
        states.append(state)
    return torch.stack(states)


@torch.library.custom_op("seisedge::gru", mutates_args=())
def gru(x: Tensor, weight: Tensor, recurrence: Tensor, bias: Tensor, *, reverse: bool) -> Tensor:
    """One layer in one direction, with the tensors of ONNX's `GRU`; for exported graphs, it has no gradient.

    x (step, batch, input), weight (1, 3 size, input), recurrence (1, 3 size, size), bias (1, 3 size), to
    (step, 1, batch, size). With `reverse` the last step comes first; the output is in the order of x.
    """
    steps = (x.flip(0) if reverse else x)[:, None]
    states = gru_scan(steps, weight, recurrence, bias)
    return states.flip(0) if reverse else states


@gru.register_fake
def _shape(x: Tensor, weight: Tensor, recurrence: Tensor, bias: Tensor, *, reverse: bool) -> Tensor:
    """Give an empty tensor of the output's shape: all that tracing needs."""
    del weight, bias, reverse
    return x.new_empty(x.shape[0], 1, x.shape[1], recurrence.shape[-1])


def gru_translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Give what `torch.onnx.export` wants as `custom_translation_table`; graphs without a GRU ignore it."""
    from onnxscript import opset18 as op  # noqa: PLC0415  # half a second that only an export should pay

    def translate(x: Any, weight: Any, recurrence: Any, bias: Any, *, reverse: bool) -> Any:  # noqa: ANN401
        direction = "reverse" if reverse else "forward"
        size = recurrence.shape[2]
        # The second half of ONNX's bias is the recurrence's, which this cell does not have.
        biases = op.Concat(bias, op.Sub(bias, bias), axis=1)
        states, _last = op.GRU(
            x, weight, recurrence, biases, hidden_size=size, direction=direction, linear_before_reset=0
        )
        return states

    return {torch.ops.seisedge.gru.default: translate}
