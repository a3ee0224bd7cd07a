"""Keras's calls of layers and operations, watched for a while."""

import contextlib
import threading
import warnings

import keras

# Of a variable on the left: `gamma * x` is left to the symbolic x.
_OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
# One at a time in a process; a rule may ask for a report itself.
_WATCHING = threading.RLock()


@contextlib.contextmanager
def watching(handler):
    """Hands each call of a layer or a `keras.ops` function in this thread to `handler`.

    Keras sends them all through two methods of `keras.Operation`: layers, and operations that are
    nodes of a graph, through `__call__`; functions of `keras.ops` that are given symbolic tensors
    through `symbolic_call`.

    Args:
        handler: Function (original, operation, arguments, options, of_graph) whose result is the
            call's; `original` is the method that was to be called.
    """
    operation, thread, nodes = keras.Operation, threading.get_ident(), {}
    call, symbolic_call = operation.__call__, operation.symbolic_call

    def watched_call(self, *arguments, **options):
        if threading.get_ident() != thread:
            return call(self, *arguments, **options)
        counts = len(self._inbound_nodes), len(self._outbound_nodes)
        nodes.setdefault(id(self), (self, *counts))
        return handler(call, self, arguments, options, of_graph=True)

    def watched_symbolic_call(self, *arguments, **options):
        if threading.get_ident() != thread:
            return symbolic_call(self, *arguments, **options)
        return handler(symbolic_call, self, arguments, options, of_graph=False)

    with _WATCHING, warnings.catch_warnings():
        # Keras warns of masks that a layer drops, and of layers that have weights and no `build`;
        # neither matters here.
        warnings.filterwarnings("ignore", message=".*mask.*")
        warnings.filterwarnings("ignore", message=r".*does not have a `build\(\)`")
        operation.__call__, operation.symbolic_call = watched_call, watched_symbolic_call
        try:
            with _yielding_variables():
                yield
        finally:
            operation.__call__, operation.symbolic_call = call, symbolic_call
            # Keras remembers each symbolic call, and a layer that was called twice has no
            # `layer.output`.
            for layer, inbound, outbound in nodes.values():
                del layer._inbound_nodes[inbound:], layer._outbound_nodes[outbound:]


@contextlib.contextmanager
def _yielding_variables():
    kind, replaced = keras.Variable, {}
    for name in (f"__{operator}__" for operator in _OPERATORS):
        replaced[name] = vars(kind).get(name)
        setattr(kind, name, _yielding(getattr(kind, name)))
    try:
        yield
    finally:
        for name, method in replaced.items():
            if method is None:
                delattr(kind, name)  # it is a base class's
            else:
                setattr(kind, name, method)


def _yielding(method):
    def operator(self, other):
        return NotImplemented if isinstance(other, keras.KerasTensor) else method(self, other)

    return operator
