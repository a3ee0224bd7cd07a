"""The nine ways to classify a clip, trained on the same clips with the same budget, in one table.

    python -m benchmarks.video_approaches --data clips:DIR

Each is a run of `recipes.video motion` in a process of its own, of the same size of clips, steps,
batches and augmentation; a run that is finished already is not made again.
"""

import argparse
import json
import pathlib
import subprocess
import sys

from kerakit.runs import is_finished, place

# Below 1 GMAC a clip of 16 x 64 x 64 each, and about as long a step as the others.
APPROACHES = {
    "single frame": "--model single_frame --width 0.5",
    "early fusion": "--model early_fusion --width 0.5",
    "late fusion, recurrent": "--model late_fusion --fusion recurrent --width 0.25",
    "3D: C3D": "--model c3d --width 0.125",
    "3D: R3D-18": "--model r3d_18 --width 0.125",
    "(2+1)D: R(2+1)D-18": "--model r2plus1d_18 --width 0.125",
    "I3D": "--model i3d --depth 18 --width 0.25",
    "SlowFast": "--model slowfast --depth 18 --width 0.5",
    "video transformer, joint": "--model video_transformer --attention joint",
    "video transformer, divided": "--model video_transformer --attention divided",
}
# Two heads on tubelets of 2 x 8 x 8; at the others' rate a transformer does not learn.
TRANSFORMER = "--width 0.1667 --depth 3 --tubelet 2 8 8 --learning-rate 5e-4"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", required=True, metavar="SOURCE", help="clips:DIR")
    parser.add_argument("--epochs", type=int, default=20, metavar="N", help="of each (20)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of each (0)")
    parser.add_argument("--workdir", type=pathlib.Path, default="runs", metavar="DIR")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the table there")
    arguments = parser.parse_args()
    rows = [
        {"approach": approach, **trained(approach, options, arguments)}
        for approach, options in APPROACHES.items()
    ]
    print_table(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def trained(approach, options, arguments):
    """The figures of one approach, of a run that is made now if need be."""
    name = "-".join("".join(c if c.isalnum() else " " for c in approach.lower()).split())
    name = f"{place(arguments.data)}-{name}-{arguments.epochs}-{arguments.seed}"
    folder = arguments.workdir / name
    if not is_finished(folder):
        print(f"{approach}: {folder}", flush=True)
        extra = TRANSFORMER if "video_transformer" in options else ""
        command = [
            sys.executable, "-m", "recipes.video", "motion", "--data", arguments.data,
            *options.split(), *extra.split(), "--epochs", arguments.epochs,
            "--seed", arguments.seed, "--workdir", arguments.workdir, "--name", name,
        ]  # fmt: skip
        subprocess.run([str(part) for part in command], check=True)
    report = json.loads((folder / "report.json").read_text())
    cost = json.loads((folder / "savedmodel/1/card.json").read_text())["cost"]
    return {
        "accuracy": report["metrics"]["accuracy"],
        "f1": report["metrics"]["f1_macro"],
        "minutes": report["training_seconds"] / 60,
        "parameters": cost["parameters"],
        "GMACs": cost["macs"] / 1e9,
    }


def print_table(rows):
    print("\n| approach | accuracy | F1 | training | parameters | GMACs a clip |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['approach']} | {row['accuracy']:.3f} | {row['f1']:.3f} | "
            f"{row['minutes']:.1f} min | {row['parameters'] / 1e6:.2f} M | {row['GMACs']:.3f} |"
        )


if __name__ == "__main__":
    main()
