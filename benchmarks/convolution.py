"""2D convolution by Fourier transforms and by im2col, beside Keras's Conv2D.

python -m benchmarks.convolution [--rounds 9] [--only fft] [--json FILE]  (KERAS_BACKEND=jax too)

Forward, and a step: forward with the gradients of input, kernel and bias, under `tf.function`
without XLA, or `jax.jit`. The gradient of Conv2D's kernel can take minutes for large kernels with
TensorFlow's oneDNN (80 s for 21 x 21 over 4 x 48 x 48 x 32): what does not finish once in a child
process within `--patience` seconds is named and left out. TF_ENABLE_ONEDNN_OPTS=0 measures it.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import subprocess
import sys

import keras
import numpy as np

from benchmarks.alternate import alternate, command_line, report
from kerakit import gradients
from kerakit.layers import FFTConv2D, Im2ColConv2D
from kerakit.ops.convolution import METHODS, cheapest_method, convolution

WIDE = (4, 96, 96, 32)  # to 32 channels, for large kernels
DEEP = (8, 56, 56, 64)  # to 64 channels, for 3 x 3
KERNELS = (3, 7, 15, 31)


class ConvolutionBy(keras.layers.Conv2D):
    """Conv2D by one of the methods of `kerakit.ops.convolution`."""

    method = "auto"

    def convolution_op(self, inputs, kernel):
        return convolution(inputs, kernel, padding=self.padding, method=self.method)


def layer_by(name, shape, size):
    """A built layer; the name is "Conv2D", a layer of kerakit or a method."""
    if name == "Conv2D":
        layer = keras.layers.Conv2D(shape[-1], size, padding="same")
    elif name == "FFTConv2D":
        layer = FFTConv2D(shape[-1], size, padding="same")
    elif name.startswith("Im2ColConv2D"):
        explicit = name.endswith("explicit")
        layer = Im2ColConv2D(shape[-1], size, padding="same", explicit=explicit)
    else:
        layer = ConvolutionBy(shape[-1], size, padding="same")
        layer.method = name
    layer.build(shape)
    return layer


def callable_of(name, shape, size, is_step):
    """A callable without arguments that runs the compiled forward pass or step."""
    generator = np.random.default_rng(0)
    images, slope = (generator.standard_normal(shape).astype("float32") for _ in range(2))
    layer = layer_by(name, shape, size)

    def step(images, slope):
        weights = layer.trainable_variables
        return gradients.gradient(lambda x: slope * layer(x), images, variables=weights)

    function = step if is_step else lambda images, slope: layer(images)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        run, tensors = tf.function(function, jit_compile=False), map(tf.constant, (images, slope))
    else:
        import jax

        compiled, tensors = jax.jit(function), map(jax.numpy.asarray, (images, slope))
        run = lambda *tensors: jax.block_until_ready(compiled(*tensors))  # noqa: E731
    tensors = tuple(tensors)
    return lambda: keras.tree.map_structure(np.asarray, run(*tensors))


def finishes(name, shape, size, is_step, patience):
    """Whether one call ends in time; only the direct method's steps are in doubt."""
    if not is_step or size < 15 or name not in ("Conv2D", "direct", "auto"):
        return True
    call = f"callable_of({name!r}, {shape}, {size}, True)()"
    command = [sys.executable, "-c", f"from benchmarks.convolution import *; {call}"]
    try:
        subprocess.run(command, timeout=patience, check=True, capture_output=True)
    except subprocess.TimeoutExpired:
        print(f"{name}, {size} x {size}, step: not done in {patience:.0f} s, left out")
        return False
    return True


def compare(names, shape, size, options):
    """Forward and step of all in turn."""
    for is_step in (False, True):
        work = f"{size} x {size}, {'step' if is_step else 'forward'}"
        if names[0] == "auto":
            kernel = (size, size, shape[-1], shape[-1])
            work += f", auto is {cheapest_method(shape, kernel, padding='same')}"
        taking_part = [n for n in names if finishes(n, shape, size, is_step, options.patience)]
        contestants = {n: callable_of(n, shape, size, is_step) for n in taking_part}
        # Seconds a call: a few alternations tell as much.
        rounds = min(options.rounds, 3) if size > 7 else options.rounds
        yield alternate(work, contestants, rounds=rounds, warmup=1 if size > 7 else 2)


def patch_matrix_megabytes(shape, size):
    return 4 * np.prod(shape) * size**2 / 1e6


def main():
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["fft", "auto", "im2col"], help="one table")
    parser.add_argument("--patience", type=float, default=60, help="seconds for a first call")
    options = parser.parse_args()
    methods = [name for name in METHODS if name != "explicit_im2col"]
    tables = {
        "fft": [(["FFTConv2D", "Conv2D"], WIDE, 31)],
        "auto": [(["auto", *methods], WIDE, size) for size in KERNELS],
        "im2col": [(["Im2ColConv2D", "Conv2D", "Im2ColConv2D explicit"], DEEP, 3)],
    }
    print(f"Keras {keras.__version__} on {keras.backend.backend()}; {WIDE} to 32, {DEEP} to 64")
    print(
        f"3 x 3 over {DEEP}: input {4 * np.prod(DEEP) / 1e6:.1f} MB, "
        f"patch matrix {patch_matrix_megabytes(DEEP, 3):.1f} MB"
    )
    comparisons = [
        comparison
        for table, works in tables.items()
        if options.only in (None, table)
        for work in works
        for comparison in compare(*work, options)
    ]
    report(
        comparisons,
        json_file=options.json,
        backend=keras.backend.backend(),
        keras=keras.__version__,
    )


if __name__ == "__main__":
    main()
