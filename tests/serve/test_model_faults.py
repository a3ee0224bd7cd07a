"""Versions that are corrupt or removed under load, and a server that is killed under it."""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import types

import pytest

from tests.serve.client import Client, serving
from tests.serve.test_faults import GOOD, eventually, head


@contextlib.contextmanager
def asked_all_the_while(client):
    """The statuses of requests that come one after the other as long as the block runs."""
    statuses, is_over = [], threading.Event()

    def ask():
        while not is_over.is_set():
            statuses.append(client.predict(GOOD)[0])

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield statuses
    finally:
        is_over.set()
        asker.join()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def turn_over(path):
    path.write_bytes(bytes(byte ^ 255 for byte in path.read_bytes()))


CORRUPTIONS = [
    ("saved_model.pb", cut),
    ("saved_model.pb", turn_over),
    ("variables/variables.index", cut),
    ("variables/variables.data-00000-of-00001", cut),
    ("variables/variables.data-00000-of-00001", turn_over),
    ("variables", shutil.rmtree),
    ("card.json", cut),
    ("card.json", lambda path: path.unlink()),
]


def test_corrupt_versions_that_appear_under_load(models, tmp_path):
    for number in range(1, len(CORRUPTIONS) + 2):
        shutil.copytree(models / "tiny" / "1", tmp_path / "made" / str(number))
    (tmp_path / "tiny").mkdir()
    (tmp_path / "made" / "1").rename(tmp_path / "tiny" / "1")

    def states():
        content = client.get("/v1/models/tiny")[1]["model_version_status"]
        return {version["version"]: version for version in content}

    with serving(tmp_path / "tiny") as client, asked_all_the_while(client) as statuses:
        for number, (name, spoil) in enumerate(CORRUPTIONS, 2):
            spoil(tmp_path / "made" / str(number) / name)
            (tmp_path / "made" / str(number)).rename(tmp_path / "tiny" / str(number))
        ends = [str(number) for number in range(2, len(CORRUPTIONS) + 2)]
        assert eventually(lambda: [states().get(n, {}).get("state") for n in ends] == ["END"] * 8)
        for number in ends:
            status = states()[number]["status"]
            assert status["error_code"] == "DATA_LOSS"
            assert str(tmp_path) not in status["error_message"]
        assert states()["1"]["state"] == "AVAILABLE"
        count = len(statuses)
        assert eventually(lambda: len(statuses) > count + 2)
    assert set(statuses) == {200}


def test_the_only_version_is_removed_under_load_and_comes_back(models, tmp_path):
    shutil.copytree(models / "tiny", tmp_path / "tiny")
    with serving(tmp_path) as client, asked_all_the_while(client) as statuses:
        assert eventually(lambda: 200 in statuses)
        shutil.rmtree(tmp_path / "tiny")
        assert eventually(lambda: statuses[-1] == 404)
        shutil.copytree(models / "tiny", tmp_path / ".tiny").rename(tmp_path / "tiny")
        assert eventually(lambda: statuses[-1] == 200)
    changes = [status for status, _ in itertools.groupby(statuses)]
    # While it is loaded it is to be waited for.
    assert [status for status in changes if status != 503] == [200, 404, 200]


@contextlib.contextmanager
def program(folder, port):
    """`kerakit serve` as a process, and a `Client` of it."""
    command = [sys.executable, "-m", "kerakit", "serve", folder, "--port", str(port)]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True
    )
    try:
        lines = [process.stderr.readline(), process.stderr.readline()]
        assert lines[1].endswith(" tiny: version 1 is served\n"), lines
        yield process, Client(types.SimpleNamespace(address=lines[0].split()[-1]))
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.slow
def test_killed_under_load_and_restarted(models):
    with contextlib.ExitStack() as stack:
        with program(models / "tiny", 0) as (process, client):
            port = int(client.service.address.rpartition(":")[2])
            body = json.dumps(GOOD).encode()
            for _ in range(20):
                connection = stack.enter_context(client.connected())
                connection.sendall(head(len(body)) + body)
            assert client.predict(GOOD)[0] == 200
            process.kill()
        # At the same address, while the clients still hold their ends.
        with program(models / "tiny", port) as (_, client):
            status, content = client.predict(GOOD)
            assert status == 200
            assert len(content["predictions"]) == 1
