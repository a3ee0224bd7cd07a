"""Native libraries kept from writing to the terminal while they load."""

import contextlib
import os
import sys
import tempfile


@contextlib.contextmanager
def quiet_start():
    """Holds back what native code writes to standard error, unless something fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
