"""`python -m kerakit` is the command `kerakit`."""

import sys

from kerakit.cli import main

if __name__ == "__main__":
    sys.exit(main())
