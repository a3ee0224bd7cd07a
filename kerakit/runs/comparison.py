"""Several runs side by side."""

import json
import pathlib

from kerakit.atomic import replaced
from kerakit.extras import need
from kerakit.runs.run import REPORT


def is_finished(folder):
    """Whether the folder holds a run that came to its end."""
    return (pathlib.Path(folder) / REPORT).exists()


def compare_runs(folder, names, *, title):
    """Writes `report.md` with a table and a picture of finished runs in the same folder.

    Args:
        folder: Folder that holds the runs' folders.
        names: Their names, in the order of the table.
        title: Head of the report.

    Returns:
        Dict from a run's name to its figures, also written to `report.json`.
    """
    folder = pathlib.Path(folder)
    records = {name: json.loads((folder / name / REPORT).read_text()) for name in names}
    _plot_curves(folder, names)
    columns = ("accuracy", "f1_macro", "loss")
    lines = [f"# {title}", "", f"| run | {' | '.join(columns)} | epochs | training |"]
    lines.append("|---" * (len(columns) + 3) + "|")
    for name, record in records.items():
        figures = [f"{record['metrics'][column]:.4f}" for column in columns]
        cells = [*figures, str(record["epochs"]), f"{record['training_seconds']:.1f} s"]
        lines.append(f"| [{name}]({name}/report.md) | {' | '.join(cells)} |")
    lines += ["", "On the validation images; each of its last epoch.", "", "![curves](curves.png)"]
    (folder / "report.md").write_text("\n".join(lines) + "\n")
    figures = {name: record["metrics"] for name, record in records.items()}
    with replaced(folder / REPORT) as file:
        file.write_text(json.dumps({"runs": records}, indent=2) + "\n")
    return figures


def _plot_curves(folder, names):
    """Validation accuracy over the training time of each run."""
    figure_module = need("matplotlib.figure", extra="plot")
    figure = figure_module.Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for name in names:
        rows = (folder / name / "log.csv").read_text().splitlines()
        header = rows[0].split(",")
        values = [dict(zip(header, map(float, row.split(",")), strict=True)) for row in rows[1:]]
        seconds = [sum(row["seconds"] for row in values[: i + 1]) for i in range(len(values))]
        accuracy = [row["val_accuracy"] for row in values]
        axes.plot(seconds, accuracy, label=name, marker="o" if len(values) < 20 else None)
    axes.set_xlabel("seconds of training")
    axes.set_ylabel("validation accuracy")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(folder / "curves.png", dpi=100)
