"""The report of what a model costs: its rows, its totals, as text, CSV and dict."""

import csv
import json
import math
import textwrap
from dataclasses import asdict, dataclass, field
from fractions import Fraction

from kerakit.cost.reach import ALL, UNKNOWN

CONVENTION = (
    "One example, inference. MACs: multiply-accumulates of convolutions and matrix products, as in "
    "torchvision's tables; no bias, normalisation, pooling or activation. FLOPs: two a MAC, bias "
    "included; batch normalisation 2 an element, activations by kerakit.activations.TABLE, max "
    "pooling 1 an output, average pooling k^2 - 1, sums and products 1 an element. Activations: "
    "bytes of every output that is memory of its own, as training keeps it. Receptive field and "
    "stride: pixels of the input along its axes, not clipped by its border."
)

_HEADER = ("layer", "kind", "output", "parameters", "MACs", "FLOPs", "bytes", "field", "stride")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One call of a layer, or one function of `keras.ops` in a graph.

    Args:
        name: Names of the layers from the model down, joined by slashes.
        kind: The layer's class; `ops.Add` for a function.
        output_shape: Without the batch; a tuple of shapes for several outputs.
        parameters: Of the layer's own weights, at its first call; 0 at later ones.
        trainable_parameters: Those among them that are trained.
        macs: Multiply-accumulates.
        flops: Floating-point operations.
        activation_bytes: Bytes of its outputs, and what else training keeps.
        receptive_field: Pixels along each axis; "all", or None where it was not followed.
        effective_stride: Pixels from one output to the next along each axis; an int, a
            `Fraction` after upsampling, or None where there is none.
        uncounted: What of its work is not counted, in words.
    """

    name: str
    kind: str
    output_shape: tuple
    parameters: int
    trainable_parameters: int
    macs: int
    flops: int
    activation_bytes: int
    receptive_field: tuple
    effective_stride: tuple
    uncounted: tuple[str, ...]


def make_row(counted, seen):
    """The row of a counted call; weights in `seen` (a set of ids) have been counted."""
    new = {id(v): v for v in counted.weights if id(v) not in seen}
    seen |= set(new)
    shapes = tuple(tuple(x.shape[1:]) for x in counted.outputs)
    reaches = _reaches([counted.field])
    return Row(
        name=counted.name,
        kind=counted.kind,
        output_shape=shapes[0] if len(shapes) == 1 else shapes,
        parameters=sum(math.prod(v.shape) for v in new.values()),
        trainable_parameters=sum(math.prod(v.shape) for v in new.values() if v.trainable),
        macs=counted.macs,
        flops=counted.flops,
        activation_bytes=counted.activation_bytes,
        receptive_field=tuple(_size(reach) for reach in reaches),
        effective_stride=tuple(getattr(reach, "stride", None) or None for reach in reaches),
        uncounted=tuple(counted.uncounted),
    )


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a model costs. `print(report)` shows the table.

    Args:
        name: The model's name.
        input_shapes: Shape of one example of each input.
        rows: A `Row` for each call, in the order of the calls.
        uncalled_parameters: Of weights in layers that were not called.
        uncalled_trainable_parameters: Those among them that are trained.
        output_fields: `Field` of each of the model's outputs.
    """

    name: str
    input_shapes: list
    rows: list[Row]
    uncalled_parameters: int
    uncalled_trainable_parameters: int
    output_fields: list = field(repr=False)

    @property
    def parameters(self):
        """All parameters, moving statistics among them; shared ones once."""
        return self._total("parameters") + self.uncalled_parameters

    @property
    def trainable_parameters(self):
        """Parameters that are trained."""
        return self._total("trainable_parameters") + self.uncalled_trainable_parameters

    @property
    def macs(self):
        """Multiply-accumulates of convolutions and matrix products."""
        return self._total("macs")

    @property
    def flops(self):
        """Floating-point operations."""
        return self._total("flops")

    @property
    def activation_bytes(self):
        """Bytes of all outputs that are memory of their own."""
        return self._total("activation_bytes")

    @property
    def receptive_field(self):
        """Of the model's outputs, the largest: pixels along each axis, "all" or None."""
        return tuple(_size(reach) for reach in _reaches(self.output_fields))

    @property
    def local_receptive_field(self):
        """The largest one that is not the whole input; of many networks the last map's."""
        local = self._most_local()
        return local and local.receptive_field

    @property
    def uncounted(self):
        """{name of a layer: what of its work is not counted}."""
        return {row.name: row.uncounted for row in self.rows if row.uncounted}

    def totals(self):
        """The totals, and what is not in them, as JSON can hold them."""
        return {
            "parameters": self.parameters,
            "trainable_parameters": self.trainable_parameters,
            "macs": self.macs,
            "flops": self.flops,
            "activation_bytes": self.activation_bytes,
            "receptive_field": list(self.receptive_field),
            "local_receptive_field": list(self.local_receptive_field or ()),
            "uncounted": {name: list(what) for name, what in self.uncounted.items()},
        }

    def to_dict(self):
        """The totals, the convention in words, and the rows, as JSON can hold them."""
        return {
            "name": self.name,
            "input_shapes": [list(shape) for shape in self.input_shapes],
            **self.totals(),
            "convention": CONVENTION,
            "rows": [_plain(asdict(row)) for row in self.rows],
        }

    def to_csv(self, path):
        """Writes the rows to a CSV file with a header.

        Args:
            path: The file.
        """
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(Row.__dataclass_fields__))
            writer.writeheader()
            for row in self.rows:
                cells = _plain(asdict(row))
                cells |= {key: json.dumps(v) for key, v in cells.items() if isinstance(v, list)}
                writer.writerow(cells)

    def line(self):
        """The totals in one line."""
        return (
            f"{self.parameters:,} parameters, {_short(self.macs)}MACs, {_short(self.flops)}FLOPs, "
            f"{self.activation_bytes / 2**20:,.1f} MiB of activations an example, receptive field "
            f"{self._seen()}"
        )

    def __str__(self):
        cells = [_HEADER, *map(_cells, self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(_HEADER))]
        lines = [
            "  ".join(
                text.ljust(width) if i < 3 else text.rjust(width)
                for i, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
        lines.insert(1, "-" * max(map(len, lines)))
        shapes = ", ".join(_times(shape) for shape in self.input_shapes)
        frozen = self.parameters - self.trainable_parameters
        totals = [
            f"{self.name}, input {shapes}",
            f"  parameters       {self.parameters:,} ({self.trainable_parameters:,} trainable, "
            f"{frozen:,} not)",
            f"  MACs             {self.macs:,}",
            f"  FLOPs            {self.flops:,}",
            f"  activations      {self.activation_bytes:,} bytes",
            f"  receptive field  {self._seen()}",
        ]
        if self.uncalled_parameters:
            totals.append(
                f"  in layers that were not called: {self.uncalled_parameters:,} parameters"
            )
        for name, what in self.uncounted.items():
            totals.append(f"  NOT COUNTED in {name}: {'; '.join(what)}")
        return "\n".join([*lines, "", *totals, "", textwrap.fill(CONVENTION, 100)])

    def _most_local(self):
        """The row of the largest receptive field that is not the whole input; the last such."""
        local = [
            row
            for row in reversed(self.rows)
            if row.receptive_field and all(isinstance(size, int) for size in row.receptive_field)
        ]
        return max(local, key=lambda row: math.prod(row.receptive_field), default=None)

    def _seen(self):
        size = self.receptive_field
        if size and not _is_whole(size):
            return _times(size)
        local = self._most_local() if size else None
        if not local:
            return "the whole input"
        # Not always the last map: a squeeze-and-excitation reads everything long before it.
        return f"the whole input ({_times(local.receptive_field)} up to {local.name})"

    def _total(self, name):
        return sum(getattr(row, name) for row in self.rows)


def _cells(row):
    shape = row.output_shape
    shapes = shape if shape and isinstance(shape[0], tuple) else (shape,)
    field = row.receptive_field
    whole = _is_whole(field)
    return (
        row.name,
        row.kind,
        ", ".join(map(_times, shapes)),
        *(
            f"{number:,}" if number else ""
            for number in (row.parameters, row.macs, row.flops, row.activation_bytes)
        ),
        "all" if whole else _times(field),
        "" if whole else _times(row.effective_stride),
    )


def _reaches(fields):
    """What tensors read along each axis of the input, the largest of them and of the inputs."""
    by_input = [reaches for one in fields for reaches in one.reaches().values()]
    if not by_input:
        return ()
    axes = len(by_input[0])
    alike = [reaches for reaches in by_input if len(reaches) == axes]
    return tuple(max(along, key=_order) for along in zip(*alike, strict=True))


def _order(reach):
    if reach is UNKNOWN:
        return math.inf
    return 2**62 if reach == ALL else reach.size


def _size(reach):
    return reach if reach is UNKNOWN or reach == ALL else reach.size


def _is_whole(sizes):
    return bool(sizes) and all(size == ALL for size in sizes)


def _times(sizes):
    return " x ".join("?" if size is None else str(size) for size in sizes)


def _short(number):
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3f} {unit}"
    return f"{number} "


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, Fraction) else value
