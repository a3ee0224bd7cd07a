"""Counts and times of a server, as Prometheus reads them."""

import bisect
import collections

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class _Histogram:
    """How many values are at most each bound, and their sum."""

    def __init__(self, bounds):
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value):
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self, name, labels):
        total = 0
        for bound, count in zip((*self.bounds, "+Inf"), self.counts, strict=True):
            total += count
            yield _line(f"{name}_bucket", {**labels, "le": bound}, total)
        yield _line(f"{name}_sum", labels, self.sum)
        yield _line(f"{name}_count", labels, total)


class Measures:
    """What a server counts; from one thread alone.

    Example:

    >>> measures = Measures()
    >>> measures.request("digits", 200, 0.004)
    >>> print(measures.text({}).splitlines()[2])
    kerakit_requests_total{model="digits",status="200"} 1
    """

    def __init__(self):
        self._requests = collections.Counter()
        self._rejected = collections.Counter()
        self._seconds = collections.defaultdict(lambda: _Histogram(_SECONDS))
        self._batches = collections.defaultdict(lambda: _Histogram(_ROWS))

    def request(self, model, status, seconds):
        """Counts a request to predict.

        Args:
            model: Name of the model; empty if there is none of the name asked for.
            status: HTTP status of its answer.
            seconds: Time from its head to its answer.
        """
        self._requests[model, status] += 1
        self._seconds[model].add(seconds)
        if status in (429, 503):
            self._rejected[model, status] += 1

    def batch(self, model, rows):
        """Counts a batch that was computed.

        Args:
            model: Name of the model.
            rows: How many rows of requests it held.
        """
        self._batches[model].add(rows)

    def text(self, waiting):
        """All measures in Prometheus's text format.

        Args:
            waiting: Dict from (model, signature) to the number of rows that wait.
        """
        lines = _described("requests_total", "counter", "Requests to predict, by status.")
        lines += _counted("requests_total", self._requests)
        lines += _described("rejected_total", "counter", "Requests refused as there was no room.")
        lines += _counted("rejected_total", self._rejected)
        lines += _described("request_seconds", "histogram", "Time from a request to its answer.")
        for model, histogram in sorted(self._seconds.items()):
            lines += histogram.lines("kerakit_request_seconds", {"model": model})
        lines += _described("batch_rows", "histogram", "Rows of requests computed together.")
        for model, histogram in sorted(self._batches.items()):
            lines += histogram.lines("kerakit_batch_rows", {"model": model})
        lines += _described("waiting_rows", "gauge", "Rows that wait to be computed.")
        for (model, signature), rows in sorted(waiting.items()):
            labels = {"model": model, "signature": signature}
            lines.append(_line("kerakit_waiting_rows", labels, rows))
        return "\n".join(lines) + "\n"


def _described(name, kind, text):
    return [f"# HELP kerakit_{name} {text}", f"# TYPE kerakit_{name} {kind}"]


def _counted(name, counter):
    return [
        _line(f"kerakit_{name}", {"model": model, "status": status}, count)
        for (model, status), count in sorted(counter.items())
    ]


def _line(name, labels, value):
    escapes = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
    shown = ",".join(f'{key}="{str(text).translate(escapes)}"' for key, text in labels.items())
    return f"{name}{{{shown}}} {value}"
