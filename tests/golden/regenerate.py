"""Makes golden files anew, where the peer that they come from is installed.

    python -m tests.golden.regenerate [FAMILY ...]

Each family has a module `make_<family>.py` beside this one, with a function
`make(directory)` that writes its file there and returns the path.
"""

import argparse
import importlib
from pathlib import Path

DIRECTORY = Path(__file__).parent
FAMILIES = sorted(path.stem.removeprefix("make_") for path in DIRECTORY.glob("make_*.py"))


def main():
    parser = argparse.ArgumentParser(description="Makes golden files anew.")
    parser.add_argument(
        "families", nargs="*", metavar="FAMILY", help=f"any of {', '.join(FAMILIES)}; default: all"
    )
    families = parser.parse_args().families or FAMILIES
    if unknown := sorted(set(families) - set(FAMILIES)):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
    for family in families:
        path = importlib.import_module(f"tests.golden.make_{family}").make(DIRECTORY)
        print(f"{path.relative_to(DIRECTORY.parents[1])}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
