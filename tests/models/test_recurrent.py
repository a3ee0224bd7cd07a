import numpy as np
import pytest
from keras import losses, optimizers

from kerakit.models.classification import recurrent_classifier

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def state_by_loop(cell, rows, kernel, recurrent, bias):
    """The last state for one image, by the equations, a row at a time."""
    units = recurrent.shape[0]
    h, c = np.zeros(units), np.zeros(units)
    for x in rows:
        wx, wh = np.split(x @ kernel + bias, GATES[cell]), np.split(h @ recurrent, GATES[cell])
        if cell == "rnn":
            h = np.tanh(wx[0] + wh[0])
        elif cell == "lstm":  # Keras's order of the gates: input, forget, candidate, output
            i, f, o = (sigmoid(wx[n] + wh[n]) for n in (0, 1, 3))
            c = f * c + i * np.tanh(wx[2] + wh[2])
            h = o * np.tanh(c)
        else:  # update, reset, candidate: the reset gate acts before the product
            z, r = sigmoid(wx[0] + wh[0]), sigmoid(wx[1] + wh[1])
            candidate = np.tanh(wx[2] + (r * h) @ np.split(recurrent, 3, axis=1)[2])
            h = z * h + (1 - z) * candidate
    return h


@pytest.mark.parametrize("cell", GATES)
def test_logits_are_those_of_the_equations(cell, rng):
    model = recurrent_classifier(
        input_shape=(5, 3, 2), num_classes=4, cell=cell, units=7, normalization=None
    )
    weights = [rng.normal(size=w.shape) for w in model.get_weights()]
    model.set_weights(weights)
    kernel, recurrent, bias, head, head_bias = weights
    images = rng.uniform(-1, 1, (6, 5, 3, 2)).astype("float32")
    states = [state_by_loop(cell, image.reshape(5, 6), kernel, recurrent, bias) for image in images]
    np.testing.assert_allclose(
        model.predict(images, verbose=0), np.array(states) @ head + head_bias, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("cell", GATES)
def test_parameters(cell):
    """The sheet's, with d_x = W C, d_h and d_y."""
    model = recurrent_classifier(input_shape=(9, 5, 3), num_classes=4, cell=cell, units=11)
    d_x, d_h, d_y = 15, 11, 4
    expected = GATES[cell] * ((d_h + d_x) * d_h + d_h) + d_h * d_y + d_y
    assert model.count_params() == expected
    if cell == "rnn":
        assert expected == d_h**2 + d_x * d_h + d_h * d_y + d_h + d_y


def test_learns_what_only_the_order_of_rows_tells(rng):
    """A bright row above a half-bright one, or below: the same rows in another order."""
    labels = rng.integers(0, 2, 256)
    images = np.zeros((256, 6, 4, 1), "float32")
    for image, label, (top, bottom) in zip(
        images, labels, np.sort([rng.permutation(6)[:2] for _ in labels]), strict=True
    ):
        image[top], image[bottom] = (255, 120) if label else (120, 255)
    model = recurrent_classifier(input_shape=(6, 4, 1), num_classes=2, cell="gru", units=16)
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizers.Adam(0.02), loss, metrics=["accuracy"])
    model.fit(images, labels, epochs=15, verbose=0)
    assert model.evaluate(images, labels, verbose=0)[1] > 0.97


def test_dropout_acts_in_training_alone(rng):
    model = recurrent_classifier(input_shape=(4, 4, 1), num_classes=3, units=8, drop_rate=0.5)
    images = rng.uniform(0, 255, (2, 4, 4, 1)).astype("float32")
    answers = [np.asarray(model(images, training=training)) for training in (False, False, True)]
    np.testing.assert_array_equal(answers[0], answers[1])
    assert np.abs(answers[2] - answers[0]).max() > 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "elman"}, "`cell` must be one of"),
        ({"units": 0}, "`units` must be a positive integer, got 0"),
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
        ({"drop_rate": 1.0}, r"`drop_rate` must be in \[0, 1\), got 1.0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        recurrent_classifier(**options)
