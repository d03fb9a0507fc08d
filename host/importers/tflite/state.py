"""Where a walk along a file's operators stands, and what is checked at every one of them."""

from __future__ import annotations

from host.importers.base import Options, scaling_of, shape_notes, vector_shape
from host.importers.tflite import integers
from host.importers.tflite.chain import Chain
from host.importers.tflite.file import ACTIVATIONS, FLOAT, INT8, File, Operator, Tensor
from host.importers.tflite.layers import Weights
from host.importers.tflite.windows import Window, window
from host.nn.layers import ReLU
from host.nn.scaling import Scaling
from host.nn.shapes import Pads, Pair

NO_PADS = (0, 0, 0, 0)
AGAIN = "convert the net again"
OTHERWISE = "train the net with other layers instead"
RELU_INSTEAD = "train the net with relu or relu6"
CHAIN = "convert a net that is one chain of layers"
RELUS = {"NONE": None, "RELU": ReLU(), "RELU6": ReLU(6.0)}
_TOLERANCE = 1e-6
"""By which TensorFlow Lite lets the scales before and behind a pool differ."""


class Walk:
    """`at` is the tensor that travels, `pads` what a PAD put around it, `start` the last shape of the input before the
    first layer, `kind` that of all activations, `ended` the operator behind which nothing may be computed."""

    def __init__(self, file: File, options: Options) -> None:
        self.file, self.options = file, options
        self.chain = Chain(file)
        self.weights = Weights(file)
        self.at = file.source
        self.start = file.tensors[file.source].shape
        self.pads: Pads = NO_PADS
        self.kind: str | None = None
        self.scaling = scaling_of(options)
        self.left: list[str] = []
        self.notes: list[str] = []
        self.ended: str | None = None

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
                self.scaling = Scaling(integers.zero_code(source), 1 / integers.scale_of(source))
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
        if len(shape) == 2:
            vector = vector_shape(self.file.path, self.options, shape[-1])
            self.notes += shape_notes(self.options, vector)
            self.chain.begin(vector)
            return
        height, width, channels = shape[1:] if len(shape) == 4 else (*shape[1:], 1)
        self.chain.begin((channels, height, width))

    def enter_map(self, op: Operator, tensor: Tensor) -> bool:
        """Whether rows and columns changed places, which maps of one row or column may do without moving a number."""
        if self.chain.is_empty and self.chain.map is None:
            self.begin(op, tensor.shape)
        shape = self.chain.map
        if shape is None or len(tensor.shape) != 4 or tensor.shape[0] != 1:
            raise self.file.refused(op, f"{tensor.shape}", "a map (1, height, width, channels)", OTHERWISE)
        channels, *_ = shape
        sides = self._padded(shape)
        if tensor.shape[1:] == (*sides, channels):
            return False
        if tensor.shape[1:] == (*sides[::-1], channels) and 1 in shape[1:]:
            return True
        raise self.file.refused(op, f"a map reshaped to {tensor.shape}", f"(1, {sides}, {channels})", OTHERWISE)

    def _padded(self, shape: tuple[int, int, int]) -> Pair:
        top, left, bottom, right = self.pads
        return shape[1] + top + bottom, shape[2] + left + right

    def window(self, op: Operator, source: Tensor, kernel: Pair, is_turned: bool) -> Window:
        if min(op.options["StrideH"], op.options["StrideW"]) < 1:
            raise self.file.refused(op, "a stride below 1", "strides from 1", AGAIN)
        over = window(op.options, kernel, (source.shape[1], source.shape[2]))
        return over.turned() if is_turned else over

    def check_steps(self, op: Operator, over: Window, is_turned: bool, channels: int) -> Pair:
        """(height, width) of the output, as we count and as the file says."""
        assert self.chain.map is not None
        sides = over.steps(self.chain.map[1:])
        target = self.file.tensors[op.outputs[0]].shape
        if target != (1, *(sides[::-1] if is_turned else sides), channels):
            raise self.file.refused(op, f"an output {target}", f"(1, {sides}, {channels})", AGAIN)
        return sides

    def check_no_pads(self, op: Operator | None) -> None:
        if any(self.pads):
            do = "pad before convolutions alone"
            raise self.file.refused(op, f"it behind a PAD of {self.pads}", "a convolution there", do)

    def name(self, op: Operator) -> str:
        return ACTIVATIONS.get(int(op.options["FusedActivationFunction"]), "another")

    def activation(self, op: Operator) -> ReLU | None:
        name = self.name(op)
        if name not in RELUS:
            need = "NONE, RELU or RELU6"
            raise self.file.refused(op, f"activation {name}", need, RELU_INSTEAD)
        return RELUS[name]

    def hold(self, op: Operator, relu: ReLU | None) -> None:
        """An activation that is no layer's with weights."""
        if relu is None:
            return
        if self.chain.is_empty and self.chain.map is None:
            self.begin(op, self.start)
        target = self.file.tensors[op.outputs[0]]
        name = "RELU" if relu.limit is None else "RELU6"
        self.chain.hold(op, relu, integers.clamps(target, name) if target.kind == INT8 else None)
