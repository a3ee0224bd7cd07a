"""Checks of a fresh environment that holds the wheel and nothing optional.

Run by `make test-wheel`: `python -I clean_environment.py`.
"""

import importlib.util
import pathlib
import statistics
import subprocess
import sys
import tomllib

import kerakit

PYPROJECT = pathlib.Path(__file__).parents[1] / "pyproject.toml"
LIMIT = 0.5  # seconds that `import kerakit` may add to `import keras`
# An entry into each extra from the package itself.
USES = {
    "coco": "from kerakit.metrics import MeanAveragePrecision; MeanAveragePrecision(1, 1).result()",
    "plot": "from kerakit.metrics import ConfusionMatrix; ConfusionMatrix(2).plot()",
    "tfds": "import kerakit; kerakit.data.load('tfds:mnist')",
    "recipes": "from kerakit.runs import Run; Run(None, name='', data=None, monitor='')",
    # An export goes without; what it says of that is logged.
    "serve": "from kerakit.export.warmup import write_warmup; "
    "write_warmup('.', {}, model_name='x'); raise SystemExit(1)",
    "proposals": "import numpy; from kerakit.data.selective_search import selective_search; "
    "selective_search(numpy.zeros((8, 8, 3), 'uint8'))",
    "video": "from kerakit.data import read_video; read_video(__import__('sys').executable)",
    "weights": "from kerakit.weights.read import _read_safetensors; _read_safetensors('x')",
}
TOOLS = {"test", "bench", "browser", "dev", "docs"}  # for work on kerakit itself


def extras():
    """Names of the extras in pyproject.toml."""
    return set(tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"])


def python(code):
    return subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )


def main():
    for name in kerakit.__all__:
        getattr(kerakit, name)

    assert importlib.util.find_spec("matplotlib") is None, "this environment has optional packages"
    assert extras() == set(USES) | TOOLS

    for extra, code in USES.items():
        result = python(code)
        message = f"pip install kerakit[{extra}]"
        assert result.returncode != 0, f"{extra} is not missing"
        assert message in result.stderr, f"{extra}: {result.stderr[-300:]}"
        print(f"without {extra}: {result.stderr.strip().splitlines()[-1]}")

    timing = (
        "import time, keras; start = time.perf_counter(); import kerakit; "
        "print(time.perf_counter() - start)"
    )
    seconds = statistics.median(float(python(timing).stdout) for _ in range(5))
    print(f"import kerakit adds {seconds:.3f} s to import keras (median of 5)")
    assert seconds <= LIMIT


if __name__ == "__main__":
    main()
