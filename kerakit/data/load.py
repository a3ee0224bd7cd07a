"""The one door to data."""

import pathlib

from kerakit.data.clips import load_clips
from kerakit.data.coco import load_coco
from kerakit.data.digit_scenes import load_digit_scenes
from kerakit.data.digits import load_digits
from kerakit.data.folder import load_folder
from kerakit.data.masks import load_masks
from kerakit.data.moving_digits import load_moving_digits
from kerakit.data.table import load_table
from kerakit.data.tfds import load_tfds
from kerakit.data.tfds_clips import load_tfds_clips
from kerakit.data.tfds_masks import load_tfds_masks
from kerakit.data.tfds_objects import load_tfds_objects
from kerakit.data.voc import load_voc
from kerakit.data.yolo import load_yolo
from kerakit.errors import InputError

TASKS = (
    "classification",
    "multi_label",
    "detection",
    "instance_segmentation",
    "segmentation",
    "video",
)
_GROUPED = ("folder", "csv", "voc", "masks", "clips")
_OF_OBJECTS = ("detection", "instance_segmentation")
_WITH_OBJECTS = ("digit-scenes", "coco", "voc", "yolo", "tfds")
_SOURCES = (
    "digits (1,797 handwritten digits, which come with kerakit), folder:DIR (DIR/CLASS/IMAGE, or "
    "DIR/train/CLASS/IMAGE and DIR/val/CLASS/IMAGE), csv:FILE (a table with the columns image and "
    "labels) and tfds:NAME (a set of TensorFlow Datasets)"
)
_SOURCES_OF_OBJECTS = (
    "digit-scenes (handwritten digits in scenes, which come with kerakit), coco:DIR "
    "(DIR/annotations/instances_train.json, DIR/images/train, and val), voc:DIR "
    "(DIR/Annotations, DIR/JPEGImages), yolo:DIR (DIR/images/train, DIR/labels/train, and val) "
    "and tfds:NAME"
)
_SOURCES_OF_MASKS = (
    "digit-scenes (handwritten digits in scenes, which come with kerakit), masks:DIR "
    "(DIR/images/train/NAME.jpg, DIR/masks/train/NAME.png of class ids, the same below val, "
    "DIR/classes.json) and tfds:NAME"
)
_SOURCES_OF_CLIPS = (
    "moving-digits (handwritten digits that move, which come with kerakit), clips:DIR "
    "(DIR/CLASS/VIDEO, or DIR/train/CLASS/VIDEO and DIR/val/CLASS/VIDEO) and tfds:NAME"
)


def load(
    source,
    *,
    task="classification",
    seed=0,
    val_fraction=0.2,
    group_by=None,
    skip_bad=False,
    frame_rate=None,
):
    """Opens a set of examples, checked, with a part held out for validation.

    Args:
        source: `digits`; `folder:DIR`, a folder a class, below `train` and `val` or not;
            `csv:FILE`, a table with the columns image, labels and, if need be, split;
            `tfds:NAME` or `tfds:DIR`, a set that TensorFlow Datasets has written on this disk.
            With boxes: `digit-scenes`, `coco:DIR`, `voc:DIR`, `yolo:DIR` and `tfds:`. With a
            mask an image: `digit-scenes`, `masks:DIR` and `tfds:`. Clips: `moving-digits`,
            `clips:DIR`, videos in a folder a class, and `tfds:`.
        task: What the examples are for: "classification", one label each; "multi_label",
            any number each, which csv: and tfds: can hold; "detection", boxes;
            "instance_segmentation", boxes with masks (digit-scenes and coco:); "segmentation",
            a mask of class ids; or "video", a label a clip.
        seed: Salt of the split of a set that has none of its own.
        val_fraction: Share held out of such a set, about; in (0, 1).
        group_by: For `folder:DIR`, `csv:FILE`, `voc:DIR`, `masks:DIR` or `clips:DIR` without
            train and val: None, or a regular expression searched for in CLASS/NAME, in the image
            as the table names it, or in the name of the image; files for which its first group
            (or, without one, the match) is the same stay on one side.
            Use it when several images show the same thing.
        skip_bad: Leave bad files, annotations and empty classes out with a warning, rather than
            stop.
        frame_rate: For `clips:DIR`, frames a second to which videos are put first; None for each
            one's own.

    Returns:
        `Data`: `.train` and `.val`, tf.data of dicts with `image` uint8 (H, W, 3), `label` int32
        (for "multi_label" float32 (K,) of 0 and 1) and `example_id` int32 (0 to size - 1 in each
        part), their sources, and `.classes`. For segmentation there is `mask` uint8 (H, W) in place
        of `label`, 255 where nothing is to be learnt; `SegmentationBatches` makes batches of
        them. For video there is `video` uint8 (T, H, W, 3) in place of `image`, and `ClipBatches`
        makes batches. With boxes, in place of `label`, for the n objects
        of an image: `boxes` float32 (n, 4) xyxy in pixels, `labels` int32 (n,), `crowd` bool
        (n,), `area` float32 (n,) in pixels and perhaps `masks` uint8 (n, 112, 112), cropped to
        the boxes; `DetectionBatches` makes batches of them.

    Raises:
        InputError: If there is no such source, or something in it is bad: one sentence that
            names the file.

    Example:

    >>> data = load("digits")
    >>> data.train_source.size, data.val_source.size, data.classes[:3]
    (1437, 360, ('0', '1', '2'))
    """
    if task not in TASKS:
        raise InputError(f"`task` must be {', '.join(TASKS)}, got {task!r}.")
    if not 0 < val_fraction < 1:
        raise InputError(f"`val_fraction` must be between 0 and 1, got {val_fraction}.")
    kind, _, place = source.partition(":")
    if group_by is not None and kind not in _GROUPED:
        raise InputError(
            "`group_by` works on folder:DIR, csv:FILE, voc:DIR, masks:DIR and clips:DIR alone, "
            f"got it with {source}."
        )
    if frame_rate is not None and kind != "clips":
        raise InputError(f"`frame_rate` works on clips:DIR alone, got it with {source}.")
    rules = {
        "seed": seed,
        "val_fraction": val_fraction,
        "group_by": group_by,
        "skip_bad": skip_bad,
    }
    if task == "video":
        return _load_clips(source, kind, place, **rules, frame_rate=frame_rate)
    if kind in ("clips", "moving-digits"):
        raise InputError(f"{source} has clips: `task` must be video, got {task!r}.")
    if task == "segmentation":
        return _load_masks(source, kind, place, **rules)
    if kind == "masks":
        raise InputError(f"{source} has masks: `task` must be segmentation, got {task!r}.")
    if task in _OF_OBJECTS:
        return _load_objects(source, kind, place, task=task, **rules)
    if kind in _WITH_OBJECTS and kind != "tfds":
        raise InputError(f"{source} has boxes: `task` must be detection, got {task!r}.")
    if task == "multi_label" and (source == "digits" or kind == "folder"):
        raise InputError(
            f"{source} has one label an image; for several, as --multi-label says, give csv:FILE "
            "or tfds:NAME."
        )
    if source == "digits":
        return load_digits()
    if kind == "folder" and place:
        return load_folder(place, **rules)
    if kind == "csv" and place:
        return load_table(place, task=task, **rules)
    if kind == "tfds" and place:
        return load_tfds(place, task=task, seed=seed, val_fraction=val_fraction)
    hint = f" For that folder give folder:{source}." if pathlib.Path(source).is_dir() else ""
    raise InputError(f"{source!r} is no source of data; there are {_SOURCES}.{hint}")


def _load_clips(source, kind, place, *, seed, val_fraction, group_by, skip_bad, frame_rate):
    if source == "moving-digits":
        return load_moving_digits()
    if kind == "tfds" and place:
        return load_tfds_clips(place, seed=seed, val_fraction=val_fraction)
    if kind == "clips" and place:
        return load_clips(
            place,
            seed=seed,
            val_fraction=val_fraction,
            group_by=group_by,
            skip_bad=skip_bad,
            frame_rate=frame_rate,
        )
    hint = f" For that folder give clips:{source}." if pathlib.Path(source).is_dir() else ""
    raise InputError(
        f"{source!r} is no source of data for video; there are {_SOURCES_OF_CLIPS}.{hint}"
    )


def _load_masks(source, kind, place, *, seed, val_fraction, group_by, skip_bad):
    if source == "digit-scenes":
        return load_digit_scenes(task="segmentation")
    if kind == "masks" and place:
        return load_masks(
            place, seed=seed, val_fraction=val_fraction, group_by=group_by, skip_bad=skip_bad
        )
    if kind == "tfds" and place:
        return load_tfds_masks(place, seed=seed, val_fraction=val_fraction)
    hint = f" For that folder give masks:{source}." if pathlib.Path(source).is_dir() else ""
    raise InputError(
        f"{source!r} is no source of data for segmentation; there are {_SOURCES_OF_MASKS}.{hint}"
    )


def _load_objects(source, kind, place, *, task, seed, val_fraction, group_by, skip_bad):
    if source == "digit-scenes":
        return load_digit_scenes(task=task)
    if kind not in _WITH_OBJECTS or not place:
        raise InputError(
            f"{source!r} is no source of data for {task}; there are {_SOURCES_OF_OBJECTS}."
        )
    if kind == "coco":
        return load_coco(place, task=task, skip_bad=skip_bad)
    if task == "instance_segmentation":
        raise InputError(f"{source} has boxes alone; give coco:DIR for instance_segmentation.")
    if kind == "tfds":
        return load_tfds_objects(place, task=task, seed=seed, val_fraction=val_fraction)
    if kind == "yolo":
        return load_yolo(place, task=task, skip_bad=skip_bad)
    return load_voc(
        place,
        task=task,
        seed=seed,
        val_fraction=val_fraction,
        group_by=group_by,
        skip_bad=skip_bad,
    )
