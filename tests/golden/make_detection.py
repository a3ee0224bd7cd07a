"""Golden file `detection.npz`: what torchvision makes of the detection parts' cases."""

import numpy as np
import torch
import torchvision
from torchvision.models.detection import _utils, anchor_utils, image_list, roi_heads
from torchvision.ops import poolers

from tests.golden import detection as cases
from tests.golden.detection import drawn
from tests.golden.seeding import parameter


def first(x):
    """Channels last to first."""
    return torch.movedim(torch.tensor(x), -1, 1)


def last(x):
    return torch.movedim(x, 1, -1).detach().numpy()


def overlaps():
    one, other = (torch.tensor(cases.boxes(name, 12)[0]) for name in ("one", "other"))
    ops = torchvision.ops
    losses = {
        "giou": ops.generalized_box_iou_loss,
        "diou": ops.distance_box_iou_loss,
        "ciou": ops.complete_box_iou_loss,
    }
    found = {kind: 1 - loss(one, other, eps=0.0).numpy() for kind, loss in losses.items()}
    return {**found, "iou": ops.box_iou(one, other).numpy()}


def coding(name):
    coder = _utils.BoxCoder(cases.WEIGHTS[name])
    one, other = (torch.tensor(cases.boxes(n, 12)[0]) for n in ("one", "other"))
    offsets = torch.tensor(drawn(f"{name}.offsets", (12, 4)) * 3)
    return {
        f"{name}.encoded": coder.encode_single(one, other).numpy(),
        f"{name}.decoded": coder.decode_single(offsets, other).numpy(),
    }


def anchors(name):
    options = cases.ANCHORS[name]
    generator = anchor_utils.AnchorGenerator(
        options["sizes"], (options["aspect_ratios"],) * len(options["sizes"])
    )
    images = image_list.ImageList(torch.zeros(1, 3, *cases.IMAGE), [cases.IMAGE])
    return generator(images, [torch.zeros(1, 1, *size) for size in cases.PYRAMID])[0].numpy()


def matches(name):
    options = cases.MATCHERS[name]
    matcher = _utils.Matcher(options["high"], options["low"], options["allow_low_quality"])
    truth, near = cases.boxes("truth", 5, batch=1)[0], cases.boxes("near", 40, batch=1)[0]
    near[:30] = np.repeat(truth, 6, axis=0) + drawn("near.moved", (30, 4)) * 4
    near[35:] = near[:5]  # ties
    quality = torchvision.ops.box_iou(torch.tensor(truth), torch.tensor(near))
    return {
        f"{name}.quality": quality.numpy(),
        f"{name}.matches": matcher(quality).numpy().astype("int32"),
    }


def suppressions():
    found, scores = (torch.tensor(x[0]) for x in cases.crowded_boxes("crowd", 90))
    kinds = torch.arange(90) % 3
    # Of equal scores torchvision takes any: told apart by less than a step of the scores.
    scores = scores.double() - torch.arange(90).double() * 1e-6
    found = found.double()
    return {
        "nms": torchvision.ops.nms(found, scores, 0.5).numpy().astype("int32"),
        "nms_classes": np.concatenate(
            [
                torch.where(kinds == k)[0][
                    torchvision.ops.nms(found[kinds == k], scores[kinds == k], 0.5)
                ]
                for k in range(3)
            ]
        ).astype("int32"),
    }


def regions():
    features = first(cases.maps("single", cases.PYRAMID[:1], (3,))[0])
    found = torch.tensor(cases.boxes("rois", 9))
    arrays = {}
    for name, options in cases.ALIGNED.items():
        x = features.clone().requires_grad_()
        y = torchvision.ops.roi_align(x, list(found), spatial_scale=0.25, **options)
        slopes = first(drawn(f"{name}.slopes", (18, *options["output_size"], 3)))
        y.backward(slopes)
        arrays |= {name: last(y), f"{name}.gradient": last(x.grad)}
    for name, size in cases.POOLED.items():
        cut = [torch.tensor(x) for x in cases.inside(found.numpy())]
        arrays[name] = last(torchvision.ops.roi_pool(features, cut, size, 0.25))
    pyramid = {
        str(i): first(x) for i, x in enumerate(cases.maps("pyramid", cases.PYRAMID, (3,) * 3))
    }
    pool = poolers.MultiScaleRoIAlign(list(pyramid), 7, 2, canonical_scale=60)
    arrays["multi"] = last(pool(pyramid, list(found), [cases.IMAGE] * 2))
    return arrays


def pyramids():
    network = torchvision.ops.FeaturePyramidNetwork(
        list(cases.CHANNELS), 5, torchvision.ops.feature_pyramid_network.LastLevelMaxPool()
    )
    arrays = {}
    with torch.no_grad():
        for key, value in network.state_dict().items():
            value.copy_(torch.tensor(parameter(f"fpn.{key}", tuple(value.shape))))
        for name in ("PYRAMID", "ODD_PYRAMID"):
            x = cases.maps(f"fpn.{name}", getattr(cases, name), cases.CHANNELS)
            y = network({str(i): first(level) for i, level in enumerate(x)})
            arrays |= {f"{name}.{i}": last(v) for i, v in enumerate(y.values())}
    return arrays


def masks():
    truth = torch.tensor(cases.masks("discs", 4)[0])
    proposals = torch.tensor(cases.inside(cases.boxes("proposals", 9, batch=1)[0]))
    targets = roi_heads.project_masks_on_boxes(truth, proposals, torch.arange(9) % 4, 14)
    small = torch.tensor(np.abs(drawn("small", (9, 1, 14, 14))) % 1)
    found = torch.tensor(cases.boxes("pasted", 9, batch=1)[0] / 2)
    pasted = roi_heads.paste_masks_in_image(small, found, cases.SMALL_IMAGE)[:, 0]
    return {"targets": targets.numpy(), "pasted": pasted.numpy()}


def make(directory):
    """Writes the golden file into the directory, and returns its path."""
    arrays = {"check": drawn("check", (8,))}
    arrays |= overlaps() | suppressions() | regions() | pyramids() | masks()
    for name in cases.WEIGHTS:
        arrays |= coding(name)
    for name in cases.MATCHERS:
        arrays |= matches(name)
    arrays |= {name: anchors(name) for name in cases.ANCHORS}
    path = directory / "detection.npz"
    np.savez_compressed(path, torchvision_version=torchvision.__version__, **arrays)
    return path
