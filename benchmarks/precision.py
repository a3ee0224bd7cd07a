"""Half precision beside float32: the embedded preset of each recipe, trained with several seeds.

    python -m benchmarks.precision [classify detect segment video] [--seeds 3]

Each is a run in a process of its own; a run that is finished already is not made again. Printed
are the figures on the held-out set, in the order of the seeds, and how far their mean lies from
float32's in standard errors of that difference, by the spread over the seeds of both. A loss that
is not finite ends the table.
"""

import argparse
import csv
import json
import math
import pathlib
import statistics
import subprocess
import sys

from benchmarks.chosen import add_chosen
from kerakit.runs import is_finished

# The preset, and its figure in the report.
RECIPES = {
    "classify": ("digits", "accuracy"),
    "detect": ("scenes", "mAP"),
    "segment": ("scenes", "mean_iou"),
    "video": ("moving-digits", "accuracy"),
}
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_chosen(parser, "recipes", RECIPES)
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="0 to N - 1 (3)")
    parser.add_argument("--workdir", type=pathlib.Path, default="runs", metavar="DIR")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    found = {}
    for recipe in arguments.recipes or RECIPES:
        preset, figure = RECIPES[recipe]
        for precision in PRECISIONS:
            figures = [
                trained(recipe, preset, precision, seed, arguments.workdir)[figure]
                for seed in range(arguments.seeds)
            ]
            found[f"{recipe} {precision}"] = figures
            print(
                f"{recipe:9}{figure:9}{precision:15}  {' '.join(f'{x:.4f}' for x in figures)}  "
                f"mean {statistics.mean(figures):.4f}  "
                f"{distance(figures, found[f'{recipe} float32']):+.1f} standard errors",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def trained(recipe, preset, precision, seed, workdir):
    """The report's metrics of a run, which is made now if need be; every loss is finite."""
    name = f"{recipe}-{preset}-{precision}-{seed}"
    folder = workdir / name
    if not is_finished(folder):
        command = [
            sys.executable, "-m", f"recipes.{recipe}", preset, "--precision", precision,
            "--seed", str(seed), "--workdir", str(workdir), "--name", name,
        ]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise SystemExit(f"{name} failed:\n{run.stderr[-3000:]}")
    with open(folder / "log.csv", newline="") as file:
        for row in csv.DictReader(file):
            losses = {k: float(v) for k, v in row.items() if k.endswith("loss") and v}
            if not losses or not all(map(math.isfinite, losses.values())):
                raise SystemExit(f"{name}: epoch {row['epoch']} has the losses {losses}.")
    return json.loads((folder / "report.json").read_text())["metrics"]


def distance(figures, others):
    """Difference of two means in its standard errors; 0 of figures with themselves."""
    difference = statistics.mean(figures) - statistics.mean(others)
    if not difference or len(figures) < 2:
        return 0.0
    variances = statistics.variance(figures) + statistics.variance(others)
    return difference / math.sqrt(variances / len(figures)) if variances else math.inf


if __name__ == "__main__":
    main()
