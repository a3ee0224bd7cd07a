"""Videos in a folder a class: `clips:DIR`."""

from kerakit.data.class_folders import FileKind, files_by_class
from kerakit.data.clip_cache import cached_clips
from kerakit.data.complaint import refused_files
from kerakit.data.source import Data
from kerakit.data.video_file import EXTENSIONS

_VIDEOS = FileKind(
    source="clips", one="video", many="videos", example="VIDEO.mp4", extensions=EXTENSIONS
)


def load_clips(directory, *, seed, val_fraction, group_by, skip_bad, frame_rate=None):
    """Reads DIR/train/CLASS/* and DIR/val/CLASS/*, or DIR/CLASS/* split by a hash of the name.

    Videos are decoded once, with a progress bar: their frames, the short side at most 256 pixels,
    lie as JPEG of quality 95 in the user's cache from then on; see `cached_clips`.

    Args:
        directory: The folder.
        seed: Salt of the hash.
        val_fraction: Share held out where DIR has no train and val, about; in (0, 1).
        group_by: None, or a regular expression, as of `load_folder`.
        frame_rate: Frames a second to which videos are put first; None for each one's own.
        skip_bad: Leave out what is bad with a warning, rather than stop.

    Returns:
        `Data`.

    Raises:
        InputError: If the folder is not laid out so, or a file cannot be read.
    """
    cached, position = None, {}

    def refused(paths):
        nonlocal cached
        cached = cached_clips(paths, root=directory, frame_rate=frame_rate)
        position.update((path, number) for number, path in enumerate(paths))
        return refused_files(cached.faults, skip_bad=skip_bad)

    classes, files = files_by_class(
        directory,
        _VIDEOS,
        refused,
        seed=seed,
        val_fraction=val_fraction,
        group_by=group_by,
        skip_bad=skip_bad,
    )

    def source(part):
        chosen = [(position[path], label) for path, label in files[part]]
        return cached.source(*map(list, zip(*sorted(chosen), strict=True)))

    return Data(
        train_source=source("train"),
        val_source=source("val"),
        classes=classes,
        name=f"clips:{directory}",
        task="video",
    )
