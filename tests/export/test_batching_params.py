"""Requests that TensorFlow Serving computes together: by which rules, and with the same answers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from kerakit import export
from kerakit.data import FrameSampling, Preparation
from kerakit.models.detection import yolo_n
from kerakit.serve import Settings
from tests.export import segmenters
from tests.export.serving_protos import batching_parameters
from tests.export.tiny import CLASSES, many


def parsed(folder):
    text = (folder / "batching_params.pbtxt").read_text()
    return text_format.Parse(text, batching_parameters()())


def test_the_rules_are_those_of_kerakit_serve(exported):
    params, settings = parsed(exported), Settings()
    assert params.max_batch_size.value == settings.max_batch_size
    assert params.batch_timeout_micros.value == settings.batch_timeout * 10**6
    assert tuple(params.allowed_batch_sizes) == settings.batch_sizes
    assert params.max_enqueued_batches.value * params.max_batch_size.value == settings.queue
    # The server refuses to load the model otherwise.
    assert params.allowed_batch_sizes[-1] == params.max_batch_size.value


def test_a_wrong_field_would_be_noticed():
    with pytest.raises(text_format.ParseError, match="no field named"):
        text_format.Parse("max_batch { value: 32 }", batching_parameters()())


def clips(folder):
    layers = [keras.Input((3, 6, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    export.save(
        keras.Sequential(layers),
        folder,
        preparation=Preparation(height=6, width=5),
        sampling=FrameSampling(frames=3, stride=1),
        classes=CLASSES,
        task="video",
        explain=lambda model, videos: tf.reduce_mean(videos, axis=-1),
    )
    files = many(18)
    return [files[3 * n : 3 * n + 3] for n in range(6)]


def objects(folder):
    export.save(
        yolo_n(input_shape=(32, 32, 3), num_classes=3, width=0.25, max_detections=5),
        folder,
        preparation=Preparation(height=32, width=32, fit="letterbox"),
        classes=CLASSES,
        task="detection",
    )
    return many(6)


@pytest.mark.parametrize("make", [clips, pytest.param(objects, marks=pytest.mark.slow)])
def test_answers_are_the_same_together_and_alone(make, tmp_path):
    """As the server does it: rows joined, filled up with the first of the last, outputs divided."""
    rows = make(tmp_path)
    requests = [rows[:1], rows[1:3], rows[3:]]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "1"))
        signatures = {k: v for k, v in loaded.signature_def.items() if not k.startswith("__")}
        allowed = parsed(tmp_path / "1").allowed_batch_sizes
        assert set(signatures) >= {"serving_default", "tensors"}
        for name, signature in signatures.items():
            (given,) = signature.inputs.values()
            asked = {key: info.name for key, info in signature.outputs.items()}

            def run(batch, place=given.name, asked=asked):
                return session.run(asked, {place: batch})

            parts = [np.array(request, object) for request in requests]
            if name == "tensors":
                shape = [dim.size for dim in given.tensor_shape.dim]
                shape = [3 if size < 0 else size for size in shape[1:]]  # clips of 3 frames
                draw = np.random.default_rng(0)
                parts = [draw.integers(0, 256, (len(r), *shape), np.uint8) for r in requests]
            joined = np.concatenate(parts)
            size = min(n for n in allowed if n >= len(joined))
            together = run(np.concatenate([joined, *[parts[-1][:1]] * (size - len(joined))]))
            assert {len(value) for value in together.values()} == {8}
            start = 0
            for part in parts:
                for key, value in run(part).items():
                    found = together[key][start : start + len(part)]
                    if value.dtype == object:
                        np.testing.assert_array_equal(found, value)
                    else:
                        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-4)
                start += len(part)


def test_masks_are_not_put_together(tmp_path):
    """Each has the size of its image, and would come back filled up to the largest."""
    folder = export.save(
        segmenters.segmenter(size=(16, 16)),
        tmp_path,
        preparation=Preparation(height=16, width=16),
        classes=segmenters.CLASSES,
        task="segmentation",
    )
    assert not (folder / "batching_params.pbtxt").exists()
