"""What a diagnosis says: findings, causes before their symptoms."""

import contextlib
import json
import math
import pathlib
import socket
import textwrap
import time
from dataclasses import asdict, dataclass, field

from kerakit.atomic import replaced
from kerakit.extras import need

SEVERITIES = ("error", "warning", "hint")

# Causes before what they cause: the first finding of a severity is what to mend first. Wrong
# data and wrong starts come before the learning rate, the learning rate before what it does to
# activations and gradients, those before the loss curve; remarks on the design are last.
ORDER = (
    "labels_out_of_range",
    "double_softmax",
    "zero_initial_weights",
    "inputs_not_normalised",
    "badly_scaled_initial_weights",
    "saturating_activations",
    "first_loss_unexpected",
    "learning_rate_too_high",
    "dead_relus",
    "vanishing_gradients",
    "exploding_gradients",
    "learning_rate_too_low",
    "batch_norm_drift",
    "underfitting",
    "cannot_overfit_one_batch",
    "loss_explodes",
    "no_initial_progress",
    "loss_not_decreasing",
    "overfitting",
    "final_bias_ignores_balance",
    "better_start_exists",
    "flatten_dense_heavy",
    "large_kernel",
    "pooling_for_stride",
    "channels_do_not_grow",
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong, or worth a look.

    Args:
        rule: Name of the rule that found it, one of `ORDER`.
        severity: "error" (it will not train, or its figures are wrong), "warning" (it is
            likely to hurt) or "hint" (worth a look).
        message: One sentence: what, where, with the numbers.
        evidence: Numbers and strings by name. "layer" names the place, where there is one.
            NumPy numbers become Python's, and what is not finite becomes a string ("nan"), so
            that it is the same after JSON.
        advice: What to do about it.

    Raises:
        ValueError: If the rule or the severity is unknown.

    Example:

    >>> Finding(rule="loss_explodes", severity="error", message="The loss is NaN at step 12.",
    ...         evidence={"step": 12, "loss": float("nan")}, advice="Lower it.").evidence
    {'step': 12, 'loss': 'nan'}
    """

    rule: str
    severity: str
    message: str
    evidence: dict = field(default_factory=dict)
    advice: str = ""

    def __post_init__(self):
        if self.rule not in ORDER:
            raise ValueError(f"`rule` must be one of {', '.join(ORDER)}, got {self.rule!r}.")
        if self.severity not in SEVERITIES:
            raise ValueError(
                f"`severity` must be one of {', '.join(SEVERITIES)}, got {self.severity!r}."
            )
        object.__setattr__(self, "evidence", _plain(self.evidence))

    @property
    def place(self):
        """Name of the layer it is about, or ""."""
        return str(self.evidence.get("layer", ""))

    @property
    def rank(self):
        """Where it stands among others, as a tuple to sort by; the worst is the smallest."""
        return SEVERITIES.index(self.severity), ORDER.index(self.rule)

    def __str__(self):
        lines = _wrapped(f"{self.severity:7} {self.rule}: {self.message}")
        return "\n".join(lines + _wrapped(f"{'':7} {self.advice}") * bool(self.advice))


@dataclass(frozen=True)
class Diagnosis:
    """Findings, the worst first; printed, a text for the terminal.

    Errors come before warnings and those before hints; within one severity causes come before
    their symptoms (`ORDER`). Two diagnoses add up to one. There is one finding a rule and
    place, the more severe.

    Args:
        findings: Findings in any order.

    Example:

    >>> slow = Finding(rule="learning_rate_too_low", severity="warning",
    ...                message="Updates are 1e-7 of the weights.", advice="Raise the rate.")
    >>> wide = Finding(rule="large_kernel", severity="hint", message="A kernel is 7 x 7.")
    >>> both = Diagnosis((wide,)) + Diagnosis((slow,))
    >>> print(both)
    1 warning, 1 hint
    warning learning_rate_too_low: Updates are 1e-7 of the weights.
            Raise the rate.
    hint    large_kernel: A kernel is 7 x 7.
    >>> both.first.rule, both.quiet, Diagnosis.from_dict(both.to_dict()) == both
    ('learning_rate_too_low', False, True)
    """

    findings: tuple[Finding, ...] = ()

    def __post_init__(self):
        kept = {}
        # Sorting is stable: of equals the first that was given stays.
        for finding in sorted(self.findings, key=lambda finding: finding.rank):
            kept.setdefault((finding.rule, finding.place), finding)
        object.__setattr__(self, "findings", tuple(kept.values()))

    @classmethod
    def by(cls, rules, seen):
        """What rules find.

        Args:
            rules: Functions of `seen` to a `Finding` or None. One that raises is left out: it met
                a kind of model or figure that it was not written for, and the others still speak.
            seen: What they look at.
        """
        findings = []
        for rule in rules:
            with contextlib.suppress(Exception):
                findings.append(rule(seen))
        return cls(tuple(finding for finding in findings if finding is not None))

    def __add__(self, other):
        if not isinstance(other, Diagnosis):
            return NotImplemented
        return Diagnosis(self.findings + other.findings)

    @property
    def first(self):
        """The finding to act on first, or None."""
        return self.findings[0] if self.findings else None

    @property
    def quiet(self):
        """Whether nothing is worse than a hint."""
        return all(finding.severity == "hint" for finding in self.findings)

    def of(self, rule):
        """The findings of one rule, the worst first.

        Args:
            rule: Its name, one of `ORDER`.
        """
        return tuple(finding for finding in self.findings if finding.rule == rule)

    def __str__(self):
        if not self.findings:
            return "Nothing found."
        found = [finding.severity for finding in self.findings]
        counts = [
            f"{found.count(severity)} {severity}{'s' if found.count(severity) > 1 else ''}"
            for severity in SEVERITIES
            if severity in found
        ]
        return "\n".join([", ".join(counts), *map(str, self.findings)])

    def to_dict(self):
        """Dict of plain values, for JSON."""
        return {"quiet": self.quiet, "findings": [asdict(finding) for finding in self.findings]}

    @classmethod
    def from_dict(cls, values):
        """The diagnosis that `to_dict` gave.

        Args:
            values: Its dict, as read from JSON.
        """
        return cls(tuple(Finding(**finding) for finding in values["findings"]))

    def write_json(self, path):
        """Writes `to_dict` as a file of JSON, whole or not at all.

        Args:
            path: The file; its folder exists.
        """
        with replaced(path) as temporary:
            temporary.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    def write_tensorboard(self, folder, *, step=0):
        """Writes the diagnosis as a text that TensorBoard shows under "diagnosis".

        Args:
            folder: Where the event file goes; made if need be.
            step: The step to show it at.

        Raises:
            MissingExtraError: If TensorBoard is not installed.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        records = need("tensorboard.summary.writer.record_writer", extra="recipes")
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.diagnosis"
        # TensorBoard's record writer, as its event writer imports TensorFlow when it is there.
        with open(folder / name, "wb") as file:
            for event in _events(self._markdown(), step):
                records.RecordWriter(file).write(event.SerializeToString())

    def _markdown(self):
        if not self.findings:
            return str(self)
        rows = [
            "| " + " | ".join(map(_in_table, (f.severity, f.rule, f.message, f.advice))) + " |"
            for f in self.findings
        ]
        return "\n".join(["| severity | rule | finding | advice |", "|---|---|---|---|", *rows])


def _events(text, step):
    """The events of a TensorBoard file with one text: its version, then the text."""
    event_pb2 = need("tensorboard.compat.proto.event_pb2", extra="recipes")
    summary_pb2 = need("tensorboard.compat.proto.summary_pb2", extra="recipes")
    tensor_pb2 = need("tensorboard.compat.proto.tensor_pb2", extra="recipes")
    types_pb2 = need("tensorboard.compat.proto.types_pb2", extra="recipes")
    shape_pb2 = need("tensorboard.compat.proto.tensor_shape_pb2", extra="recipes")
    now = time.time()
    metadata = summary_pb2.SummaryMetadata(
        plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="text"),
        data_class=summary_pb2.DATA_CLASS_TENSOR,
    )
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING,
        string_val=[text.encode()],
        tensor_shape=shape_pb2.TensorShapeProto(),
    )
    value = summary_pb2.Summary.Value(tag="diagnosis", metadata=metadata, tensor=tensor)
    return (
        event_pb2.Event(wall_time=now, file_version="brain.Event:2"),
        event_pb2.Event(wall_time=now, step=step, summary=summary_pb2.Summary(value=[value])),
    )


def _in_table(text):
    return text.replace("|", "\\|").replace("\n", " ")


def _wrapped(text):
    return textwrap.wrap(text, 96, subsequent_indent=" " * 8, drop_whitespace=True) or [""]


def _plain(value):
    """The value as JSON keeps it."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):  # a NumPy number
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | None) else str(value)
