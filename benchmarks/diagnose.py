"""Runs with one planted fault each, and healthy ones: which of them the diagnosis names.

    python -m benchmarks.diagnose [--set first|second] [--json FILE]

Each run is looked at before training, asked to learn one batch by heart where nothing was found,
trained with `Watch`, and its findings put together.
Counted is whether the first finding names what was planted, and whether a healthy run has nothing
worse than a hint. The thresholds of the rules were set to the runs of the first set; those of the
second were made by someone who knew neither these nor the thresholds.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import pathlib
import re
import time

import keras
import numpy as np

SEED, LOOKED_AT = 0, 256


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--set", choices=("first", "second"), default="second", help="(second)")
    parser.add_argument("--only", default="", metavar="TEXT", help="runs of this name alone")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the table there")
    arguments = parser.parse_args()
    if arguments.set == "first":
        from benchmarks.diagnose_runs.first import RUNS
    else:
        if not os.environ.get("KERAKIT_DATA"):
            parser.error("the second set needs KERAKIT_DATA, the folder of the data sets")
        from benchmarks.diagnose_runs.second import RUNS

    rows = []
    for planned in RUNS:
        if re.search(re.escape(arguments.only), planned.name):
            rows.append(judged(planned))
            print(line(rows[-1]), flush=True)
    broken = [row for row in rows if row["planted"]]
    healthy = [row for row in rows if not row["planted"]]
    named = sum(row["found"][:1] == [row["planted"]] for row in broken)
    quiet = sum(not row["found"] for row in healthy)
    print(
        f"\n{arguments.set} set: the planted fault is named first in {named} of {len(broken)} "
        f"({named / max(len(broken), 1):.0%}); {quiet} of {len(healthy)} healthy runs are quiet"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def judged(planned):
    """A row of the table: what was planted, and what was found, hints apart."""
    start = time.perf_counter()
    diagnosis = diagnosed(planned)
    serious = [finding for finding in diagnosis.findings if finding.severity != "hint"]
    return {
        "run": planned.name,
        "planted": planned.fault,
        "found": list(dict.fromkeys(finding.rule for finding in serious)),
        "hints": [f.rule for f in diagnosis.findings if f.severity == "hint"],
        "first": serious[0].message if serious else "",
        "seconds": time.perf_counter() - start,
    }


def diagnosed(planned):
    """What is found before the training and in it."""
    from kerakit.diagnose import Diagnosis, Watch, before_training, overfit_one_batch

    keras.utils.set_random_seed(SEED)
    given = planned.prepare()
    model, x, y = given["model"], given["x"], given["y"]
    looked_at = np.random.default_rng(SEED).permutation(len(x))[:LOOKED_AT]
    batch = x[looked_at], y[looked_at]
    diagnosis = before_training(model, *batch, validation=given["validation"])
    stuck = overfit_one_batch(model, *batch) if diagnosis.quiet else None
    watch = Watch(*batch)
    try:
        model.fit(
            x, y, batch_size=given["batch_size"], epochs=given["epochs"], verbose=0,
            validation_data=given["validation"], callbacks=[watch, *given.get("callbacks", ())],
        )  # fmt: skip
    except Exception as error:  # labels out of range end TensorFlow's first step
        print(f"  ({planned.name}: the training raised {type(error).__name__})")
    return diagnosis + Diagnosis((stuck,) if stuck else ()) + watch.diagnosis


def line(row):
    found = ", ".join(row["found"]) or "nothing"
    is_right = row["found"][:1] == [row["planted"]] if row["planted"] else not row["found"]
    verdict = "named" if is_right and row["planted"] else "quiet" if is_right else "MISSED"
    return f"{verdict:7} {row['run']} (planted: {row['planted'] or 'nothing'}): {found}"


if __name__ == "__main__":
    main()
