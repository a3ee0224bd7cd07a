"""Videos decoded once: their frames as JPEG in a file that later runs read."""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib

import keras
import numpy as np
import tensorflow as tf

from kerakit.atomic import replaced
from kerakit.data import clip_source
from kerakit.data.clip_source import StreamedClips, decode_upright_jpeg, held_clips
from kerakit.data.video_file import read_video
from kerakit.errors import InputError
from kerakit.extras import need

_VERSION = 2
# Of what is kept of a frame: the pixels that its short side has at most, and JPEG's quality.
SHORT_SIDE, JPEG_QUALITY = 256, 95
_FEATURES = {"frames": tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CachedClips:
    """The videos of a set, decoded.

    Attributes:
        file: TFRecord with a `tf.train.Example` a video, whose `frames` are JPEG files.
        counts: (N,) frames of each video; 0 for one that cannot be read.
        faults: Dict from the path of such a one to what is wrong with it, one sentence without
            its full stop.
        frames: Strings, the frames of all videos one after the other; None where they are too
            many to be held in memory.
    """

    file: pathlib.Path
    counts: np.ndarray
    faults: dict
    frames: tf.Tensor | None

    def source(self, positions, labels):
        """Source of some of the videos.

        Args:
            positions: (M,) which ones, ascending.
            labels: (M,) their classes.

        Returns:
            `IndexedClips`, or `StreamedClips` where the frames are not held in memory.
        """
        counts = self.counts[positions]
        if self.frames is not None:
            starts = (np.cumsum(self.counts) - self.counts)[positions]
            return held_clips(self.frames, starts, counts, labels, decode_frame=decode_upright_jpeg)
        place = np.full(len(self.counts), -1, np.int32)
        place[positions] = np.arange(len(positions))
        place, labels = tf.constant(place), tf.constant(labels, tf.int32)

        def clip(position, record):
            number = place[position]
            return {**_parsed(record), "label": labels[number], "example_id": number}

        records = tf.data.TFRecordDataset(str(self.file)).enumerate()
        records = records.filter(lambda position, _: place[position] >= 0)
        clips = records.map(clip, num_parallel_calls=tf.data.AUTOTUNE)
        return StreamedClips(counts, clips, decode_frame=decode_upright_jpeg)


def cached_clips(paths, *, root, frame_rate=None, verbose=1):
    """Decodes videos in parallel into the user's cache, or finds them there.

    The cache lies in `$KERAKIT_CACHE`, or `$XDG_CACHE_HOME/kerakit`, or `~/.cache/kerakit`, a file
    for each folder and setting. It counts as long as names, sizes and times of the videos are the
    same, and is whole; otherwise it is made again, and takes the old one's place when it is done.

    Args:
        paths: N paths of video files, all under `root`.
        root: Folder of the set.
        frame_rate: Frames a second to which each video is put; None for its own.
        verbose: 0 for no progress bar.

    Returns:
        `CachedClips`.

    Raises:
        InputError: If the cache cannot be written.
    """
    settings = {"frame_rate": frame_rate, "short_side": SHORT_SIDE, "quality": JPEG_QUALITY}
    name = _digest([os.path.abspath(root), settings])
    file = _cache_folder() / f"clips-{name}.tfrecord"
    names = [os.path.relpath(path, root) for path in paths]  # however the folder is named
    key = _digest([[name, *_stamp(path)] for name, path in zip(names, paths, strict=True)])
    found = _read(file, key, paths)
    if found is None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(file, key, paths, settings, verbose)
        except (OSError, tf.errors.OpError) as error:
            raise InputError(
                f"The decoded clips cannot be written to {file.parent} ({_reason(error)}): set "
                "KERAKIT_CACHE to a folder with room for them."
            ) from error
        found = _read(file, key, paths)
    if found is None:
        raise InputError(f"{file} cannot be read although it was just written: is the disk sound?")
    return found


def _reason(error):
    return getattr(error, "strerror", None) or getattr(error, "message", error)


def _cache_folder():
    own = os.environ.get("KERAKIT_CACHE")
    shared = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(own) if own else pathlib.Path(shared) / "kerakit"


def _digest(values):
    return hashlib.blake2b(json.dumps(values).encode(), digest_size=16).hexdigest()


def _stamp(path):
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def _about(file):
    """What is noted of a cache: written after it, so that it is whole where this is there."""
    return file.with_suffix(".json")


def _write(file, key, paths, settings, verbose):
    need("av", extra="video")  # asked here: in a thread it would look like a fault of a video

    def encoded(path):
        try:
            video = read_video(
                path,
                frame_rate=settings["frame_rate"],
                short_side=settings["short_side"],
                threads=1,
            )
        except InputError as error:
            return str(error).removesuffix("."), []
        with tf.device("CPU:0"):
            return None, [
                tf.io.encode_jpeg(frame, quality=settings["quality"]).numpy()
                for frame in video.frames
            ]

    bar = keras.utils.Progbar(len(paths), unit_name="video", verbose=verbose)
    counts, faults = [], {}
    about = {"version": _VERSION, "key": key, "counts": counts, "faults": faults}
    with (
        replaced(file, shared=True) as new,
        tf.io.TFRecordWriter(str(new)) as writer,
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        try:
            for fault, frames in pool.map(encoded, paths):
                feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=frames))
                features = tf.train.Features(feature={"frames": feature})
                writer.write(tf.train.Example(features=features).SerializeToString())
                counts.append(len(frames))
                if fault is not None:
                    faults[len(counts) - 1] = fault
                bar.update(len(counts))
        except BaseException:
            pool.shutdown(cancel_futures=True)  # or what is left would be decoded first
            raise
    about["bytes"] = file.stat().st_size
    with replaced(_about(file), shared=True) as new:
        new.write_text(json.dumps(about))


def _read(file, key, paths):
    """`CachedClips`, or None if there is no cache of this key, or it is damaged."""
    try:
        about = json.loads(_about(file).read_text())
        if (about["version"], about["key"]) != (_VERSION, key):
            return None
        if about["bytes"] != file.stat().st_size or len(about["counts"]) != len(paths):
            return None
        counts, faults = np.array(about["counts"], np.int64), about["faults"]
        frames = None
        if about["bytes"] <= clip_source.HELD_LIMIT:
            frames = _all_frames(file, counts)
    except (OSError, ValueError, KeyError, TypeError, tf.errors.OpError):
        return None
    return CachedClips(
        file=file,
        counts=counts,
        faults={paths[int(number)]: fault for number, fault in faults.items()},
        frames=frames,
    )


def _all_frames(file, counts):
    """Strings (F,); the records' checksums are compared on the way."""
    records = tf.data.TFRecordDataset(str(file)).map(_parsed, num_parallel_calls=tf.data.AUTOTUNE)
    found = [record["frames"] for record in records.prefetch(8).as_numpy_iterator()]
    if [len(frames) for frames in found] != counts.tolist():
        raise ValueError("another number of frames than was noted")
    with tf.device("CPU:0"):
        return tf.constant(np.concatenate(found) if found else [], tf.string)


def _parsed(record):
    return tf.io.parse_single_example(record, _FEATURES)
