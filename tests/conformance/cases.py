"""One line a public part: what it is made with and called with. See `case.py`."""

import numpy as np

from kerakit import (
    activations,
    callbacks,
    initializers,
    layers,
    losses,
    metrics,
    ops,
    optimizers,
    regularizers,
    schedules,
)
from kerakit.models import classification
from tests.conformance.case import Case

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (4, 8, 9, 3)).astype("float32")
SCORES = RNG.normal(size=(6, 5)).astype("float32") * 3
TARGETS = RNG.normal(size=(6, 5)).astype("float32")
LABELS = RNG.integers(0, 5, 6).astype("int32")
ONE_HOT = np.eye(5, dtype="float32")[LABELS]

CASES = [
    Case(activations.leaky_relu_001, inputs=(SCORES,)),
    Case(activations.prelu, {"alpha": 0.3}, inputs=(SCORES,)),
    Case(callbacks.EarlyStopping, {"monitor": "val_loss", "patience": 2}),
    Case(callbacks.EarlyStopping, {"restore_best_weights": True, "start_from_epoch": 1}),
    Case(callbacks.GradientClipping, {"norm": 0.5}),
    Case(callbacks.GradientClipping, {"variable_norm": 0.5}),
    Case(callbacks.GradientClipping, {"value": 0.1}),
    Case(initializers.HeNormal, {"seed": 11}),
    Case(layers.ScaleByMax, inputs=(IMAGES,)),
    Case(losses.MulticlassHinge, {"margin": 0.5}, inputs=(LABELS, SCORES)),
    Case(losses.SummedAbsoluteError, inputs=(TARGETS, SCORES)),
    Case(losses.SummedSquaredError, inputs=(TARGETS, SCORES)),
    Case(metrics.ConfusionMatrix, {"num_classes": 5, "per_class": True}, inputs=(LABELS, SCORES)),
    Case(metrics.ConfusionMatrix, {"num_classes": 5, "prefix": "all_"}, inputs=(ONE_HOT, SCORES)),
    Case(ops.scale_by_max, inputs=(IMAGES,)),
    Case(optimizers.AdaGrad, {"learning_rate": 0.1, "weight_decay": 0.01}),
    Case(optimizers.Adam, {"learning_rate": 0.01, "beta_1": 0.8, "weight_decay": 0.01}),
    Case(optimizers.Adam, {"learning_rate": 0.01, "convention": "torch", "use_ema": True}),
    Case(optimizers.RMSProp, {"learning_rate": 0.01, "clipnorm": 1.0}),
    Case(optimizers.RMSProp, {"learning_rate": 0.01, "convention": "torch"}),
    Case(optimizers.SGD, {"learning_rate": 0.1, "weight_decay": 0.01}),
    Case(optimizers.SGD, {"learning_rate": 0.1, "momentum": 0.9, "convention": "torch"}),
    Case(regularizers.ElasticNet, {"l1": 0.02, "l2": 0.3}),
    Case(regularizers.L1, {"l1": 0.02}),
    Case(regularizers.L2, {"l2": 0.3}),
    Case(schedules.ExponentialDecay, {"initial_learning_rate": 0.1, "rate": 0.02}),
    Case(
        schedules.InverseTimeDecay,
        {"initial_learning_rate": 0.1, "rate": 0.5, "steps_per_epoch": 10},
    ),
    Case(schedules.StepDecay, {"initial_learning_rate": 0.1, "every": 10, "gamma": 0.5}),
    Case(
        schedules.Warmup,
        {"schedule": schedules.StepDecay(0.1, every=11), "length": 10, "start": 0.01},
    ),
    Case(
        schedules.Join,
        {"schedules": [0.1, schedules.ExponentialDecay(0.05, rate=0.1)], "boundaries": [10]},
    ),
    Case(
        classification.resnet18,
        {"input_shape": (24, 20, 3), "num_classes": 5, "stem": "small", "width": 0.125},
        inputs=(RNG.uniform(0, 255, (6, 24, 20, 3)).astype("float32"),),
    ),
]


def _of(kind):
    return [case for case in CASES if case.kind == kind]


LAYERS = _of("layer")
FUNCTIONS = _of("function")
LOSSES = _of("loss")
METRICS = _of("metric")
OPTIMIZERS = _of("optimizer")
SCHEDULES = _of("schedule")
CALLBACKS = _of("callback")
INITIALIZERS = _of("initializer")
REGULARIZERS = _of("regularizer")
MODELS = _of("model")
