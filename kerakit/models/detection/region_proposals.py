"""Region proposals: where a map of features says that something is, whatever it is."""

import keras
from keras import ops

from kerakit.layers.padded_conv import PaddedConv2D
from kerakit.ops.box_coding import decode_boxes
from kerakit.ops.box_formats import in_box_precision
from kerakit.ops.box_geometry import clip_boxes
from kerakit.ops.non_max_suppression import non_max_suppression

# Pixels: a proposal that is narrower once cut off at the image's border is none.
LEAST_SIDE = 1e-3
NOWHERE = float("-inf")


@keras.saving.register_keras_serializable(package="kerakit")
class RegionProposalHead(keras.layers.Layer):
    """One small network over all levels of a pyramid: is there something, and where exactly?

    A 3 x 3 convolution with ReLU, then one number (a logit) and four offsets an anchor by 1 x 1
    convolutions. Its layers have torchvision's names (`conv_0_0`, `cls_logits`, `bbox_pred`).

    Args:
        num_anchors: Anchors in each place of a map.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        features: List of (B, H, W, C) tensors, H and W known.

    Returns:
        Tuple of (B, A) float32 logits and (B, A, 4) float32 offsets, level by level in the order
        of `kerakit.ops.pyramid_anchors`.

    Reference:
        Ren et al., Faster R-CNN: Towards Real-Time Object Detection with Region Proposal
        Networks, 2015, Section 3.1. Deviations: one logit an anchor, as in torchvision.

    Example:

    >>> head = RegionProposalHead(3)
    >>> logits, offsets = head([ops.ones((1, 4, 4, 8)), ops.ones((1, 2, 2, 8))])
    >>> tuple(logits.shape), tuple(offsets.shape)
    ((1, 60), (1, 60, 4))
    """

    def __init__(self, num_anchors, **options):
        super().__init__(**options)
        self.num_anchors = num_anchors

    def build(self, shapes):
        channels = shapes[0][-1]
        self.conv = self._convolution(channels, 3, "conv_0_0", activation="relu")
        self.objectness = self._convolution(self.num_anchors, 1, "cls_logits")
        self.offsets = self._convolution(4 * self.num_anchors, 1, "bbox_pred")
        for layer in (self.conv, self.objectness, self.offsets):
            layer.build((None, None, None, channels))

    def _convolution(self, filters, size, name, **options):
        return PaddedConv2D(
            filters,
            size,
            padding=size // 2,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name=name,
            dtype=self.dtype_policy,
            **options,
        )

    def call(self, features):
        logits, offsets = [], []
        for x in features:
            count = x.shape[1] * x.shape[2] * self.num_anchors
            x = self.conv(x)
            logits.append(ops.reshape(self.objectness(x), (-1, count)))
            offsets.append(ops.reshape(self.offsets(x), (-1, count, 4)))
        logits, offsets = (ops.concatenate(parts, axis=1) for parts in (logits, offsets))
        return in_box_precision(logits), in_box_precision(offsets)

    def get_config(self):
        return {**super().get_config(), "num_anchors": self.num_anchors}


def propose(
    logits, offsets, anchors, *, level_sizes, image_size, pre_nms, post_nms, iou_threshold=0.7
):
    """The best boxes of a proposal network, of those that cover each other one.

    Of each level the `pre_nms` anchors of highest logit are moved by their offsets and cut off at
    the image; non-maximum suppression, level by level, and the `post_nms` best of all levels.
    Nothing of it carries a gradient.

    Args:
        logits: (B, A) of something being there.
        offsets: (B, A, 4) from the anchors.
        anchors: (A, 4) xyxy in pixels.
        level_sizes: Anchors of each level, which add up to A.
        image_size: (height, width) in pixels.
        pre_nms: Anchors of each level that take part.
        post_nms: Largest number of proposals.
        iou_threshold: Largest IoU of two proposals of a level.

    Returns:
        (B, P, 4) float32 boxes, best first; rows of 0 where there are too few.

    Reference:
        Ren et al., Faster R-CNN, 2015, Section 3.3; levels apart as in Lin et al., Feature Pyramid
        Networks for Object Detection, 2017, and torchvision. Deviations: none.

    Example:

    >>> boxes = propose(
    ...     [[1.0, 3.0, 2.0]], ops.zeros((1, 3, 4)),
    ...     ops.array([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 10.0], [5.0, 0.0, 30.0, 9.0]]),
    ...     level_sizes=[3], image_size=(16, 16), pre_nms=3, post_nms=3)
    >>> [[float(v) for v in row] for row in boxes[0]]
    [[0.0, 0.0, 9.0, 10.0], [5.0, 0.0, 16.0, 9.0], [0.0, 0.0, 0.0, 0.0]]
    """
    logits, offsets = (ops.stop_gradient(ops.convert_to_tensor(x)) for x in (logits, offsets))
    widest, start = min(pre_nms, max(level_sizes)), 0
    scores, indices = [], []
    for count in level_sizes:
        taking_part = min(pre_nms, count)
        score, index = ops.top_k(logits[:, start : start + count], taking_part)
        lack = ((0, 0), (0, widest - taking_part))
        scores.append(ops.pad(score, lack, constant_values=NOWHERE))
        indices.append(ops.pad(ops.cast(index, "int32") + start, lack))
        start += count
    levels, kept_of_each = len(level_sizes), min(post_nms, widest)
    scores, indices = ops.concatenate(scores, axis=1), ops.concatenate(indices, axis=1)
    boxes = decode_boxes(
        ops.take_along_axis(offsets, indices[..., None], axis=1), ops.take(anchors, indices, axis=0)
    )
    boxes = ops.cast(clip_boxes(boxes, image_size), "float32")
    is_large = ops.all(boxes[..., 2:] - boxes[..., :2] >= LEAST_SIDE, axis=-1)
    scores = ops.where(is_large, scores, NOWHERE)
    # Each level of each image is one row of suppression.
    scores, boxes = ops.reshape(scores, (-1, widest)), ops.reshape(boxes, (-1, widest, 4))
    kept, count = non_max_suppression(
        boxes, scores, iou_threshold=iou_threshold, max_output=kept_of_each
    )
    is_kept = ops.arange(kept_of_each, dtype="int32")[None] < count[:, None]
    scores = ops.where(is_kept, ops.take_along_axis(scores, kept, axis=1), NOWHERE)
    boxes = ops.take_along_axis(boxes, kept[..., None], axis=1)
    scores = ops.reshape(scores, (-1, levels * kept_of_each))
    boxes = ops.reshape(boxes, (-1, levels * kept_of_each, 4))
    scores, best = ops.top_k(scores, min(post_nms, levels * kept_of_each))
    is_proposal = scores > NOWHERE
    boxes = ops.take_along_axis(boxes, ops.cast(best, "int32")[..., None], axis=1)
    return ops.where(is_proposal[..., None], boxes, 0.0)
