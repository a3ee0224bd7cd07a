import csv
import json

import pytest

from kerakit.cli import main
from kerakit.diagnose.watched import Look, write_looks


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_folder(folder, losses, *, held_out=None, finished=True, command="python -m recipes.x"):
    """A folder as a run leaves it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"settings": {}, "command": command}))
    with open(folder / "log.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "loss", "val_loss"])
        for number, row in enumerate(zip(losses, held_out or losses, strict=True), start=1):
            writer.writerow([number, *row])
    if finished:
        (folder / "report.json").write_text("{}")
    return folder


FELL = [2.3, 1.2, 0.8, 0.5, 0.3, 0.2, 0.1]


def test_a_healthy_run(place, capsys):
    run_folder(place / "runs" / "good", FELL)
    assert main(["diagnose", "good"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "runs/good: finished, 7 epochs"
    assert printed[1:] == [
        "    python -m recipes.x", "No watch.csv: the curves alone are judged.", "Nothing found.",
    ]  # fmt: skip


def test_a_run_that_overfitted(place, capsys):
    held_out = [2.2, 1.5, 1.2, 1.3, 1.5, 1.7, 2.0]
    run_folder(place / "runs" / "bad", FELL, held_out=held_out)
    assert main(["diagnose", "runs/bad", "--json", "out/found.json"]) == 0
    printed = capsys.readouterr().out
    assert "1 warning" in printed
    assert "overfitting: The loss held out was lowest, 1.2" in printed
    record = json.loads((place / "out" / "found.json").read_text())
    assert (record["finished"], record["epochs"], record["quiet"]) == (True, 7, False)
    assert [finding["rule"] for finding in record["findings"]] == ["overfitting"]


def test_a_crashed_run(place, capsys):
    """Broken off by a loss that is no number: there is no row of that epoch, but a look."""
    folder = run_folder(place / "runs" / "crash", [], finished=False)
    row = {"fc": {"update_ratio": 40.0, "gradient_norm": 1.0}}
    first = Look(0, {"loss": 2.3, "chance": 2.3, "highest_loss": 2.3, "learning_rate": 9.0}, row)
    broken = Look(10, {"loss": float("nan"), "highest_loss": float("nan")})
    write_looks(folder / "watch.csv", [first, broken])
    assert main(["diagnose", "runs/crash"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("runs/crash: not finished (no report.json), 0 epochs, 10 steps")
    assert printed.index("learning_rate_too_high") < printed.index("loss_explodes")


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(["diagnose", *map(str, arguments)])
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.strip()


def test_a_folder_that_is_not_there(place, capsys):
    run_folder(place / "runs" / "good", FELL)
    assert refused(capsys, "goood") == (
        "error: goood is no folder, and neither is runs/goood; runs has good."
    )


def test_a_folder_of_something_else(place, capsys):
    assert "has neither log.csv nor watch.csv" in refused(capsys, place)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("log.csv", "a,b\n1,2\n", "has no column epoch"),
        ("log.csv", "epoch,loss\n1,two\n", "could not convert string to float"),
    ],
)
def test_a_damaged_file(place, capsys, name, text, reason):
    folder = run_folder(place / "runs" / "good", FELL)
    (folder / name).write_text(text)
    message = refused(capsys, folder)
    assert f"{folder / name} cannot be read" in message
    assert reason in message


@pytest.mark.parametrize("text", ["step,layer,loss\ninf,,2.3\n", "epoch,loss\n1,2\n"])
def test_damaged_looks_leave_the_curves(place, capsys, text):
    folder = run_folder(place / "runs" / "cut", FELL)
    (folder / "watch.csv").write_text(text)
    assert main(["diagnose", "cut", "--json", "found.json"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[2].startswith("runs/cut/watch.csv cannot be read: ")
    assert printed[2].endswith("The curves alone are judged.")
    assert printed[3] == "Nothing found."
    assert json.loads((place / "found.json").read_text())["damaged"].startswith("runs/cut/watch")


def test_damaged_looks_alone_are_one_sentence(place, capsys):
    folder = place / "runs" / "cut"
    folder.mkdir(parents=True)
    (folder / "watch.csv").write_text("step,layer,loss\ninf,,2.3\n")
    with pytest.raises(SystemExit) as ended:
        main(["diagnose", "cut"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("watch.csv") == 1


def test_a_damaged_config_costs_the_command_line_alone(place, capsys):
    folder = run_folder(place / "runs" / "odd", FELL)
    (folder / "config.json").write_text("{")
    assert main(["diagnose", "odd"]) == 0
    assert capsys.readouterr().out.startswith("runs/odd: finished, 7 epochs\nNo watch.csv")
