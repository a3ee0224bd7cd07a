"""Several worker processes on one machine, by one command."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from kerakit.errors import InputError
from kerakit.training.save_state import PREEMPTED

# Set for the processes that are started here.
STARTED = "KERAKIT_WORKER"
# Seconds that workers have to end by themselves.
PATIENCE = 10


def on_workers(train, config):
    """`train(config)`, by as many processes of this same command as `config.workers` says.

    What the first of them, the chief, prints is shown. If one ends by an error, all are ended; the
    same command goes on from the last state that was saved. For workers on several machines, see
    `kerakit.training.strategy`.

    Args:
        train: Function of the settings.
        config: Settings, with `workers`, at least 1, and `devices`.

    Returns:
        What `train` returns, or None where workers did it.

    Raises:
        InputError: If a worker failed, or `devices` names another way to train.
        SystemExit: With the code 143, if the workers ended after a SIGTERM.
    """
    if os.environ.get(STARTED):
        # Whoever started this process holds the other end: it is over when that one is.
        starter = threading.Thread(target=_end_with_starter, daemon=True)
        starter.start()
        result = train(config)
        if os.environ[STARTED] != "0":
            starter.join()  # the chief would take one that left for one that died
        return result
    if config.workers == 1:
        return train(config)
    if config.devices not in ("auto", "multiworker"):
        raise InputError(
            f"--workers {config.workers} needs --devices auto or multiworker, got {config.devices}."
        )
    with tempfile.TemporaryFile("w+") as errors:
        workers = [
            subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                env=os.environ | environment,
                stdin=subprocess.PIPE,
                stdout=None if index == 0 else errors,
                stderr=None if index == 0 else errors,
            )
            for index, environment in enumerate(worker_environments(config.workers))
        ]
        failed = _first_to_fail(workers)
        if failed is None:
            return None
        code = workers[failed].returncode
        if code in (PREEMPTED, -signal.SIGTERM):  # the second: outside of the training
            raise SystemExit(PREEMPTED)
        if failed == 0 and code > 0:
            raise SystemExit(code)  # it has said why
        errors.seek(0)
        said = errors.read()[-2000:].strip() if failed else ""
        raise InputError(
            f"Worker {failed + 1} of {len(workers)} ended with code {code}; the same command goes "
            "on from the last state that was saved." + (f" It said last:\n{said}" if said else "")
        )


def worker_environments(count):
    """Of each worker: the addresses of all, its place among them, its share of the cores."""
    with contextlib.ExitStack() as open_sockets:
        free = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in free:
            one.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in free]
    threads = str(max(1, (os.cpu_count() or 1) // count))
    for index in range(count):
        task = {"type": "worker", "index": index}
        yield {
            STARTED: str(index),
            "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task}),
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_NUM_INTEROP_THREADS": threads,
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": addresses[0],
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count),
            "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
        }


def _first_to_fail(workers):
    """Waits for all workers, passing a SIGTERM on; ends them once one failed, and says which."""

    def pass_on(number, frame):
        for worker in workers:
            worker.terminate()

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        while workers[0].poll() is None and not any(worker.poll() for worker in workers):
            time.sleep(0.1)
        failed = [i for i, worker in enumerate(workers) if worker.poll()]
        # One that was killed, before those that ended as they missed it.
        return min(failed, key=lambda i: (workers[i].returncode > 0, i), default=None)
    finally:
        signal.signal(signal.SIGTERM, before)
        # The others may be saving; or they wait for the failed one, which they would without end.
        for worker in workers:
            try:
                if workers[0].poll() == 0:
                    worker.stdin.close()
                worker.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def _end_with_starter():
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)
