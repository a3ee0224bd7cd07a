"""R-CNN: every proposed region is warped to one size and classified for itself."""

import keras
from keras import ops

from kerakit.models.classification import mobilenet_v2
from kerakit.models.detection.detector import Detector
from kerakit.models.detection.region_detections import region_detections
from kerakit.models.detection.region_table import region_targets
from kerakit.models.detection.region_warping import warp_regions
from kerakit.models.family import check_classifier
from kerakit.models.feature_taps import feature_taps
from kerakit.ops import box_area, decode_boxes
from kerakit.ops.box_formats import in_box_precision

# ImageNet's mean pixel, which is 0 to a network that was trained on it.
MEAN_PIXEL = (123.675, 116.28, 103.53)


def rcnn(
    *,
    num_classes,
    input_shape=(320, 320, 3),
    backbone=None,
    tap="avgpool",
    crop_size=227,
    normalization="imagenet",
    width=1.0,
    freeze_norms=True,
    name="rcnn",
    **options,
):
    """R-CNN over given proposals.

    It is trained in stages, each a function that can be read for itself:
    `RegionClassifier(model, ...)` fine-tunes the network by stock `fit`,
    `region_table` computes the features of all regions once, `fit_svms` and `fit_box_regression`
    learn from these.

    Args:
        num_classes: K, without background.
        input_shape: (H, W, C) of the raw pixels of the images, 0..255.
        backbone: Classifier of crops, a functional `keras.Model` from (crop, crop, C) pixels
            that has loaded its weights, such as `vgg16` with `tap="classifier_3"`; None:
            `mobilenet_v2`.
        tap: Name of the layer whose output (D,) are the features.
        crop_size: Side of a warped region in pixels, 227 in the paper; a given backbone has its
            own.
        normalization: First layer of the backbone; a given one has its own.
        width: Factor on the backbone's channels; a given one has its own.
        freeze_norms: As of `kerakit.models.feature_taps.feature_taps`.
        name: Name of the model.
        **options: Of `RCNN`.

    Returns:
        `RCNN` of {"images": (B, H, W, C), "proposals": (B, R, 4)}.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Girshick, Donahue, Darrell and Malik, Rich Feature Hierarchies for Accurate Object
        Detection and Semantic Segmentation, 2014. Deviations: the default network; those of
        `RCNN`.
    """
    check_classifier(num_classes, width=width)
    if backbone is None:
        backbone = mobilenet_v2(
            input_shape=(crop_size, crop_size, input_shape[-1]),
            num_classes=1,
            normalization=normalization,
            width=width,
        )
    features = feature_taps(backbone, [tap], freeze_norms=freeze_norms)
    return RCNN(features, num_classes=num_classes, input_shape=input_shape, name=name, **options)


@keras.saving.register_keras_serializable(package="kerakit")
class RCNN(Detector):
    """Detects by a linear SVM and a box regression for each class, over features of each region.

    A score is the sigmoid of the SVM's margin, so that it is in (0, 1) in the margin's order.

    Args:
        features: Functional `keras.Model` from (M, S, S, C) crops to features (M, D), such as of
            `feature_taps`.
        num_classes: K, without background.
        input_shape: (H, W, C) of the images.
        context: Pixels around the region on each side of a crop, 16.
        fill: Value of each channel of a crop outside of the image.
        regions_at_once: Regions of an image that go through the network together.
        score_threshold: Least score of a detection.
        iou_threshold: Largest IoU of two detections of a class.
        max_detections: D, detections an image.
        **kwargs: As in `keras.Model`: `name`.

    Call arguments:
        inputs: Dict of `images` (B, H, W, C), pixels 0..255, and `proposals` (B, R, 4) xyxy in
            pixels of these images; padding are rows of zeros.

    Raises:
        ValueError: If the features' model is not from square crops to vectors; in `fit`, since
            this model is trained in stages.

    Reference:
        Girshick, Donahue, Darrell and Malik, Rich Feature Hierarchies for Accurate Object
        Detection and Semantic Segmentation, 2014, Sections 2.1 to 2.3 and Appendix C.
        Deviations: SVMs and box regression read the same features, where the paper's read fc7
        and pool5; the box regression is not repeated; of the pairs of region and class the best
        2,000 go into the suppression.

    Example:

    >>> import numpy as np
    >>> crops = keras.Input((16, 16, 3))
    >>> network = keras.Model(crops, keras.layers.GlobalAveragePooling2D()(crops))
    >>> model = RCNN(network, num_classes=2, input_shape=(32, 64, 3), context=2)
    >>> inputs = {"images": np.zeros((1, 32, 64, 3)), "proposals": np.ones((1, 5, 4))}
    >>> sorted(model.predict(inputs, verbose=0))
    ['boxes', 'classes', 'num_detections', 'scores']
    """

    def __init__(
        self,
        features,
        *,
        num_classes,
        input_shape,
        context=16,
        fill=MEAN_PIXEL,
        regions_at_once=64,
        score_threshold=0.05,
        iou_threshold=0.3,
        max_detections=100,
        **kwargs,
    ):
        super().__init__(loss_parts=("hinge_loss",), autocast=False, **kwargs)
        crop, found = features.inputs[0].shape, features.outputs[0].shape
        if crop[1] != crop[2] or len(found) != 2:
            raise ValueError(
                f"`features` must be from square crops to vectors, got {crop[1:]} to {found[1:]}."
            )
        self.features = features
        self.num_classes = num_classes
        self.image_shape = tuple(input_shape)
        self.context = context
        self.fill = tuple(fill)
        self.regions_at_once = regions_at_once
        self.score_threshold = score_threshold
        self.iou_threshold = iou_threshold
        self.max_detections = max_detections
        self.svms = keras.layers.Dense(num_classes, dtype="float32", name="svms")
        # Zero offsets leave a proposal as it is, until there is a regression.
        self.box_regression = keras.layers.Dense(
            4 * num_classes, kernel_initializer="zeros", dtype="float32", name="box_regression"
        )
        for layer in (self.svms, self.box_regression):
            layer.build((None, found[-1]))

    @property
    def input_shape(self):
        """(None, H, W, C) of the images, not of the crops."""
        return (None, *self.image_shape)

    def build(self, input_shape=None):
        self.built = True  # its parts are

    def call(self, inputs, training=None):
        proposals = in_box_precision(inputs["proposals"])
        features = self.region_features(inputs["images"], proposals)
        margins = self.svms(features)
        outputs = {"margins": margins}
        if training:
            return outputs
        offsets = self.box_regression(features)
        offsets = ops.reshape(offsets, (-1, proposals.shape[1], self.num_classes, 4))
        return outputs | region_detections(
            decode_boxes(offsets, proposals[:, :, None]),
            ops.sigmoid(margins),
            image_size=self.image_shape[:2],
            score_threshold=self.score_threshold,
            iou_threshold=self.iou_threshold,
            max_detections=self.max_detections,
            is_region=box_area(proposals) > 0,
        )

    def region_features(self, images, regions):
        """What the network says of each region, some regions at once.

        Args:
            images: (B, H, W, C) pixels.
            regions: (B, R, 4) xyxy in pixels.

        Returns:
            (B, R, D) float32.
        """
        count, width = regions.shape[1], self.features.outputs[0].shape[-1]
        at_once = min(self.regions_at_once, count)
        groups = -(-count // at_once)
        regions = ops.pad(regions, ((0, 0), (0, groups * at_once - count), (0, 0)))
        regions = ops.transpose(ops.reshape(regions, (-1, groups, at_once, 4)), (1, 0, 2, 3))

        def of_group(some):
            found = self.features(self.crops(images, some), training=False)
            (found,) = keras.tree.flatten(found)
            return ops.reshape(ops.cast(found, "float32"), (-1, at_once, width))

        features = ops.map(of_group, regions) if groups > 1 else of_group(regions[0])[None]
        features = ops.reshape(ops.transpose(features, (1, 0, 2, 3)), (-1, groups * at_once, width))
        return features[:, :count]

    def crops(self, images, regions):
        """The regions of all images, warped: (B R, S, S, C)."""
        size = self.features.inputs[0].shape[1]
        crops = warp_regions(images, regions, size=size, context=self.context, fill=self.fill)
        return ops.reshape(crops, (-1, *crops.shape[2:]))

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        if training:
            raise ValueError(
                "`RCNN` is trained in stages: RegionClassifier, fit_svms, fit_box_regression."
            )
        targets = region_targets(x["proposals"], y, num_classes=self.num_classes)["svm_targets"]
        return self.total_loss({"hinge_loss": hinge(targets, y_pred["margins"])}, y=y)

    def get_config(self):
        names = ("num_classes", "context", "fill", "regions_at_once", "score_threshold")
        names += ("iou_threshold", "max_detections")
        return {
            "features": keras.saving.serialize_keras_object(self.features),
            "input_shape": self.image_shape,
            "name": self.name,
            **{name: getattr(self, name) for name in names},
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        features = keras.saving.deserialize_keras_object(config["features"], custom_objects)
        return cls(**{**config, "features": features})


def hinge(targets, margins):
    """`sum over classes of max(0, 1 - t s)`, the mean over rows; a target of 0 counts nothing.

    `keras.losses.Hinge` takes a 0 for a -1 wherever a batch has no -1 of its own.

    Args:
        targets: (..., K) of 1, -1 and 0.
        margins: (..., K) scores s.

    Returns:
        A scalar.
    """
    losses = ops.abs(targets) * ops.relu(1.0 - targets * margins)
    return ops.mean(ops.sum(losses, axis=-1))
