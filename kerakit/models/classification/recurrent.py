"""Recurrent classifiers: an image read row by row."""

import keras
from keras import layers

from kerakit.models.family import check_classifier
from kerakit.models.logits import logits_dtype
from kerakit.models.normalization import normalize

CELLS = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


def recurrent_classifier(
    *,
    input_shape=(28, 28, 1),
    num_classes=10,
    normalization="image_max",
    cell="lstm",
    units=128,
    drop_rate=0.0,
    name="recurrent_classifier",
):
    """A recurrent network over the rows of an image, from top to bottom.

    Each row is a step of a sequence of H vectors of W C values; the state after the last row
    gives the logits. With d_x = W C, d_h = `units` and d_y = `num_classes` the parameters are:

    - `"rnn"`: `h' = tanh(W_h h + W_x x + b)`: `d_h^2 + d_x d_h + d_h`;
    - `"lstm"`: four times as many, forget, input and output gates and the candidate;
    - `"gru"`: three times as many, reset and update gates and the candidate. One bias a gate,
      so that the reset gate acts on the state before it is multiplied: Keras's and cuDNN's
      default form, `reset_after=True`, has two;

    and `d_h d_y + d_y` of the logits. Over long sequences the gradient of `"rnn"` vanishes or
    explodes; the gates of the others let it pass.

    Args:
        input_shape: (H, W, C) of the raw pixels, 0..255.
        num_classes: K, size of the output.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        cell: `"rnn"`, `"lstm"` or `"gru"`.
        units: Size of the state.
        drop_rate: Share of the last state that is dropped in training, in [0, 1).
        name: Name of the model.

    Returns:
        `keras.Model` from (B, H, W, C) pixels to (B, K) logits.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Hochreiter and Schmidhuber, Long Short-Term Memory, 1997, with the forget gate of Gers,
        Schmidhuber and Cummins, Learning to Forget, 2000. Cho et al., Learning Phrase
        Representations using RNN Encoder-Decoder, 2014, Eq. 5 to 8: the GRU. Deviations: the
        forget gate's bias starts at 1, as Keras's does.
    """
    check_classifier(num_classes, drop_rate=drop_rate)
    if cell not in CELLS:
        raise ValueError(f"`cell` must be one of {tuple(CELLS)}, got {cell!r}.")
    if not isinstance(units, int) or units < 1:
        raise ValueError(f"`units` must be a positive integer, got {units!r}.")
    height, width, channels = input_shape
    options = {"reset_after": False} if cell == "gru" else {}

    images = keras.Input(input_shape, name="images")
    x = normalize(images, normalization)
    x = layers.Reshape((height, width * channels), name="rows")(x)
    x = CELLS[cell](units, name=cell, **options)(x)
    if drop_rate:
        x = layers.Dropout(drop_rate, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype=logits_dtype(), name="logits")(x)
    return keras.Model(images, logits, name=name)
