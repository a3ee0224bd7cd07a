"""One compiled step of each optimizer over ResNet-18's variables, beside Keras's own.

python -m benchmarks.optimizers [--rounds 9] [--json FILE]     (KERAS_BACKEND=jax too)
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.alternate import alternate, command_line, report
from kerakit.models.classification import resnet18
from kerakit.optimizers import SGD, AdaGrad, Adam, RMSProp

PAIRS = {
    "SGD": (lambda: SGD(0.01), lambda: keras.optimizers.SGD(0.01)),
    "SGD, momentum": (
        lambda: SGD(0.01, momentum=0.9),
        lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    ),
    "SGD, momentum, torch's": (
        lambda: SGD(0.01, momentum=0.9, convention="torch"),
        lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    ),
    "SGD, momentum, weight decay": (
        lambda: SGD(0.01, momentum=0.9, weight_decay=1e-4),
        lambda: keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=1e-4),
    ),
    "AdaGrad": (lambda: AdaGrad(0.01), lambda: keras.optimizers.Adagrad(0.01)),
    "RMSProp": (lambda: RMSProp(0.001), lambda: keras.optimizers.RMSprop(0.001)),
    "Adam": (lambda: Adam(0.001), lambda: keras.optimizers.Adam(0.001)),
}


def compiled_step(optimizer, gradients):
    """A callable that takes one step of its own set of variables."""
    variables = [keras.Variable(np.ones(g.shape, "float32"), dtype="float32") for g in gradients]
    optimizer.build(variables)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        constants = [tf.constant(g) for g in gradients]
        step = tf.function(lambda grads: optimizer.apply(grads, variables), jit_compile=False)
        return lambda: (step(constants), variables[-1].value.numpy())
    import jax

    constants = [jax.numpy.asarray(g) for g in gradients]
    apply = jax.jit(optimizer.stateless_apply, donate_argnums=(0, 2))
    state = [v.value.copy() for v in optimizer.variables], [v.value.copy() for v in variables]

    def call():
        nonlocal state
        weights, slots = apply(state[0], constants, state[1])
        state = slots, weights
        jax.block_until_ready(state)

    return call


def main():
    options = command_line(__doc__.splitlines()[0]).parse_args()
    generator = np.random.default_rng(0)
    shapes = [tuple(variable.shape) for variable in resnet18().trainable_variables]
    gradients = [generator.standard_normal(shape).astype("float32") for shape in shapes]
    comparisons = [
        alternate(
            work,
            {
                "kerakit": compiled_step(ours(), gradients),
                "keras": compiled_step(theirs(), gradients),
            },
            rounds=options.rounds,
            calls=11,
        )
        for work, (ours, theirs) in PAIRS.items()
    ]
    print(
        f"{len(gradients)} variables, {sum(g.size for g in gradients):,} weights, "
        f"Keras {keras.__version__} on {keras.backend.backend()}"
    )
    report(
        comparisons,
        json_file=options.json,
        backend=keras.backend.backend(),
        keras=keras.__version__,
    )


if __name__ == "__main__":
    main()
