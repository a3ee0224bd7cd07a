"""Faster R-CNN: regions proposed by the network itself, and what is in them."""

import keras
from keras import ops

from kerakit.layers.feature_pyramid import FeaturePyramid
from kerakit.layers.roi_align import MultiScaleRoIAlign
from kerakit.models.detection.box_head import BoxHead
from kerakit.models.detection.detector import Detector, image_weights
from kerakit.models.detection.proposal_losses import proposal_losses
from kerakit.models.detection.region_detections import region_detections
from kerakit.models.detection.region_losses import BOX_WEIGHTS, region_losses
from kerakit.models.detection.region_numbers import checked_numbers
from kerakit.models.detection.region_proposals import RegionProposalHead, propose
from kerakit.models.detection.region_sampling import sample_regions
from kerakit.ops import decode_boxes, pyramid_anchors

BINS = 7


@keras.saving.register_keras_serializable(package="kerakit")
class FasterRCNN(Detector):
    """Two stages over one feature pyramid: proposals, and classes and boxes of the proposals.

    A small network says of every anchor of the pyramid whether it holds something
    (`RegionProposalHead`, `propose`); features of the best boxes are read from the level that
    fits their size (`MultiScaleRoIAlign`) and classified, each class with its own correction of
    the box (`BoxHead`). The loss is the sum of both stages' cross-entropy and smooth L1
    distances, over randomly sampled anchors and proposals; the objects' own boxes are among the
    proposals.

    Args:
        backbone: Functional `keras.Model` from (B, H, W, C) pixels to a list of maps at strides
            that are powers of 2, finest first, as `feature_taps` makes of any model; H and W are
            divisible by the largest.
        num_classes: K, without background.
        trains_norms: Whether the backbone's batch normalisation (what of it is not frozen) and
            dropout are those of training.
        name: Name of the model.
        dtype: Policy of precision of all but the backbone, which has its own.
        **options: Numbers, keyword-only, with torchvision's defaults; pairs are (in training, in
            inference):
            `fpn_filters` (256), channels of the pyramid;
            `head_units` (1024), of the two dense layers;
            `anchor_sizes`, for each level and one more a tuple of sides in pixels
            ((32,) ... (512,)), and `aspect_ratios` (0.5, 1, 2), height over width;
            `pre_nms` (2000, 1000), anchors of each level that may become proposals;
            `post_nms` (2000, 1000), proposals of an image;
            `proposal_iou` (0.7), largest IoU of two proposals of a level;
            `anchor_samples` (256), anchors of an image in the loss, of which at most
            `anchor_positive_fraction` (0.5) hold something, that is have an IoU of at least
            `anchor_foreground` (0.7), and the others less than `anchor_background` (0.3);
            `box_samples` (512), proposals of an image in the loss, of which at most
            `box_positive_fraction` (0.25) have an IoU of at least `box_foreground` (0.5);
            `score_threshold` (0.05), probability above which there is a detection;
            `iou_threshold` (0.5), largest IoU of two detections of a class;
            `max_detections` (100), D;
            `canonical_size` (224), side in pixels of a box that is read at stride 16;
            `seed` (0), of the sampling.

    Call arguments:
        images: (B, H, W, C) pixels 0..255.
        training: Where false, final detections are among the outputs.

    Returns:
        Dict of `features`, `logits` (B, A) and `offsets` (B, A, 4) of the anchors, and where
        `training` is false `proposals` (B, P, 4), 0 for padding, and the final detections
        `boxes`, `scores`, `classes` and `num_detections`, see `kerakit.models.detection.Detector`.

    Raises:
        ValueError: If the backbone's strides are no powers of 2, the anchor sizes are not one more
            than its maps, or an option is unknown or no pair.

    Reference:
        Ren et al., Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks,
        2015; Lin et al., Feature Pyramid Networks for Object Detection, 2017, Section 4.
        Deviations: torchvision's (trained in one step; smooth L1 of beta 1/9); losses are means
        over each image first (torchvision: over the batch), so that they do not depend on how a
        batch is spread over replicas; crowds are no background; of the pairs of proposal and
        class the best 2,000 go into the last suppression.

    Example:

    >>> import numpy as np
    >>> from kerakit.models.detection import fasterrcnn_mobilenet_v2_fpn
    >>> model = fasterrcnn_mobilenet_v2_fpn(input_shape=(64, 64, 3), num_classes=2, width=0.25)
    >>> sorted(model.predict(np.zeros((1, 64, 64, 3)), verbose=0))
    ['boxes', 'classes', 'num_detections', 'scores']
    """

    LOSS_PARTS = ("objectness_loss", "proposal_box_loss", "class_loss", "box_loss")

    def __init__(
        self, backbone, *, num_classes, trains_norms=False, name=None, dtype=None, **options
    ):
        # In float16 a box would be off by half a pixel above 512.
        super().__init__(loss_parts=self.LOSS_PARTS, autocast=False, name=name, dtype=dtype)
        self.numbers = checked_numbers(options)
        self.num_classes = num_classes
        self.max_detections = self.numbers["max_detections"]
        self.trains_norms = trains_norms
        self.backbone = backbone
        self.image_size = backbone.inputs[0].shape[1:3]
        maps = [x.shape for x in backbone.outputs]
        self.strides = _strides(self.image_size, maps)
        sizes, filters = self.numbers["anchor_sizes"], self.numbers["fpn_filters"]
        if len(sizes) != len(maps) + 1:
            raise ValueError(
                f"`anchor_sizes` must be one more than the backbone's {len(maps)} maps, got "
                f"{len(sizes)}."
            )
        policy = {"dtype": self.dtype_policy}
        self.pyramid = FeaturePyramid(filters, name="backbone_fpn", **policy)
        self.pyramid.build(maps)
        levels = [shape[1:3] for shape in maps]
        levels.append(tuple(-(-side // 2) for side in levels[-1]))
        each = len(self.numbers["aspect_ratios"]) * len(sizes[0])
        self.level_sizes = [each * height * width for height, width in levels]
        self.level_grids = levels
        self.proposal_head = RegionProposalHead(each, name="rpn_head", **policy)
        self.proposal_head.build([(None, *size, filters) for size in levels])
        self.box_regions = self._region_reader(BINS, "box_regions")
        self.box_head = BoxHead(
            num_classes, units=self.numbers["head_units"], name="roi_heads_box", **policy
        )
        self.box_head.build((None, None, BINS, BINS, filters))
        self.add_sampling_step()
        self.built = True  # its parts are

    def _region_reader(self, bins, name):
        return MultiScaleRoIAlign(
            bins,
            scales=[1 / s for s in self.strides],
            canonical_size=self.numbers["canonical_size"],
            name=name,
            dtype=self.dtype_policy,
        )

    @property
    def head_layers(self):
        """Layers whose size is that of the classes, which other classes learn anew."""
        return [self.box_head.scores, self.box_head.offsets]

    def anchors(self):
        """(A, 4) float32 xyxy in pixels, level by level."""
        return pyramid_anchors(
            self.level_grids,
            image_size=self.image_size,
            sizes=self.numbers["anchor_sizes"],
            aspect_ratios=self.numbers["aspect_ratios"],
        )

    def call(self, images, training=None):
        images = ops.cast(images, "float32")
        maps = self.backbone(images, training=bool(training) and self.trains_norms)
        features = self.pyramid(maps)
        logits, offsets = self.proposal_head(features)
        # The added level is for proposals alone.
        outputs = {"features": features[:-1], "logits": logits, "offsets": offsets}
        if training:
            return outputs
        proposals = self.proposals(outputs, training=False)
        return {**outputs, "proposals": proposals, **self.detections(outputs, proposals)}

    def proposals(self, outputs, *, training):
        """(B, P, 4) boxes of the first stage, best first; rows of 0 are padding."""
        pre_nms, post_nms = (self.numbers[n][0 if training else 1] for n in ("pre_nms", "post_nms"))
        return propose(
            outputs["logits"],
            outputs["offsets"],
            self.anchors(),
            level_sizes=self.level_sizes,
            image_size=self.image_size,
            pre_nms=pre_nms,
            post_nms=post_nms,
            iou_threshold=self.numbers["proposal_iou"],
        )

    def detections(self, outputs, proposals):
        """Final detections among the proposals, a dict."""
        logits, offsets = self.box_head(self.box_regions(outputs["features"], proposals))
        boxes = decode_boxes(offsets[:, :, 1:], proposals[:, :, None], weights=BOX_WEIGHTS)
        return region_detections(
            boxes,
            ops.softmax(logits, axis=-1)[..., 1:],
            image_size=self.image_size,
            score_threshold=self.numbers["score_threshold"],
            iou_threshold=self.numbers["iou_threshold"],
            max_detections=self.numbers["max_detections"],
            is_region=ops.any(proposals > 0, axis=-1),
        )

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        seed = 2 * self.numbers["seed"]
        keys = self.sampling_keys(y, seed, seed + 1, training=training)
        parts = self.loss_parts_of(y, y_pred, image_weights(sample_weight), keys)
        return self.total_loss(parts, y=y)

    def loss_parts_of(self, y, y_pred, sample_weight, keys):
        """Dict of the loss's parts, each a scalar.

        Args:
            y: Targets of the batch.
            y_pred: What `call` gave.
            sample_weight: (B,) weight of each image, or None.
            keys: Two (B,) keys, of the samples of anchors and of regions.
        """
        numbers = self.numbers
        parts = proposal_losses(
            y_pred["logits"],
            y_pred["offsets"],
            self.anchors(),
            y,
            keys[0],
            size=numbers["anchor_samples"],
            positive_fraction=numbers["anchor_positive_fraction"],
            foreground=numbers["anchor_foreground"],
            background=numbers["anchor_background"],
            sample_weight=sample_weight,
        )
        proposals = y_pred.get("proposals")
        if proposals is None:
            proposals = self.proposals(y_pred, training=True)
        sampled = sample_regions(
            proposals,
            y,
            keys[1],
            size=numbers["box_samples"],
            positive_fraction=numbers["box_positive_fraction"],
            foreground=numbers["box_foreground"],
            background=0.0,
        )
        return parts | self.region_losses(y, y_pred["features"], sampled, sample_weight)

    def region_losses(self, y, features, sampled, sample_weight):
        """Dict of the second stage's losses.

        Args:
            y: Targets of the batch.
            features: Maps of the pyramid.
            sampled: What `sample_regions` gave.
            sample_weight: (B,) weight of each image, or None.
        """
        del y
        logits, offsets = self.box_head(self.box_regions(features, sampled["regions"]))
        return region_losses(logits, offsets, sampled, beta=1 / 9, sample_weight=sample_weight)

    def get_config(self):
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "num_classes": self.num_classes,
            "trains_norms": self.trains_norms,
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            **self.numbers,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        backbone = keras.saving.deserialize_keras_object(config["backbone"], custom_objects)
        return cls(**{**config, "backbone": backbone})


def _strides(image_size, maps):
    strides = []
    for shape in maps:
        stride = image_size[0] // shape[1]
        if (stride * shape[1], stride * shape[2]) != tuple(image_size) or stride & (stride - 1):
            raise ValueError(
                "`backbone` must shrink height and width alike by powers of 2, got "
                f"{tuple(image_size)} to {tuple(shape[1:3])}."
            )
        strides.append(stride)
    return strides
