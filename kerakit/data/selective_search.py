"""Proposals of regions by selective search, for an image or for a whole source."""

import hashlib
import os
import pathlib
import zipfile

import keras
import numpy as np

from kerakit.atomic import replaced
from kerakit.extras import need

QUALITIES = ("single", "fast", "quality")
# Images between two writings of what has been found so far.
_KEPT_EVERY = 200
_CACHE_VERSION = 1


def selective_search(image, *, num_proposals=2000, quality="fast", scale=1.0, min_side=8.0):
    """Regions of an image that may hold an object, by merging segments that look alike.

    OpenCV does the work. Its order is random, and another in every call: here the regions,
    largest first and each once, are ordered by their place in the row times a random number, as
    the paper does with places in its hierarchy, and the same image gives the same order.

    Figures: recall at IoU 0.5 of 40 images of blood cells, 320 x 240, many of them of 40 pixels
    and overlapping, with `quality="fast"`: 0.40, 0.71 and 0.79 of the objects by 100, 300 and all
    (462 on average) proposals, 0.3 s an image on one core.

    Args:
        image: (H, W, 3) uint8 RGB.
        num_proposals: R, rows of the result.
        quality: How many ways of segmenting and of merging are tried: `"single"` one (a sixth of
            the time of "fast", and a quarter of its regions), `"fast"` those of the paper's fast
            mode, `"quality"` all (four times the time, twice the regions).
        scale: Factor on the image's sides before the search, which takes time by more than the
            square: 0.5 for small machines, above 1 to find small objects.
        min_side: Pixels; regions narrower or lower are left out. At least 1.

    Returns:
        (R, 4) float32 xyxy in pixels of the image; rows of zeros behind the last.

    Raises:
        ValueError: If an argument is out of range.
        MissingExtraError: If the package of the extra `proposals` is missing.

    Reference:
        Uijlings, van de Sande, Gevers and Smeulders, Selective Search for Object Recognition,
        2013. Deviations: OpenCV's, and the size of a region stands for its place in the
        hierarchy, which OpenCV does not give.

    Example:

    >>> image = np.zeros((40, 60, 3), np.uint8)
    >>> image[10:30, 20:50] = 255
    >>> proposals = selective_search(image, num_proposals=50)
    >>> proposals.shape, [20.0, 10.0, 50.0, 30.0] in proposals.tolist()
    ((50, 4), True)
    """
    _check(num_proposals, quality, scale, min_side)
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"`image` must be (H, W, 3) uint8, got shape {image.shape} of {image.dtype}."
        )
    opencv = need("cv2", extra="proposals")
    height, width = image.shape[:2]
    size = max(2, round(width * scale)), max(2, round(height * scale))
    pixels = np.ascontiguousarray(image[..., ::-1])  # OpenCV's order is blue, green, red
    if size != (width, height):
        how = opencv.INTER_AREA if scale < 1 else opencv.INTER_LINEAR
        pixels = opencv.resize(pixels, size, interpolation=how)
    search = need("cv2.ximgproc.segmentation", extra="proposals")
    search = search.createSelectiveSearchSegmentation()
    search.setBaseImage(pixels)
    start = {
        "single": search.switchToSingleStrategy,
        "fast": search.switchToSelectiveSearchFast,
        "quality": search.switchToSelectiveSearchQuality,
    }
    start[quality]()
    regions = np.asarray(search.process(), np.float32).reshape(-1, 4)  # x, y, width, height
    regions[:, 2:] += regions[:, :2]
    regions *= np.float32([width / size[0], height / size[1]] * 2)
    return _ordered(regions, num_proposals, min_side)


def source_proposals(
    source,
    *,
    num_proposals=500,
    quality="fast",
    scale=1.0,
    min_side=8.0,
    preparation=None,
    verbose=1,
):
    """Proposals for all images of a source, found once and kept on disk.

    They lie in the user's cache folder (`$XDG_CACHE_HOME/kerakit` or `~/.cache/kerakit`) under a
    name made of the images' bytes and the settings, so that any change makes new ones. What
    has been found is written every 200 images: a run that was stopped goes on from there.

    Args:
        source: `IndexedSource` or `StreamSource`.
        num_proposals: R, rows an image.
        quality: As of `selective_search`.
        scale: As of `selective_search`.
        min_side: As of `selective_search`, in pixels of what is searched.
        preparation: `Preparation`: its result is searched, and proposals are in its pixels, those
            of a model's input. None: the image as it is.
        verbose: Whether a progress bar is shown.

    Returns:
        (N, R, 4) float32 xyxy in pixels, in the order of the source; rows of zeros are padding.

    Raises:
        ValueError: If an argument is out of range.
        MissingExtraError: If the package of the extra `proposals` is missing.
    """
    _check(num_proposals, quality, scale, min_side)
    opencv = need("cv2", extra="proposals")
    settings = [_CACHE_VERSION, opencv.__version__, num_proposals, quality, scale, min_side]
    settings.append(preparation and sorted(preparation.to_dict().items()))
    name = hashlib.blake2b(repr(settings).encode(), digest_size=16)
    records = source.encoded_dataset()
    for record in records.as_numpy_iterator():
        name.update(hashlib.blake2b(record["encoded"]).digest())
    cache = _cache_folder() / f"proposals-{name.hexdigest()}.npz"
    proposals = np.zeros((source.size, num_proposals, 4), np.float32)
    found = _read(cache, proposals)
    if found == source.size:
        return proposals
    images = (
        source.dataset()
        if preparation is None
        else records.map(lambda record: {"image": preparation(record["encoded"])})
    )
    bar = keras.utils.Progbar(source.size, unit_name="image", verbose=verbose)
    for number, example in enumerate(images.skip(found).as_numpy_iterator(), start=found):
        proposals[number] = selective_search(
            example["image"],
            num_proposals=num_proposals,
            quality=quality,
            scale=scale,
            min_side=min_side,
        )
        bar.update(number + 1)
        if (number + 1) % _KEPT_EVERY == 0 or number + 1 == source.size:
            _write(cache, proposals[: number + 1])
    return proposals


def _check(num_proposals, quality, scale, min_side):
    if not isinstance(num_proposals, int) or num_proposals < 1:
        raise ValueError(f"`num_proposals` must be a positive integer, got {num_proposals!r}.")
    if quality not in QUALITIES:
        raise ValueError(f"`quality` must be one of {', '.join(QUALITIES)}, got {quality!r}.")
    if not scale > 0:
        raise ValueError(f"`scale` must be positive, got {scale}.")
    if not min_side >= 1:
        raise ValueError(f"`min_side` must be at least 1, got {min_side}.")


def _ordered(regions, num_proposals, min_side):
    sides = regions[:, 2:] - regions[:, :2]
    regions = np.unique(regions[(sides >= min_side).all(axis=1)], axis=0)
    area = (regions[:, 2] - regions[:, 0]) * (regions[:, 3] - regions[:, 1])
    regions = regions[np.argsort(-area, kind="stable")]
    place = np.arange(1, len(regions) + 1) * np.random.default_rng(0).random(len(regions))
    regions = regions[np.argsort(place, kind="stable")][:num_proposals]
    return np.pad(regions, ((0, num_proposals - len(regions)), (0, 0)))


def _cache_folder():
    folder = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(folder) / "kerakit"


def _read(cache, proposals):
    """Fills in what an earlier run has found, and says of how many images."""
    try:
        # Opened here, since NumPy leaves a damaged file open.
        with open(cache, "rb") as file, np.load(file) as arrays:
            found = arrays["proposals"]
        proposals[: len(found)] = found
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return 0  # not there yet, or damaged
    return len(found)


def _write(cache, proposals):
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with replaced(cache) as place, open(place, "wb") as file:
            np.savez_compressed(file, proposals=proposals)
    except OSError:
        pass  # the cache saves time; without it all works
