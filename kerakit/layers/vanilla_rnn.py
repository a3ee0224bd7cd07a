"""The plain recurrent network, with its output equation."""

import keras

from kerakit.layers.arguments import check_whole


@keras.saving.register_keras_serializable(package="kerakit")
class VanillaRNN(keras.layers.Layer):
    """A tanh state that is carried from step to step, and a linear output of it at each.

    `h_t = tanh(W_hh h_{t-1} + W_xh x_t + b_h)`, `y_t = W_hy h_t + b_y`, with
    `d_h^2 + d_x d_h + d_h d_y + d_h + d_y` parameters. `keras.layers.SimpleRNN`, which is used
    inside, ends with the state: of d_x = 3, d_h = 4, d_y = 2 it has 32 of the 42 parameters.
    Over long sequences its gradients vanish or explode, as powers of W_hh do;
    `keras.layers.LSTM` and `GRU` are for those.

    Args:
        state_dim: d_h.
        output_dim: d_y.
        return_sequences: Whether to give all outputs, or the last.
        kernel_initializer: Of W_xh and W_hy.
        recurrent_initializer: Of W_hh.
        **options: As in `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        x: (B, T, d_x) sequences.
        initial_state: (B, d_h) h_0; None for zeros.
        mask: (B, T) bool; at a False step the state stays as it was. A mask that Keras carries
            along is used where none is given.

    Returns:
        (B, T, d_y) outputs, or (B, d_y), the last.

    Raises:
        ValueError: If `state_dim` or `output_dim` is below 1, or `x` is not 3D.

    Reference:
        Elman, Finding Structure in Time, 1990. Deviations: tanh for the logistic function, and
        a linear output.

    Example:

    >>> import numpy as np
    >>> rnn = VanillaRNN(4, 2)
    >>> tuple(rnn(np.ones((1, 7, 3))).shape)
    (1, 7, 2)
    >>> rnn.count_params()  # 4^2 + 3 * 4 + 4 * 2 + 4 + 2
    42
    """

    def __init__(
        self,
        state_dim,
        output_dim,
        *,
        return_sequences=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        **options,
    ):
        check_whole(state_dim=state_dim, output_dim=output_dim)
        super().__init__(**options)
        self.state_dim = state_dim
        self.output_dim = output_dim
        self.return_sequences = return_sequences
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.supports_masking = True
        self.recurrence = keras.layers.SimpleRNN(
            state_dim,
            kernel_initializer=self.kernel_initializer,
            recurrent_initializer=self.recurrent_initializer,
            return_sequences=return_sequences,
            dtype=self.dtype_policy,
            name="recurrence",
        )
        self.readout = keras.layers.Dense(
            output_dim,
            kernel_initializer=self.kernel_initializer,
            dtype=self.dtype_policy,
            name="readout",
        )

    def build(self, x_shape):
        if len(x_shape) != 3:
            raise ValueError(f"`x` must be (B, T, d_x) sequences, got shape {tuple(x_shape)}.")
        self.recurrence.build(x_shape)
        self.readout.build((x_shape[0], x_shape[1], self.state_dim))

    def call(self, x, initial_state=None, mask=None, training=None):
        mask = getattr(x, "_keras_mask", None) if mask is None else mask
        states = self.recurrence(x, initial_state=initial_state, mask=mask, training=training)
        return self.readout(states)

    def compute_mask(self, inputs, previous_mask):
        return previous_mask if self.return_sequences else None

    def compute_output_shape(self, x_shape):
        steps = (x_shape[1],) if self.return_sequences else ()
        return (x_shape[0], *steps, self.output_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "state_dim": self.state_dim,
            "output_dim": self.output_dim,
            "return_sequences": self.return_sequences,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
        }
