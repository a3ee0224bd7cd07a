"""Mixup."""

import tensorflow as tf

from kerakit.augment.draws import draw_beta, draw_events, draw_seeds
from kerakit.augment.frames import picture_key, picture_size
from kerakit.augment.mixing import check_mixable, check_mixing, mixed_labels, partners


class Mixup:
    """Mixes each example with another one of its batch, picture and label alike.

    `m x + (1 - m) x'` with m from Beta(alpha, alpha), drawn for each example. `label` becomes
    float32 (B, K), the shares of the classes: train with a loss that takes such, as
    `keras.losses.CategoricalCrossentropy`. (`keras.layers.MixUp` fails inside tf.data, and
    breaks masks, in Keras 3.15.)

    Args:
        num_classes: K.
        alpha: Of the Beta distribution, above 0; 1 is uniform, below 1 most examples stay near
            one of the two.
        probability: Of mixing an example, in [0, 1].

    Raises:
        ValueError: If an argument is out of range, or, when called, if the batch has no `label`
            or has boxes or masks.

    Reference:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018, section 2. Deviation: m
        is drawn for each example, not for the batch.

    Example:

    >>> batch = {"image": tf.zeros((4, 8, 8, 3), tf.uint8), "label": tf.range(4)}
    >>> Mixup(10)(batch, tf.constant([0, 1]))["label"].shape
    TensorShape([4, 10])
    """

    def __init__(self, num_classes, *, alpha=0.2, probability=1.0):
        check_mixing(num_classes, alpha=alpha, probability=probability)
        self.num_classes = num_classes
        self.alpha = alpha
        self.probability = probability

    def __call__(self, batch, seed):
        """Transforms a batch.

        Args:
            batch: Dict with `image` or `video`, uint8, and `label` (B,) or (B, K).
            seed: int32 (2,); the draws are a function of it.

        Returns:
            The dict, its pictures mixed and its `label` (B, K) float32.
        """
        check_mixable(batch, "Mixup")
        key, (count, _) = picture_key(batch), picture_size(batch)
        event_seed, share_seed = draw_seeds(seed, 2)
        mixes = draw_events(event_seed, count, probability=self.probability)
        share = tf.where(mixes, draw_beta(share_seed, count, alpha=self.alpha), 1.0)
        labels = mixed_labels(batch["label"], share, num_classes=self.num_classes)
        mixed = tf.ensure_shape(_mixed(batch[key], share), batch[key].shape)
        return {**batch, key: mixed, "label": labels}


@tf.function(jit_compile=True, autograph=False)
def _mixed(pictures, share):
    share = tf.reshape(share, [-1] + [1] * (pictures.shape.rank - 1))
    own = tf.cast(pictures, tf.float32)
    return tf.cast(tf.round(share * own + (1.0 - share) * partners(own)), tf.uint8)
