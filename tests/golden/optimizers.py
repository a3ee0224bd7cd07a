"""The recorded run that optimizers replay: gradients, rates, starting weights, cases."""

import hashlib

import numpy as np

STEPS = 1000
STRETCH = 50  # the weights after each stretch of so many steps are kept

# Name of the case -> class in `torch.optim`, its options.
TORCH_CASES = {
    "sgd": ("SGD", {}),
    "sgd_decay": ("SGD", {"weight_decay": 0.01}),
    "sgd_momentum": ("SGD", {"momentum": 0.9}),
    "sgd_momentum_decay": ("SGD", {"momentum": 0.9, "weight_decay": 0.01}),
    "adagrad": ("Adagrad", {}),
    "adagrad_decay": ("Adagrad", {"weight_decay": 0.01}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop_decay": ("RMSprop", {"alpha": 0.9, "weight_decay": 0.01}),
    "adam": ("Adam", {}),
    "adam_decay": ("Adam", {"betas": (0.8, 0.99), "weight_decay": 0.01}),
}


def recorded_run():
    """Numbers that float32 holds exactly, so that both precisions replay the same run.

    Gradients of an entry share a size, from 1 down to 1e-9, where the place of epsilon
    shows; a fifth of them are 0, and so is all of the first entry. The rate falls in
    steps and swings, so that it shows whether the momentum holds it. It is small, so
    that no weight comes to 0: with weight decay alone to drive it, a weight would jump
    about 0 there and blow up a last digit's difference, whoever made it.

    Returns:
        Float64 gradients (1000, 4, 5), rates (1000,), starting weights (4, 5).
    """
    generator = np.random.default_rng(20250101)
    sizes = np.logspace(0, -9, 20).reshape(4, 5)
    gradients = generator.standard_normal((STEPS, 4, 5)) * sizes
    gradients += 0.2 * sizes  # a direction to go, besides noise
    gradients *= generator.random((STEPS, 4, 5)) > 0.2
    gradients[:, 0, 0] = 0
    step = np.arange(STEPS)
    rates = 0.0005 * 0.5 ** (step // 300) * (1 + 0.5 * np.cos(step / 7))
    weights = generator.uniform(1, 2, (4, 5)) * generator.choice([-1, 1], (4, 5))
    return tuple(x.astype("float32").astype("float64") for x in (gradients, rates, weights))


def checksum(*arrays):
    """SHA-256 of the arrays' bytes: NumPy may change its generators' streams."""
    return hashlib.sha256(b"".join(x.astype("<f8").tobytes() for x in arrays)).hexdigest()
