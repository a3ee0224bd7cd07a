"""`kerakit serve` as a program, and what it says where it cannot."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from kerakit.cli import main
from tests.export.tiny import encoded
from tests.serve.client import b64


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(["serve", *map(str, arguments)])
    assert caught.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    return line


def test_help(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Example: kerakit serve savedmodels/ --port 8501" in text
    assert "default: 127.0.0.1" in text


def test_refusals(models, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "nothing").mkdir()
    assert refused(capsys, "nowhere") == (
        "error: nowhere is no folder; give a folder of models, such as savedmodels, or one of them."
    )
    assert refused(capsys, "nothing") == (
        "error: nothing holds no model: neither it nor a folder in it has numbered versions; "
        "publish one with kerakit publish."
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused(capsys, models, "--port", port) == (
            f"error: Cannot listen on 127.0.0.1:{port}: it is in use already; give another --port."
        )
    assert refused(capsys, models, "--host", "203.0.113.1").startswith(
        "error: Cannot listen on 203.0.113.1:8501: "
    )
    assert refused(capsys, models, "--port", "70000") == (
        "kerakit serve: error: argument --port: must be a whole number from 0 to 65535, got '70000'"
    )
    assert refused(capsys, models, "--queue", "0").endswith(
        "must be a whole number from 1, got '0'"
    )
    assert refused(capsys, models, "--token-file", "no") == (
        "error: --token-file no cannot be read (No such file or directory)."
    )
    assert refused(capsys, models, "--token-file", "empty") == (
        "error: --token-file empty is empty; write the token into it."
    )


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_as_a_program(number, models):
    path = os.pathsep.join(entry for entry in sys.path if entry)
    program = subprocess.Popen(
        [sys.executable, "-m", "kerakit", "serve", models / "tiny", "--port", "0", "--poll", "1"],
        env={**os.environ, "PYTHONPATH": path, "KERAKIT_SERVE_TOKEN": "xyz"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = [program.stderr.readline(), program.stderr.readline()]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d Listening on http://.*\n", lines[0])
        assert lines[1].endswith(" tiny: version 1 is served\n")
        address = lines[0].split()[-1]
        body = json.dumps({"instances": [b64(encoded(9, 9))]}).encode()
        headers = {"Authorization": "Bearer xyz"}
        request = urllib.request.Request(f"{address}/v1/models/tiny:predict", body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200
        program.send_signal(number)
        assert program.wait(30) == 0
        assert program.stderr.read().endswith(" Stopped\n")
    finally:
        program.kill()
        program.stderr.close()
