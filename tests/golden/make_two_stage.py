"""Golden file `two_stage.npz`: what torchvision's two-stage detectors make of two pictures."""

import copy
import functools
import json

import numpy as np
import torch
import torchvision
from torchvision.models import detection

from tests.golden import two_stage as cases
from tests.golden.two_stage import ALL, MODELS


def network(name):
    """Torchvision's model under seeded weights, in evaluation, and the shapes of its state."""
    options = MODELS[name]
    model = getattr(detection, name)(
        weights=None,
        weights_backbone=None,
        num_classes=cases.NUM_CLASSES + 1,
        min_size=min(cases.IMAGE),
        max_size=max(cases.IMAGE),
        rpn_post_nms_top_n_train=options["post_nms"][0],
        rpn_post_nms_top_n_test=options["post_nms"][1],
        box_detections_per_img=options["max_detections"],
        rpn_batch_size_per_image=ALL["anchor_samples"],
        rpn_positive_fraction=ALL["anchor_positive_fraction"],
        box_batch_size_per_image=ALL["box_samples"],
        box_positive_fraction=ALL["box_positive_fraction"],
    )
    # Without pretrained weights torchvision takes trainable norms; the published ones are fixed.
    fix_norms(model)
    model.eval()
    shapes = {
        key: list(value.shape)
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    values = {key: torch.from_numpy(x) for key, x in cases.parameters(shapes).items()}
    model.load_state_dict(values, strict=False)
    return model, shapes


def keeper(kept, key):
    """A hook that puts a module's output there."""
    # A copy: what comes after puts other masks into the dicts.
    return lambda _, __, output: kept.__setitem__(key, copy.deepcopy(output))


def fix_norms(module):
    """Puts torchvision's fixed norm in the place of each norm."""
    for name, child in module.named_children():
        if isinstance(child, torch.nn.BatchNorm2d):
            fixed = torchvision.ops.FrozenBatchNorm2d(child.num_features, eps=child.eps)
            setattr(module, name, fixed)
        else:
            fix_norms(child)


def losses(model, images, targets):
    """Each picture's own losses, (2, parts)."""
    model.train()
    found = []
    for number in range(2):
        real = torch.from_numpy(targets["labels"][number] >= 0)
        target = {
            "boxes": torch.from_numpy(targets["boxes"][number])[real],
            "labels": torch.from_numpy(targets["labels"][number]).long()[real] + 1,
            "masks": torch.from_numpy(targets["masks"][number])[real],
        }
        with torch.no_grad():
            found.append(model([images[number]], [target]))
    model.eval()
    names = ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask")
    return np.array([[float(x[n]) for n in names if n in x] for x in found], "float32")


def make(directory):
    """Writes the golden file into the directory, and returns its path."""
    content = {"torchvision_version": torchvision.__version__}
    images = torch.from_numpy(cases.pictures() / 255).movedim(-1, 1)
    for name in MODELS:
        model, shapes = network(name)
        content[f"{name}.shapes"] = json.dumps(shapes)
        content[f"{name}.parameters"] = sum(p.numel() for p in model.parameters())
        kept = {}
        keep = functools.partial(keeper, kept)
        hooks = [
            model.backbone.body.register_forward_hook(keep("body")),
            model.backbone.register_forward_hook(keep("pyramid")),
            model.rpn.head.register_forward_hook(keep("rpn")),
            model.rpn.register_forward_hook(keep("proposals")),
            model.roi_heads.box_predictor.register_forward_hook(keep("box")),
            model.roi_heads.register_forward_hook(keep("found")),
        ]
        with torch.no_grad():
            model(list(images))
        for hook in hooks:
            hook.remove()
        if name.startswith("faster"):
            # Of the large maps every 8th channel is proof enough.
            for part in ("body", "pyramid"):
                for level, x in kept[part].items():
                    content[f"{part}.{level}"] = x[:, ::8].movedim(1, -1).numpy()
            for part, values in zip(("logits", "offsets"), kept["rpn"], strict=True):
                for level, x in enumerate(values):
                    content[f"rpn.{part}.{level}"] = x.movedim(1, -1).numpy()
            content["proposals"] = np.stack([x.numpy() for x in kept["proposals"][0]])
            content["box.logits"], content["box.offsets"] = (x.numpy() for x in kept["box"])
        for number, found in enumerate(kept["found"][0]):
            for key, value in found.items():
                content[f"{name}.{key}.{number}"] = value.numpy()
        content[f"{name}.losses"] = losses(model, images, cases.targets())
    path = directory / "two_stage.npz"
    np.savez_compressed(path, **content)
    return path
