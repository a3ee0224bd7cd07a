import io
import json
import logging
import os
import resource
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerakit import export
from kerakit.errors import InputError
from tests.export.tiny import CLASSES, PREPARATION, encoded, many, save_tiny, tiny_model


@pytest.fixture(scope="module")
def signatures(exported):
    loaded = tf.saved_model.load(str(exported))
    signatures = dict(loaded.signatures)
    signatures["kept alive by"] = loaded
    return signatures


def both(signatures, files):
    """Answers to the same files through both signatures."""
    pixels = PREPARATION.batch(tf.constant(files, tf.string))
    yield signatures["serving_default"](image_bytes=tf.constant(files, tf.string))
    yield signatures["tensors"](images=pixels)


@pytest.mark.parametrize("count", [1, 3, 17])
def test_answers_as_predict_does(count, signatures, model):
    files = many(count)
    pixels = PREPARATION.batch(tf.constant(files)).numpy().astype("float32")
    logits = model.predict(pixels, verbose=0).astype("float64")
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    for answer in both(signatures, files):
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(answer["probabilities"], probabilities, rtol=0, atol=1e-5)
        np.testing.assert_allclose(answer["logits"], logits, rtol=0, atol=1e-5 * abs(logits).max())
        np.testing.assert_array_equal(answer["class_id"], logits.argmax(axis=1))
        names = [name.decode() for name in answer["class_name"].numpy()]
        assert names == [CLASSES[k] for k in logits.argmax(axis=1)]


def test_is_what_numpy_computes(tmp_path, rng):
    # Images of the model's own size, so that nothing is resized: pixels times weights.
    weights = rng.normal(size=(12 * 16 * 3, 3)).astype("float32") / 255
    model = keras.Sequential(
        [keras.Input((12, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(3, use_bias=False)]
    )
    model.layers[-1].set_weights([weights])
    served = export.Served(save_tiny(model, tmp_path / "linear"))
    files = [encoded(12, 16, seed=seed) for seed in range(4)]
    pixels = [np.asarray(Image.open(io.BytesIO(file))) for file in files]
    answers = served.answer(files)
    for image, answer in zip(pixels, answers, strict=True):
        logits = image.reshape(-1).astype("float64") @ weights
        np.testing.assert_allclose(answer["logits"], logits, rtol=1e-5, atol=1e-4)
        assert answer["class_id"] == logits.argmax()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("L", "PNG"),
     ("RGBA", "PNG"), ("RGB", "BMP"), ("L", "GIF")],
)  # fmt: skip
def test_formats(mode, kind, signatures, model):
    file = encoded(23, 9, mode=mode, kind=kind)
    pixels = PREPARATION.batch(tf.constant([file])).numpy().astype("float32")
    expected = keras.ops.softmax(model.predict(pixels, verbose=0))
    for answer in both(signatures, [file]):
        np.testing.assert_allclose(answer["probabilities"], expected, rtol=0, atol=1e-5)


def test_an_empty_batch_is_refused(signatures):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="`image_bytes` must hold at least one"
    ):
        signatures["serving_default"](image_bytes=tf.constant([], tf.string))
    with pytest.raises(tf.errors.InvalidArgumentError, match="`images` must hold at least one"):
        signatures["tensors"](images=tf.zeros((0, 12, 16, 3), tf.uint8))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (b"", "Image 1 of the batch .* is not a JPEG, PNG, GIF or BMP image: it has 0 bytes"),
        (b"Dear all,", "Image 1 .* begins with the bytes 44 65 61 72"),
        (encoded(40, 40, kind="JPEG")[:600], "Invalid JPEG data"),
        (encoded(40, 40)[:600], "Invalid PNG data"),
    ],
)
def test_broken_images_are_refused_and_the_next_is_answered(broken, said, signatures):
    good = encoded(5, 5)
    answer = signatures["serving_default"]
    before = answer(image_bytes=tf.constant([good]))["logits"]
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        answer(image_bytes=tf.constant([good, broken]))
    np.testing.assert_array_equal(answer(image_bytes=tf.constant([good]))["logits"], before)


def test_half_precision_models_answer_in_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = tiny_model()
    finally:
        keras.config.set_dtype_policy("float32")
    answer = next(export.Served(save_tiny(model, tmp_path / "half")).answer([encoded(5, 5)]))
    assert answer["probabilities"].dtype == np.float32
    assert float(answer["probabilities"].sum()) == pytest.approx(1.0, abs=1e-6)


def test_card_and_asset(exported, model):
    card = json.loads((exported / "card.json").read_text(encoding="utf-8"))
    assert (exported / "assets/classes.txt").read_text(encoding="utf-8") == "ant\nbée\n日本 cat\n"
    assert card["classes"] == list(CLASSES)
    assert card["name"] == "tiny"
    assert card["task"] == "classification"
    assert card["licence"] == "CC0-1.0"
    assert card["recipe"] is None
    assert card["preparation"] == {"height": 12, "width": 16, "channels": 3, "fit": "stretch"}
    # 3 x 3 x 3 x 8 + 8, 4 x 8 of which 16 are moving averages, 5 x 7 x 8 x 3 + 3
    convolution, dense, pixels, features = 5 * 7 * 8 * 27, 5 * 7 * 8 * 3, 12 * 16 * 3, 5 * 7 * 8
    assert card["cost"] == {
        "parameters": 1099,
        "trainable_parameters": 1083,
        "macs": convolution + dense,
        # Rescaling 2 an element, ReLU 1, batch normalisation 2.
        "flops": 2 * (convolution + dense) + 2 * pixels + 3 * features,
        # Of rescaling, convolution, normalisation and head, 4 bytes each.
        "activation_bytes": 4 * (pixels + 2 * features + 3),
        "receptive_field": ["all", "all"],
        "local_receptive_field": [3, 3],
        "uncounted": {},
    }
    assert card["versions"]["tensorflow"] == tf.__version__

    loaded = tf.saved_model.load(str(exported))
    for name, written in card["signatures"].items():
        signature = loaded.signatures[name]
        (arguments,) = [signature.structured_input_signature[1]]
        for described, specs in (
            (written["inputs"], arguments),
            (written["outputs"], signature.structured_outputs),
        ):
            assert described.keys() == specs.keys()
            for key, spec in specs.items():
                assert described[key]["dtype"] == spec.dtype.name
                assert described[key]["shape"] == spec.shape.as_list()


def test_card_takes_what_programs_have(tmp_path, model):
    figures = {"accuracy": np.float32(0.5), "loss": float("nan"), "folder": tmp_path, "n": (1, 2)}
    folder = save_tiny(model, tmp_path / "tiny", card={"metrics": figures})
    metrics = json.loads((folder / "card.json").read_text())["metrics"]
    assert metrics == {"accuracy": 0.5, "loss": None, "folder": tmp_path.name, "n": [1, 2]}


def test_weights_are_written_once(exported, model):
    written = tf.train.list_variables(str(exported / "variables" / "variables"))
    shapes = sorted(tuple(shape) for name, shape in written if name.endswith("VARIABLE_VALUE"))
    # What the answers do not use, such as the state of the dropout, is left out.
    assert shapes == sorted(tuple(weight.shape) for weight in model.weights)


def test_nothing_tells_where_it_was_made(exported):
    for file in exported.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert str(exported.parents[1]).encode() not in content, file
            assert os.path.dirname(export.__file__).encode() not in content, file


def test_versions_count_up(tmp_path, model):
    base = tmp_path / "models" / "tiny"
    assert save_tiny(model, base).name == "1"
    assert save_tiny(model, base, version=7).name == "7"
    (base / "notes").mkdir()
    assert save_tiny(model, base).name == "8"
    with pytest.raises(InputError, match=r"tiny/7 exists already; give another version"):
        save_tiny(model, base, version=7)
    assert sorted(path.name for path in base.iterdir()) == ["1", "7", "8", "notes"]


def test_others_may_read_it(exported):
    umask = os.umask(0)
    os.umask(umask)
    for folder in (exported, exported / "variables"):
        assert folder.stat().st_mode & 0o777 == 0o777 & ~umask


def test_a_full_disk_leaves_nothing(tmp_path, model):
    # The system refuses to let any file grow beyond 2,000 bytes, TensorFlow's too.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(InputError) as caught:
            save_tiny(model, tmp_path / "models")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == (
        f"{tmp_path}/models/1 cannot be written (File too large); nothing was left there."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_failure_at_the_end_leaves_the_versions_before(tmp_path, model, monkeypatch):
    save_tiny(model, tmp_path / "models")
    with pytest.raises(ValueError, match="`card` may hold recipe, .* got 'colour' too"):
        save_tiny(model, tmp_path / "models", card={"colour": "red"})

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kerakit.export.savedmodel.write_card", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_tiny(model, tmp_path / "models")
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["1"]


def test_a_file_in_the_way(tmp_path, model):
    (tmp_path / "models").write_text("")
    with pytest.raises(InputError, match=r"models/1 cannot be written \(a file stands where a"):
        save_tiny(model, tmp_path / "models")


def test_warm_up_requests(tmp_path, model):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    folder = save_tiny(model, tmp_path / "tiny")
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    records = [logs.PredictionLog.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(file))]
    requests = [record.predict_log.request for record in records]
    assert [r.model_spec.signature_name for r in requests] == ["serving_default", "tensors"]
    loaded = tf.saved_model.load(str(folder))
    for request in requests:
        inputs = {name: tf.constant(tf.make_ndarray(p)) for name, p in request.inputs.items()}
        answer = loaded.signatures[request.model_spec.signature_name](**inputs)
        assert answer["probabilities"].shape == (1, 3)
    assert json.loads((folder / "card.json").read_text())["warmup_requests"] == 2


def test_without_the_extra_the_log_says_so(tmp_path, model, monkeypatch, caplog):
    for name in [name for name in sys.modules if name.startswith("tensorflow_serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorflow_serving", None)
    with caplog.at_level(logging.WARNING, logger="kerakit.export"):
        folder = save_tiny(model, tmp_path / "tiny")
    assert [record.getMessage() for record in caplog.records] == [
        "No warm-up requests for TensorFlow Serving were written: pip install kerakit[serve]"
    ]
    assert not (folder / "assets.extra").exists()
    assert json.loads((folder / "card.json").read_text())["warmup_requests"] == 0


def test_only_from_tensorflow(tmp_path, model, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="Keras runs on jax; save the model with"):
        save_tiny(model, tmp_path / "tiny")


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (("ant", "bee", "ant"), "Two classes are both called 'ant'; each needs its own name."),
        (("ant", "bee", ""), "A class is called ''; a name is one line of text"),
        (("ant", "bee", "a\nb"), r"A class is called 'a\\nb'; a name is one line of text"),
        (("ant", "bee", " cat"), "A class is called ' cat'; a name is one line of text"),
    ],
)
def test_names_of_classes(classes, said, tmp_path, model):
    with pytest.raises(InputError, match=said):
        save_tiny(model, tmp_path / "tiny", classes=classes)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"classes": ("ant", "bee")}, r"`classes` has 2 names, and the model's outputs are \(3,\)"),
        (
            {"task": "poetry"},
            "`task` must be one of classification, multi_label, detection, "
            "instance_segmentation, segmentation, video, got 'poetry'",
        ),
        ({"threshold": 0.7}, "`threshold` is for several labels an image, got 0.7"),
        ({"task": "multi_label", "threshold": 1}, "`threshold` must be between 0 and 1, got 1"),
        ({"version": 0}, "`version` must be a whole number from 1, got 0"),
    ],
)
def test_arguments(options, said, tmp_path, model):
    with pytest.raises(ValueError, match=said):
        save_tiny(model, tmp_path / "tiny", **options)


def test_model_and_preparation_must_fit(tmp_path):
    other = keras.Sequential(
        [keras.Input((9, 9, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    with pytest.raises(
        ValueError, match=r"gives images \(12, 16, 3\), and the model takes \(9, 9, 1"
    ):
        save_tiny(other, tmp_path / "tiny")


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_are_no_logits(activation, tmp_path):
    layers = [keras.Input((12, 16, 3)), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(3, activation=activation, name="head")])
    with pytest.raises(ValueError, match="must end in logits, and its last layer 'head'"):
        save_tiny(model, tmp_path / "tiny")
