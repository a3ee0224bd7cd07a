"""A model run without numbers, while every layer and operation that is called is counted.

Symbolic tensors of batch 1 go through the model's own `call`, and each call of a layer and each
function of `keras.ops` on the way is watched. So a layer written in `keras.ops` needs no rule of
its own, on any backend.
"""

import contextlib
import dataclasses

import keras
from keras import tree

from kerakit.cost.activation_cost import activation_cost
from kerakit.cost.counted import Counted, RuleError, counted_by, own_weights
from kerakit.cost.field import Field
from kerakit.cost.rule import Call, Cost, size_in_bytes, tensors_in
from kerakit.watching import watching


class Trace:
    """Counts what is called while it runs; the counted calls stand in `rows`.

    Args:
        layer_rule: Function from a layer to (rule or None, what the rule may miss or None).
        operation_rule: Function from an operation of `keras.ops` to its rule, or None.
    """

    def __init__(self, layer_rule, operation_rule):
        self.rows = []
        self._layer_rule = layer_rule
        self._operation_rule = operation_rule
        self._names = []
        self._times = [1]
        # Rows of the composites around; operations called in one are counted in its row.
        self._owners = []
        self._idle = False
        # In a layer that runs on the backend's tensors: the `Field` of what it was given.
        self._blind = None
        self._fields = {}

    # For rules.

    def field_of(self, tensor):
        """`Field` of a tensor; an empty one for a constant."""
        return self._fields.get(id(tensor), (None, Field()))[1]

    def place(self, tensor, field):
        """Makes a `Field` that of a tensor."""
        self._fields[id(tensor)] = (tensor, field)  # held, or its id could be another's
        return tensor

    def run(self, layer, *arguments, times=1, **options):
        """Counts the call of a layer in rows of its own, `times` times; returns its outputs."""
        self._times.append(self._times[-1] * times)
        idle, self._idle = self._idle, False
        try:
            return layer(*arguments, **options)
        finally:
            self._times.pop()
            self._idle = idle

    def activation_cost(self, activation, tensor):
        """`Cost` of an activation function applied to a tensor."""
        return activation_cost(self, activation, tensor)

    def cost_of(self, function, *tensors):
        """`Cost` of what a function computes by `keras.ops`."""
        row = Counted("", None, "", [], [], times=self._times[-1])
        idle, self._idle = self._idle, False
        self._owners.append(row)
        try:
            output = function(*tensors)
        finally:
            self._owners.pop()
            self._idle = idle
        field = self.field_of(tensors_in(output)[0])
        return Cost(macs=row.macs, flops=row.flops, uncounted=tuple(row.uncounted), field=field)

    # The trace.

    def __call__(self, model, *arguments):
        """Runs the model on symbolic arguments and returns its outputs."""
        options = {"training": False} if model._call_has_training_arg else {}
        # Nothing that the model would write in a call is written.
        with keras.StatelessScope(collect_losses=True), watching(self._called):
            if not all(layer.built for layer in model._flatten_layers()):
                self._idle = True
                model(*arguments, **options)
                self._idle = False
            return model(*arguments, **options)

    def _called(self, original, operation, arguments, options, *, of_graph):
        tensors = tensors_in((arguments, options))
        symbolic = any(isinstance(x, keras.KerasTensor) for x in tensors)
        is_layer = isinstance(operation, keras.layers.Layer)
        if self._blind is not None and is_layer and not symbolic and not self._idle:
            return self._seen_from_outside(original, operation, arguments, options)
        if self._idle or not symbolic:
            return original(operation, *arguments, **options)
        if is_layer:
            return self._layer(operation, arguments, options)
        return self._operation(operation, arguments, options, of_graph)

    def _operation(self, operation, arguments, options, of_graph):
        if isinstance(operation, keras.Function):
            with self._inside(operation):
                return operation.call(*arguments, **options)
        outputs = self._specified(operation, arguments, options)
        call = self._call(operation, arguments, options, outputs)
        rule = self._operation_rule(operation)
        kind = type(operation).__name__
        cost = counted_by(rule, call) if rule else Cost(uncounted=(f"the operation {kind}",))
        if not any(keras.backend.is_float_dtype(x.dtype) for x in call.inputs):
            cost = dataclasses.replace(cost, flops=0, uncounted=())  # of integers: no floats
        field = self._placed(call, cost.field)
        if self._owners and not of_graph:
            row = self._owners[-1]
            row.add(cost, call.outputs, self._times[-1] // row.times)
        elif (of_graph and not cost.shares_memory) or cost.flops or cost.uncounted:
            row = Counted(self._path(operation.name), operation, f"ops.{kind}", call.outputs, [])
            row.add(cost, call.outputs, self._times[-1])
            row.field = field
            self.rows.append(row)
        return outputs

    def _layer(self, layer, arguments, options):
        rule, doubt = self._layer_rule(layer)
        if rule and not doubt:
            return self._by_rule(rule, layer, arguments, options)
        fallback = rule and (lambda: self._by_rule(rule, layer, arguments, options, doubt))
        return self._by_its_call(layer, arguments, options, fallback)

    def _by_rule(self, rule, layer, arguments, options, doubt=None):
        outputs = self._specified(layer, arguments, options)
        call = self._call(layer, arguments, options, outputs)
        row = self._row(layer)
        self.rows.append(row)
        start = len(self.rows)
        with self._inside(layer):
            idle, self._idle = self._idle, True
            try:
                cost = counted_by(rule, call)
            finally:
                self._idle = idle
        row.add(cost, call.outputs, self._times[-1])
        row.uncounted += [doubt] if doubt else []
        row.outputs, row.field = call.outputs, self._placed(call, cost.field)
        # Layers that the rule ran have rows, and their weights in them.
        row.weights = own_weights(layer) if len(self.rows) > start else list(layer.weights)
        return outputs

    def _by_its_call(self, layer, arguments, options, fallback):
        """Runs the layer's own `call` on symbolic tensors."""
        row, start = self._row(layer), len(self.rows)
        self.rows.append(row)
        is_graph = isinstance(layer, keras.Function | keras.Sequential)
        try:
            with self._inside(layer, owner=None if is_graph else row):
                outputs = layer.call(*arguments, **options)
        except RuleError:
            raise
        except Exception as error:
            if is_graph:
                raise
            # Not written in `keras.ops` alone, or not for tensors without values.
            del self.rows[start:]
            return fallback() if fallback else self._opaque(layer, arguments, options, error)
        row.outputs = tensors_in(outputs)
        row.field = self.field_of(row.outputs[0]) if row.outputs else Field()
        row.weights = own_weights(layer)
        has_own = row.weights or row.flops or row.activation_bytes or row.uncounted
        if not has_own and (is_graph or len(self.rows) > start + 1):
            self.rows.remove(row)
        return outputs

    def _opaque(self, layer, arguments, options, error):
        """Runs the layer on the backend, where the layers that it calls are all that is seen."""
        row = self._row(layer)
        self.rows.append(row)
        inputs = self._call(layer, arguments, options, ())
        blind, self._blind = self._blind, inputs.lost
        try:
            with self._inside(layer):
                outputs = self._run_on_backend(layer, arguments, options)
        finally:
            self._blind = blind
        row.outputs = tensors_in(outputs)
        for output in row.outputs:
            self.place(output, inputs.lost)
        row.field = inputs.lost
        row.activation_bytes += self._times[-1] * sum(map(size_in_bytes, row.outputs))
        row.weights = own_weights(layer)
        reason = str(error).strip().partition("\n")[0].partition(". ")[0] or type(error).__name__
        row.uncounted.append(f"its own work, as its `call` needs values: {reason}")
        return outputs

    def _run_on_backend(self, layer, arguments, options):
        try:
            return keras.Operation.compute_output_spec(layer, *arguments, **options)
        except RuleError:
            raise
        except Exception:
            # It needs values there too; but perhaps it says what it returns.
            return layer.compute_output_spec(*arguments, **options)

    def _seen_from_outside(self, original, layer, arguments, options):
        """A layer called on the backend's tensors: counted on symbolic ones of their shapes."""
        blind, self._blind = self._blind, None
        specs = tree.map_structure(_spec, (arguments, options))
        for tensor in tensors_in(specs):
            self.place(tensor, blind)
        try:
            self._layer(layer, *specs)
        finally:
            self._blind = blind
        idle, self._idle = self._idle, True
        try:
            return original(layer, *arguments, **options)
        finally:
            self._idle = idle

    # What these share.

    def _specified(self, operation, arguments, options):
        """The outputs' shapes and types, with nothing counted on the way."""
        idle, self._idle = self._idle, True
        try:
            outputs = operation.compute_output_spec(*arguments, **options)
            if any(None in x.shape for x in tensors_in(outputs)):
                # As EinsumDense leaves open what its `output_shape` does.
                outputs = keras.Operation.compute_output_spec(operation, *arguments, **options)
            return outputs
        finally:
            self._idle = idle

    def _call(self, layer, arguments, options, outputs):
        inputs = tensors_in((arguments, options))
        return Call(
            layer=layer,
            arguments=tuple(arguments),
            options=options,
            inputs=inputs,
            fields=[self.field_of(x) for x in inputs],
            outputs=tensors_in(outputs),
            trace=self,
        )

    def _placed(self, call, field):
        field = call.lost if field is None else field
        for output in call.outputs:
            self.place(output, field)
        return field

    def _row(self, layer):
        return Counted(self._path(layer.name), layer, type(layer).__name__, [], [])

    def _path(self, name):
        # The model's own name, the first, goes without saying.
        return "/".join([*self._names[1:], name])

    @contextlib.contextmanager
    def _inside(self, layer, owner=None):
        self._names.append(layer.name)
        if owner is not None:
            self._owners.append(owner)
        try:
            yield
        finally:
            self._names.pop()
            if owner is not None:
                self._owners.pop()


def _spec(x):
    if isinstance(x, keras.Variable) or not tensors_in([x]):
        return x
    return keras.KerasTensor(tuple(x.shape), keras.backend.standardize_dtype(x.dtype))
