import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def run(request, monkeypatch, capsys):
    """Runs the command line of the module's RECIPE in this process: (exit code, output, error)."""
    recipe = request.module.RECIPE

    def run(*arguments):
        path = ROOT / f"{recipe.__name__.replace('.', '/')}.py"
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        code = 0
        try:
            recipe.main()
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
