"""Answers over HTTP are those of the export, also of many at once, and counted."""

import concurrent.futures
import contextlib
import gc
import http.client
import json
import shutil
import statistics
import threading
import time
import weakref

import numpy as np
import pytest
import tensorflow as tf

from kerakit import export
from kerakit.export.requests import asked_by
from kerakit.export.warmup import write_warmup
from kerakit.serve.version import _warmup_requests
from tests.export.tiny import CLASSES, PREPARATION, encoded, many
from tests.serve.client import b64, serving


def assert_equal(found, expected):
    """An answer in JSON, and one of `Served.answer`."""
    assert set(found) == set(expected)
    for name, value in expected.items():
        if isinstance(value, bytes):
            assert found[name] == value.decode()
        else:
            np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def expected(models):
    """Function from a model's name and files to the answers of the export, one by one."""
    served = {name: export.Served(models / name) for name in ("tiny", "clips", "masks")}
    return lambda name, files: [next(served[name].answer([file])) for file in files]


def test_images_in_rows_and_in_columns(client, expected):
    files = many(9)
    answers = expected("tiny", files)
    for instances in ([b64(f) for f in files], [{"image_bytes": b64(f)} for f in files]):
        status, found = client.predict({"instances": instances})
        assert status == 200
        for row, answer in zip(found["predictions"], answers, strict=True):
            assert_equal(row, answer)
    for inputs in ([b64(f) for f in files], {"image_bytes": [b64(f) for f in files]}):
        _, found = client.predict({"inputs": inputs})
        for name in answers[0]:
            column = [answer[name] for answer in answers]
            if name == "class_name":
                assert found["outputs"][name] == [value.decode() for value in column]
            else:
                np.testing.assert_allclose(found["outputs"][name], column, rtol=0, atol=1e-5)


def test_prepared_pixels(client, expected):
    files = many(3)
    pixels = [PREPARATION(file).numpy().tolist() for file in files]
    _, found = client.predict({"signature_name": "tensors", "instances": pixels})
    for row, answer in zip(found["predictions"], expected("tiny", files), strict=True):
        assert_equal(row, answer)


def test_clips(client, expected, png):
    clips = [[png(4 + i, 5 + n, seed=9 * n + i) for i in range(3)] for n in range(5)]
    instances = [[b64(frame) for frame in clip] for clip in clips]
    _, found = client.predict({"instances": instances}, "clips")
    for row, answer in zip(found["predictions"], expected("clips", clips), strict=True):
        assert_equal(row, answer)
    assert client.error({"instances": [instances[0][:2]]}, "clips") == (
        "`frames` must hold 3 frames a clip, got 2."
    )
    assert client.error({"instances": [instances[0], instances[1][:2]]}, "clips").endswith(
        "Expecting shape [3] but got: [2]"
    )
    broken = [*instances[0][:2], b64(b"text")]
    assert client.error({"inputs": [instances[0], broken]}, "clips").startswith(
        "Frame 2 of clip 1 of `inputs` (both counted from 0) is not a JPEG, PNG"
    )


def test_masks_have_the_size_of_their_image(client, expected, png):
    files = [png(8, 9), png(20, 5), png(8, 9, seed=1)]
    _, found = client.predict({"instances": [b64(f) for f in files]}, "masks")
    for row, answer in zip(found["predictions"], expected("masks", files), strict=True):
        assert_equal(row, answer)
    assert np.shape(found["predictions"][1]["mask"]) == (20, 5)
    _, found = client.predict({"inputs": [b64(files[0]), b64(files[2])]}, "masks")
    assert np.shape(found["outputs"]["mask"]) == (2, 8, 9)
    message = client.error({"inputs": [b64(f) for f in files]}, "masks")
    assert "of several sizes; ask with `instances`, or for one at a time." in message


def test_one_bad_image_fails_alone_among_31_good_ones(models, expected):
    files = [encoded(9, 9, seed=n) for n in range(32)]
    answers = expected("tiny", files)
    broken = encoded(40, 40, kind="JPEG", seed=0)[:200]
    with serving(models / "tiny", threads=1, batch_timeout=0.2) as client:
        for _ in range(3):
            with concurrent.futures.ThreadPoolExecutor(32) as pool:
                sent = [broken if n == 17 else file for n, file in enumerate(files)]
                bodies = [{"instances": [b64(file)]} for file in sent]
                found = list(pool.map(client.predict, bodies))
            for n, (status, content) in enumerate(found):
                if n == 17:
                    assert status == 400
                    assert content["error"].startswith("Image 0 of `instances` (counted from 0) is")
                else:
                    assert status == 200
                    assert_equal(content["predictions"][0], answers[n])
        text = client.get("/monitoring/prometheus/metrics")[1]
    # They were computed together, so that it is of batches that this tells.
    assert measure(text, 'batch_rows_count{model="tiny"}') < 90
    assert measure(text, 'batch_rows_sum{model="tiny"}') in range(93, 97)


def test_a_bad_row_is_named(client):
    instances = [b64(encoded(9, 9)) for _ in range(31)] + [b64(b"text")]
    assert client.error({"instances": instances}) == (
        "Image 31 of `instances` (counted from 0) is not a JPEG, PNG, GIF or BMP image: it has 4 "
        "bytes and begins with the bytes 74 65 78 74."
    )


def measure(text, name):
    """A value of Prometheus's text."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"kerakit_{name} ")]
    return float(line.rpartition(" ")[2])


def test_measures(models):
    with serving(models / "tiny") as client:
        for _ in range(3):
            client.predict({"instances": [b64(encoded(9, 9))] * 5})
        client.predict({"instances": [1]})
        for n in range(5):
            client.predict({"instances": [1]}, f"nobody{n}")
        _, text, headers = client.ask("/monitoring/prometheus/metrics")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert measure(text, 'requests_total{model="tiny",status="200"}') == 3
    assert measure(text, 'requests_total{model="tiny",status="400"}') == 1
    assert measure(text, 'requests_total{model="",status="404"}') == 5
    assert measure(text, 'batch_rows_count{model="tiny"}') == 3
    assert measure(text, 'batch_rows_sum{model="tiny"}') == 15
    assert measure(text, 'batch_rows_bucket{model="tiny",le="4"}') == 0
    assert measure(text, 'batch_rows_bucket{model="tiny",le="8"}') == 3
    assert measure(text, 'request_seconds_count{model="tiny"}') == 4
    assert measure(text, 'request_seconds_bucket{model="tiny",le="+Inf"}') == 4
    assert measure(text, 'waiting_rows{model="tiny",signature="serving_default"}') == 0
    assert "nobody" not in text


def test_the_list_of_models(client, models):
    status, content = client.get("/v1/models")
    assert status == 200
    assert [model["name"] for model in content["models"]] == ["clips", "masks", "tiny"]
    clips, _, tiny = content["models"]
    assert (tiny["version"], tiny["task"], tiny["classes"]) == ("1", "classification", [*CLASSES])
    assert tiny["signatures"]["serving_default"]["inputs"]["image_bytes"]["dtype"] == "string"
    assert clips["sampling"] == {"frames": 3, "stride": 1, "mode": "dense"}


def test_health(client):
    assert client.get("/healthz") == (200, "ok\n")
    assert client.get("/readyz") == (200, "ok\n")
    status, text = client.get("/")
    assert status == 200
    assert "/v1/models" in text


def test_an_answer_does_not_wait_for_acknowledgements(client):
    """Else each takes 40 ms, where a connection is used again."""
    connection, seconds = http.client.HTTPConnection(client.service.address[7:]), []
    with contextlib.closing(connection):
        for _ in range(21):
            start = time.perf_counter()
            connection.request("GET", "/v1/models")
            connection.getresponse().read()
            seconds.append(time.perf_counter() - start)
    assert statistics.median(seconds) < 0.03


def test_while_it_is_being_stopped_nothing_new_is_taken(models):
    with serving(models / "tiny") as client:
        client.service._server._app.stopping = True
        assert client.error({"instances": [1]}, status=503) == "The server is being stopped."
        assert client.ask("/readyz")[0] == 503
        assert client.ask("/healthz")[0] == 200


def test_not_ready_while_no_model_is_loaded(models, tmp_path):
    folder = shutil.copytree(models / "tiny" / "1", tmp_path / "tiny" / "1")
    (folder / "saved_model.pb").write_bytes(b"\x08\x01 no graph")
    with serving(tmp_path) as client:
        assert client.ask("/readyz")[0] == 503
        assert client.get("/healthz") == (200, "ok\n")
        (status,) = client.get("/v1/models/tiny")[1]["model_version_status"]
        assert status["state"] == "END"
        assert status["status"]["error_code"] == "DATA_LOSS"
        assert status["status"]["error_message"].startswith("version 1 is a damaged SavedModel (")


def test_versions_change_under_load(models, tmp_path):
    """Of requests that come all the while none is lost, whatever happens to the folder."""
    shutil.copytree(models / "tiny" / "1", tmp_path / "tiny" / "1")
    body, stop, statuses = {"instances": [b64(encoded(9, 9))]}, threading.Event(), []

    def ask(client):
        while not stop.is_set():
            statuses.append(client.predict(body)[0])

    def until(client, number, state):
        for _ in range(400):
            content = client.get("/v1/models/tiny")[1]["model_version_status"]
            if (str(number), state) in [(v["version"], v["state"]) for v in content]:
                return
            time.sleep(0.02)
        raise AssertionError(content)

    with serving(tmp_path) as client:
        first = weakref.ref(client.service.repository.version("tiny"))
        askers = [threading.Thread(target=ask, args=(client,)) for _ in range(2)]
        for asker in askers:
            asker.start()
        shutil.copytree(models / "tiny" / "1", tmp_path / "tiny" / ".2")
        (tmp_path / "tiny" / ".2").rename(tmp_path / "tiny" / "2")
        until(client, 2, "AVAILABLE")
        assert client.ask("/v1/models/tiny/versions/1:predict", body)[0] == 404
        assert client.ask("/v1/models/tiny/versions/2:predict", body)[0] == 200
        (tmp_path / "tiny" / "3").mkdir()
        until(client, 3, "END")
        shutil.rmtree(tmp_path / "tiny" / "2")
        until(client, 1, "AVAILABLE")
        stop.set()
        for asker in askers:
            asker.join()
        gc.collect()
        assert first() is None  # its memory is free again
    assert len(statuses) > 10
    assert set(statuses) == {200}


def test_requests_under_way_are_answered_when_it_is_stopped(models):
    with serving(models / "tiny", batch_timeout=0.5) as client:
        signature = client.service.repository.version("tiny").signature("serving_default")
        compute, begun = signature._function, threading.Event()

        def slowly(**inputs):
            begun.set()
            time.sleep(0.6)
            return compute(**inputs)

        signature._function = slowly
        found = []
        body = {"instances": [b64(encoded(9, 9))]}
        asker = threading.Thread(target=lambda: found.append(client.predict(body)))
        asker.start()
        assert begun.wait(10)
        client.service.stop()
        asker.join()
    assert found[0][0] == 200


def test_the_batch_of_tensorflow_is_of_few_sizes(models):
    sizes = []
    with serving(models / "tiny", max_batch_size=8) as client:
        signature = client.service.repository.version("tiny").signature("serving_default")
        compute = signature._function

        def watched(image_bytes):
            sizes.append(int(tf.size(image_bytes)))
            return compute(image_bytes=image_bytes)

        signature._function = watched
        for count in range(1, 12):
            status, found = client.predict({"instances": [b64(encoded(5, 5))] * count})
            assert status == 200
            assert len(found["predictions"]) == count
    assert set(sizes) == {1, 2, 4, 8}


def test_a_warm_up_file_is_used_and_does_without(models, tmp_path):
    folder = shutil.copytree(models / "tiny" / "1", tmp_path / "1")
    given = asked_by(json.loads((folder / "card.json").read_text()))
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    shutil.rmtree(file.parent)
    write_warmup(folder, {"tensors": {"images": np.ones((2, 12, 16, 3), np.uint8)}}, model_name="")
    ((name, inputs),) = _warmup_requests(folder, given)
    assert (name, inputs["images"].sum()) == ("tensors", 2 * 12 * 16 * 3)
    for spoil in (lambda: file.write_bytes(b"cut short"), lambda: file.write_bytes(b"x" * 99)):
        spoil()
        assert [name for name, _ in _warmup_requests(folder, given)] == [*given.example()]
    file.unlink()
    assert [name for name, _ in _warmup_requests(folder, given)] == [*given.example()]
