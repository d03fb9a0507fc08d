"""Where a walk along a file's operators stands, and what is checked at every one of them."""

from __future__ import annotations

from collections.abc import Callable

from host.importers.base import Options, scaling_of, shape_notes, vector_shape
from host.importers.chain import Chain
from host.importers.tflite import integers
from host.importers.tflite.chain import MicroCodes
from host.importers.tflite.file import ACTIVATIONS, FLOAT, INT8, File, Operator, Tensor
from host.importers.tflite.layers import Weights
from host.importers.tflite.windows import Window, window
from host.nn.shapes import Pair

AGAIN = "convert the net again"
OTHERWISE = "train the net with other layers instead"
RELU_INSTEAD = "train the net with relu or relu6"
CHAIN = "convert a net that is one chain of layers"
LIMITS = {"RELU": None, "RELU6": 6.0}
_TOLERANCE = 1e-6
"""By which TensorFlow Lite lets the scales before and behind a pool differ."""


class Walk:
    """`at` is the tensor that travels, `start` the last shape of the input before the first layer, `kind` that of all
    activations, `ended` the operator behind which nothing may be computed. The steps begin with the first operator to
    which the input's axes mean something; what comes before waits."""

    def __init__(self, file: File, options: Options) -> None:
        self.file, self.options = file, options
        self.weights = Weights(file)
        self.at = file.source
        self.start = file.tensors[file.source].shape
        self.kind: str | None = None
        self.left: list[str] = []
        self.ended: str | None = None
        self._chain: Chain | MicroCodes | None = None
        self._codes = (1.0, 0)
        self._before: list[Callable[[Chain | MicroCodes], None]] = []

    @property
    def chain(self) -> Chain | MicroCodes:
        """The steps so far."""
        assert self._chain is not None
        return self._chain

    @property
    def has_begun(self) -> bool:
        return self._chain is not None

    def checked(self, op: Operator, keeps_scale: bool = False) -> Tensor:
        """The input of a layer; its numbers are of the kind of all others, or the operator is refused."""
        source, target = self.file.tensors[op.inputs[0]], self.file.tensors[op.outputs[0]]
        for tensor in (source, target):
            if tensor.kind not in (INT8, FLOAT):
                do = "convert again with int8, or without quantisation"
                raise self.file.refused(op, f"{tensor.kind} activations", "INT8 or FLOAT32", do)
            if tensor.kind != (self.kind or source.kind):
                found = f"{tensor.kind} activations in a net of {self.kind or source.kind}"
                raise self.file.refused(op, found, "one kind", "convert the whole net alike")
        if source.kind == INT8:
            self.check_quantised(op, source)
            self.check_quantised(op, target)
            differ = abs(float(source.scales[0]) - float(target.scales[0])) > _TOLERANCE
            if keeps_scale and (differ or source.zeros[0] != target.zeros[0]):
                raise self.file.refused(op, "another scale or zero behind it", "the same", AGAIN)
        if self.kind is None:
            self.kind = source.kind
            if source.kind == INT8:
                self._codes = integers.scale_of(source), integers.zero_code(source)
        return source

    def check_quantised(self, op: Operator, tensor: Tensor) -> None:
        least = 0 if tensor.kind == "UINT8" else -integers.CENTER
        if len(tensor.scales) != 1 or not least <= tensor.zeros[0] < least + 2 * integers.CENTER:
            found = f"{len(tensor.scales)} scales of tensor {tensor.index}, or a zero point that is no code"
            raise self.file.refused(op, found, "one scale and zero point", AGAIN)

    def filters(self, op: Operator, axes: int) -> Tensor:
        tensor = self.file.tensors[op.inputs[1]] if len(op.inputs) > 1 else None
        if tensor is None or len(tensor.shape) != axes:
            found = "none" if tensor is None else f"weights {tensor.shape}"
            raise self.file.refused(op, found, f"weights of {axes} axes", AGAIN)
        return tensor

    def begin(self, op: Operator, shape: tuple[int, ...]) -> None:
        if not 2 <= len(shape) <= 4 or shape[0] != 1:
            do = "convert the net for one image at a time"
            raise self.file.refused(op, f"an input {shape}", "(1, height, width, channels) or (1, values)", do)
        notes = []
        if len(shape) == 2:
            sides = vector_shape(self.file.path, self.options, shape[-1])
            notes = shape_notes(self.options, sides)
        else:
            height, width, channels = shape[1:] if len(shape) == 4 else (*shape[1:], 1)
            sides = (channels, height, width)
        if self.kind == INT8:
            self._chain = MicroCodes(self.file.path, sides)
            source = self.file.tensors[self.at]
            for codes in (self._codes, (integers.scale_of(source), integers.zero_code(source))):
                self._chain.quantise(op.place, *codes)  # the last digits of scales may change on the way here
        else:
            self._chain = Chain(self.file.path, sides, scaling_of(self.options))
        self._chain.notes += notes
        for put in self._before:
            put(self._chain)

    def put(self, step: Callable[[Chain | MicroCodes], None]) -> None:
        """Do something to the steps that needs no meaning of the axes: now, or as soon as there are some."""
        if self._chain is None:
            self._before.append(step)
        else:
            step(self._chain)

    def count(self, op: Operator) -> None:
        """Say in which codes the output of an operator counts, in a net of int8."""
        target = self.file.tensors[op.outputs[0]]
        if isinstance(self._chain, MicroCodes):
            self._chain.quantise(op.place, integers.scale_of(target), integers.zero_code(target))

    def enter_map(self, op: Operator, tensor: Tensor) -> bool:
        """Whether rows and columns changed places, which maps of one row or column may do without moving a number."""
        if not self.has_begun:
            self.begin(op, tensor.shape)
        shape = self.chain.shape
        if len(shape) != 3 or len(tensor.shape) != 4 or tensor.shape[0] != 1:
            raise self.file.refused(op, f"{tensor.shape}", "a map (1, height, width, channels)", OTHERWISE)
        sides = self.chain.sides(op.place)
        if tensor.shape[1:] == (*sides, shape[0]):
            return False
        if tensor.shape[1:] == (*sides[::-1], shape[0]) and 1 in shape[1:]:
            return True
        raise self.file.refused(op, f"a map reshaped to {tensor.shape}", f"(1, {sides}, {shape[0]})", OTHERWISE)

    def window(self, op: Operator, source: Tensor, kernel: Pair, is_turned: bool) -> Window:
        if min(op.options["StrideH"], op.options["StrideW"]) < 1:
            raise self.file.refused(op, "a stride below 1", "strides from 1", AGAIN)
        over = window(op.options, kernel, (source.shape[1], source.shape[2]))
        return over.turned() if is_turned else over

    def check_made(self, op: Operator, is_turned: bool) -> None:
        """Raise InputError unless the map that was made is the one that the file says."""
        channels, height, width = self.chain.shape
        sides = (width, height) if is_turned else (height, width)
        target = self.file.tensors[op.outputs[0]].shape
        if target != (1, *sides, channels):
            raise self.file.refused(op, f"an output {target}", f"(1, {sides}, {channels})", AGAIN)

    def activate(self, op: Operator) -> None:
        """Put in the activation that an operator has within it."""
        name = ACTIVATIONS.get(int(op.options["FusedActivationFunction"]), "another")
        if name not in LIMITS and name != "NONE":
            need = "NONE, RELU or RELU6"
            raise self.file.refused(op, f"activation {name}", need, RELU_INSTEAD)
        if name in LIMITS:
            if not self.has_begun:
                self.begin(op, self.start)
            self.chain.relu(op.place, LIMITS[name])
