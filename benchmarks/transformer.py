"""A training step of a transformer block beside KerasHub's, and of a mixture beside one expert.

python -m benchmarks.transformer [--rounds 9] [--json FILE]     (KERAS_BACKEND=jax too)
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.alternate import alternate, command_line, report
from kerakit.layers import FeedForward, MixtureOfExperts, TransformerBlock

BATCH, TOKENS, WIDTH, HEADS = 8, 196, 384, 6  # ViT-S/16 at 224 x 224, without a class token
EXPERTS, ACTIVE = 8, 2


def training_step(layer, x):
    """A callable that runs the layer forward and backward, on its input and its weights."""
    layer(x)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.function(jit_compile=False)
        def gradient(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_mean(tf.square(layer(x, training=True)))
                loss += sum(layer.losses)
            return tape.gradient(loss, [x, *layer.trainable_variables])

        x = tf.constant(x)
        return lambda: gradient(x)[0].numpy()
    import jax

    fixed = [v.value for v in layer.non_trainable_variables]

    def loss(x, trainable):
        y, _, extra = layer.stateless_call(trainable, fixed, x, training=True, return_losses=True)
        return jax.numpy.mean(jax.numpy.square(y)) + sum(extra)

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1)))
    trainable = [v.value for v in layer.trainable_variables]
    return lambda: jax.block_until_ready(gradient(x, trainable))


def blocks(norm, drop_rate):
    """Kerakit's block and, where it is installed, KerasHub's."""
    pair = {
        "kerakit": TransformerBlock(
            HEADS, norm=norm, drop_rate=drop_rate, attention_drop_rate=drop_rate
        )
    }
    try:
        from keras_hub.layers import TransformerEncoder
    except ImportError:
        print("keras-hub is not installed: left out")
        return pair
    pair["keras-hub"] = TransformerEncoder(
        4 * WIDTH, HEADS, dropout=drop_rate, normalize_first=norm == "pre"
    )
    return pair


def main():
    options = command_line(__doc__.splitlines()[0]).parse_args()
    x = np.random.default_rng(0).standard_normal((BATCH, TOKENS, WIDTH)).astype("float32")
    contests = {
        f"block, {norm}-norm, drop rate {rate}": blocks(norm, rate)
        for norm in ("post", "pre")
        for rate in (0.0, 0.1)
    }
    contests[f"{EXPERTS} experts, {ACTIVE} active"] = {
        "kerakit": MixtureOfExperts(EXPERTS, ACTIVE, hidden_dim=4 * WIDTH),
        "one feed-forward": FeedForward(4 * WIDTH),
    }
    comparisons = [
        alternate(
            work,
            {name: training_step(layer, x) for name, layer in contestants.items()},
            rounds=options.rounds,
        )
        for work, contestants in contests.items()
    ]
    print(
        f"{BATCH} x {TOKENS} x {WIDTH} tokens, Keras {keras.__version__} on "
        f"{keras.backend.backend()}"
    )
    report(
        comparisons,
        json_file=options.json,
        backend=keras.backend.backend(),
        keras=keras.__version__,
    )


if __name__ == "__main__":
    main()
