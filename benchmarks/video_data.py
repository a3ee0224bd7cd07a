"""Decoding videos into the cache beside a plain PyAV loop, and clips a second from the cache.

    python -m benchmarks.video_data [FOLDER] [--rounds 9] [--json FILE]

FOLDER has videos in a folder a class (default: `video-motion-direction-ir`, 515 thermal clips of
16 frames of 96 x 96, in the folder that KERAKIT_DATA names). A pass of kerakit decodes every
video with a thread a core, encodes the frames as JPEG, writes them to an empty cache and reads
them back; the loop opens one video after the other, one thread each, and decodes all frames to
RGB arrays, which it drops. Then: clips a second that `ClipBatches` gives in batches of 16, 16
frames of 96 x 96 each, from the frames that it prepared once, and where they do not fit into
memory and each batch is decoded from JPEG.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import functools
import itertools
import pathlib
import shutil
import tempfile
import time

import av
import numpy as np

from benchmarks.alternate import alternate, command_line, report
from kerakit.data import ClipBatches, FrameSampling, Preparation, batches, load
from kerakit.data.clip_cache import cached_clips
from kerakit.data.video_file import EXTENSIONS

BATCH, FRAMES, SIZE, STEPS = 16, 16, 96, 100


def cached_pass(paths, root, cache):
    shutil.rmtree(cache, ignore_errors=True)
    return cached_clips(paths, root=root, verbose=0)


def plain_pass(paths):
    for path in paths:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])


def clips_a_second(source, *, limit):
    """Of training batches, after the first few, with so many bytes for prepared frames."""
    batches.MEMORY_LIMIT = limit
    preparation = Preparation(height=SIZE, width=SIZE)
    sampling = FrameSampling(frames=FRAMES)
    made = ClipBatches(source, preparation, sampling, batch_size=BATCH, seed=0).starting_at(0)
    running = iter(made)
    for _ in itertools.islice(running, 5):
        pass
    start = time.perf_counter()
    for _ in itertools.islice(running, STEPS):
        pass
    return STEPS * BATCH / (time.perf_counter() - start)


def main():
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, help="videos in a folder a class")
    options = parser.parse_args()
    root = options.folder or pathlib.Path(os.environ["KERAKIT_DATA"], "video-motion-direction-ir")
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in EXTENSIONS)
    with tempfile.TemporaryDirectory() as scratch:
        cache = pathlib.Path(scratch) / "cache"
        os.environ["KERAKIT_CACHE"] = str(cache)
        contestants = {
            "kerakit": functools.partial(cached_pass, paths, root, cache),
            "PyAV loop": functools.partial(plain_pass, paths),
        }
        work = f"decode {len(paths)} videos"
        comparison = alternate(work, contestants, rounds=options.rounds, warmup=1)
        size = sum(file.stat().st_size for file in cache.iterdir())
        source = load(f"clips:{root}", task="video").train_source
    rates = {name: len(paths) / comparison.median(name) for name in contestants}
    print("clips a second, decoding: " + ", ".join(f"{n} {r:.0f}" for n, r in rates.items()))
    print(f"cache: {size / 1e6:.1f} MB")
    limits = {"prepared once": batches.MEMORY_LIMIT, "from JPEG": 0}
    read = {name: clips_a_second(source, limit=limit) for name, limit in limits.items()}
    print(
        f"clips a second, in batches of {BATCH} x {FRAMES} x {SIZE} x {SIZE}: "
        + ", ".join(f"{name} {rate:,.0f}" for name, rate in read.items())
    )
    report([comparison], json_file=options.json, clips_a_second=read, cache_bytes=size)


if __name__ == "__main__":
    main()
