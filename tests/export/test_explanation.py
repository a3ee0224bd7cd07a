import io
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from PIL import Image

from kerakit import explain, export
from kerakit.cli import main
from kerakit.data import FrameSampling, Preparation
from kerakit.errors import InputError
from kerakit.export.explanation import explanation_differences, normalized
from kerakit.export.heat_map_drawn import under_heat
from kerakit.gradients import gradient
from kerakit.models.classification import resnet18, vit_ti_16
from tests.export.tiny import PREPARATION, encoded, many, save_tiny


def saliency(model, images):
    """The gradient of the largest logit, its largest over the channels."""
    (slope,) = gradient(lambda x: ops.max(model(x, training=False), axis=-1), images)
    return ops.max(ops.abs(slope), axis=-1)


@pytest.fixture(scope="session")
def explaining(model, tmp_path_factory):
    """Folder of a version that explains itself."""
    folder = tmp_path_factory.mktemp("explaining") / "tiny"
    return save_tiny(model, folder, explain=saliency)


def linear_model(rng):
    images = keras.Input((4, 6, 3))
    model = keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(images)))
    weights = rng.normal(size=(72, 3))
    model.set_weights([weights - weights.mean(axis=0), np.zeros(3)])  # or all get one class
    return model


def pixels_of(files, preparation=PREPARATION):
    return preparation.batch(tf.constant(files)).numpy()


@pytest.mark.parametrize("task", ["classification", "multi_label"])
def test_of_a_linear_model_the_heat_map_is_its_weights(task, rng, tmp_path):
    model, preparation = linear_model(rng), Preparation(height=4, width=6)
    folder = save_tiny(model, tmp_path, preparation=preparation, explain=saliency, task=task)
    files = many(9)
    weights = np.abs(model.get_weights()[0].reshape(4, 6, 3, 3)).max(axis=2)
    best = model.predict(pixels_of(files, preparation).astype("float32"), verbose=0).argmax(-1)
    assert len(set(best)) > 1
    plain = list(export.Served(folder).answer(files))
    for file, k, answer, known in zip(
        files, best, export.Served(folder).answer(files, explain=True), plain, strict=True
    ):
        expected = (weights[..., k] - weights[..., k].min()) / np.ptp(weights[..., k])
        np.testing.assert_allclose(answer["heat_map"], expected, atol=1e-6)
        width, height = Image.open(io.BytesIO(file)).size
        np.testing.assert_allclose(answer["heat_map_box"], [0, 0, width, height], rtol=1e-6)
        assert set(answer) == {*known, "heat_map", "heat_map_box"}
        for name, value in known.items():
            if np.asarray(value).dtype.kind == "f":
                np.testing.assert_allclose(answer[name], value, rtol=1e-5, atol=1e-5)
            else:
                assert np.array_equal(answer[name], value)


# A file of 40 columns and 20 rows, prepared to 16 x 12.
@pytest.mark.parametrize(
    ("fit", "box"),
    [
        ("stretch", (0, 0, 40, 20)),
        ("letterbox", (0, -5, 40, 25)),  # scaled by 16 / 40: 8 rows, and bars of 2
        ("crop", (20 - 40 / 3, 0, 20 + 40 / 3, 20)),  # by 12 / 20: of 24 columns the middle 16
        ("pad", (0, 0, 16, 12)),
    ],
)
def test_the_box_says_where_the_map_lies_in_the_file(fit, box, model, tmp_path):
    preparation = Preparation(height=12, width=16, fit=fit)
    folder = save_tiny(model, tmp_path, preparation=preparation, explain=saliency)
    (answer,) = export.Served(folder).answer([encoded(20, 40)], explain=True)
    np.testing.assert_allclose(answer["heat_map_box"], box, rtol=1e-5, atol=1e-5)


def test_the_card_and_the_graph_list_it(explaining, exported):
    card = json.loads((explaining / "card.json").read_text())
    assert list(card["signatures"]) == ["serving_default", "tensors", "explain"]
    told = card["signatures"]["explain"]
    assert told["inputs"] == card["signatures"]["serving_default"]["inputs"]
    assert told["outputs"]["heat_map"]["shape"] == [None, 12, 16]
    assert "prepared pixels" in told["outputs"]["heat_map"]["unit"]
    assert "file's image" in told["outputs"]["heat_map_box"]["unit"]
    assert "heat_map" not in card["signatures"]["serving_default"]["outputs"]
    graph = tf.saved_model.load(str(explaining)).signatures["explain"].structured_outputs
    assert {name: spec.shape.as_list() for name, spec in graph.items()} == {
        name: output["shape"] for name, output in told["outputs"].items()
    }
    assert "explain" not in json.loads((exported / "card.json").read_text())["signatures"]


def test_the_weights_are_written_once(explaining, exported):
    sizes = [
        sum(file.stat().st_size for file in (folder / "variables").iterdir())
        for folder in (explaining, exported)
    ]
    assert sizes[0] < sizes[1] * 1.02


@pytest.mark.slow
def test_it_verifies(explaining, model, tmp_path):
    copy = shutil.copytree(explaining, tmp_path / "1")
    result = export.verify(copy, model, images=many(5), explain=saliency)
    assert result.passed
    found = result.differences["17 images / explain"]
    assert {"logits", "heat_map", "heat_map_box"} <= set(found)

    def other(model, images):
        return saliency(model, images)[:, ::-1]

    with pytest.raises(export.VerificationError, match="in heat_map of .* / explain"):
        export.verify(copy, model, explain=other)
    with pytest.raises(ValueError, match="it has a signature `explain`, got None"):
        export.verify(copy, model)


def test_an_export_without_has_none_to_verify(exported, model):
    with pytest.raises(ValueError, match="`explain` must be .* it has no signature `explain`"):
        export.verify(exported, model, explain=saliency)


def test_the_folded_model_is_explained(tmp_path, rng):
    images = keras.Input((12, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(6, 3, use_bias=False, name="conv")(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm")(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(3)(x))
    model.set_weights([abs(rng.normal(0.2, 0.5, w.shape)) + 0.01 for w in model.get_weights()])
    seen = []

    def noted(model, images):
        seen.append([layer.name for layer in model.layers])
        return saliency(model, images)

    folder = save_tiny(model, tmp_path, explain=noted)
    assert "norm" not in seen[0]
    assert "conv" in seen[0]
    assert export.verify(folder, model, explain=saliency, images=many(4)).passed


EXPLANATIONS = {
    "cam": explain.cam,
    "grad_cam": explain.grad_cam,
    "saliency": explain.saliency,
    "smooth_grad": lambda model, images: explain.smooth_grad(model, images, samples=2),
    "attention_rollout": explain.attention_rollout,
}


def small(function, rng):
    if function == "attention_rollout":
        return vit_ti_16(input_shape=(32, 32, 3), num_classes=3, patch_size=8, depth=2, width=0.7)
    images = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(images)
    for features in (8, 12):
        x = keras.layers.Conv2D(features, 3, strides=2, use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(3)(x))
    for weight in model.weights:
        noise = rng.normal(0, 0.3, weight.shape)
        weight.assign(abs(noise) + 0.1 if "variance" in weight.path else noise)
    return model


@pytest.mark.parametrize(
    "function",
    [f if f == "grad_cam" else pytest.param(f, marks=pytest.mark.slow) for f in EXPLANATIONS],
)
def test_kerakits_explanations(function, tmp_path, rng):
    model, preparation = small(function, rng), Preparation(height=32, width=32)

    def values(model, images):
        return EXPLANATIONS[function](model, images).values

    folder = save_tiny(model, tmp_path, preparation=preparation, explain=values)
    assert export.verify(folder, model, explain=values).passed
    files = many(5)
    heat = EXPLANATIONS[function](model, pixels_of(files, preparation)).normalized()
    found = list(export.Served(folder).answer(files, explain=True))
    for answer, expected in zip(found, heat, strict=True):
        assert np.abs(answer["heat_map"] - expected).mean() < 1e-3
        assert np.ptp(answer["heat_map"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("function", ["grad_cam", "saliency"])
def test_of_a_resnet(function, tmp_path):
    model = resnet18(input_shape=(32, 32, 3), num_classes=3, width=0.125)

    def values(model, images):
        return EXPLANATIONS[function](model, images).values

    preparation = Preparation(height=32, width=32)
    folder = save_tiny(model, tmp_path, preparation=preparation, explain=values)
    assert export.verify(folder, model, explain=values).passed


def test_clips(tmp_path):
    keras.utils.set_random_seed(1)
    clips = keras.Input((4, 12, 16, 3))
    x = keras.layers.Conv3D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(clips))
    x = keras.layers.GlobalAveragePooling3D()(x)
    model = keras.Model(clips, keras.layers.Dense(3)(x))
    folder = save_tiny(
        model, tmp_path, task="video", sampling=FrameSampling(frames=4, stride=1), explain=saliency
    )
    result = export.verify(folder, model, explain=saliency)
    assert result.passed
    assert "heat_map" in result.differences["3 clips / explain"]
    files = many(4)
    (answer,) = export.Served(folder).answer([files], explain=True)
    heat = saliency(model, pixels_of(files)[None].astype("float32")).numpy()[0]
    expected = (heat - heat.min()) / np.ptp(heat)
    np.testing.assert_allclose(answer["heat_map"], expected, atol=1e-4)
    assert "heat_map_box" not in answer


def test_it_is_for_classes(model, tmp_path):
    with pytest.raises(ValueError, match="for the tasks classification, .* one for detection"):
        save_tiny(model, tmp_path, task="detection", explain=saliency)
    with pytest.raises(ValueError, match=r"must be a function \(model, images\) .*, got 'cam'"):
        save_tiny(model, tmp_path, explain="cam")
    with pytest.raises(
        ValueError, match=r"heat maps of the images' size \(12, 16\), got \(None, 6, 16\)"
    ):
        save_tiny(model, tmp_path, explain=lambda m, images: saliency(m, images)[:, ::2])
    assert list(tmp_path.iterdir()) == []


def test_normalized_of_a_flat_map_is_nothing():
    heat = tf.constant([[[2.0, 4.0], [3.0, 2.0]], [[5.0, 5.0], [5.0, 5.0]]])
    assert normalized(heat).numpy().tolist() == [[[0, 1], [0.5, 0]], [[0, 0], [0, 0]]]


def explanation(heat, logits, heat_range):
    return {
        "heat_map": np.array([heat], "float32"),
        "logits": np.array([logits]),
        "heat_range": np.array([heat_range]),
    }


@pytest.mark.parametrize(
    ("heat", "logits", "heat_range", "difference"),
    [
        ([[0.5, 1.0]], [1.0, 2.0], 4.0, 0.125),  # half of one of two cells, squared
        ([[0.5, 1.0]], [1.0, 2.0], 1.0, 0.125 / 16),  # a map a quarter as strong
        ([[1.0, 0.0]], [1.0, 2.0], 0.0, 0.0),  # rounding, scaled to 1
        ([[1.0, 0.0]], [2.0, 1.9999], 4.0, 0.0),  # of another class; `class_id` counts that
        ([[np.nan, 0.0]], [1.0, 2.0], 0.0, np.inf),
    ],
)
def test_differences(heat, logits, heat_range, difference):
    expected = explanation([[0.0, 1.0]], [1.0, 2.0], heat_range)
    served = explanation(heat, logits, heat_range)
    found = explanation_differences(expected, served, largest=4.0)
    assert found == {"heat_map": pytest.approx(difference)}


def test_predict_draws_it(explaining, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(encoded(30, 44, seed=1))
    (tmp_path / "b.jpg").write_bytes(encoded(20, 9, kind="JPEG", seed=2))
    assert main(["predict", str(explaining), "a.png", "b.jpg", "--explain", "heat"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["a.png", "b.jpg"]
    with Image.open("heat/a.png") as drawn, Image.open("a.png") as original:
        pixels = np.asarray(drawn, int)[:240]
        left, right = pixels[:, :352], pixels[:, -352:]
        assert np.array_equal(left[::8, ::8], np.asarray(original))
    assert 10 < np.abs(right - left).mean() < 200
    with Image.open("heat/b.png") as drawn:
        assert drawn.width == 2 * 9 * 16 + 8


def test_predict_says_where_there_is_none(exported, explaining, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(encoded(30, 44))
    with pytest.raises(SystemExit):
        main(["predict", str(exported), "a.png", "--explain", "heat"])
    assert "has no signature `explain`; export the model with" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["predict", str(explaining), "a.png", "--explain", "."])
    assert "--explain . would overwrite a.png" in capsys.readouterr().err
    with pytest.raises(InputError, match="has no signature `explain`"):
        next(export.Served(exported).answer([encoded(3, 3)], explain=True))


@pytest.mark.parametrize("box", [(0, 0, 80, 40), (-20, -40, 100, 80), (20, 10, 60, 30)])
def test_the_map_is_drawn_where_its_box_says(box):
    heat = np.zeros((40, 80), np.float32)
    heat[20:, 40:] = 1.0  # the lower right quarter of the box
    picture = under_heat(Image.new("RGB", (80, 40), "black"), heat, box)
    hot = np.asarray(picture).sum(axis=-1) > 300
    expected = np.zeros((40, 80), bool)
    expected[(box[1] + box[3]) // 2 : box[3], (box[0] + box[2]) // 2 : box[2]] = True
    assert expected.any()
    assert (hot != expected).mean() < 0.02  # interpolation, at the edges
