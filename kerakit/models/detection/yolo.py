"""YOLO: one look at the image, every cell of a grid says what is there and how far its edges."""

import keras
from keras import ops

from kerakit.layers.arguments import check_whole
from kerakit.losses.distribution_focal import distribution_focal
from kerakit.losses.quality_focal import quality_focal
from kerakit.models.detection.detector import Detector, image_weights
from kerakit.models.detection.region_detections import suppressed
from kerakit.models.detection.task_aligned_matching import points_in_boxes, task_aligned_matching
from kerakit.models.detection.yolo_network import STRIDES, yolo_network
from kerakit.models.family import check_classifier, member
from kerakit.ops.anchors import grid_points
from kerakit.ops.box_geometry import clip_boxes
from kerakit.ops.box_iou import elementwise_iou
from kerakit.ops.replicas import num_replicas, of_replicas

LOSS_PARTS = ("class_loss", "box_loss", "edge_loss")


@keras.saving.register_keras_serializable(package="kerakit")
class YOLO(Detector):
    """A single-stage detector without anchors, around a network of raw outputs.

    Each cell gives a score a class and, for each edge of a box, a distribution over 0..R whose
    mean is the edge's distance from the cell's centre in strides. In training a cell learns the
    object that `task_aligned_matching` gives it: its class's score is to be the alignment t
    (quality focal loss), its box the object's (1 - CIoU, weighted by t; and distribution focal
    loss of the four distances, likewise). Each part is divided by the sum of t over the batch,
    that of all replicas, at least 1, and multiplied by the mean weight of its images.

    Args:
        network: `keras.Model` from (B, H, W, C) pixels to the dict of `class_logits` (B, A, K)
            and `edge_logits` (B, A, 4, R + 1) of `yolo_network`.
        score_threshold: Detections have a score above it, in [0, 1).
        iou_threshold: Largest IoU of two detections of a class, in [0, 1].
        max_detections: D, rows of the detections.
        num_candidates: Pairs of a cell and a class, of highest score, that are looked at.
        loss_weights: Factors of the losses of class, box and edges; 1, 2 and 0.25 in Li et al.
        focal_gamma: Power of the quality focal loss.
        top: Most cells an object takes, see `task_aligned_matching`.
        **kwargs: `name` and `dtype`, as in `keras.Model`.
    """

    def __init__(
        self,
        network,
        *,
        score_threshold=0.001,
        iou_threshold=0.7,
        max_detections=300,
        num_candidates=1000,
        loss_weights=(1.0, 2.0, 0.5),
        focal_gamma=2.0,
        top=13,
        **kwargs,
    ):
        if not 0 <= score_threshold < 1:
            raise ValueError(f"`score_threshold` must be in [0, 1), got {score_threshold}.")
        if not 0 <= iou_threshold <= 1:
            raise ValueError(f"`iou_threshold` must be in [0, 1], got {iou_threshold}.")
        check_whole(max_detections=max_detections, num_candidates=num_candidates, top=top)
        if len(loss_weights) != len(LOSS_PARTS) or min(loss_weights) < 0:
            raise ValueError(
                "`loss_weights` must be three numbers of at least 0, for class, box and edges, "
                f"got {loss_weights}."
            )
        if focal_gamma < 0:
            raise ValueError(f"`focal_gamma` must be at least 0, got {focal_gamma}.")
        super().__init__(loss_parts=LOSS_PARTS, **kwargs)
        self.network = network
        self.score_threshold = score_threshold
        self.iou_threshold = iou_threshold
        self.max_detections = max_detections
        self.num_candidates = num_candidates
        self.loss_weights = tuple(loss_weights)
        self.focal_gamma = focal_gamma
        self.top = top
        self.image_size = tuple(network.input_shape[1:3])
        self.num_classes = network.output["class_logits"].shape[-1]
        self.built = True  # the network's weights are there

    def build(self, input_shape):
        self.built = True

    def call(self, images, training=None):
        outputs = self.network(images, training=training)
        return outputs if training else {**outputs, **self.detections(outputs)}

    def boxes_of(self, edge_logits):
        """Boxes of all cells from the distributions of their edges.

        Args:
            edge_logits: (B, A, 4, R + 1) float.

        Returns:
            (B, A, 4) float32 xyxy in pixels of the input.
        """
        points, strides = self._cells()
        number = ops.arange(edge_logits.shape[-1], dtype="float32")
        shares = ops.softmax(ops.cast(edge_logits, "float32"), axis=-1)
        distances = ops.sum(shares * number, axis=-1)
        corner = points - distances[..., :2] * strides
        return ops.concatenate([corner, points + distances[..., 2:] * strides], axis=-1)

    def detections(self, outputs):
        """Final detections: the best pairs of cell and class, without those that cover better.

        Args:
            outputs: Dict of the network's outputs.

        Returns:
            Dict of `boxes` (B, D, 4) in pixels of the input, `scores` (B, D), `classes` (B, D)
            int32 and `num_detections` (B,) int32; rows from there on are 0, of class -1.
        """
        scores = ops.sigmoid(ops.cast(outputs["class_logits"], "float32"))
        scores = ops.reshape(scores, (-1, scores.shape[1] * self.num_classes))
        scores, pair = ops.top_k(scores, min(self.num_candidates, scores.shape[-1]))
        pair = ops.cast(pair, "int32")
        boxes = clip_boxes(self.boxes_of(outputs["edge_logits"]), self.image_size)
        boxes = ops.take_along_axis(boxes, (pair // self.num_classes)[..., None], axis=1)
        classes = pair % self.num_classes
        return suppressed(
            boxes,
            scores,
            classes,
            score_threshold=self.score_threshold,
            iou_threshold=self.iou_threshold,
            max_detections=self.max_detections,
        )

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        points, strides = self._cells()
        class_logits = ops.cast(y_pred["class_logits"], "float32")
        edge_logits = ops.cast(y_pred["edge_logits"], "float32")
        boxes = self.boxes_of(edge_logits)
        truth = ops.cast(y["boxes"], "float32")
        labels = ops.cast(y["labels"], "int32")
        is_crowd = ops.cast(y["crowd"], "bool") if "crowd" in y else ops.zeros_like(labels) > 0
        is_crowd = ops.logical_and(is_crowd, labels >= 0)
        matches, targets = task_aligned_matching(
            class_logits,
            boxes,
            points=points,
            truth_boxes=truth,
            labels=ops.where(is_crowd, -1, labels),
            top=self.top,
        )
        weight = _of_images(sample_weight, ops.shape(truth)[0])
        row = ops.maximum(matches, 0)
        aim = ops.take_along_axis(truth, row[..., None], axis=1)
        kind = ops.clip(ops.take_along_axis(labels, row, axis=1), 0, self.num_classes - 1)
        # What lies in a crowd is neither an object nor background.
        in_crowd = ops.logical_and(points_in_boxes(points, truth), is_crowd[..., None])
        is_judged = ops.logical_or(matches >= 0, ops.logical_not(ops.any(in_crowd, axis=1)))
        of_class = ops.one_hot(kind, self.num_classes, dtype="float32") * targets[..., None]

        share = targets * weight
        # Of all replicas, so that the mean of their losses is the whole batch's.
        sums = of_replicas(ops.stack([ops.sum(share), ops.mean(weight)]))
        total, mean_weight = ops.unstack(ops.mean(sums, axis=0))
        total = ops.maximum(total, 1.0 / num_replicas())
        # Linear in the weights, as a mean over images is: one of weight 0 counts nothing.
        factor = mean_weight / total
        class_loss = quality_focal(of_class, class_logits, gamma=self.focal_gamma)
        class_loss = ops.sum(class_loss, axis=-1) * ops.cast(is_judged, "float32") * weight
        box_loss = (1.0 - elementwise_iou(boxes, aim, kind="ciou")) * share
        distances = ops.concatenate([points - aim[..., :2], aim[..., 2:] - points], axis=-1)
        distances = distances / ops.concatenate([strides, strides], axis=-1)
        edge_loss = ops.mean(distribution_focal(distances, edge_logits), axis=-1) * share
        losses = zip(LOSS_PARTS, self.loss_weights, (class_loss, box_loss, edge_loss), strict=True)
        parts = {name: w * ops.sum(loss) * factor for name, w, loss in losses}
        return self.total_loss(parts, y=y)

    def _cells(self):
        grids = [tuple(side // stride for side in self.image_size) for stride in STRIDES]
        return grid_points(grids, image_size=self.image_size)

    def get_config(self):
        return {
            "name": self.name,
            "network": keras.saving.serialize_keras_object(self.network),
            "score_threshold": self.score_threshold,
            "iou_threshold": self.iou_threshold,
            "max_detections": self.max_detections,
            "num_candidates": self.num_candidates,
            "loss_weights": list(self.loss_weights),
            "focal_gamma": self.focal_gamma,
            "top": self.top,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        network = keras.saving.deserialize_keras_object(config["network"], custom_objects)
        return cls(**{**config, "network": network})


def _of_images(sample_weight, batch):
    """(B, 1) float32 weights, 1 where there are none."""
    sample_weight = image_weights(sample_weight)
    if sample_weight is None:
        return ops.ones((batch, 1), "float32")
    return ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))


def _builder(size, depth, base_width, parameters):
    def yolo(
        *,
        input_shape=(640, 640, 3),
        num_classes=80,
        normalization="imagenet",
        width=1.0,
        bins=16,
        score_threshold=0.001,
        iou_threshold=0.7,
        max_detections=300,
        name=None,
    ):
        """One size of YOLO.

        Args:
            input_shape: (H, W, C) of the raw pixels, 0..255; H and W divisible by 32.
            num_classes: K, without a background.
            normalization: First layer, see `kerakit.models.normalization.normalize`.
            width: Factor on all channels, on top of the size's own.
            bins: R + 1: an edge lies at most R strides from its cell's centre.
            score_threshold: Detections have a score above it, in [0, 1).
            iou_threshold: Largest IoU of two detections of a class, in [0, 1].
            max_detections: D, rows of the detections.
            name: Name of the model.

        Returns:
            `kerakit.models.detection.YOLO` from (B, H, W, C) pixels to detections.

        Raises:
            ValueError: If an argument is out of its range.

        Reference:
            Redmon et al., You Only Look Once: Unified, Real-Time Object Detection, 2016, for one
            pass over a grid; Wang et al., CSPNet: A New Backbone that can Enhance Learning
            Capability of CNN, 2019, for the stages; He et al., Spatial Pyramid Pooling in Deep
            Convolutional Networks for Visual Recognition, 2014; Liu et al., Path Aggregation
            Network for Instance Segmentation, 2018; Ge et al., YOLOX: Exceeding YOLO Series in
            2021, for the decoupled head without anchors; Feng et al., TOOD: Task-aligned
            One-stage Object Detection, 2021, for matching; Li et al., Generalized Focal Loss,
            2020; Zheng et al., Distance-IoU Loss, 2020. Deviations: the parts are put together
            anew, and no published checkpoint fits.
        """
        check_classifier(num_classes, width=width)
        check_whole(2, bins=bins)
        if any(side is None or side % STRIDES[-1] for side in input_shape[:2]):
            raise ValueError(
                f"`input_shape` must have a height and width divisible by {STRIDES[-1]}, "
                f"got {tuple(input_shape)}."
            )
        network = yolo_network(
            input_shape=tuple(input_shape),
            num_classes=num_classes,
            normalization=normalization,
            depth=depth,
            width=width * base_width,
            bins=bins,
            name=f"{name}_network",
        )
        return YOLO(
            network,
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
            name=name,
        )

    summary = f"YOLO of size {size}; {parameters:,} parameters at 80 classes."
    return member(yolo, f"yolo_{size}", summary)


yolo_n = _builder("n", 1 / 3, 0.25, 2_889_856)
yolo_s = _builder("s", 1 / 3, 0.5, 11_458_384)
yolo_m = _builder("m", 2 / 3, 0.75, 32_282_208)
