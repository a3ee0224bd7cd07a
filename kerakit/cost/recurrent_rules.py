"""Rules of recurrent layers and of what applies a layer at every step."""

import keras
from keras import layers, tree

from kerakit.cost import formulas
from kerakit.cost.rule import Cost


def _lstm(call):
    cell, inputs, steps = _cell(call), call.input_shape[-1], _steps(call)
    flops = formulas.lstm_flops(inputs, cell.units, steps=steps, **_activations(call, cell))
    macs = formulas.recurrent_macs(inputs, cell.units, gates=4, steps=steps)
    return Cost(macs=macs, flops=flops, field=_over_time(call))


def _gru(call):
    cell, inputs, steps = _cell(call), call.input_shape[-1], _steps(call)
    flops = formulas.gru_flops(
        inputs, cell.units, steps=steps, reset_after=cell.reset_after, **_activations(call, cell)
    )
    macs = formulas.recurrent_macs(inputs, cell.units, gates=3, steps=steps)
    return Cost(macs=macs, flops=flops, field=_over_time(call))


def _simple(call):
    cell, inputs, steps = _cell(call), call.input_shape[-1], _steps(call)
    activation = _each(call, cell.activation)
    flops = formulas.rnn_flops(inputs, cell.units, steps=steps, activation=activation)
    macs = formulas.recurrent_macs(inputs, cell.units, steps=steps)
    return Cost(macs=macs, flops=flops, field=_over_time(call))


def _any_cell(call):
    """A cell of any kind: counted at one step, in rows of its own, for all steps."""
    layer, batch = call.layer, call.input_shape[0]
    states = tree.map_structure(
        lambda size: keras.KerasTensor((batch, size), layer.cell.compute_dtype),
        [list(size) if isinstance(size, list | tuple) else size for size in layer.state_size],
    )
    _all_steps(call, states)
    return Cost(shares_memory=True, field=_over_time(call))


def _convolutional_lstm(call):
    batch, _, *features = call.input_shape
    shape = call.layer.cell.compute_output_shape((batch, *features))[0]
    _all_steps(call, [keras.KerasTensor(shape, call.layer.cell.compute_dtype)] * 2)
    # Its view grows over space at every step; that is not followed.
    return Cost(shares_memory=True)


def _all_steps(call, states):
    batch, steps, *features = call.input_shape
    step = call.trace.place(
        keras.KerasTensor((batch, *features), call.inputs[0].dtype), call.field.everything()
    )
    call.trace.run(call.layer.cell, step, states, times=steps)


def _bidirectional(call):
    layer, inputs = call.layer, call.inputs[0]
    call.trace.run(layer.forward_layer, inputs)
    call.trace.run(layer.backward_layer, inputs)
    flops = {"sum": 1, "mul": 1, "ave": 2}.get(layer.merge_mode, 0) * call.elements
    return Cost(flops=flops, shares_memory=layer.merge_mode is None, field=_over_time(call))


def _time_distributed(call):
    """The layer at one step, for all steps."""
    inputs, trace = call.inputs[0], call.trace
    batch, steps, *rest = inputs.shape
    forth = {0: 0} | {place: place - 1 for place in range(2, len(inputs.shape))}
    step = trace.place(
        keras.KerasTensor((batch, *rest), inputs.dtype), call.field.at_one(1).relocated(forth)
    )
    output = trace.run(call.layer.layer, step, times=steps)
    back = {0: 0} | {place: place + 1 for place in range(1, len(output.shape))}
    field = trace.field_of(output).relocated(back)
    return Cost(shares_memory=True, field=field.with_moving(1, call.field))


def _cell(call):
    return getattr(call.layer, "cell", call.layer)


def _steps(call):
    # A cell that is called by itself does one.
    return call.input_shape[1] if hasattr(call.layer, "cell") else 1


def _activations(call, cell):
    return {
        "activation": _each(call, cell.activation),
        "gate": _each(call, cell.recurrent_activation),
    }


def _each(call, activation):
    """FLOPs of an activation an element."""
    return call.trace.activation_cost(activation, keras.KerasTensor((1, 1))).flops


def _over_time(call):
    """Each step reads all before it, so that there is one that reads the whole sequence."""
    if not hasattr(call.layer, "cell") and not isinstance(call.layer, layers.Bidirectional):
        return call.field
    field = call.field.contracted(call.input_shape, (1,))
    if len(call.output_shape) == len(call.input_shape):
        return field
    return field.relocated({0: 0, 2: 1})


RECURRENT_RULES = {
    layers.LSTM: _lstm,
    layers.LSTMCell: _lstm,
    layers.GRU: _gru,
    layers.GRUCell: _gru,
    layers.SimpleRNN: _simple,
    layers.SimpleRNNCell: _simple,
    layers.RNN: _any_cell,
    layers.ConvLSTM1D: _convolutional_lstm,
    layers.ConvLSTM2D: _convolutional_lstm,
    layers.ConvLSTM3D: _convolutional_lstm,
    layers.Bidirectional: _bidirectional,
    layers.TimeDistributed: _time_distributed,
}
