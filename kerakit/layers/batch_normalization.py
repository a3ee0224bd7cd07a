"""Batch normalisation whose moving statistics are those of all replicas."""

import keras
from keras import ops

from kerakit.ops.batch_normalization import batch_normalization
from kerakit.ops.replicas import num_replicas


@keras.saving.register_keras_serializable(package="kerakit")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation for replicas, at PyTorch's momentum and epsilon, and faster.

    `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, in training by the statistics of
    the batch, otherwise by moving ones: `moving = momentum moving + (1 - momentum) of batch`.
    It differs from `keras.layers.BatchNormalization` in three things:

    - Under `tf.distribute` each replica has its own batch. Keras saves and evaluates with the
      moving statistics of replica 0 alone: where the batch of one replica is all 0 and of the
      other all 2, a step at momentum 0.9 leaves a moving mean of 0.0; here it is 0.1, the
      replicas' mean. Each replica still normalises by its own batch; with `synchronized=True`
      (TensorFlow's backend), as in Keras, by that of all.
    - The defaults are PyTorch's, momentum 0.9 in Keras's sense and epsilon 1e-5, in place of
      0.99 and 1e-3. The moving variance is over n as in Keras; PyTorch's is over n - 1.
    - On TensorFlow outside XLA a fused kernel normalises, see
      `kerakit.ops.batch_normalization`: half of the time.

    Weights and their order are Keras's (gamma, beta, moving_mean, moving_variance), 2 C of them
    trainable, and either layer loads the other's.

    Args:
        momentum: Share of the old moving statistics that a step keeps, [0, 1].
        epsilon: Positive number added to the variance.
        **options: As in `keras.layers.BatchNormalization`: `axis`, `center`, `scale`,
            `synchronized`, `gamma_initializer`, `name`, `dtype` and so on.

    Returns:
        Tensor of the shape of the input.

    Reference:
        Ioffe and Szegedy, Batch Normalization: Accelerating Deep Network Training by Reducing
        Internal Covariate Shift, 2015, Algorithms 1 and 2. Deviations: the moving variance is
        the mean of the batches' biased ones.

    Example:

    >>> import numpy as np
    >>> layer = BatchNormalization()
    >>> y = layer(np.array([[1.0], [3.0]]), training=True)
    >>> [round(float(v), 3) for v in (y[0, 0], y[1, 0], layer.moving_mean[0])]
    [-1.0, 1.0, 0.2]
    """

    def __init__(self, *, momentum=0.9, epsilon=1e-5, **options):
        super().__init__(momentum=momentum, epsilon=epsilon, **options)

    def add_weight(self, *, trainable=True, **options):
        # The moving statistics, which an assignment inside a replica then averages over all.
        # Synchronized replicas have the same ones: there is nothing to exchange.
        aggregation = "none" if trainable or self.synchronized else "mean"
        return super().add_weight(trainable=trainable, aggregation=aggregation, **options)

    def call(self, inputs, training=None, mask=None):
        is_by_batch = training and self.trainable
        if (is_by_batch and mask is not None) or not self._is_plain(inputs):
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        moving = (self.moving_mean, self.moving_variance)
        outputs, *of_batch = batch_normalization(
            inputs,
            gamma=ops.ones(channels) if self.gamma is None else self.gamma,
            beta=ops.zeros(channels) if self.beta is None else self.beta,
            epsilon=self.epsilon,
            moving=None if is_by_batch else moving,
            synchronized=is_by_batch and self.synchronized and num_replicas() > 1,
        )
        if is_by_batch:
            for variable, value in zip(moving, of_batch, strict=True):
                value = ops.cast(value, variable.dtype)
                variable.assign(variable * self.momentum + value * (1 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)

    def _is_plain(self, inputs):
        is_last = self.axis in (-1, len(inputs.shape) - 1)
        return is_last and not self.renorm
