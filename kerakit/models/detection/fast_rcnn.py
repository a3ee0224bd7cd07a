"""Fast R-CNN: features of the image computed once, and pooled for each proposed region."""

import keras
from keras import ops

from kerakit.layers.roi_pool import RoIPool
from kerakit.models.detection.box_head import BoxHead
from kerakit.models.detection.detector import Detector, image_weights
from kerakit.models.detection.region_backbone import region_backbone
from kerakit.models.detection.region_detections import region_detections
from kerakit.models.detection.region_losses import BOX_WEIGHTS, region_losses
from kerakit.models.detection.region_sampling import sample_regions
from kerakit.models.family import check_classifier, scaled
from kerakit.ops import box_area, decode_boxes
from kerakit.ops.box_formats import in_box_precision

POOLED = 7


def fast_rcnn(
    *,
    num_classes,
    input_shape=(320, 320, 3),
    backbone="mobilenet_v2",
    tap=None,
    normalization="imagenet",
    width=1.0,
    hidden_units=1024,
    freeze_norms=True,
    name="fast_rcnn",
    **options,
):
    """Fast R-CNN over given proposals.

    Pretrained weights come in by `backbone`: a classifier that has loaded them, with a `tap`.

    Args:
        num_classes: K, without background.
        input_shape: (H, W, C) of the raw pixels, 0..255.
        backbone: `"mobilenet_v2"`, `"vgg16"` or a functional `keras.Model` from pixels;
            `input_shape` and `normalization` are then its own.
        tap: Name of the layer whose output is pooled; None: the last of stride 16 of a builder.
        normalization: First layer, see `kerakit.models.normalization.normalize`.
        width: Factor on the builder's channels and on `hidden_units`.
        hidden_units: Of both hidden layers, 4,096 in the paper.
        freeze_norms: Whether batch normalisation keeps the weights and statistics that it has,
            which batches of few images would spoil: for a backbone with pretrained weights,
            whose layers are then copied. False for one that starts from nothing.
        name: Name of the model.
        **options: Of `FastRCNN`.

    Returns:
        `FastRCNN` of {"images": (B, H, W, C), "proposals": (B, R, 4)}.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Girshick, Fast R-CNN, 2015. Deviations: the default backbone; those of `FastRCNN`.
    """
    check_classifier(num_classes, width=width)
    body = region_backbone(
        backbone,
        tap,
        input_shape=input_shape,
        normalization=normalization,
        width=width,
        freeze_norms=freeze_norms,
    )
    units = scaled(hidden_units, width)
    return FastRCNN(body, num_classes=num_classes, hidden_units=units, name=name, **options)


@keras.saving.register_keras_serializable(package="kerakit")
class FastRCNN(Detector):
    """Detects by a class and a box for each of the regions that are given with the image.

    The loss of a region of class u, 0 background, with offsets t of its box from the region is
    `-log p_u + [u > 0] sum of smooth_L1(t_u - t)`: the mean of S sampled regions an image.

    Args:
        backbone: Functional `keras.Model` from (B, H, W, C) to one (B, h, w, D), such
            as of `feature_taps`; it shrinks height and width alike.
        num_classes: K, without background.
        hidden_units: Of both hidden layers.
        regions: S, sampled regions an image, 64.
        positive_fraction: Largest share of them with an object, 0.25.
        foreground: Least IoU of a region with an object, 0.5.
        background: Least IoU of a background region: 0.1 leaves the hard ones.
        score_threshold: Least score of a detection.
        iou_threshold: Largest IoU of two detections of a class.
        max_detections: D, detections an image.
        seed: Of the sampling.
        **kwargs: As in `keras.Model`: `name`.

    Call arguments:
        inputs: Dict of `images` (B, H, W, C), pixels 0..255, and `proposals` (B, R, 4) xyxy in
            pixels of these images; padding are rows of zeros.
        training: Where false, final detections are among the outputs.

    Raises:
        ValueError: If the backbone's features are not smaller than its input by one factor.

    Reference:
        Girshick, Fast R-CNN, 2015, Sections 2.1 to 2.3. Deviations: the means are taken in each
        image first, so that one with less than S regions counts alike; the objects' own boxes
        are candidates too; of the pairs of region and class the best 2,000 go into the
        suppression; no dropout.

    Example:

    >>> import numpy as np
    >>> images = keras.Input((32, 64, 3))
    >>> backbone = keras.Model(images, keras.layers.Conv2D(8, 4, strides=4)(images))
    >>> model = FastRCNN(backbone, num_classes=2, hidden_units=16)
    >>> inputs = {"images": np.zeros((1, 32, 64, 3)), "proposals": np.ones((1, 5, 4))}
    >>> sorted(model.predict(inputs, verbose=0))
    ['boxes', 'classes', 'num_detections', 'scores']
    """

    def __init__(
        self,
        backbone,
        *,
        num_classes,
        hidden_units=1024,
        regions=64,
        positive_fraction=0.25,
        foreground=0.5,
        background=0.1,
        score_threshold=0.05,
        iou_threshold=0.3,
        max_detections=100,
        seed=0,
        **kwargs,
    ):
        # In float16 a proposal would be off by half a pixel above 512.
        super().__init__(loss_parts=("class_loss", "box_loss"), autocast=False, **kwargs)
        height, width = backbone.inputs[0].shape[1:3]
        rows, columns, channels = backbone.outputs[0].shape[1:]
        if height * columns != width * rows:
            raise ValueError(
                "`backbone` must shrink height and width alike, got "
                f"{(height, width)} to {(rows, columns)}."
            )
        self.backbone = backbone
        self.num_classes = num_classes
        self.hidden_units = hidden_units
        self.regions = regions
        self.positive_fraction = positive_fraction
        self.foreground = foreground
        self.background = background
        self.score_threshold = score_threshold
        self.iou_threshold = iou_threshold
        self.max_detections = max_detections
        self.seed = seed
        self.pool = RoIPool(POOLED, scale=rows / height, name="pool")
        self.head = BoxHead(num_classes, units=hidden_units, name="roi_heads_box")
        self.head.build((None, None, POOLED, POOLED, channels))
        self.add_sampling_step()

    def build(self, input_shape=None):
        self.built = True  # its parts are

    def call(self, inputs, training=None):
        images = ops.cast(inputs["images"], "float32")
        # A list of one, or not: Keras does not keep it when it clones a model.
        (features,) = keras.tree.flatten(self.backbone(images, training=training))
        outputs = {"features": features}
        if training:
            return outputs
        proposals = in_box_precision(inputs["proposals"])
        logits, offsets = self.head(self.pool(features, proposals))
        # The offsets' first row is background's, which has no box.
        boxes = decode_boxes(offsets[:, :, 1:], proposals[:, :, None], weights=BOX_WEIGHTS)
        return outputs | region_detections(
            boxes,
            ops.softmax(logits, axis=-1)[..., 1:],
            image_size=self.backbone.inputs[0].shape[1:3],
            score_threshold=self.score_threshold,
            iou_threshold=self.iou_threshold,
            max_detections=self.max_detections,
            is_region=box_area(proposals) > 0,
        )

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        (keys,) = self.sampling_keys(y, self.seed, training=training)
        sampled = sample_regions(
            x["proposals"],
            y,
            keys,
            size=self.regions,
            positive_fraction=self.positive_fraction,
            foreground=self.foreground,
            background=self.background,
        )
        logits, offsets = self.head(self.pool(y_pred["features"], sampled["regions"]))
        parts = region_losses(
            logits, offsets, sampled, beta=1.0, sample_weight=image_weights(sample_weight)
        )
        return self.total_loss(parts, y=y)

    def get_config(self):
        names = ("num_classes", "hidden_units", "regions", "positive_fraction", "foreground")
        names += ("background", "score_threshold", "iou_threshold", "max_detections", "seed")
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "name": self.name,
            **{name: getattr(self, name) for name in names},
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        backbone = keras.saving.deserialize_keras_object(config["backbone"], custom_objects)
        return cls(**{**config, "backbone": backbone})
