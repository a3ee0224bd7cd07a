"""The report of a finished run, for a reader and for a program."""

import json

from kerakit.atomic import replaced


def write_report(run, *, metrics, notes, pictures, by_class=()):
    """Writes `report.md` and, last of all, `report.json`, by which a run is complete.

    Args:
        run: The `Run`.
        metrics: Dict of the figures on the validation part.
        notes: Dict of further lines.
        pictures: Names of the picture files in the run's folder.
        by_class: List of a dict a class, all of the same keys: text, numbers, or None.
    """
    seconds = run.seconds()
    notes = {"epochs": str(len(run.log.rows)), "training": f"{seconds:.1f} s", **notes}
    lines = [f"# {run.folder.name}", "", f"    {run.command}", ""]
    lines += ["| figure | value |", "|---|---|"]
    lines += [f"| {name} | {value:.6g} |" for name, value in metrics.items()]
    lines += ["", *(f"- {name}: {text}" for name, text in notes.items()), ""]
    lines += [f"![{name}]({name})" for name in pictures]
    if by_class:
        lines += ["", f"| {' | '.join(by_class[0])} |", "|---" * len(by_class[0]) + "|"]
        lines += [f"| {' | '.join(map(_cell, row.values()))} |" for row in by_class]
    diagnosis = run.watch.diagnosis if getattr(run, "watch", None) else None
    if diagnosis is not None and not diagnosis.quiet:
        lines += ["", "## Diagnosis", "", "```", str(diagnosis), "```"]
    (run.folder / "report.md").write_text("\n".join(lines) + "\n")
    record = {
        "command": run.command,
        "settings": run.settings,
        "metrics": metrics,
        "by_class": list(by_class),
        "training_seconds": round(seconds, 3),
        "epochs": len(run.log.rows),
    }
    with replaced(run.folder / "report.json") as file:
        file.write_text(json.dumps(record, indent=2) + "\n")


def _cell(value):
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
