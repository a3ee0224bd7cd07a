"""How well masks of class ids fit the true ones."""

import keras
import numpy as np
from keras import ops

from kerakit.metrics.confusion_matrix import BLOCK, ConfusionMatrix

_IGNORE = 255


def segmentation_figures(counts, *, array=np):
    """Figures of the pixels counted by true and predicted class.

    Args:
        counts: (K, K) float weights, rows true, columns predicted.
        array: Module of `sum`, `diagonal` and `where`: `numpy` or `keras.ops`.

    Returns:
        Dict of scalars `mean_iou`, `pixel_accuracy`, `mean_accuracy`, `frequency_weighted_iou`
        and `mean_dice`, and dict of (K,) `iou` and `dice`, which are NaN for a class with no
        pixel, true or predicted.

    Example:

    >>> figures, _ = segmentation_figures(np.array([[6.0, 1, 0], [1, 2, 0], [0, 0, 0]]))
    >>> {name: round(float(value), 4) for name, value in figures.items()}["mean_iou"]
    0.625
    """
    right = array.diagonal(counts)
    predicted, actual = array.sum(counts, axis=0), array.sum(counts, axis=1)
    union = actual + predicted - right

    def ratio(part, whole):
        return array.where(whole == 0, 0.0, part / array.where(whole == 0, 1.0, whole))

    def mean_where(is_there, values):
        is_there = array.where(is_there, array.ones_like(values), 0.0)
        return ratio(array.sum(is_there * values), array.sum(is_there))

    iou, dice = ratio(right, union), ratio(2.0 * right, actual + predicted)
    figures = {
        "mean_iou": mean_where(union > 0, iou),
        "pixel_accuracy": ratio(array.sum(right), array.sum(actual)),
        "mean_accuracy": mean_where(actual > 0, ratio(right, actual)),
        "frequency_weighted_iou": ratio(array.sum(actual * iou), array.sum(actual)),
        "mean_dice": mean_where(union > 0, dice),
    }
    none = array.where(union > 0, array.zeros_like(iou), float("nan"))
    return figures, {"iou": iou + none, "dice": dice + none}


@keras.saving.register_keras_serializable(package="kerakit")
class SegmentationScores(ConfusionMatrix):
    """IoU, Dice and accuracy of masks, all from the pixels counted in one `ConfusionMatrix`.

    `keras.metrics.MeanIoU` is one figure: five of them and two a class are 5 + 2 K passes over
    the pixels. It counts in integers, so that weights of 0.5 count 0 (two pixels, both right,
    give it an IoU of 0, here 1), and its mean cannot be had in float64. Here `update_state`,
    `merge_state`, `matrix` and `plot` are those of `ConfusionMatrix`, exact up to 2^36 pixels a
    cell, and with C[t, p] the pixels of class t predicted as p:

    - `iou_k = C_kk / (t_k + p_k - C_kk)` with t_k its true and p_k its predicted pixels, and
      `mean_iou` their mean;
    - `dice_k = 2 C_kk / (t_k + p_k)`, and `mean_dice`;
    - `pixel_accuracy = sum C_kk / sum t_k`; `mean_accuracy`, the mean of `C_kk / t_k`;
    - `frequency_weighted_iou = sum t_k iou_k / sum t_k`.

    A class with no pixel, true or predicted, is left out of the means and NaN by itself; one
    that is predicted and never true counts with an IoU of 0, and is left out of `mean_accuracy`
    only. Of no pixel at all every figure is 0. Pixels whose true class is 255, or any other id
    outside [0, K), are left out of all counts.

    Args:
        num_classes: K, from 2 to 255.
        classes: Names of the classes, used in the keys of `per_class` and in `plot`; their
            numbers by default.
        from_scores: Whether predictions are scores, probabilities or logits (..., K), of which
            the largest is the prediction; else they are class ids.
        per_class: Whether each class stands in the result too, `"iou/cat"` and `"dice/cat"`.
        prefix: Put before every key of the result.
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`; the counts are float32 pairs whatever it is.

    Raises:
        ValueError: If an argument is not as above.

    Reference:
        Long et al., Fully Convolutional Networks for Semantic Segmentation, 2015, Section 5
        (Metrics). Deviations: a class that is nowhere is left out of means.

    Example:

    >>> metric = SegmentationScores(3, classes=["none", "cell", "gland"], per_class=True)
    >>> truth = np.array([[[0, 0, 0, 255], [0, 1, 1, 255]]])
    >>> metric.update_state(truth, np.eye(3)[[[[0, 0, 0, 2], [1, 1, 1, 0]]]])
    >>> result = metric.result()
    >>> [round(float(result[key]), 3) for key in ("mean_iou", "pixel_accuracy", "iou/cell")]
    [0.708, 0.833, 0.667]
    """

    def __init__(
        self,
        num_classes,
        *,
        classes=None,
        from_scores=True,
        per_class=False,
        prefix="",
        name="segmentation_scores",
        dtype=None,
    ):
        if num_classes > _IGNORE:
            raise ValueError(
                f"`num_classes` must be at most {_IGNORE}, as {_IGNORE} is the id of pixels that "
                f"are ignored, got {num_classes}."
            )
        super().__init__(
            num_classes,
            classes=classes,
            from_scores=from_scores,
            averages=(),
            per_class=per_class,
            prefix=prefix,
            name=name,
            dtype=dtype,
        )

    def result(self):
        """Figures by name, float32 scalars: see the class for the names."""
        return self._named(
            *segmentation_figures(self.counts[0] * BLOCK + self.counts[1], array=ops)
        )

    def figures(self):
        """As `result`, computed in float64, as floats."""
        named = self._named(*segmentation_figures(self.matrix()))
        return {key: float(value) for key, value in named.items()}

    def _named(self, figures, of_class):
        if self.per_class:
            names = self.classes or range(self.num_classes)
            for key, values in of_class.items():
                figures |= {f"{key}/{name}": values[index] for index, name in enumerate(names)}
        return {f"{self.prefix}{key}": value for key, value in figures.items()}

    def get_config(self):
        config = super().get_config()
        del config["averages"]
        return config
