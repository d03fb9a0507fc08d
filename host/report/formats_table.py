"""What each weight format makes of a net's answers: accuracy where labels are known, what changes against the float net
and against the net's original, and bytes of weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.compile.export import Export
from host.compile.exports import formats, plain_export, refusal
from host.data import Samples
from host.errors import InputError
from host.modelfile.file import content_hash
from host.nn.activations import activation_tops
from host.nn.formats import ACTIVATION_TOPS, NARROW_TOP, WeightFormat
from host.nn.network import Network, float_scores
from host.quantise.graph import AFTER, AWARE, PER_TENSOR, Graph
from host.quantise.ops import scores_as_codes
from host.quantise.reference import infer
from host.report.compare import accuracy
from host.report.document import evaluation
from host.report.original import AgainstOriginal, against_original

FLOAT = WeightFormat.FLOAT32.label
ORIGINAL = "original"
_WIDTHS = (ACTIVATION_TOPS[8], NARROW_TOP)


@dataclass(frozen=True, eq=False)
class Row:
    """Answers of one kind: `classes` (N,), `scores` (N, classes), one step of which is worth `step`. `name` is unique;
    `title` and `rounding` are for people, `weights` are bytes. `model_hash` is the graph's; of floats that no board can
    hold it is the model file's."""

    name: str
    title: str
    classes: NDArray[np.integer]
    scores: NDArray[np.int32] | NDArray[np.float32]
    step: float
    weights: int
    model_hash: str
    rounding: str | None = None
    against: AgainstOriginal | None = None


@dataclass(frozen=True, eq=False)
class FormatsTable:
    """`rows` in order of display, that of the float net always among them."""

    samples: Samples
    rows: tuple[Row, ...]
    count: int

    def row(self, name: str | None) -> Row:
        """The one of a name; without one what a board is best given: the first that was trained for its format, else
        int8, or the float net's where there is none."""
        if name is None:
            aware = (row.name for row in self.rows if row.rounding == AWARE)
            names = {row.name for row in self.rows}
            name = next(aware, WeightFormat.INT8.label if WeightFormat.INT8.label in names else FLOAT)
        return next(row for row in self.rows if row.name == name)

    @property
    def cells(self) -> list[list[str]]:
        """Texts, the first row the head; accuracy, rounding and the original have columns where they are known."""
        labels, original = self.samples.labels, self.samples.original
        baseline = self.row(FLOAT).classes
        has_rounding = any(row.rounding for row in self.rows)
        head = ["format", "rounding" if has_rounding else "", "" if labels is None else "accuracy", "changed"]
        table = [[*head, "" if original is None else "unlike original", "weights"]]
        if original is not None:
            right = "" if labels is None else _percent(accuracy(original.classes, labels))
            changed = int(np.sum(original.classes != baseline))
            table.append([ORIGINAL, "", right, str(changed), "0", ""])
        for row in self.rows:
            right = "" if labels is None else _percent(accuracy(row.classes, labels))
            other = "" if row.against is None else str(len(self.samples) - row.against.classes_equal)
            changed = int(np.sum(row.classes != baseline))
            table.append([row.title, row.rounding or "", right, str(changed), other, f"{row.weights:,} B"])
        used = [column for column, name in enumerate(table[0]) if name]
        return [[line[column] for column in used] for line in table]

    def document(self, dataset: str, part: str) -> dict[str, Any]:
        """For JSON, by the rows' names."""
        original = self.samples.original
        classes = {row.name: row.classes for row in self.rows}
        return evaluation(
            dataset,
            part,
            self.samples.labels,
            classes if original is None else {**classes, ORIGINAL: original.classes},
            self.count,
            {row.name: row.weights for row in self.rows},
            {row.name: row.rounding for row in self.rows if row.rounding},
            {row.name: row.against for row in self.rows if row.against is not None},
        )


def formats_table(
    network: Network, samples: Samples, only: str | None = None, *, per_tensor: bool = False, widths: bool = False
) -> FormatsTable:
    """Measure every format that some board can hold, or `only` one beside the float net. With `per_tensor` a layer's
    weights share one step; with `widths` int8 is measured with activations of 8 and of 6 bits. Raise InputError where
    `only` cannot be had."""
    rows = [_measured(samples, *each) for each in _exports(network, only, per_tensor, widths)]
    if not any(row.name == FLOAT for row in rows):
        rows.insert(0, _float_row(network, samples))
    return FormatsTable(samples, tuple(rows), len(network.labels))


def _float_row(network: Network, samples: Samples) -> Row:
    """What no board holds as float32 is measured as it was trained."""
    found = float_scores(network, samples.images)
    classes = found.argmax(axis=1)
    against = _against(samples, classes, found, None)
    size = 4 * int(network.parameters.flat.size)
    return Row(FLOAT, FLOAT, classes, found, 1.0, size, content_hash(network), against=against)


def _measured(samples: Samples, name: str, title: str, export: Export) -> Row:
    graph = export.graph
    found = infer(graph, samples.images)
    return Row(
        name,
        title,
        found.classes,
        found.scores,
        graph.score_step,
        len(export.portable.rom),
        graph.hash,
        rounding=graph.rounding,
        against=_against(samples, found.classes, found.scores, graph),
    )


def _against(
    samples: Samples, classes: NDArray[np.integer], scores: Any, graph: Graph | None
) -> AgainstOriginal | None:
    if samples.original is None:
        return None
    as_codes = graph is not None and scores_as_codes(graph.ops[-1])
    return against_original(samples.original, classes, scores, as_codes=as_codes)


def _exports(network: Network, only: str | None, per_tensor: bool, widths: bool) -> Iterator[tuple[str, str, Export]]:
    """Name, title and what is measured; the format's own name being what an export takes."""
    if only not in (None, FLOAT) and (reason := refusal(network, WeightFormat[only.upper()])):
        raise InputError(reason)
    for fmt in formats(network):
        if only not in (None, fmt.label) and fmt is not WeightFormat.FLOAT32:
            continue
        usual = plain_export(network, fmt)
        if per_tensor and usual.graph.rounding not in (None, PER_TENSOR):
            yield fmt.label, fmt.label, plain_export(network, fmt, per_tensor=True)
            continue
        yield fmt.label, fmt.label, usual
        if widths and fmt is WeightFormat.INT8:
            yield from _other_widths(network, usual.graph.top)
        if usual.graph.rounding == AWARE:
            after = plain_export(network, fmt, post_training=True)
            yield f"{fmt.label} {after.graph.rounding}", fmt.label, after
        if usual.graph.rounding in (AWARE, AFTER):
            with suppress(InputError):  # layers that have one scale each already
                yield f"{fmt.label} {PER_TENSOR}", fmt.label, plain_export(network, fmt, per_tensor=True)


def _other_widths(network: Network, usual: int) -> Iterator[tuple[str, str, Export]]:
    """int8 with activations of as many bits as an export would not take by itself."""
    tops = activation_tops(network.architecture)
    for bits, top in tops.items():
        if top in _WIDTHS and top != usual:
            name = f"{WeightFormat.INT8.label} {bits}-bit activations"
            with suppress(InputError):  # a net whose whole numbers were given has those alone
                yield name, f"{WeightFormat.INT8.label} {bits}-bit", plain_export(network, WeightFormat.INT8, bits)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
