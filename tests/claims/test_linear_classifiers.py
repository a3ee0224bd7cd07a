"""What the sheet says of linear classifiers."""

import keras
import numpy as np

from kerakit import cost, gradients
from kerakit.models.classification import linear_classifier


def scorer(rng, features, classes):
    model = linear_classifier(input_shape=(features,), num_classes=classes, normalization=None)
    model.get_layer("scores").set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def test_decision_boundaries_are_linear(rng):
    """Between two answers lies a flat boundary: on a straight line each class is one stretch."""
    model = scorer(rng, 5, 4)
    starts, ends = rng.normal(size=(2, 200, 1, 5)) * 5
    lines = starts + np.linspace(0, 1, 64)[:, None] * (ends - starts)
    answers = model.predict(lines.reshape(-1, 5), verbose=0, batch_size=4096)
    answers = answers.argmax(-1).reshape(200, 64)
    stretches = 1 + np.count_nonzero(np.diff(answers, axis=1), axis=1)
    assert stretches.max() > 2
    classes = [len(set(line)) for line in answers]
    np.testing.assert_array_equal(stretches, classes)  # none comes back


def test_an_answer_costs_k_d_and_a_steps_gradient_as_much_an_example(rng):
    """The gradient by W is one product, of the D x B features and the B x K errors."""
    features, classes, batch = 12, 4, 9
    model = scorer(rng, features, classes)
    assert cost.report(model).macs == classes * features
    x, labels = rng.normal(size=(batch, features)), rng.integers(0, classes, batch)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    layer = model.get_layer("scores")
    _, slope, _ = gradients.gradient(
        lambda x: loss(labels, layer(x)), x.astype("float32"), variables=layer.trainable_weights
    )
    weights, bias = layer.get_weights()
    scores = x @ weights + bias
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    errors = shares - np.eye(classes)[labels]
    by_hand, products = np.zeros((features, classes)), 0
    for example in range(batch):
        for i in range(features):
            for k in range(classes):
                by_hand[i, k] += x[example, i] * errors[example, k]
                products += 1
    assert products == batch * cost.report(model).macs
    np.testing.assert_allclose(slope, by_hand, rtol=1e-4, atol=1e-4)
