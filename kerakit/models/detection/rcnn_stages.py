"""R-CNN's last stages: an SVM and a box regression for each class, over features kept."""

import keras
import numpy as np

from kerakit.models.detection.rcnn import hinge
from kerakit.regularizers import L2

# Mean length that features are brought to, so that one `cost` suits every network.
LENGTH = 20.0


def fit_svms(
    model,
    table,
    *,
    cost=0.001,
    epochs=40,
    batch_size=128,
    learning_rate=0.3,
    negatives=4000,
    passes=1,
    seed=0,
    verbose=1,
):
    """Fits the linear SVM of each class, with the negatives that are hard.

    Each minimises `|w|^2 / 2 + cost * sum of max(0, 1 - t (w x + b))` over its regions, by Adam
    on minibatches with a falling rate, features being scaled to a mean length of 20. It begins
    with every object and some negatives; after each pass the negatives with a margin above -1,
    which are those that count in the sum, join them.

    Args:
        model: `RCNN`, whose `svms` are set.
        table: Dict of `region_table`.
        cost: Weight of the hinge loss, positive; that of liblinear.
        epochs: Passes over the regions for each fit.
        batch_size: Regions a step.
        learning_rate: Of Adam at the start, times the root of the number of features.
        negatives: Regions without an object to begin with.
        passes: Times that hard negatives join, at least 0.
        seed: Of the choice and the order.
        verbose: As in `keras.Model.fit`.

    Returns:
        Dict of `objective`, the sum above over all classes and regions of the table, and
        `regions`, how many were learned from in the end.

    Reference:
        Girshick et al., Rich Feature Hierarchies for Accurate Object Detection and Semantic
        Segmentation, 2014, Section 2.3. Deviations: all negatives of an image join at once; none
        leaves again.
    """
    features = np.asarray(table["features"], "float32")
    targets = np.asarray(table["svm_targets"], "float32")
    scale = LENGTH / max(float(np.linalg.norm(features, axis=1).mean()), 1e-12)
    # About their mean, which changes the bias alone: steps then go straighter down.
    features = features * np.float32(scale)
    middle = features.mean(axis=0)
    features = features - middle
    draw = np.random.default_rng(seed)
    is_taken = (targets > 0).any(axis=1)
    others = np.flatnonzero(~is_taken & (targets < 0).any(axis=1))
    is_taken[draw.permutation(others)[:negatives]] = True
    inputs = keras.Input(features.shape[1:])
    layer = keras.layers.Dense(targets.shape[1], kernel_initializer="zeros", dtype="float32")
    machines = keras.Model(inputs, layer(inputs))
    rate = learning_rate / features.shape[1] ** 0.5  # a step then moves margins alike for any D
    for number in range(passes + 1):
        if number:
            margins = machines.predict(features, batch_size=batch_size, verbose=0)
            is_taken |= ((targets < 0) & (margins > -1)).any(axis=1)
        count = int(is_taken.sum())
        # The mean over rows in place of the sum: the penalty is divided by as much.
        layer.kernel.regularizer = L2(1.0 / (cost * count))
        steps = epochs * -(-count // batch_size)
        falling = keras.optimizers.schedules.CosineDecay(rate, steps)
        machines.compile(keras.optimizers.Adam(falling), loss=hinge)
        machines.fit(
            features[is_taken],
            targets[is_taken],
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
        )
    kernel, bias = layer.get_weights()
    model.svms.set_weights([kernel * scale, bias - middle @ kernel])
    margins = features @ kernel + bias
    losses = np.abs(targets) * np.maximum(0.0, 1.0 - targets * margins)
    objective = 0.5 * float((kernel**2).sum()) + cost * float(losses.sum())
    return {"objective": objective, "regions": int(is_taken.sum())}


def fit_box_regression(model, table, *, penalty=1000.0):
    """Fits the box regression of each class in closed form.

    Minimises `sum of |t - W x - b|^2 + penalty |W|^2` over the regions near an object of the
    class: with features and offsets less their means, `W = (X'X + penalty I)^-1 X'T`.

    Args:
        model: `RCNN`, whose `box_regression` is set.
        table: Dict of `region_table`.
        penalty: Positive factor of the squared weights, for features scaled to a mean length of
            20.

    Returns:
        (K,) int array, the regions that each class learned from; a class without any keeps
        proposals as they are.

    Reference:
        Girshick et al., Rich Feature Hierarchies for Accurate Object Detection and Semantic
        Segmentation, 2014, Appendix C. Deviations: a bias that is not penalised.
    """
    features, classes = np.asarray(table["features"], "float64"), table["box_classes"]
    near = features[classes >= 0]
    length = float(np.linalg.norm(near, axis=1).mean()) if len(near) else 1.0
    scale = LENGTH / max(length, 1e-12)
    kernel = np.zeros((features.shape[1], model.num_classes, 4))
    bias = np.zeros((model.num_classes, 4))
    counts = np.zeros(model.num_classes, int)
    for number in range(model.num_classes):
        is_own = classes == number
        counts[number] = is_own.sum()
        if not counts[number]:
            continue
        x, t = features[is_own] * scale, np.asarray(table["box_offsets"], "float64")[is_own]
        x_mean, t_mean = x.mean(axis=0), t.mean(axis=0)
        x, t = x - x_mean, t - t_mean
        weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ t)
        kernel[:, number] = weights * scale
        bias[number] = t_mean - x_mean @ weights
    model.box_regression.set_weights([kernel.reshape(len(kernel), -1), bias.reshape(-1)])
    return counts
