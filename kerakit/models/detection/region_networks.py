"""Faster and Mask R-CNN over the backbones that kerakit has taps for."""

from kerakit.models.classification import mobilenet_v2, resnet50
from kerakit.models.detection.faster_rcnn import FasterRCNN
from kerakit.models.detection.mask_rcnn import MaskRCNN
from kerakit.models.detection.region_numbers import SMALL, TORCHVISION
from kerakit.models.family import check_classifier, member, scaled
from kerakit.models.feature_taps import feature_taps

# The last layer of each stage, at strides 4, 8, 16 and 32.
RESNET50_TAPS = ("layer1_2_relu", "layer2_3_relu", "layer3_5_relu", "layer4_2_relu")
MOBILENET_V2_TAPS = ("features_3_add", "features_6_add", "features_13_add", "features_18_2")


def _resnet50_builder(kind, name, summary):
    def build(
        *,
        input_shape=(800, 800, 3),
        num_classes=90,
        normalization="imagenet",
        width=1.0,
        freeze_norms=True,
        name=None,
        **options,
    ):
        """Over ResNet-50's four stages.

        Args:
            input_shape: (H, W, C) of the raw pixels, 0..255; H and W divisible by 32.
            num_classes: K, without background; torchvision's 91 are COCO's 90 ids, some of them
                unused, and background.
            normalization: First layer, see `kerakit.models.normalization.normalize`.
            width: Factor on the filters of backbone, pyramid and heads.
            freeze_norms: Whether batch normalisation is fixed, as torchvision's, for a backbone
                with pretrained weights; else it is trained, with the statistics of the batch.
            name: Name of the model.
            **options: Other numbers than torchvision's, as in `kerakit.models.detection.FasterRCNN`
                and `MaskRCNN`.

        Returns:
            The model, from (B, H, W, C) pixels to a dict, under torchvision's names.

        Raises:
            ValueError: If an argument is out of its range.

        Reference:
            As `kerakit.models.detection.FasterRCNN` and `MaskRCNN`.
        """
        check_classifier(num_classes, width=width)
        trained = resnet50(
            input_shape=input_shape, num_classes=1, normalization=normalization, width=width
        )
        return kind(
            feature_taps(trained, RESNET50_TAPS, freeze_norms=freeze_norms),
            num_classes=num_classes,
            trains_norms=not freeze_norms,
            name=name,
            **_at_width(kind, width, options),
        )

    return member(build, name, summary)


def _mobilenet_v2_builder(kind, name, summary):
    def build(
        *,
        input_shape=(320, 320, 3),
        num_classes=90,
        normalization="imagenet",
        width=1.0,
        freeze_norms=True,
        name=None,
        **options,
    ):
        """Over MobileNetV2, with numbers for a modest machine.

        Pretrained weights: `kerakit.weights.load_torchvision(model.backbone, file,
        skip=("classifier.",))` takes those of torchvision's classifier.

        Args:
            input_shape: (H, W, C) of the raw pixels, 0..255; H and W divisible by 32.
            num_classes: K, without background.
            normalization: First layer, see `kerakit.models.normalization.normalize`.
            width: Factor on the filters of backbone, pyramid and heads.
            freeze_norms: Whether batch normalisation is fixed, for a backbone with pretrained
                weights; else it is trained, with the statistics of the batch.
            name: Name of the model.
            **options: Other numbers than `SMALL`'s (a pyramid of 64 filters, heads of 256 units
                and 64 filters, 64 boxes an image in the loss) and torchvision's, as in
                `kerakit.models.detection.FasterRCNN` and `MaskRCNN`.

        Returns:
            The model, from (B, H, W, C) pixels to a dict.

        Raises:
            ValueError: If an argument is out of its range.

        Reference:
            As `kerakit.models.detection.FasterRCNN` and `MaskRCNN`; Sandler et al., MobileNetV2:
            Inverted Residuals and Linear Bottlenecks, 2018. Deviations: the maps are the last of
            each stride, where torchvision's mobilenets give the first.
        """
        check_classifier(num_classes, width=width)
        trained = mobilenet_v2(
            input_shape=input_shape, num_classes=1, normalization=normalization, width=width
        )
        masks = {"mask_filters": 64} if kind is MaskRCNN else {}
        return kind(
            feature_taps(trained, MOBILENET_V2_TAPS, freeze_norms=freeze_norms),
            num_classes=num_classes,
            trains_norms=not freeze_norms,
            name=name,
            **_at_width(kind, width, {**SMALL, **masks, **options}),
        )

    return member(build, name, summary)


def _at_width(kind, width, options):
    """The options with the pyramid's and the heads' sizes times the width."""
    own = {name: TORCHVISION[name] for name in ("fpn_filters", "head_units")}
    if kind is MaskRCNN:
        own["mask_filters"] = 256
    sizes = {name: scaled(options.get(name, size), width) for name, size in own.items()}
    return {**options, **sizes}


fasterrcnn_resnet50_fpn = _resnet50_builder(
    FasterRCNN, "fasterrcnn_resnet50_fpn", "Faster R-CNN over ResNet-50; 41,755,286 parameters."
)
maskrcnn_resnet50_fpn = _resnet50_builder(
    MaskRCNN, "maskrcnn_resnet50_fpn", "Mask R-CNN over ResNet-50; 44,401,393 parameters."
)
fasterrcnn_mobilenet_v2_fpn = _mobilenet_v2_builder(
    FasterRCNN, "fasterrcnn_mobilenet_v2_fpn", "Faster R-CNN over MobileNetV2, small."
)
maskrcnn_mobilenet_v2_fpn = _mobilenet_v2_builder(
    MaskRCNN, "maskrcnn_mobilenet_v2_fpn", "Mask R-CNN over MobileNetV2, small."
)
