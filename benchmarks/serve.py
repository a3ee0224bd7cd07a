"""`kerakit serve`: what it costs beside a bare call, what batches bring, and how it sheds load.

    python -m benchmarks.serve MODELS [--model digits] [--images FILE...] [--seconds 60]
        [--clients 32] [--json FILE]

MODELS is a folder of models, such as savedmodels. Each request holds one instance: the images in
turn, by default the small grey one that the export itself is tried with. In this order:

- starts: the server is started three times. The first request to it at all, right after it has
  told that the model is served, over the median of the fifty after it.
- overhead: a request and a call of the same signature of the same SavedModel in this process with
  the same bytes, in turn, 300 of each; the median of the differences.
- throughput: two servers, one of them with `--max-batch-size 1`; clients that ask again as soon as
  they are answered, for the seconds given to each server, in turns of ten seconds.
- overload: 2560 such clients, ten times those that fill the queue (`--queue` 256), none of which
  waits as `Retry-After` says, for a third of the seconds. Then all go away, and one asks until it
  is answered in normal time: at most twice the median of its latency before.

The client is this process, and shares the cores with the server; what it took is printed too.
"""

import argparse
import functools
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.alternate import machine
from benchmarks.serve_client import Load, OneByOne, request_bytes
from kerakit.export.card import read_card
from kerakit.export.folder import version_folder
from kerakit.export.requests import asked_by

STARTS, CALLS, TURN, OVERLOADED = 3, 300, 10.0, 10 * 256


class Server:
    """`kerakit serve` as a process, once its model is served.

    Args:
        folder: Of the model's versions.
        options: Of the command.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, folder, *options):
        command = [sys.executable, "-m", "kerakit", "serve", folder, "--port", "0", *options]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.port, told = None, []
        for line in self._process.stderr or ():
            told.append(line)
            if "Listening on" in line:
                self.port = int(line.rsplit(":", 1)[1])
            if line.endswith(" is served\n"):
                break
        else:
            raise SystemExit("".join(told))
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(180)  # where the machine is busy

    def memory(self):
        """MiB that are resident."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def bare_call(folder):
    """A function that calls the export's signature for an instance, and gives NumPy arrays."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    signature = loaded.signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]

    def call(instance, *, kept=loaded):  # whose variables the signature reads
        outputs = signature(**{name: tf.constant([instance])})
        return {key: value.numpy() for key, value in outputs.items()}

    return call


def timed(function, *arguments):
    """Seconds that a call takes."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def answered(client, request):
    """Seconds of a request that must be answered well."""
    status, seconds = client.ask(request)
    if status != 200:
        raise SystemExit(f"A request by itself was answered with status {status}.")
    return seconds


def starts(folder, requests):
    """The first request to each of some servers, and the median of the fifty after it."""
    found = []
    for _ in range(STARTS):
        with Server(folder) as server, OneByOne(server.port) as client:
            first, *later = (answered(client, requests[n % len(requests)]) for n in range(51))
        found.append({"first": first, "median": statistics.median(later)})
        print(
            f"start: first request {1e3 * first:.1f} ms, median of the next {len(later)} "
            f"{1e3 * found[-1]['median']:.1f} ms, ratio {first / found[-1]['median']:.2f}",
            flush=True,
        )
    return found


def overhead(server, call, instances, requests):
    """Seconds of requests, and of bare calls with the same bytes."""
    found = {"server": [], "bare": []}
    with OneByOne(server.port) as client:
        for turn in range(-20, CALLS):
            number = turn % len(instances)
            pair = {
                "server": functools.partial(answered, client, requests[number]),
                "bare": functools.partial(timed, call, instances[number]),
            }
            for name in sorted(pair, reverse=turn % 2 == 1):
                found[name].append(pair[name]())
    found = {name: times[20:] for name, times in found.items()}
    more = sorted(a - b for a, b in zip(*found.values(), strict=True))
    low, middle, high = statistics.quantiles(more, n=4)
    print(
        f"overhead at batch 1: {1e3 * middle:.2f} ms (quartiles {1e3 * low:.2f} {1e3 * high:.2f}): "
        f"server {1e3 * statistics.median(found['server']):.2f} ms, bare call "
        f"{1e3 * statistics.median(found['bare']):.2f} ms, medians of {CALLS}",
        flush=True,
    )
    return found


def throughput(servers, requests, options):
    """Loads of servers, by their names, in turns."""
    loads = {
        name: Load(server.port, requests, clients=options.clients)
        for name, server in servers.items()
    }
    rounds = max(1, round(options.seconds / TURN))
    rates = {name: [] for name in loads}
    for server in servers.values():  # to settle
        Load(server.port, requests, clients=options.clients).run(2)
    for turn in range(rounds):
        for name, load in sorted(loads.items(), reverse=turn % 2 == 1):
            before = load.answers[200], load.seconds
            load.run(options.seconds / rounds)
            rates[name].append((load.answers[200] - before[0]) / (load.seconds - before[1]))
    found = {}
    for name, load in loads.items():
        latencies = statistics.quantiles(load.latencies, n=100)
        found[name] = {
            "rates": rates[name],
            "p50": latencies[49],
            "p99": latencies[98],
            "answers": dict(load.answers),
            "seconds": load.seconds,
            "client_seconds": load.own_seconds,
        }
        print(
            f"{name}, {options.clients} clients, {load.seconds:.0f} s: "
            f"{statistics.median(rates[name]):.0f} requests a second, p50 "
            f"{1e3 * latencies[49]:.1f} ms, p99 {1e3 * latencies[98]:.1f} ms, errors "
            f"{load.answers.total() - load.answers[200]} of {load.answers.total()}; the client "
            f"took {load.own_seconds / load.seconds:.2f} of a core"
        )
    ratios = sorted(a / b for a, b in zip(*rates.values(), strict=True))
    print(
        f"throughput with batches over that without: {statistics.median(ratios):.2f} (by turn "
        f"{' '.join(f'{ratio:.2f}' for ratio in ratios)})",
        flush=True,
    )
    return found


def overload(server, requests, seconds):
    """What ten times too many clients are told, what memory they take, and what is after them."""
    with OneByOne(server.port) as client:
        usual = statistics.median(answered(client, requests[0]) for _ in range(50))
    memory = [server.memory()]
    load = Load(server.port, requests, clients=OVERLOADED)
    load.run(seconds, watch=lambda: memory.append(server.memory()))
    end = time.perf_counter()
    with OneByOne(server.port) as client:
        status, seconds = client.ask(requests[0])
        while status != 200 or seconds > 2 * usual:
            status, seconds = client.ask(requests[0])
        recovered = time.perf_counter() - end
    time.sleep(2)
    memory.append(server.memory())
    told = ", ".join(f"{count} of {status}" for status, count in load.answers.most_common())
    print(
        f"overload by {OVERLOADED} clients, {load.seconds:.0f} s: {told}; resident memory "
        f"{memory[0]:.0f} MiB before, {max(memory):.0f} at most, {memory[-1]:.0f} after; answered "
        f"in normal time {1e3 * recovered:.0f} ms after its end"
    )
    return {
        "answers": dict(load.answers),
        "seconds": load.seconds,
        "memory": memory,
        "recovered": recovered,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", type=Path, help="folder of models")
    parser.add_argument("--model", default="digits", help="which of them (default: digits)")
    parser.add_argument("--images", type=Path, nargs="+", metavar="FILE", help="what is asked")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each server (default: 60)")
    parser.add_argument("--clients", type=int, default=32, help="that ask at once (default: 32)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    folder = options.models / options.model
    version = version_folder(folder)
    instances = [path.read_bytes() for path in options.images or ()]
    if not instances:
        given = asked_by(read_card(version))
        instances = given.example()["serving_default"][given.encoded]
    requests = [request_bytes(options.model, instance) for instance in instances]
    found = {**machine(), "model": str(version), "starts": starts(folder, requests)}
    with Server(folder) as batched, Server(folder, "--max-batch-size", "1") as single:
        found["overhead"] = overhead(batched, bare_call(version), instances, requests)
        servers = {"with batches": batched, "without": single}
        found["throughput"] = throughput(servers, requests, options)
    with Server(folder) as server:
        found["overload"] = overload(server, requests, options.seconds / 3)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
