"""What a trace has counted, call by call."""

import dataclasses

from kerakit.cost.field import Field
from kerakit.cost.rule import Cost, size_in_bytes


class RuleError(RuntimeError):
    """A counting rule that failed."""


@dataclasses.dataclass
class Counted:
    """What one call was counted as: a row of the report before it is named and summed.

    Args:
        name: Names of the layers from the model down, joined by slashes.
        layer: The layer, or operation.
        kind: Its class.
        outputs: Symbolic tensors.
        weights: Its own variables.
        macs: Multiply-accumulates.
        flops: Floating-point operations.
        activation_bytes: Bytes of outputs that are memory of their own.
        field: `Field` of the first output.
        uncounted: What of its work is not counted, in words.
        times: How often the call is made by what is around it.
    """

    name: str
    layer: object
    kind: str
    outputs: list
    weights: list
    macs: int = 0
    flops: int = 0
    activation_bytes: int = 0
    field: Field = dataclasses.field(default_factory=Field)
    uncounted: list = dataclasses.field(default_factory=list)
    times: int = 1

    def add(self, cost, outputs, times=1):
        """Adds the `Cost` of something that is done `times` times and gives `outputs`."""
        self.macs += times * cost.macs
        self.flops += times * cost.flops
        own = 0 if cost.shares_memory else sum(map(size_in_bytes, outputs))
        self.activation_bytes += times * (own + cost.kept)
        self.uncounted += [text for text in cost.uncounted if text not in self.uncounted]


def counted_by(rule, call):
    """The `Cost` by a rule; a failure is the rule's, and names it."""
    subject = f"The rule that counts {type(call.layer).__name__} {call.layer.name!r}"
    try:
        cost = rule(call)
    except RuleError:
        raise
    except Exception as error:
        raise RuleError(f"{subject} failed: {error!r}.") from error
    if not isinstance(cost, Cost):
        raise RuleError(f"{subject} failed: a rule must return a Cost, got {cost!r}.")
    return cost


def own_weights(layer):
    """The variables of a layer that are none of its inner layers'."""
    inner = {id(v) for sub in layer._flatten_layers(include_self=False) for v in sub.weights}
    return [variable for variable in layer.weights if id(variable) not in inner]
