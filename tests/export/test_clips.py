import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerakit import export
from kerakit.data import FrameSampling, Preparation
from kerakit.errors import InputError
from kerakit.layers import BatchNormalization, Conv2Plus1D, PaddedConv3D

CLASSES = ("left", "right", "still")
FRAMES = 4
PREPARATION = Preparation(height=12, width=10)
SAMPLING = FrameSampling(frames=FRAMES, stride=2)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    clips = keras.Input((FRAMES, 12, 10, 3))
    x = keras.layers.Rescaling(1 / 255)(clips)
    x = PaddedConv3D(6, 3, strides=(1, 2, 2), use_bias=False)(x)
    x = BatchNormalization()(x)
    x = keras.layers.ReLU()(x)
    x = Conv2Plus1D(4, 3)(x)
    x = keras.layers.GlobalAveragePooling3D()(x)
    model = keras.Model(clips, keras.layers.Dense(3)(x))
    rng = np.random.default_rng(0)
    model.set_weights([abs(rng.normal(0.2, 0.3, w.shape)) + 0.01 for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    return export.save(
        model,
        tmp_path_factory.mktemp("export") / "clips",
        preparation=PREPARATION,
        sampling=SAMPLING,
        classes=CLASSES,
        task="video",
    )


def files(count, rng):
    """Clips of encoded frames, each frame of its own odd size."""
    return [
        [
            tf.io.encode_png(
                rng.integers(0, 256, (*rng.integers(5, 40, 2), 3), dtype=np.uint8)
            ).numpy()
            for _ in range(FRAMES)
        ]
        for _ in range(count)
    ]


@pytest.mark.parametrize("count", [1, 3, 17])
def test_both_signatures_answer_as_predict(count, model, saved, rng):
    encoded = files(count, rng)
    pixels = np.stack([[PREPARATION(frame).numpy() for frame in clip] for clip in encoded])
    expected = model.predict(pixels.astype("float32"), verbose=0)
    signatures = tf.saved_model.load(str(saved)).signatures
    for answer in (
        signatures["serving_default"](frames=tf.constant(encoded)),
        signatures["tensors"](videos=tf.constant(pixels)),
    ):
        np.testing.assert_allclose(answer["logits"], expected, rtol=1e-5, atol=1e-5)
        assert answer["class_id"].numpy().tolist() == expected.argmax(axis=-1).tolist()
        names = [name.decode() for name in answer["class_name"].numpy()]
        assert names == [CLASSES[k] for k in expected.argmax(axis=-1)]


def test_the_card_says_what_goes_in(saved):
    card = json.loads((saved / "card.json").read_text())
    assert card["task"] == "video"
    assert card["sampling"] == {"frames": 4, "stride": 2, "mode": "dense"}
    assert card["frame_rate"] is None
    assert card["preparation"] == {"height": 12, "width": 10, "channels": 3, "fit": "stretch"}
    inputs = {name: signature["inputs"] for name, signature in card["signatures"].items()}
    assert inputs["serving_default"]["frames"]["shape"] == [None, 4]
    assert inputs["tensors"]["videos"]["shape"] == [None, 4, 12, 10, 3]
    assert card["folded"] is True
    assert card["warmup_requests"] == 2


def test_verification_passes_and_finds_a_changed_model(model, saved, rng):
    found = export.verify(saved, model, images=files(2, rng))
    assert found.passed
    assert set(found.refusals) == {
        "clip with one empty file", "clip with one text", "clip with one half a JPEG",
        "clip with a frame too many",
    }  # fmt: skip
    assert "must have 4 frames, got 5" in found.refusals["clip with a frame too many"]
    assert (
        "has a frame, 3 counted from 0, that is not a JPEG, PNG"
        in (found.refusals["clip with one empty file"])
    )
    assert {name.partition(" / ")[0] for name in found.differences} >= {
        "1 clip", "3 clips", "17 clips", "1 x 1 clip", "black clip", "given clips from 0",
    }  # fmt: skip
    other = keras.models.clone_model(model)
    other.set_weights([w * 1.01 for w in model.get_weights()])
    with pytest.raises(export.VerificationError, match="the largest difference is"):
        export.verify(saved, other)


def test_what_cannot_be_answered(saved, rng):
    served = export.Served(saved)
    good, broken, short = *files(2, rng), files(1, rng)[0][:3]
    broken[2] = b"no frame"
    answers = list(served.answer([good, broken, good]))
    assert [isinstance(answer, InputError) for answer in answers] == [False, True, False]
    assert str(answers[1]).startswith("has a frame, 2 counted from 0, that is not a JPEG, PNG,")
    broken[2] = tf.io.encode_jpeg(np.zeros((32, 32, 3), np.uint8)).numpy()[:300]
    answers = list(served.answer([good, broken, short, good, []]))
    assert str(answers[1]).startswith("has a frame, 2 counted from 0, that is damaged or cut short")
    assert [str(answers[i]) for i in (2, 4)] == [f"must have 4 frames, got {n}" for n in (3, 0)]
    np.testing.assert_allclose(answers[3]["logits"], answers[0]["logits"], rtol=1e-5)


@pytest.mark.parametrize(("count", "frames"), [(0, 4), (1, 3), (2, 5)])
def test_batches_that_are_refused(count, frames, saved):
    said = f"must hold {f'4 frames a clip, got {frames}.' if count else 'at least one clip, got'}"
    loaded = tf.saved_model.load(str(saved))
    for signature, inputs in (
        (
            "serving_default",
            {"frames": tf.fill((count, frames), files(1, np.random.default_rng(0))[0][0])},
        ),
        ("tensors", {"videos": tf.zeros((count, frames, 12, 10, 3), tf.uint8)}),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"`{next(iter(inputs))}` {said}"):
            loaded.signatures[signature](**inputs)


def test_given_clips_must_be_clips(model, saved, rng):
    with pytest.raises(ValueError, match="a list of 4 encoded frames, got 3 frames for clip 1"):
        export.verify(saved, model, images=[files(1, rng)[0], files(1, rng)[0][:3]])
    with pytest.raises(ValueError, match="a list of 4 encoded frames, got bytes for clip 0"):
        export.verify(saved, model, images=files(1, rng)[0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sampling": None}, "`sampling` must be a FrameSampling for video"),
        ({"task": "classification"}, "`sampling` must be a FrameSampling for video, and None oth"),
        ({"sampling": FrameSampling(frames=3)}, r"gives clips \(3, 12, 10, 3\), and the model"),
        ({"classes": ("a", "b")}, "`classes` has 2 names, and the model's outputs are"),
    ],
)
def test_what_does_not_fit(options, said, model, tmp_path):
    settings = {
        "preparation": PREPARATION, "sampling": SAMPLING, "classes": CLASSES, "task": "video",
    }  # fmt: skip
    with pytest.raises(ValueError, match=said):
        export.save(model, tmp_path / "export", **{**settings, **options})
    assert not (tmp_path / "export").exists()
