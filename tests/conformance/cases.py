"""One line a public part: what it is made with and called with. See `case.py`."""

import numpy as np

from kerakit import (
    activations,
    callbacks,
    initializers,
    layers,
    losses,
    metrics,
    ops,
    optimizers,
    regularizers,
    schedules,
)
from kerakit.models import classification, detection, segmentation, video
from tests.conformance.case import Case
from tests.reference.detection_sets import random_set
from tests.reference.patch_classifier import patch_classifier

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (4, 8, 9, 3)).astype("float32")
SCORES = RNG.normal(size=(6, 5)).astype("float32") * 3
TARGETS = RNG.normal(size=(6, 5)).astype("float32")
LABELS = RNG.integers(0, 5, 6).astype("int32")
ONE_HOT = np.eye(5, dtype="float32")[LABELS]

TOKENS = RNG.normal(size=(3, 5, 8)).astype("float32")
SIGNAL = RNG.normal(size=(3, 9, 4)).astype("float32")
MAPS = RNG.normal(size=(4, 8, 9, 3)).astype("float32")
KERNEL = np.sin(np.arange(72, dtype="float32")).reshape(3, 2, 3, 4)
TALL_MAPS = np.random.default_rng(10).normal(size=(4, 19, 11, 2)).astype("float32")
CLIPS = RNG.normal(size=(3, 4, 6, 5, 2)).astype("float32")
# Every value once in each plane, and exact in bfloat16: maxima are the same in any precision.
PLANES = RNG.permuted(np.tile(np.arange(63.0, dtype="float32"), (12, 1)), axis=1)
PLANES = np.moveaxis(PLANES.reshape(4, 3, 7, 9), 1, -1)
PLACES = (np.arange(3)[:, None] * 16 + np.array([0, 3, 5, 7]))[None, :, :, None]
PLACES = np.tile(PLACES, (4, 1, 1, 3)).astype("int32")  # one in each 2 x 2 window of 6 x 8

# Drawn apart, whatever cases are added: of six seeds one puts an activation so near a kink that
# XLA's last digit flips it, and the step's changes differ by 20 %.
PHOTOS = np.random.default_rng(5).uniform(0, 255, (6, 24, 20, 3)).astype("float32")
SMALL = np.random.default_rng(1).integers(0, 256, (8, 6, 5, 3)).astype("float32")
# Boxes of all sizes on maps of a cell each 4 pixels, drawn apart; the first of an image of no
# area, as padding is. In quarters, and cut into 4 x 2 bins: every form reads the same points.
BOXES = np.random.default_rng(3).integers(1, 120, (3, 6, 4)).astype("float32") / 4
BOXES[..., 2:] += BOXES[..., :2]
OTHER_BOXES = BOXES[:, ::-1] * 0.9 + 1
PADDED_BOXES = np.concatenate([0 * BOXES[:, :1], BOXES], axis=1)
BOX_SCORES = np.random.default_rng(3).uniform(0, 1, (3, 7)).astype("float32")
LEVELS = [np.random.default_rng(4).normal(size=(3, n, n, 4)).astype("float32") for n in (16, 8)]
STORED = np.random.default_rng(1).normal(size=(20, 5)).astype("float32") * 3
# Seven images of up to 7 objects and 14 detections of two classes.
DETECTIONS = random_set(np.random.default_rng(2), size=(60, 70), masks=True)
# Distances of a box's four edges and what a cell says of each: scores of 0, 1, ..., 5.
DISTANCES = np.random.default_rng(8).uniform(0, 5, (6, 4)).astype("float32")
DISTRIBUTIONS = np.random.default_rng(9).normal(size=(6, 4, 6)).astype("float32")
# Class ids 0 to 2 of 4 x 5 pixels, a fifth of them 255, and what a net says of them.
MASKS = np.random.default_rng(10).choice([0, 1, 2, 0, 255], (6, 4, 5)).astype("int32")
MASK_LOGITS = np.random.default_rng(11).normal(size=(6, 4, 5, 3)).astype("float32")
PICTURES = np.random.default_rng(7).uniform(0, 255, (6, 95, 97, 3)).astype("float32")
FILMS = np.random.default_rng(12).uniform(0, 255, (6, 8, 24, 20, 3)).astype("float32")
CLIP_TOKENS = np.random.default_rng(13).normal(size=(3, 6, 8)).astype("float32")
PATCH_CLASSIFIER = patch_classifier()

CASES = [
    Case(activations.leaky_relu_001, inputs=(SCORES,)),
    Case(activations.prelu, {"alpha": 0.3}, inputs=(SCORES,)),
    Case(callbacks.EarlyStopping, {"monitor": "val_loss", "patience": 2}),
    Case(callbacks.EarlyStopping, {"restore_best_weights": True, "start_from_epoch": 1}),
    Case(callbacks.GradientClipping, {"norm": 0.5}),
    Case(callbacks.GradientClipping, {"variable_norm": 0.5}),
    Case(callbacks.GradientClipping, {"value": 0.1}),
    Case(callbacks.LayerFigures),
    Case(initializers.Bilinear, inputs=(KERNEL,)),
    Case(initializers.HeNormal, {"seed": 11}),
    Case(
        layers.AnchorGenerator,
        {"sizes": ((8,), (16,)), "image_size": (64, 64), "aspect_ratios": (1.0, 2.0)},
        inputs=(LEVELS,),
        differentiable=False,
    ),
    Case(layers.BatchNormalization, {"momentum": 0.8, "epsilon": 1e-4}, inputs=(IMAGES,)),
    Case(layers.ClassToken, inputs=(TOKENS,)),
    Case(
        layers.Conv2Plus1D,
        {"filters": 4, "kernel_size": (3, 3, 3), "strides": (1, 2, 2)},
        inputs=(CLIPS,),
    ),
    Case(layers.CropLike, inputs=(TALL_MAPS, MAPS)),
    Case(layers.DropPath, {"rate": 0.2, "seed": 5}, inputs=(TOKENS,)),
    Case(
        layers.FFTConv2D,
        {"filters": 4, "kernel_size": (5, 4), "padding": "same", "strides": (2, 2)},
        inputs=(MAPS,),
    ),
    Case(layers.FeedForward, {"hidden_dim": 6, "activation": "gelu"}, inputs=(TOKENS,)),
    Case(layers.FeaturePyramid, {"filters": 3}, inputs=(LEVELS,)),
    Case(layers.FrozenBatchNormalization, {"epsilon": 1e-3}, inputs=(IMAGES,)),
    Case(
        layers.Im2ColConv2D,
        {"filters": 4, "kernel_size": (3, 2), "padding": "same", "strides": (2, 2)},
        inputs=(MAPS,),
    ),
    Case(
        layers.Im2ColConv2D,
        {"filters": 6, "kernel_size": (3, 3), "groups": 3, "explicit": True},
        inputs=(MAPS,),
    ),
    Case(layers.InstanceNormalization, {"epsilon": 1e-3}, inputs=(CLIPS,)),
    Case(layers.InstanceNormalization, {"scale": False, "center": False}, inputs=(PLANES,)),
    Case(layers.MaxPooling2DWithIndices, {"pool_size": (2, 2)}, inputs=(PLANES,)),
    Case(
        layers.MaxPooling2DWithIndices,
        {"pool_size": (3, 3), "strides": (2, 1), "padding": (1, 0)},
        inputs=(PLANES,),
    ),
    Case(layers.MaxUnpool2D, {"pool_size": (2, 2)}, inputs=(PLANES[:, :3, :4], PLACES)),
    Case(
        layers.MixtureOfExperts,
        {"num_experts": 4, "num_active": 2, "hidden_dim": 6, "activation": "gelu", "seed": 3},
        inputs=(TOKENS,),
    ),
    # Boxes carry no gradient; that of the features is checked beside the ops.
    Case(
        layers.MultiScaleRoIAlign,
        {"output_size": (4, 2), "scales": (0.25, 0.125), "canonical_size": 60},
        inputs=(LEVELS, PADDED_BOXES),
        differentiable=False,
    ),
    Case(
        layers.NearestNeighbors,
        {"num_classes": 3, "num_neighbors": 2, "metric": "l1", "store_size": 7},
        inputs=(SCORES,),
        differentiable=False,
    ),
    Case(
        layers.NearestNeighbors,
        {"num_classes": 3, "projections": 2, "shortlist": 6, "store_size": 7},
        inputs=(SCORES,),
        differentiable=False,
    ),
    Case(
        layers.NonMaxSuppression,
        {"iou_threshold": 0.3, "max_output": 5, "score_threshold": 0.1},
        inputs=(PADDED_BOXES, BOX_SCORES, np.arange(21, dtype="int32").reshape(3, 7) % 2),
        differentiable=False,
    ),
    Case(
        layers.PaddedConv1D,
        {"filters": 6, "kernel_size": (3,), "strides": (2,), "dilation_rate": (2,)},
        inputs=(SIGNAL,),
    ),
    Case(
        layers.PaddedConv1DTranspose,
        {"filters": 3, "kernel_size": (3,), "strides": (2,), "dilation_rate": (2,)},
        inputs=(SIGNAL,),
    ),
    Case(
        layers.PaddedConv2D,
        {"filters": 4, "kernel_size": (3, 3), "strides": (2, 2), "padding": (1, 1)},
        inputs=(MAPS,),
    ),
    Case(
        layers.PaddedConv2D,
        {"filters": 6, "kernel_size": (3, 2), "padding": (1, 0), "groups": 3, "use_bias": False},
        inputs=(MAPS,),
    ),
    Case(
        layers.PaddedConv2DTranspose,
        {"filters": 2, "kernel_size": (3, 4), "strides": (2, 2), "output_padding": (1, 0)},
        inputs=(MAPS,),
    ),
    Case(
        layers.PaddedConv3D,
        {"filters": 3, "kernel_size": (1, 3, 3), "strides": (2, 1, 2), "padding": (0, 1, 1)},
        inputs=(CLIPS,),
    ),
    Case(
        layers.PaddedConv3DTranspose,
        {"filters": 3, "kernel_size": (2, 2, 2), "strides": (1, 2, 2), "padding": (1, 0, 0)},
        inputs=(CLIPS,),
    ),
    Case(
        layers.PaddedDepthwiseConv2D,
        {"kernel_size": (3, 3), "strides": (2, 1), "padding": (1, 1), "depth_multiplier": 2},
        inputs=(MAPS,),
    ),
    Case(layers.AdaptiveAveragePooling2D, {"output_size": (3, 9)}, inputs=(PLANES,)),
    Case(
        layers.PaddedMaxPooling2D,
        {"pool_size": (3, 3), "strides": (2, 2), "padding": (1, 1)},
        inputs=(PLANES,),
    ),
    Case(layers.PatchEmbedding, {"patch_size": (4, 3), "embedding_dim": 6}, inputs=(IMAGES / 255,)),
    Case(
        layers.PatchEmbedding,
        {"patch_size": (2, 4, 4), "embedding_dim": 6},
        inputs=(RNG.normal(size=(2, 4, 8, 8, 3)).astype("float32"),),
    ),
    Case(layers.PositionEmbedding, inputs=(TOKENS,)),
    Case(
        layers.EachFrame,
        {"layer": layers.PaddedMaxPooling2D(2), "stride": 2},
        inputs=(CLIPS,),
        differentiable=False,  # the layer inside has a dtype of its own
    ),
    Case(layers.InflatedConv3D, {"filters": 3, "kernel_size": (3, 3, 3)}, inputs=(CLIPS,)),
    Case(layers.MeanOfWindows, {"window_size": (2, 2, 2)}, inputs=(CLIPS,)),
    Case(layers.SlowFrames, {"alpha": 2}, inputs=(CLIPS[:, :2],)),
    Case(layers.ResizeLike, inputs=([MAPS, TALL_MAPS],)),
    Case(
        layers.RoIAlign,
        {"output_size": (4, 2), "scale": 0.25, "aligned": True},
        inputs=(LEVELS[0], PADDED_BOXES),
        differentiable=False,
    ),
    Case(
        layers.RoIPool,
        {"output_size": (4, 2), "scale": 0.25},
        inputs=(LEVELS[0], PADDED_BOXES),
        differentiable=False,
    ),
    Case(layers.ScaleByMax, inputs=(IMAGES,)),
    Case(layers.StandardizeByExample, inputs=(CLIPS,)),
    Case(layers.DividedSpaceTimeBlock, {"num_heads": 2, "frames": 3}, inputs=(CLIP_TOKENS,)),
    Case(layers.SinePositionEmbedding, inputs=(TOKENS,)),
    Case(
        layers.SinePositionEmbedding,
        {"longest": 100.0},
        inputs=(RNG.normal(size=(2, 3, 2, 8)).astype("float32"),),
    ),
    Case(
        layers.TransformerBlock,
        {"num_heads": 2, "norm": "pre", "activation": "gelu", "causal": True, "drop_rate": 0.1},
        inputs=(TOKENS,),
    ),
    Case(layers.TransformerBlock, {"num_heads": 4, "activation": "gelu"}, inputs=(TOKENS,)),
    Case(
        layers.TransformerDecoderBlock,
        {"num_heads": 2, "feedforward_dim": 6, "activation": "gelu"},
        inputs=(TOKENS, TOKENS[:, 1:]),
    ),
    Case(layers.VanillaRNN, {"state_dim": 4, "output_dim": 2}, inputs=(TOKENS,)),
    Case(losses.DistributionFocal, inputs=(DISTANCES, DISTRIBUTIONS)),
    Case(losses.MulticlassHinge, {"margin": 0.5}, inputs=(LABELS, SCORES)),
    Case(losses.PixelCrossEntropy, {"class_weights": [1.0, 0.5, 2.0]}, inputs=(MASKS, MASK_LOGITS)),
    Case(losses.PixelCrossEntropy, {"focal_gamma": 1.5}, inputs=(MASKS, MASK_LOGITS)),
    Case(losses.QualityFocal, {"gamma": 1.5}, inputs=(0.3 * ONE_HOT, SCORES)),
    Case(losses.PixelCrossEntropyDice, {"dice_weight": 0.5}, inputs=(MASKS, MASK_LOGITS)),
    Case(losses.SoftDice, {"classes": [0, 2], "smooth": 0.5}, inputs=(MASKS, MASK_LOGITS)),
    Case(losses.SummedAbsoluteError, inputs=(TARGETS, SCORES)),
    Case(losses.SummedSquaredError, inputs=(TARGETS, SCORES)),
    Case(metrics.ConfusionMatrix, {"num_classes": 5, "per_class": True}, inputs=(LABELS, SCORES)),
    Case(metrics.ConfusionMatrix, {"num_classes": 5, "prefix": "all_"}, inputs=(ONE_HOT, SCORES)),
    Case(
        metrics.MeanAveragePrecision,
        {"num_classes": 4, "num_examples": 9, "max_boxes": 8, "max_detections": 14},
        inputs=DETECTIONS[:2],
    ),
    Case(
        metrics.MeanAveragePrecision,
        {
            "num_classes": 4,
            "num_examples": 9,
            "iou_type": "segm",
            "style": "voc",
            "max_boxes": 9,
            "max_detections": 14,
            "mask_size": [60, 70],
            "per_class": True,
            "prefix": "mask_",
        },
        inputs=DETECTIONS[:2],
    ),
    Case(
        metrics.MultiLabelAveragePrecision,
        {"num_classes": 5, "bins": 32, "limit": 4.0},
        inputs=(np.maximum(ONE_HOT, ONE_HOT[::-1]), SCORES),
    ),
    Case(metrics.SegmentationScores, {"num_classes": 3}, inputs=(MASKS % 255, MASK_LOGITS)),
    Case(
        ops.convolution,
        {"kernel": KERNEL, "method": "fft", "padding": 1, "strides": 2},
        inputs=(MAPS,),
    ),
    Case(
        ops.convolution,
        {"kernel": KERNEL, "method": "im2col", "strides": 2, "dilation_rate": (2, 3)},
        inputs=(MAPS,),
    ),
    # Sums over the examples: of one example, and of a shape whose first row is the whole.
    Case(ops.convolution_bias_gradient, inputs=(MAPS[:1, ..., :1],)),
    Case(
        ops.convolution_input_gradient,
        {"kernel": KERNEL, "input_shape": (4, 16, 18, 3), "strides": 2, "padding": (1, 0)},
        inputs=(MAPS[..., [0, 1, 2, 0]],),
    ),
    Case(
        ops.convolution_kernel_gradient,
        {"kernel_size": (1, 4), "strides": (1, 2), "padding": (0, 1)},
        inputs=(MAPS[:1], MAPS[1:2, :, :4]),
    ),
    Case(
        ops.direct_convolution,
        {"kernel": KERNEL, "strides": 2, "dilation_rate": 3, "padding": 1},
        inputs=(MAPS,),
    ),
    Case(
        ops.expert_positions,
        {"num_experts": 4, "capacity": 3},
        inputs=(np.argsort(RNG.random((3, 7, 4)), axis=-1)[..., :2],),
        differentiable=False,
    ),
    Case(ops.max_pooling, {"pool_size": 3, "strides": 2, "padding": 1}, inputs=(PLANES,)),
    Case(ops.im2col, {"kernel_size": (3, 2), "strides": 2, "padding": 1}, inputs=(MAPS,)),
    Case(
        ops.max_pooling_with_indices,
        {"pool_size": 3, "strides": 2, "padding": 1},
        inputs=(PLANES,),
    ),
    Case(
        ops.max_unpooling,
        {"pool_size": 2, "output_size": (6, 8)},
        inputs=(PLANES[:, :3, :4], PLACES),
    ),
    Case(
        ops.approximate_neighbors,
        {
            "stored": STORED,
            "directions": np.eye(5, 2, dtype="float32"),
            "projected": STORED[:, :2],
            "num_neighbors": 2,
            "shortlist": 6,
        },
        inputs=(SCORES,),
        differentiable=False,
    ),
    Case(ops.l1_distances, {"stored": STORED}, inputs=(SCORES,), differentiable=False),
    Case(
        ops.nearest_neighbors,
        {"stored": STORED, "num_neighbors": 2},
        inputs=(SCORES,),
        differentiable=False,
    ),
    Case(
        ops.nearest_neighbors,
        {"stored": STORED, "num_neighbors": 3, "metric": "l1", "store_chunk": 12},
        inputs=(SCORES,),
        differentiable=False,
    ),
    Case(ops.box_area, inputs=(BOXES,)),
    Case(ops.clip_boxes, {"size": (31.4, 28.6)}, inputs=(BOXES,)),
    Case(ops.convert_boxes, {"source": "xyxy", "target": "cxcywh"}, inputs=(BOXES,)),
    Case(ops.decode_boxes, {"weights": (10.0, 10.0, 5.0, 5.0)}, inputs=(BOXES, OTHER_BOXES)),
    Case(ops.encode_boxes, {"weights": (10.0, 10.0, 5.0, 5.0)}, inputs=(BOXES, OTHER_BOXES)),
    Case(ops.elementwise_iou, {"kind": "giou"}, inputs=(BOXES, OTHER_BOXES)),
    Case(ops.pairwise_iou, inputs=(BOXES, OTHER_BOXES[:, :4])),
    # Constants without a batch: of one row, so that the first example is all of them.
    Case(ops.grid_points, {"grid_sizes": [(1, 1)], "image_size": (8, 16)}, differentiable=False),
    Case(
        ops.pyramid_anchors,
        {
            "grid_sizes": [(1, 1)],
            "image_size": (8, 16),
            "sizes": [(8,)],
            "aspect_ratios": (2.0,),
        },
        differentiable=False,
    ),
    Case(
        ops.mask_targets,
        {"matches": np.array([[0, -1, 2, 1, 0, 2, 1]], "int32"), "size": 5},
        inputs=((LEVELS[0][:1, ..., :3] > 0).transpose(0, 3, 1, 2), PADDED_BOXES[:1] / 4),
        differentiable=False,
    ),
    Case(
        ops.match_boxes,
        {"high": 0.5, "low": 0.3, "allow_low_quality": True},
        inputs=(BOX_SCORES.reshape(3, 1, 7), np.array([[True], [False], [True]])),
        differentiable=False,
    ),
    Case(
        ops.multi_level_roi_align,
        {"scales": (0.25, 0.125), "output_size": 2, "canonical_size": 60},
        inputs=(LEVELS, PADDED_BOXES),
        differentiable=False,
    ),
    Case(
        ops.non_max_suppression,
        {"iou_threshold": 0.3, "max_output": 5},
        inputs=(PADDED_BOXES, BOX_SCORES),
        differentiable=False,
    ),
    Case(
        ops.paste_masks,
        {"image_size": (20, 30)},
        inputs=(np.moveaxis(LEVELS[1], -1, 1), BOXES[:, :4]),
        differentiable=False,
    ),
    Case(ops.random_keys, {"seed": 3, "step": 9}, inputs=(LABELS,), differentiable=False),
    Case(
        ops.roi_align,
        {"output_size": (4, 2), "scale": 0.25},
        inputs=(LEVELS[0], PADDED_BOXES),
        differentiable=False,
    ),
    Case(
        ops.resize_bilinear,
        {"size": (19, 11)},
        inputs=(MAPS,),
    ),
    Case(ops.roi_levels, {"scales": (0.25, 0.125)}, inputs=(BOXES * 9,), differentiable=False),
    Case(
        ops.roi_pooling,
        {"output_size": (4, 2), "scale": 0.25},
        inputs=(LEVELS[0], PADDED_BOXES),
        differentiable=False,
    ),
    Case(
        ops.sample_matches,
        {"size": 4, "positive_fraction": 0.5},
        inputs=(np.tile(np.arange(-2, 3, dtype="int32"), (3, 2)), LABELS[:3]),
        differentiable=False,
    ),
    Case(ops.scale_by_max, inputs=(IMAGES,)),
    Case(ops.sine_positions, {"width": 6}, inputs=(10 * TOKENS[..., 0],)),
    Case(
        ops.transposed_convolution,
        {"kernel": MAPS[:3, :4, :2], "strides": 2, "padding": (1, 0)},
        inputs=(MAPS,),
    ),
    Case(optimizers.AdaGrad, {"learning_rate": 0.1, "weight_decay": 0.01}),
    Case(optimizers.Adam, {"learning_rate": 0.01, "beta_1": 0.8, "weight_decay": 0.01}),
    Case(optimizers.Adam, {"learning_rate": 0.01, "convention": "torch", "use_ema": True}),
    Case(optimizers.LayerwiseAdamW, {"learning_rate": 0.01, "starts": {"absent": 3}}),
    Case(optimizers.RMSProp, {"learning_rate": 0.01, "clipnorm": 1.0}),
    Case(optimizers.RMSProp, {"learning_rate": 0.01, "convention": "torch"}),
    Case(optimizers.SGD, {"learning_rate": 0.1, "weight_decay": 0.01}),
    Case(optimizers.SGD, {"learning_rate": 0.1, "momentum": 0.9, "convention": "torch"}),
    Case(regularizers.ElasticNet, {"l1": 0.02, "l2": 0.3}),
    Case(regularizers.L1, {"l1": 0.02}),
    Case(regularizers.L2, {"l2": 0.3}),
    Case(schedules.ExponentialDecay, {"initial_learning_rate": 0.1, "rate": 0.02}),
    Case(
        schedules.InverseTimeDecay,
        {"initial_learning_rate": 0.1, "rate": 0.5, "steps_per_epoch": 10},
    ),
    Case(schedules.StepDecay, {"initial_learning_rate": 0.1, "every": 10, "gamma": 0.5}),
    Case(
        schedules.Warmup,
        {"schedule": schedules.StepDecay(0.1, every=11), "length": 10, "start": 0.01},
    ),
    Case(
        schedules.Join,
        {"schedules": [0.1, schedules.ExponentialDecay(0.05, rate=0.1)], "boundaries": [10]},
    ),
    Case(
        classification.alexnet,
        {"input_shape": (95, 97, 3), "num_classes": 5, "width": 0.0625, "drop_rate": 0.0},
        inputs=(PICTURES,),
    ),
    Case(
        classification.vgg11_bn,
        {"input_shape": (64, 72, 3), "num_classes": 5, "width": 0.0625, "drop_rate": 0.0},
        inputs=(PICTURES[:, :64, :72],),
    ),
    Case(
        classification.googlenet,
        {"input_shape": (48, 56, 3), "num_classes": 5, "width": 0.125, "drop_rate": 0.0},
        inputs=(PICTURES[:, :48, :56],),
        slow=True,
    ),
    Case(
        classification.densenet121,
        {"input_shape": (48, 56, 3), "num_classes": 5, "width": 0.25},
        inputs=(PICTURES[:, :48, :56],),
        slow=True,
    ),
    Case(
        classification.mobilenet_v2,
        {"input_shape": (48, 56, 3), "num_classes": 5, "width": 0.25, "drop_rate": 0.0},
        inputs=(PICTURES[:, :48, :56],),
        slow=True,
    ),
    Case(
        classification.vit_ti_16,
        {"input_shape": (32, 48, 3), "num_classes": 5, "depth": 2, "width": 0.34},
        inputs=(PICTURES[:, :32, :48],),
    ),
    Case(
        classification.vit_moe,
        {"input_shape": (32, 48, 3), "num_classes": 5, "depth": 2, "width": 0.17},
        inputs=(PICTURES[:, :32, :48],),
    ),
    Case(
        classification.knn_classifier,
        {"input_shape": (6, 5, 1), "num_classes": 4, "num_neighbors": 3},
        inputs=(SMALL[..., :1],),
    ),
    Case(
        classification.linear_classifier,
        {"input_shape": (6, 5, 3), "num_classes": 4},
        inputs=(SMALL,),
    ),
    *(
        Case(
            classification.recurrent_classifier,
            {"input_shape": (6, 5, 1), "num_classes": 4, "cell": cell, "units": 8},
            inputs=(SMALL[..., :1],),
        )
        for cell in ("rnn", "lstm", "gru")
    ),
    Case(
        classification.resnet18,
        {"input_shape": (24, 20, 3), "num_classes": 5, "stem": "small", "width": 0.125},
        inputs=(PHOTOS,),
    ),
    Case(detection.maskrcnn_mobilenet_v2_fpn, {"input_shape": (64, 64, 3)}),
    Case(
        segmentation.as_convolution,
        {"classifier": PATCH_CLASSIFIER, "input_shape": (15, 18, 3)},
        inputs=(PICTURES[:, :15, :18],),
    ),
    Case(
        segmentation.fcn8s,
        {"input_shape": (45, 37, 3), "num_classes": 5, "width": 0.0625, "drop_rate": 0.0},
        inputs=(PICTURES[:, :45, :37],),
    ),
    Case(
        segmentation.fcn_resnet50,
        {"input_shape": (33, 40, 3), "num_classes": 5, "width": 0.0625, "drop_rate": 0.0},
        inputs=(PICTURES[:, :33, :40],),
        slow=True,
        has_ties=True,
    ),
    Case(
        segmentation.segnet,
        {"input_shape": (32, 45, 3), "num_classes": 5, "width": 0.0625},
        inputs=(PICTURES[:, :32, :45],),
        slow=True,
        has_ties=True,
    ),
    Case(
        segmentation.sliding_window,
        {"classifier": PATCH_CLASSIFIER, "input_shape": (15, 18, 3), "strides": (2, 3)},
        inputs=(PICTURES[:, :15, :18],),
    ),
    Case(
        segmentation.unet,
        {
            "input_shape": (32, 48, 3),
            "num_classes": 5,
            "padding": "same",
            "width": 0.0625,
            "drop_rate": 0.0,
        },
        inputs=(PICTURES[:, :32, :48],),
    ),
    Case(
        segmentation.unet_resnet18,
        # At half this width one of JAX's draws leaves a ReLU without a positive input.
        {"input_shape": (64, 64, 3), "num_classes": 5, "width": 0.125},
        inputs=(PICTURES[:4, :64, :64],),
    ),
    *(
        Case(
            part,
            {
                "input_shape": (8, 24, 20, 3),
                "num_classes": 5,
                "stem": "small",
                "width": 0.125,
                **more,
            },
            inputs=(FILMS,),
            slow=part is not video.early_fusion,
            has_ties=True,
        )
        for part, more in (
            (video.single_frame, {}),
            (video.early_fusion, {}),
            (video.late_fusion, {"fusion": "recurrent"}),
        )
    ),
    *(
        Case(
            video.video_transformer,
            {
                "input_shape": (8, 24, 20, 3),
                "num_classes": 5,
                "attention": attention,
                "tubelet": (2, 8, 4),
                "depth": 2,
                "width": 1 / 12,
            },
            inputs=(FILMS,),
        )
        for attention in ("joint", "divided")
    ),
    Case(
        video.c3d,
        {
            "input_shape": (8, 24, 20, 3),
            "num_classes": 5,
            "temporal_strides": (1, 2, 2, 2, 1),
            "width": 0.0625,
            "drop_rate": 0.0,
        },
        inputs=(FILMS,),
    ),
    Case(
        video.i3d,
        {
            "input_shape": (8, 24, 20, 3),
            "num_classes": 5,
            "depth": 18,
            "width": 0.125,
            "drop_rate": 0.0,
        },
        inputs=(FILMS,),
        slow=True,
        has_ties=True,
    ),
    Case(
        video.inflate,
        {"model": PATCH_CLASSIFIER, "frames": 8, "temporal_strides": 2},
        inputs=(FILMS[:, :, :11, :12],),
    ),
    Case(
        video.slowfast,
        {
            "input_shape": (8, 24, 20, 3),
            "num_classes": 5,
            "depth": 18,
            "width": 0.125,
            "drop_rate": 0.0,
        },
        inputs=(FILMS,),
        slow=True,
        has_ties=True,
    ),
    Case(
        video.r3d_18,
        {"input_shape": (8, 24, 20, 3), "num_classes": 5, "stem": "small", "width": 0.0625},
        inputs=(FILMS,),
        has_ties=True,
    ),
    Case(
        video.mc3_18,
        {"input_shape": (8, 24, 20, 3), "num_classes": 5, "stem": "small", "width": 0.0625},
        inputs=(FILMS,),
        slow=True,
        has_ties=True,
    ),
    Case(
        video.r2plus1d_18,
        {"input_shape": (8, 24, 20, 3), "num_classes": 5, "stem": "small", "width": 0.0625},
        inputs=(FILMS,),
        slow=True,
        has_ties=True,
    ),
]


def _of(kind):
    return [case for case in CASES if case.kind == kind]


LAYERS = _of("layer")
FUNCTIONS = _of("function")
LOSSES = _of("loss")
METRICS = _of("metric")
OPTIMIZERS = _of("optimizer")
SCHEDULES = _of("schedule")
CALLBACKS = _of("callback")
INITIALIZERS = _of("initializer")
REGULARIZERS = _of("regularizer")
MODELS = _of("model")
