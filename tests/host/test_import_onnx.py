"""ONNX nets of floats: each operator in the ways in which exporters write it, against onnxruntime; each refusal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from imported import assert_same_answers, images_for, inputs_of
from onnx_files import Net, answers, onnx

from host.errors import InputError
from host.importers import Options, import_net
from host.nn.network import float_scores

f32 = np.float32


def as_torch_writes_it() -> Net:
    """Of convolution, batch normalisation, ReLU6 and a view by a shape that is computed."""
    net = Net(1, 12, 10)
    net.put("Sub", net.tensor(f32(0.13))).put("Div", net.tensor(f32(0.31)))
    net.conv(1, 4, (3, 3), bias=False, pads=[1, 1, 1, 1], strides=[2, 2])
    net.put("BatchNormalization", net.uniform(4), net.normal(4), net.normal(4), net.uniform(4), epsilon=1e-5)
    net.put("Clip", net.tensor(f32(0)), net.tensor(f32(6)))
    net.put("MaxPool", kernel_shape=[2, 2], strides=[1, 1], ceil_mode=1)
    flat = net.head
    net.put("Shape").put("Gather", net.tensor(np.int64(0)), axis=0).put(
        "Unsqueeze", net.tensor(np.array([0], np.int64))
    )
    net.put("Concat", net.tensor(np.array([-1], np.int64)), axis=0)
    shape, net.head = net.head, flat
    return net.put("Reshape", shape).gemm(4 * 5 * 4, 5).put("LogSoftmax", axis=-1)


def grouped() -> Net:
    net = Net(4, 9, 8).conv(4, 8, (3, 2), group=4, pads=[1, 0, 2, 1]).put("Relu")
    net.conv(8, 6, (2, 2), group=2, auto_pad="SAME_LOWER", strides=[2, 1]).put("Relu")
    return net.put("AveragePool", kernel_shape=[2, 2], strides=[2, 2], count_include_pad=1).put("Flatten").gemm(48, 3)


def normalised_later() -> Net:
    """Batch normalisation behind the ReLU, and again behind the flattening."""
    net = Net(2, 8, 8, batch=1).conv(2, 4, (3, 3), auto_pad="SAME_UPPER").put("Relu")
    net.put("BatchNormalization", net.uniform(4), net.normal(4), net.normal(4), net.uniform(4))
    net.put("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).conv(4, 3, (2, 2)).put("Relu").put("Flatten", axis=1)
    net.put("BatchNormalization", net.uniform(27), net.normal(27), net.normal(27), net.uniform(27))
    return net.gemm(27, 4).put("Softmax", axis=1).put("ArgMax", axis=1)


def no_dense_layer() -> Net:
    net = Net(1, 8, 8).conv(1, 4, (3, 3)).put("Relu").conv(4, 6, (3, 3)).put("Relu").conv(6, 3, (1, 1))
    return net.put("GlobalAveragePool").put("Flatten")


def whole_map() -> Net:
    return Net(1, 6, 5).conv(1, 4, (3, 3)).put("Relu").conv(4, 3, (4, 3)).put("Squeeze")


def padded_twice() -> Net:
    """By Pad, then by convolutions whose windows are counted over what Pad made."""
    net = Net(2, 6, 6)
    for inputs, after, kernel, auto_pad in ((2, (1, 1), (3, 3), "SAME_UPPER"), (3, (0, 1), (4, 3), "SAME_LOWER")):
        net.put("Pad", net.tensor(np.array([0, 0, 0, 0, 0, 0, *after], np.int64)))
        net.conv(inputs, 3, kernel, auto_pad=auto_pad, strides=[2, 2]).put("Relu")
    return net.put("Flatten").gemm(18, 4)


def means() -> Net:
    net = Net(1, 6, 6).conv(1, 4, (3, 3)).put("Relu").put("Dropout", outputs=2).put("Identity")
    return net.put("ReduceMean", axes=[-1, -2], keepdims=0).gemm(4, 3)


def means_kept() -> Net:
    net = Net(3, 6, 6).conv(3, 4, (3, 3)).put("Relu")
    net.put("Transpose", perm=[0, 2, 3, 1]).put("Transpose", perm=[0, 3, 1, 2])
    return net.put("ReduceMean", axes=[2, 3], keepdims=1).put("Reshape", net.tensor(np.array([0, -1]))).gemm(4, 3)


def separable() -> Net:
    """A depthwise and a pointwise convolution without activation between, and a bias that is added behind."""
    net = (
        Net(3, 6, 6).conv(3, 6, (3, 3), group=3, bias=False, pads=[1, 1, 1, 1]).conv(6, 4, (1, 1), group=2, bias=False)
    )
    net.put("Add", net.normal(4, 1, 1)).put("Relu").put("Flatten")
    return net.put("MatMul", net.normal(144, 3, scale=0.1)).put("Add", net.normal(1, 3))


def signal() -> Net:
    net = Net(2, 20).conv(2, 4, (3,), pads=[1, 1]).put("Relu").put("MaxPool", kernel_shape=[2], strides=[2])
    net.put("Pad", net.tensor(np.array([0, 0, 2, 0, 0, 0]))).conv(4, 4, (3,), strides=[2]).put("Relu")
    return net.put("GlobalMaxPool").put("Flatten").gemm(4, 3)


def dense_layers() -> Net:
    """Two without activation between them are one; one score becomes two classes."""
    net = Net(12)
    net.put("Gemm", net.normal(12, 5), net.normal(5), alpha=0.5, beta=2.0).gemm(5, 6)
    net.put("BatchNormalization", net.uniform(6), net.normal(6), net.normal(6), net.uniform(6)).put("Relu")
    return net.put("Mul", net.tensor(f32(2))).gemm(6, 1).put("Sigmoid")


def features() -> Net:
    """As scikit-learn's scalers and nets are written."""
    net = Net(6)
    net.put("Scaler", domain="ai.onnx.ml", offset=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], scale=[1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    net.put("Cast", to=1).put("MatMul", net.normal(6, 4)).put("Add", net.normal(1, 4)).put("Relu")
    return net.put("MatMul", net.normal(4, 3)).put("Add", net.normal(1, 3)).put("Softmax")


def channels_last() -> Net:
    """As tf2onnx writes what TensorFlow has by row, column, channel."""
    net = Net(6, 5, 2)
    net.put("Mul", net.tensor(np.array([2, 3], f32))).put("Transpose", perm=[0, 3, 1, 2])
    net.conv(2, 4, (2, 2)).put("Relu").put("Transpose", perm=[0, 2, 3, 1])
    return net.put("Reshape", net.tensor(np.array([-1, 80]))).gemm(80, 3)


def flat_pixels() -> Net:
    return Net(5, 4, 3).put("Flatten").gemm(60, 4).put("Relu").gemm(4, 3)


def gray_pixels() -> Net:
    net = Net(5, 4)
    return net.put("Reshape", net.tensor(np.array([-1, 20]))).gemm(20, 3)


def vector_to_image() -> Net:
    net = Net(30)
    return (
        net.put("Reshape", net.tensor(np.array([-1, 1, 6, 5])))
        .conv(1, 3, (3, 3))
        .put("Relu")
        .put("Flatten")
        .gemm(36, 3)
    )


def older() -> Net:
    """Attributes that newer versions have as inputs."""
    net = Net(1, 6, 6)
    net.opset = 10
    net.put("Pad", mode="constant", pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.0)
    return net.conv(1, 3, (3, 3)).put("Clip", min=0.0, max=0.5).put("Flatten").gemm(108, 3)


def halves() -> Net:
    """Weights that are stored as int8, or as float16, in a net of floats."""
    net = Net(1, 5, 5)
    scale, zero = net.tensor(np.array([0.01, 0.02], f32)), net.tensor(np.zeros(2, np.int8))
    whole = net.tensor(net.rng.integers(-127, 128, (2, 1, 3, 3)).astype(np.int8))
    travels, net.head = net.head, whole
    net.put("DequantizeLinear", scale, zero, axis=0)
    weights, net.head = net.head, travels
    net.put("Conv", weights).put("Relu").put("Flatten")
    travels, net.head = net.head, net.tensor(net.rng.normal(0, 0.3, (18, 3)).astype(np.float16))
    net.put("Cast", to=1)
    weights, net.head = net.head, travels
    return net.put("MatMul", weights)


def last(x: np.ndarray) -> np.ndarray:
    return x.transpose(0, 2, 3, 1)


CASES: dict[str, tuple[Callable[[], Net], Callable[[np.ndarray], np.ndarray]]] = {
    "as torch writes it": (as_torch_writes_it, lambda x: x),
    "groups": (grouped, lambda x: x),
    "no dense layer": (no_dense_layer, lambda x: x),
    "a whole map": (whole_map, lambda x: x),
    "padded twice": (padded_twice, lambda x: x),
    "means": (means, lambda x: x),
    "means that keep axes": (means_kept, lambda x: x),
    "separable": (separable, lambda x: x),
    "a signal": (signal, lambda x: x[:, :, 0]),
    "dense layers": (dense_layers, lambda x: x.reshape(-1, 12)),
    "features": (features, lambda x: x.reshape(-1, 6)),
    "channels last": (channels_last, last),
    "flat pixels": (flat_pixels, last),
    "gray pixels": (gray_pixels, lambda x: x[:, 0]),
    "a vector to an image": (vector_to_image, lambda x: x.reshape(-1, 30)),
    "older operators": (older, lambda x: x),
    "weights of other types": (halves, lambda x: x),
}


@pytest.mark.parametrize("case", CASES)
def test_answers_are_those_of_onnxruntime(tmp_path: Path, case: str) -> None:
    build, arrange = CASES[case]
    path = build().save(tmp_path / "net.onnx")
    assert_same_answers(path, lambda x: answers(path, x)[0], arrange=arrange)


def test_a_fixed_batch_and_normalisation_behind_the_activation(tmp_path: Path) -> None:
    net = normalised_later()
    net.nodes.pop()  # ArgMax, to see what it is chosen from
    net.head = net.nodes[-1].output[0]
    path = net.save(tmp_path / "net.onnx")
    found = assert_same_answers(path, lambda x: np.concatenate([answers(path, each[None])[0] for each in x]))
    assert found.left == ("Softmax",)
    assert import_net(normalised_later().save(path), Options()).left == ("Softmax", "ArgMax")


def test_normalisation_before_padding_goes_into_the_scaling(tmp_path: Path) -> None:
    imported = import_net(as_torch_writes_it().save(tmp_path / "net.onnx"), Options())
    found = imported.network
    assert found.scaling.offset == pytest.approx(0.13 * 255) and found.scaling.divisor == pytest.approx(0.31 * 255)
    assert [type(layer).__name__ for layer in found.architecture.layers] == [
        *("Conv2d", "ReLU", "MaxPool2d", "Flatten", "Dense")
    ]
    note, codes = imported.notes
    assert codes.startswith("input: codes 0..255 stand for -0.419")
    assert "node 1 Div" in note and "floats are given as they are behind it" in note


def test_other_normalisation_goes_into_the_weights(tmp_path: Path) -> None:
    """So that floats are given as the file takes them."""
    net = Net(1, 6, 6)
    net.put("Sub", net.tensor(f32(0.13))).put("Div", net.tensor(f32(0.31))).put("MaxPool", kernel_shape=[2, 2])
    path = net.conv(1, 4, (3, 3)).put("Relu").put("Flatten").gemm(36, 3).save(tmp_path / "net.onnx")
    found = assert_same_answers(path, lambda x: answers(path, x)[0])
    assert (found.network.scaling.offset, found.network.scaling.divisor, len(found.notes)) == (0, 255.0, 1)


def test_classes_named_in_the_file_are_the_labels(tmp_path: Path) -> None:
    net = features()
    net.put("ZipMap", domain="ai.onnx.ml", classlabels_strings=["cat", "dog", "eel"])
    assert import_net(net.save(tmp_path / "net.onnx"), Options()).network.labels == ("cat", "dog", "eel")
    assert import_net(tmp_path / "net.onnx", Options(("a", "b", "c"))).network.labels == ("a", "b", "c")
    net = features().put("ArgMax", axis=1)
    net.put("ArrayFeatureExtractor", before=[net.tensor(np.array([7, 8, 9]))], domain="ai.onnx.ml")
    assert import_net(net.save(tmp_path / "net.onnx"), Options()).network.labels == ("7", "8", "9")


def complement(net: Net, one: float = 1.0) -> Net:
    return net.put("Sub", before=[net.tensor(f32(one))])


def two_of_one(net: Net, order: tuple[int, int] = (1, 0)) -> Net:
    """As skl2onnx makes the probabilities of two classes of one score."""
    net.put("Sigmoid")
    probability = net.head
    complement(net)
    names = [probability, net.head]
    net.nodes.append(onnx.helper.make_node("Concat", [names[at] for at in order], ["both"], axis=1, name="both"))
    net.head = "both"
    return net


def named_classes(net: Net) -> Net:
    """Behind scores, as skl2onnx writes them: the label of the largest."""
    net.put("ArgMax", axis=1).put("ArrayFeatureExtractor", before=[net.tensor(np.array([4, 5]))], domain="ai.onnx.ml")
    return net.put("Reshape", net.tensor(np.array([-1]))).put("Cast", to=7)


SCORES: dict[str, Callable[[], Net]] = {
    "the largest": lambda: image().put("ArgMax", axis=-1, keepdims=0),
    "of probabilities": lambda: image().put("Softmax").put("Identity").put("Cast", to=11).put("ArgMax", axis=1),
    "of a softmax twice": lambda: image().put("Softmax").put("LogSoftmax").put("ArgMax", axis=1).put("Cast", to=6),
}


@pytest.mark.parametrize("case", SCORES)
def test_the_class_that_is_chosen_is_that_of_onnxruntime(tmp_path: Path, case: str) -> None:
    path = SCORES[case]().save(tmp_path / "net.onnx")
    network = import_net(path, Options(input_range=(-3.0, 3.0))).network
    images = images_for(network, 200)
    chosen = answers(path, inputs_of(network, images, -3.0, 3.0))[0].reshape(-1)
    assert len(set(chosen.tolist())) > 1
    np.testing.assert_array_equal(float_scores(network, images).argmax(axis=1), chosen)


def test_the_label_of_one_score_is_that_of_onnxruntime(tmp_path: Path) -> None:
    net = Net(6).gemm(6, 5).put("Relu").gemm(5, 1)
    path = named_classes(two_of_one(net)).save(tmp_path / "net.onnx")
    imported = import_net(path, Options(input_range=(-3.0, 3.0)))
    images = images_for(imported.network, 200)
    labels = answers(path, inputs_of(imported.network, images, -3.0, 3.0).reshape(-1, 6))[0].tolist()
    ours = [imported.network.labels[at] for at in float_scores(imported.network, images).argmax(axis=1)]
    assert set(ours) == {"4", "5"} and ours == [str(each) for each in labels]
    assert imported.left == ("Sigmoid", "Sub", "Concat", "ArgMax", "ai.onnx.ml.ArrayFeatureExtractor")


def single() -> Net:
    return Net(6).gemm(6, 5).put("Relu").gemm(5, 1)


BEHIND: dict[str, tuple[Callable[[], Net], str]] = {
    "1 - p of many": (lambda: complement(image().put("Softmax")), "Sub 'my_Sub_6': found it behind the scores"),
    "0.5 - p of one": (lambda: complement(single().put("Sigmoid"), 0.5), "Sub 'my_Sub_4': found it behind"),
    "p before 1 - p": (lambda: two_of_one(single(), (0, 1)), "Concat 'both': found it behind the scores"),
    "constants beside scores": (
        lambda: (net := image().put("Softmax")).put("Concat", net.tensor(np.ones((1, 2), f32)), axis=1),
        "Concat 'my_Concat_6'",
    ),
    "numbers from scores": (
        lambda: (net := image().put("Softmax")).put("Sub", net.tensor(np.array([0.9, 0, 0], f32))),
        "Sub 'my_Sub_6'",
    ),
    "the smallest": (
        lambda: (net := image()).put("TopK", net.tensor(np.array([1])), outputs=2, largest=0),
        "found largest 0, sorted 1, need 1",
    ),
    "the last of equals": (lambda: image().put("ArgMax", axis=1, select_last_index=1), "found select_last_index 1"),
    "whole probabilities": (lambda: image().put("Softmax").put("Cast", to=7), "found scores made whole, or rounded"),
    "the largest of one": (
        lambda: single().put("Sigmoid").put("ArgMax", axis=1),
        "found it over a sigmoid over one score, need scores",
    ),
    "the largest of a map": (
        lambda: (net := image().put("Softmax")).put("Reshape", net.tensor(np.array([3, 1]))).put("ArgMax", axis=1),
        "found it over scores of another shape, need scores",
    ),
    "another operator": (lambda: image().put("Softmax").put("Relu"), "Relu 'my_Relu_6': found it behind the scores"),
}


@pytest.mark.parametrize("case", BEHIND)
def test_what_would_change_the_class_is_refused(tmp_path: Path, case: str) -> None:
    build, words = BEHIND[case]
    with pytest.raises(InputError) as caught:
        import_net(build().save(tmp_path / "net.onnx"), Options())
    assert str(caught.value).startswith("net.onnx: node ") and words in str(caught.value), caught.value


def image(*layers: Callable[[Net], object], end: bool = True) -> Net:
    """A small net with something in the middle of it."""
    net = Net(1, 6, 6).conv(1, 2, (3, 3)).put("Relu")
    for layer in layers:
        layer(net)
    return net.put("GlobalAveragePool").put("Flatten").gemm(2, 3) if end else net


def residual(net: Net) -> None:
    before = net.head
    net.conv(2, 2, (1, 1)).put("Relu").put("Add", before)


REFUSED: dict[str, tuple[Callable[[Net], object], str]] = {
    "dilation": (lambda net: net.conv(2, 2, (2, 2), dilations=[2, 2]), "found dilations [2, 2], need 1; train without"),
    "LeakyRelu": (lambda net: net.put("LeakyRelu"), "found an operator that no board computes, need one of"),
    "Sigmoid": (lambda net: net.put("Sigmoid"), "ReLU between its layers"),
    "HardSwish": (lambda net: net.put("HardSwish"), "; train it with ReLU"),
    "ConvTranspose": (lambda net: net.put("ConvTranspose", net.normal(2, 2, 2, 2)), "node 2 ConvTranspose"),
    "a branch": (residual, "node 4 Add 'my_Add_4': found 'Relu_1_0', from which the net has gone on"),
    "padding of a pool": (
        lambda net: net.put("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        "found padding, need",
    ),
    "ceil_mode": (
        lambda net: net.put("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        "found ceil_mode where windows reach beyond the map",
    ),
    "windows that overlap": (
        lambda net: net.put("AveragePool", kernel_shape=[2, 2]),
        "need windows that lie side by side",
    ),
    "indices of maxima": (lambda net: net.put("MaxPool", kernel_shape=[2, 2], outputs=2), "found a second output"),
    "clip from below 0": (
        lambda net: net.put("Clip", net.tensor(f32(-1)), net.tensor(f32(1))),
        "found -1..1, need 0 and up",
    ),
    "a map of constants": (lambda net: net.put("Add", net.normal(1, 2, 4, 4)), "need one for all, or one a channel"),
    "a mean of channels": (lambda net: net.put("ReduceMean", axes=[1]), "found axes [1], need rows and columns"),
    "no activation": (
        lambda net: net.conv(2, 2, (2, 2)).conv(2, 2, (2, 2)).put("Relu"),
        "node 2 Conv 'my_Conv_2': found it without ReLU, need one right behind it, or behind its max-pool",
    ),
    "padding that is not zero": (
        lambda net: net.put("Pad", net.tensor(np.array([0, 0, 1, 1, 0, 0, 1, 1])), net.tensor(f32(1))),
        "found mode constant, value 1, need zeros",
    ),
    "softmax in the middle": (lambda net: net.put("Softmax", axis=1), "found it behind the scores"),
    "training mode": (
        lambda net: net.put("BatchNormalization", *[net.uniform(2) for _ in range(4)], training_mode=1),
        "found training mode, need inference",
    ),
    "another library's operator": (lambda net: net.put("FusedConv", domain="com.microsoft"), "com.microsoft.FusedConv"),
    "a transposed map": (lambda net: net.put("Transpose", perm=[0, 1, 3, 2]), "found the order (0, 1, 3, 2)"),
    "NaN": (lambda net: net.put("Conv", net.tensor(np.full((2, 2, 1, 1), np.nan, f32))), "found NaN or infinity"),
    "weights that are computed": (
        lambda net: net.put("MatMul", net.head),
        "found an input of 1x2x4x4, need one vector",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_board_computes_is_named(tmp_path: Path, case: str) -> None:
    layer, words = REFUSED[case]
    with pytest.raises(InputError) as caught:
        import_net(image(layer).save(tmp_path / "net.onnx"), Options())
    assert str(caught.value).startswith("net.onnx: node ") and words in str(caught.value), caught.value


def test_an_output_beside_the_scores_is_refused(tmp_path: Path) -> None:
    net = image()
    (tmp_path / "net.onnx").write_bytes(net.model(["Relu_1_0", net.head]).SerializeToString())
    with pytest.raises(InputError, match="output: found 'Relu_1_0' beside the scores, need the scores alone"):
        import_net(tmp_path / "net.onnx", Options())


@pytest.mark.parametrize(
    ("shape", "words"),
    [(("h", 5), "found the shape"), ((), "fixed sizes behind the first"), ((1, 0, 4), "found the shape")],
)
def test_an_input_without_a_fixed_shape_is_refused(tmp_path: Path, shape: tuple[object, ...], words: str) -> None:
    net = image()
    net.shape = ["n", *shape]
    with pytest.raises(InputError, match=words):
        import_net(net.save(tmp_path / "net.onnx"), Options())


def test_numbers_in_another_file_are_refused_and_no_file_is_opened(tmp_path: Path) -> None:
    model = image().model()
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/dev/zero")
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="tensor 't0': found numbers kept in another file"):
        import_net(tmp_path / "net.onnx", Options())


def test_two_inputs_and_old_operators_are_refused(tmp_path: Path) -> None:
    model = image().model()
    model.graph.input.add(name="y")
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="input: found 2 of them, need one"):
        import_net(tmp_path / "net.onnx", Options())
    net = image()
    net.opset = 6
    with pytest.raises(InputError, match="opset: found operators of version 6, need 7 or later"):
        import_net(net.save(tmp_path / "net.onnx"), Options())


def test_the_notes_are_no_part_of_the_net(tmp_path: Path) -> None:
    found = import_net(separable().save(tmp_path / "net.onnx"), Options())
    assert len(found.notes) == 2 and "node 0 Conv" in found.notes[0] and "node 1 Conv" in found.notes[0]
    assert found.network.provenance == dataclasses.replace(found.network.provenance, engine="onnx", dataset="imported")
