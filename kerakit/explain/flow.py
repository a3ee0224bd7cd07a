"""Which of a run's calls a tensor was computed from."""

import collections

from keras import ops, tree


def sources(calls, tensor, *, inputs, stop=lambda called: False):
    """The calls that a tensor comes from, as far back as `stop` allows.

    What a model does between its layers by itself is not seen. Where a tensor comes from nowhere
    that is known, all calls before its use are taken, the last first, up to one that stops it.

    Args:
        calls: List of `Called`, all of a run.
        tensor: The tensor.
        inputs: Structure of the model's inputs.
        stop: Function from a `Called` to whether to look no further back than it.

    Returns:
        List of `Called`, in their order. Layers that only hand on what one in them returned are
        not among them.
    """
    makers, opaque = _makers(calls)
    given = [tuple(x.shape) for x in tree.flatten(inputs) if ops.is_tensor(x)]
    found, todo = set(), [(tensor, len(calls))]
    while todo:
        x, before = todo.pop()
        places = [place for place in makers[id(x)] if place < before]
        places = places or _cast(calls, x, before)
        if not places:
            if tuple(x.shape) not in given and len(x.shape) > 1:
                found |= _all_before(calls, before, stop)
            continue
        for place in places:
            if place in found:
                continue
            found.add(place)
            if stop(calls[place]):
                continue
            if place in opaque:
                found |= _all_before(calls, place, stop)
            else:
                todo += [(y, place) for y in calls[place].inputs]
    return [calls[place] for place in sorted(found)]


def _makers(calls):
    """From the `id` of a tensor to the places of the calls that returned it.

    And the places of layers that have layers within and do something themselves behind them.
    """
    makers, opaque, within = collections.defaultdict(list), set(), collections.defaultdict(set)
    for place, called in enumerate(calls):
        tensors = {id(x) for x in tree.flatten(called.output)}
        inner = within[id(called.operation)]
        for parent in called.within:
            within[id(parent)] |= tensors
        if inner and tensors <= inner:
            continue
        if inner:
            opaque.add(place)
        for one in tensors:
            makers[one].append(place)
    return makers, opaque


def _cast(calls, x, before):
    """The last call whose result x is in another precision: layers cast what they are given."""
    for place in reversed(range(before)):
        y = calls[place].output
        if ops.is_tensor(y) and tuple(y.shape) == tuple(x.shape) and y.dtype != x.dtype:
            return [place]
    return []


def _all_before(calls, before, stop):
    found = set()
    for place in reversed(range(before)):
        found.add(place)
        if stop(calls[place]):
            break
    return found
