"""A segmenter's run: what it sees while it learns, and its end."""

import time
from typing import NamedTuple

import numpy as np

from kerakit.data import Preparation
from kerakit.data.image_size import encoded_size
from kerakit.errors import InputError
from kerakit.export.segmentation_scoring import segmentation_figures
from kerakit.export.whole_image import checked_tiling, whole_image
from kerakit.runs.exporting import export_and_report, write_samples
from kerakit.runs.pictures import plot_curves
from kerakit.runs.segmentation_pictures import plot_masks

SHOWN = 8
# Sides of frames are multiples of the coarsest stride of the networks.
_STRIDE = 32
# A larger image is seen in part while the network learns; figures at the end are of all of it.
_LARGEST_FRAME = 1024
# Probabilities in the answers by which an export is verified: 128 MiB, of which there are copies.
_VERIFIED_AT_ONCE = 2**25


class Frames(NamedTuple):
    """`Preparation` of the training images, of the images held out, and of the export."""

    learnt: Preparation
    held_out: Preparation
    served: Preparation


def frames_of(data, *, size, fit, tile=0):
    """How images come to the network while it learns, and to its export.

    Args:
        data: `kerakit.data.Data` with masks.
        size: (height, width) of what a step sees of an image.
        fit: "stretch" or "letterbox", images scaled to `size`; or "pad", images as they are, in
            frames that hold the largest one, of which windows of `size` are cut.
        tile: Side of the export's square tiles, for "pad"; 0 for tiles of `size`.

    Returns:
        `Frames`.

    Raises:
        InputError: If sizes of images would be needed that nobody counted, or `tile` is of no use.
    """
    if tile % _STRIDE or (tile and fit != "pad"):
        raise InputError(
            f"--tile must be divisible by {_STRIDE}, with --fit pad, got {tile} with {fit}."
        )
    height, width = (tile, tile) if tile else size
    served = Preparation(height=height, width=width, fit=fit)
    if fit != "pad":
        return Frames(served, served, served)
    parts = (data.train_source.masks, data.val_source.masks)
    if any(part is None for part in parts):
        raise InputError(
            f"{data.name} has too many images to look at all of them first, which --fit pad "
            "needs: give --fit letterbox."
        )
    held_out = [
        min(_LARGEST_FRAME, -(-side // _STRIDE) * _STRIDE) for side in parts[1].largest_size
    ]
    learnt = [max(pair) for pair in zip(parts[0].largest_size, size, strict=True)]
    seen = (Preparation(height=h, width=w, fit="pad") for h, w in (learnt, held_out))
    return Frames(*seen, served)


def require_tiles(model, preparation):
    """Refuses an export whose tiles could not overlap as they must, before anything is learnt.

    Args:
        model: The network.
        preparation: `Preparation` of the export.

    Raises:
        InputError: One sentence.
    """
    try:
        checked_tiling(model, preparation)
    except ValueError as error:
        raise InputError(f"--size, --tile: {error}") from error


def pixel_weights(data, *, power):
    """How much a pixel of each class counts in the loss, by the shares of the classes.

    Args:
        data: `kerakit.data.Data` with masks.
        power: As of `MaskCounts.class_weights`; 0 for none.

    Returns:
        (K,) weights, or None.

    Raises:
        InputError: If shares would be needed that nobody counted.
    """
    if not power:
        return None
    counts = data.train_source.masks
    if counts is None:
        raise InputError(
            f"{data.name} has too many images to count their pixels first, which "
            "--class-weights needs: give --class-weights 0."
        )
    return counts.class_weights(power=power)


def finish_segmenter(run, model, *, recipe, data, preparation, keep="best"):
    """Evaluates, draws, exports, verifies, reports and says so; the run is then complete.

    Args:
        run: The `Run`.
        model: The trained `keras.Model`, from pixels to (B, H, W, K) logits.
        recipe: Name of the recipe, for the card.
        data: `kerakit.data.Data` that it was trained on.
        preparation: `kerakit.data.Preparation` of the export: with `fit="pad"` its size is that
            of a tile.
        keep: Which weights: `"best"`, those of the best epoch on the validation images,
            or `"last"`, chosen without looking at them.

    Returns:
        Dict of the figures, the export's folder as `savedmodel`.

    Raises:
        kerakit.export.VerificationError: If the export does not answer as the model.
    """
    if not run.is_chiefs:
        return {}
    if keep == "best":
        model.load_weights(run.best.path)
    answer, shown, seconds = whole_image(model, preparation=preparation), [], []

    def pairs():
        for example in data.val_source.dataset():
            start = time.perf_counter()
            mask = answer(example["image"]).numpy().argmax(axis=-1).astype(np.uint8)
            seconds.append(time.perf_counter() - start)
            truth = example["mask"].numpy()
            if len(shown) < SHOWN:
                shown.append((example["image"].numpy(), truth, mask))
            yield truth, mask

    figures = segmentation_figures(pairs(), data.classes)
    by_class = [
        {"class": name, "IoU": figures.get(f"iou/{name}"), "Dice": figures.get(f"dice/{name}")}
        for name in data.classes
    ]
    figures = {name: value for name, value in figures.items() if "/" not in name}
    plot_curves(run.log.rows, run.folder / "curves.png")
    plot_masks(shown, data.classes, run.folder / "predictions.png")
    milliseconds = 1000 * np.median(seconds[2:] or seconds)  # the first ones trace and warm up
    return export_and_report(
        run, model, recipe=recipe, data=data, preparation=preparation, metrics=figures,
        by_class=by_class, headline="mean_iou", keep=keep,
        pictures=("curves.png", "predictions.png"),
        samples=_of_one_batch(write_samples(run.folder / "samples", data.val_source), data),
        input_shape=(preparation.height, preparation.width, preparation.channels),
        notes={"answers": f"{milliseconds:.1f} ms an image, one at a time"},
    )  # fmt: skip


def _of_one_batch(encoded, data):
    """As many of the samples as the export may be asked for at once, while it is verified."""
    sizes = np.array([encoded_size(one).numpy() for one in encoded])
    largest = np.maximum.accumulate(sizes, axis=0).prod(axis=1)
    numbers = np.arange(1, len(encoded) + 1) * largest * len(data.classes)
    return encoded[: int((numbers <= _VERIFIED_AT_ONCE).sum())]
