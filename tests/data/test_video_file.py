import re

import av
import numpy as np
import pytest

from kerakit.data import read_video
from kerakit.errors import InputError
from tests.reference.video_files import CODECS, numbers, picture, rotate, write_video


@pytest.mark.parametrize("suffix", CODECS)
def test_each_container_gives_the_frames_written(suffix, tmp_path):
    video = read_video(write_video(tmp_path / f"a{suffix}"))
    assert numbers(video.frames) == [0, 1, 2, 3, 4, 5]
    assert video.frame_rate == pytest.approx(10, rel=1e-6)
    np.testing.assert_allclose(video.times, np.arange(6) / 10, rtol=1e-6)
    for number, frame in enumerate(video.frames):
        assert (frame.dtype, frame.shape) == (np.uint8, (48, 64, 3))
        # 256 colours leave a gif a dithered picture: its means are right.
        found = [frame[:12, :16].mean(), frame[:12, 20:].mean(), frame[16:].mean()]
        np.testing.assert_allclose(found, [255, 20 * number, 20 * number], atol=8)


def test_one_frame_is_a_video(tmp_path):
    video = read_video(write_video(tmp_path / "a.mp4", 1))
    assert len(video.frames) == 1
    assert video.times.tolist() == [0.0]
    assert video.frame_rate == 10


@pytest.mark.parametrize(
    ("degrees", "turns"),
    [(0, 0), (90, -1), (180, 2), (270, 1)],  # clockwise as tagged, counterclockwise as NumPy counts
)
def test_a_rotation_tag_is_applied(degrees, turns, tmp_path):
    path = write_video(tmp_path / "a.mp4", 2)
    stored = read_video(path).frames
    shown = read_video(rotate(path, degrees)).frames
    assert shown[0].shape == ((48, 64, 3) if degrees % 180 == 0 else (64, 48, 3))
    for one, other in zip(stored, shown, strict=True):
        np.testing.assert_array_equal(np.rot90(one, turns), other)
    small = read_video(path, short_side=24).frames[0]
    assert small.shape == ((24, 32, 3) if degrees % 180 == 0 else (32, 24, 3))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_variable_rate_becomes_even(suffix, tmp_path):
    # Six frames in a second: three at once, one that stays, two more.
    video = read_video(write_video(tmp_path / f"a{suffix}", pts=[0, 40, 80, 120, 700, 1000]))
    assert video.frame_rate == pytest.approx(5)
    np.testing.assert_allclose(video.times, np.arange(6) / 5)
    assert numbers(video.frames) == [0, 3, 3, 3, 4, 5]


def test_a_rate_that_varies_by_rounding_keeps_its_frames(tmp_path):
    video = read_video(write_video(tmp_path / "a.mkv", pts=[0, 33, 67, 100, 133, 167]))
    assert numbers(video.frames) == [0, 1, 2, 3, 4, 5]
    assert video.frame_rate == pytest.approx(30, rel=0.01)


def test_a_rate_that_is_given(tmp_path):
    path = write_video(tmp_path / "a.mp4")  # 0.6 seconds
    half, double = read_video(path, frame_rate=5), read_video(path, frame_rate=20)
    assert numbers(half.frames) == [0, 2, 4]
    assert numbers(double.frames) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert (half.frame_rate, double.frame_rate) == (5, 20)
    np.testing.assert_allclose(half.times, [0, 0.2, 0.4])
    assert numbers(read_video(path, frame_rate=0.1).frames) == [0]
    assert numbers(read_video(path, frame_rate=10).frames) == [0, 1, 2, 3, 4, 5]


def test_the_short_side_shrinks_and_never_grows(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    assert {frame.shape for frame in read_video(path, short_side=24).frames} == {(24, 32, 3)}
    assert read_video(path, short_side=48).frames[0].shape == (48, 64, 3)
    np.testing.assert_array_equal(
        read_video(path, short_side=500).frames[3], read_video(path).frames[3]
    )
    # Against the mean of 2 x 2 pixels; the corner's edge lies between two of them.
    halved = picture(3).astype(float).reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(read_video(path, short_side=24).frames[3] - halved).mean() < 5


def cut(path, share):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    return path


def noisy(path, **options):
    """Half a second of noise: enough bytes to cut into."""
    import av

    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(CODECS[path.suffix][0], rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for _ in range(8):
            pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def message(path, **options):
    with pytest.raises(InputError) as error:
        read_video(path, **options)
    said = str(error.value)
    assert "\n" not in said
    assert said.startswith(str(path))
    return said


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    said = f"{tmp_path}/a.mp4 cannot be read as a video (Invalid data found when processing input)."
    for content in (b"", b"a text that someone renamed" * 20):
        (tmp_path / "a.mp4").write_bytes(content)
        assert message(tmp_path / "a.mp4") == said
    assert message(cut(noisy(tmp_path / "a.mp4"), 0.6)) == said  # its index stands at the end
    with_index = noisy(tmp_path / "b.mp4", movflags="faststart")
    assert re.search(
        r"b.mp4 cannot be read as a video \(Invalid data found when processing input after \d "
        r"frames\).",
        message(cut(with_index, 0.8)),
    )
    assert "is broken after" in message(cut(noisy(tmp_path / "c.avi"), 0.8))
    assert message(tmp_path / "none.mp4") == f"{tmp_path}/none.mp4: there is no such file."
    assert message(tmp_path) == f"{tmp_path}: this is a folder, not a file."


def test_sound_alone_is_no_video(tmp_path):
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert message(path) == f"{path} cannot be read as a video (it has no pictures in it)."


@pytest.mark.parametrize("name", ["frame_rate", "short_side"])
def test_settings_must_be_positive(name, tmp_path):
    with pytest.raises(ValueError, match=f"`{name}` must be positive, got 0"):
        read_video(tmp_path / "a.mp4", **{name: 0})


def test_titles_that_are_not_utf8_and_names_with_a_colon(tmp_path, monkeypatch):
    path = write_video(tmp_path / "plain.avi")
    with av.open(str(path)) as given, av.open(str(tmp_path / "titled.avi"), "w") as made:
        made.metadata["title"] = "XXXXYYYY"
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    content = (tmp_path / "titled.avi").read_bytes()
    assert b"XXXXYYYY" in content
    (tmp_path / "12:30.avi").write_bytes(content.replace(b"XXXXYYYY", b"caf\xe9 \xfcx"))
    monkeypatch.chdir(tmp_path)
    expected = read_video(path).frames
    found = read_video("12:30.avi").frames
    assert len(found) == len(expected)
    np.testing.assert_array_equal(found, expected)
