"""The client in docs/serve.md, as it stands there."""

import pathlib
import re
import subprocess
import sys

from tests.export.tiny import CLASSES, many

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "serve.md"


def test_runs_with_the_standard_library_alone(client, tmp_path):
    (code,) = re.findall(r"^```python\n(.*?)^```", DOCS.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert len(code.splitlines()) <= 10
    address = "http://127.0.0.1:8501/v1/models/digits"
    assert code.count(address) == 1
    code = code.replace(address, f"{client.service.address}/v1/models/tiny")
    names = [f"{number}.png" for number in range(3)]
    for name, content in zip(names, many(3), strict=True):
        (tmp_path / name).write_bytes(content)
    # -I -S: not even what is installed beside it can be imported.
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", code, *names]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert [line.partition(" ")[0] for line in lines] == names
    assert all(any(f"'class_name': '{name}'" in line for name in CLASSES) for line in lines)
