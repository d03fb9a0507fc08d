"""Files as Keras 2 and 3 write them: answers equal to Keras's, computed by an implementation of its layers in another
layout; each layer, each refusal. Their layouts were compared with files of Keras 3.15 and of TensorFlow's 2.4."""

from __future__ import annotations

import json
import math
from pathlib import Path

import keras_files as keras
import numpy as np
import pytest
from imported import assert_same_answers, images_for

from host.errors import InputError
from host.importers import Options, import_net
from host.nn.encode import takes
from host.nn.layers import Conv2d, Dense
from host.nn.network import float_scores

RNG = np.random.default_rng(0)
NETS = {
    "everything": [
        keras.input_layer(12, 10, 1),
        ("Rescaling", {"scale": 2.0, "offset": -0.5}, {}),
        ("ZeroPadding2D", {"padding": [[1, 0], [2, 1]]}, {}),
        keras.conv(RNG, 1, 4, (3, 3), bias=False),
        keras.batch_norm(RNG, 4),
        ("ReLU", {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}, {}),
        keras.separable(RNG, 4, 6, (3, 3), padding="same", activation="relu"),
        keras.pool("MaxPooling2D", (2, 2)),
        keras.depthwise(RNG, 6, 2, (3, 3), padding="same", strides=[2, 2], activation="relu6"),
        keras.conv(RNG, 12, 6, (1, 1), activation="relu"),
        ("Flatten", {}, {}),
        ("Dropout", {"rate": 0.1}, {}),
        keras.dense(RNG, 54, 7),
        keras.batch_norm(RNG, 7, center=False),
        ("Activation", {"activation": "relu"}, {}),
        keras.dense(RNG, 7, 3, "softmax"),
    ],
    "batch norm behind the activation": [
        keras.input_layer(9, 8, 3),
        keras.conv(RNG, 3, 4, (3, 3), strides=[2, 2], padding="same", activation="relu"),
        keras.batch_norm(RNG, 4),
        keras.pool("MaxPooling2D", (2, 2), strides=[1, 1]),
        keras.conv(RNG, 4, 6, (2, 2), groups=2, activation="relu"),
        keras.batch_norm(RNG, 6, scale=False),
        ("Flatten", {}, {}),
        keras.dense(RNG, 36, 5, "relu", bias=False),
        keras.dense(RNG, 5, 4),
        ("Softmax", {"axis": -1}, {}),
    ],
    "padded twice": [
        keras.input_layer(6, 7, 2),
        ("ZeroPadding2D", {"padding": [[0, 1], [1, 0]]}, {}),
        keras.conv(RNG, 2, 3, (3, 3), strides=[2, 2], padding="same", activation="relu"),
        ("ZeroPadding2D", {"padding": [[1, 0], [0, 0]]}, {}),
        keras.depthwise(RNG, 3, 1, (4, 3), strides=[2, 2], padding="same", activation="relu"),
        ("Flatten", {}, {}),
        keras.dense(RNG, 18, 3),
    ],
    "no dense layer": [
        keras.input_layer(8, 8, 1),
        keras.conv(RNG, 1, 4, (3, 3), activation="relu"),
        keras.pool("AveragePooling2D", (2, 2)),
        keras.conv(RNG, 4, 5, (1, 1)),
        ("GlobalAveragePooling2D", {"keepdims": False}, {}),
    ],
    "dense layers over pixels": [
        keras.input_layer(5, 4, 2),
        keras.dense(RNG, 2, 4, "relu"),
        ("GlobalMaxPooling2D", {}, {}),
        keras.dense(RNG, 4, 3),
    ],
    "a signal": [
        keras.input_layer(24),
        ("Reshape", {"target_shape": [12, 2]}, {}),
        keras.conv(RNG, 2, 3, (4,), padding="causal", activation="relu"),
        keras.pool("MaxPooling1D", (2,)),
        keras.conv(RNG, 3, 3, (3,), strides=[2], activation="relu"),
        ("GlobalAveragePooling1D", {}, {}),
        keras.dense(RNG, 3, 2),
    ],
    "axes of channels by number": [
        keras.input_layer(1, 9, 3),
        keras.conv(RNG, 3, 4, (1, 3), activation="relu"),
        keras.batch_norm(RNG, 4, axis=[3]),
        ("Reshape", {"target_shape": [7, 4]}, {}),
        keras.batch_norm(RNG, 4, axis=2),
        keras.conv(RNG, 4, 5, (3,), activation="relu"),
        keras.batch_norm(RNG, 5, axis=2),
        ("GlobalAveragePooling1D", {}, {}),
        keras.batch_norm(RNG, 5, axis=1),
        keras.dense(RNG, 5, 3),
    ],
    "one score, and two layers without activation": [
        keras.input_layer(6, 7),
        ("Flatten", {}, {}),
        keras.dense(RNG, 42, 5),
        keras.dense(RNG, 5, 6, "relu"),
        keras.dense(RNG, 6, 1, "sigmoid"),
    ],
}
WRITERS = {
    ".keras": lambda path, net: keras.write_keras(path, net),
    ".keras of TensorFlow": lambda path, net: keras.write_keras(path, net, folder="_layer_checkpoint_dependencies"),
    ".keras, functional": lambda path, net: keras.write_keras(path, net, functional=True),
    ".h5": lambda path, net: keras.write_h5(path, net),
    ".h5 of Keras 2": lambda path, net: keras.write_h5(path, net, version=2),
    ".h5 of Keras 2, functional": lambda path, net: keras.write_h5(path, net, version=2, functional=True),
}
SMALL = [
    keras.input_layer(6, 5, 1),
    keras.conv(RNG, 1, 2, (2, 2), activation="relu"),
    ("Flatten", {}, {}),
    keras.dense(RNG, 40, 3, "softmax"),
]


def channels_last(net):
    """Brings (N, channels, rows, columns) into the shape of a net's input."""
    shape = next(iter(net[0][1].values()))[1:]

    def arrange(x):
        if len(shape) == 1 and net[1][0] == "Reshape":
            return x.transpose(0, 2, 3, 1).reshape(len(x), *shape)
        return x.reshape(len(x), *shape) if len(shape) < 3 else x.transpose(0, 2, 3, 1)

    return arrange


@pytest.mark.parametrize("case", NETS)
def test_answers_are_those_of_keras(tmp_path: Path, case: str) -> None:
    net = NETS[case]
    for name, write in WRITERS.items():
        path = tmp_path / ("net" + name.split(",")[0].split(" ")[0])
        write(path, net)
        imported = assert_same_answers(path, lambda x: keras.answers(net, x), arrange=channels_last(net))
        assert imported.source == "Keras" and imported.network.output_max[-1] == 0


def test_another_range_of_inputs_and_names_of_classes(tmp_path: Path) -> None:
    path, options = tmp_path / "net.h5", Options(("a", "b", "c"), (-1.5, 2.5))
    keras.write_h5(path, SMALL)
    found = assert_same_answers(path, lambda x: keras.answers(SMALL, x), options, channels_last(SMALL))
    assert found.network.labels == ("a", "b", "c") and found.left == ("softmax",)
    assert found.network.scaling.offset == pytest.approx(1.5 * 255 / 4) and found.network.scaling.divisor == 63.75


def test_a_vector_may_be_an_image(tmp_path: Path) -> None:
    net = [keras.input_layer(12), keras.dense(RNG, 12, 3)]
    keras.write_keras(tmp_path / "net.keras", net)
    options = Options(shape=(3, 4))
    found = assert_same_answers(tmp_path / "net.keras", lambda x: keras.answers(net, x.reshape(-1, 12)), options)
    assert found.network.input_shape == (1, 3, 4)
    assert not any("taken as" in note for note in found.notes)
    with pytest.raises(InputError, match=r"--shape: found 5,4, need 12 values"):
        import_net(tmp_path / "net.keras", Options(shape=(5, 4)))
    keras.write_keras(tmp_path / "net.keras", SMALL)
    with pytest.raises(InputError, match=r"found --shape for a net that takes 1x6x5, need it for vectors alone"):
        import_net(tmp_path / "net.keras", Options(shape=(5, 6)))


@pytest.mark.parametrize(("values", "shape"), [(255, (1, 255)), (256, (16, 16)), (510, (17, 30)), (257, None)])
def test_a_long_vector_is_taken_as_the_most_square_map(
    tmp_path: Path, values: int, shape: tuple[int, int] | None
) -> None:
    net = [keras.input_layer(values), keras.dense(RNG, values, 3)]
    keras.write_keras(tmp_path / "net.keras", net)
    if shape is None:
        with pytest.raises(InputError, match="input: found 257 values, need height times width, each up to 255"):
            import_net(tmp_path / "net.keras", Options())
        return
    path = tmp_path / "net.keras"
    found = assert_same_answers(path, lambda x: keras.answers(net, x), arrange=lambda x: x.reshape(-1, values))
    assert found.network.image_shape == shape
    said = f"{values} values are taken as {shape[0]}x{shape[1]}; --shape says otherwise"
    assert (said in found.notes) == (values > 255)
    assert all(takes(found.network, each) for each in (shape, (values,), (values // 2, 2)) if math.prod(each) == values)
    if values > 255:
        with pytest.raises(InputError, match=rf"--shape: found 1,{values}, need sides up to 255"):
            import_net(path, Options(shape=(1, values)))


def test_a_separable_convolution_is_said_to_become_one(tmp_path: Path) -> None:
    keras.write_keras(tmp_path / "net.keras", NETS["everything"])
    found = import_net(tmp_path / "net.keras", Options())
    first, note, _ = found.notes
    assert "layer 1 Rescaling" in first and "is part of the input's scaling" in first
    assert "layer 6 SeparableConv2D" in note and "are one convolution, of more multiplications" in note
    kinds = [type(layer).__name__ for layer in found.network.architecture.layers]
    assert kinds.count("Conv2d") == 4 and not any(name in kinds for name in ("BatchNorm", "Dropout"))


@pytest.mark.parametrize(("name", "least"), [("magic_wand", 0.98), ("micro_speech", 0.85)])
def test_other_peoples_nets_answer_as_their_quantised_twins(real_data: Path, name: str, least: float) -> None:
    """`codes` are those of the same net in int8, by TensorFlow Lite Micro; its inputs lie in their own range."""
    golden = np.load(real_data / f"models/{name}.golden.npz")
    scale, zero = {"magic_wand": (12.713, -33), "micro_speech": (1.0, 0)}[name]
    options = Options(None, ((-128 - zero) * scale, (127 - zero) * scale))
    network = import_net(real_data / f"models/{name}.h5", options).network
    codes = golden["inputs"].astype(np.float64)
    codes = codes + 128 if golden["inputs"].dtype == np.int8 else np.rint(codes / scale) + zero + 128
    images = np.clip(codes, 0, 255).astype(np.uint8).transpose(0, 3, 1, 2)
    agreed = float_scores(network, images).argmax(axis=1) == golden["codes"].reshape(len(images), -1).argmax(axis=1)
    assert agreed.mean() >= least


REFUSED = {
    "Lambda": ([("Lambda", {"function": "x"}, {})], "layer 2 Lambda 'lambda': found a layer that no board computes"),
    "LSTM": ([("LSTM", {}, {})], "layer 2 LSTM 'lstm'"),
    "LeakyReLU": ([("LeakyReLU", {}, {})], "train it with ReLU"),
    "tanh": ([("Activation", {"activation": "tanh"}, {})], "found activation 'tanh', need relu, relu6, linear"),
    "a slope": ([("ReLU", {"negative_slope": 0.1}, {})], "found a slope or threshold other than 0"),
    "dilation": (
        [keras.conv(RNG, 2, 2, (2, 2), dilation_rate=[2, 1])],
        "layer 2 Conv2D 'conv2d_1': found dilation_rate",
    ),
    "channels first": (
        [keras.conv(RNG, 2, 2, (2, 2), data_format="channels_first")],
        "found data_format 'channels_first', need channels_last",
    ),
    "a pool with padding": (
        [pool := keras.pool("MaxPooling2D", (3, 3), padding="same")],
        "found padding same over 5x4",
    ),
    "an overlapping mean": (
        [keras.pool("AveragePooling2D", (3, 3), strides=[1, 1])],
        "need windows that lie side by side",
    ),
    "padding that nothing takes": (
        [("ZeroPadding2D", {"padding": [[1, 1], [1, 1]]}, {}), keras.pool("MaxPooling2D", (2, 2))],
        "need a convolution behind padding",
    ),
    "no activation": (
        [keras.conv(RNG, 2, 2, (2, 2)), keras.conv(RNG, 2, 2, (2, 2), activation="relu")],
        "layer 2 Conv2D 'conv2d_1': found it without ReLU, need one right behind it",
    ),
    "weights that do not fit": (
        [keras.conv(RNG, 3, 2, (2, 2))],
        "found a kernel (2, 2, 3, 2) in 1 group, need one of 2 channels",
    ),
    "units that do not fit": ([keras.dense(RNG, 3, 5, "relu")], "found a kernel (3, 5), need (2, units)"),
    "a sigmoid in between": ([("Activation", {"activation": "sigmoid"}, {})], "ReLU between its layers"),
    "softmax in the middle": ([("Softmax", {}, {})], "found it behind softmax, need nothing there"),
    "batch norm before padding": (
        [keras.batch_norm(RNG, 2), keras.conv(RNG, 2, 2, (3, 3), padding="same", activation="relu")],
        "layer 3 Conv2D 'conv2d_1' with padding: found layer 2 BatchNormalization",
    ),
    "an activation on a sum of them": (
        [keras.batch_norm(RNG, 2), ("Activation", {"activation": "relu"}, {})],
        "found layer 2 BatchNormalization 'batch_normalization' before it",
    ),
    "a net within the net": ([("Sequential", {"layers": []}, {})], "build the net of the inner one's layers"),
    "another axis": ([("BatchNormalization", {"axis": 1, "epsilon": 1e-3}, {})], "found axis '1', need the last one"),
    "a kernel of texts": ([("Conv2D", {"kernel_size": ["3", "3"]}, {})], "need 2 whole numbers from 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_board_computes_is_named(tmp_path: Path, case: str) -> None:
    layers, words = REFUSED[case]
    net = [*SMALL[:2], *layers, *SMALL[2:]]
    keras.write_keras(tmp_path / "net.keras", net)
    with pytest.raises(InputError) as caught:
        import_net(tmp_path / "net.keras", Options())
    assert str(caught.value).startswith("net.keras: layer ") and words in str(caught.value), caught.value


@pytest.mark.parametrize(
    ("net", "axis"),
    [
        ([keras.input_layer(1, 4, 4)], 2),
        ([keras.input_layer(1, 4, 4)], 1),
        ([keras.input_layer(4, 4), keras.conv(RNG, 4, 4, (1,), activation="relu")], 1),
        ([keras.input_layer(4, 4, 4), ("GlobalAveragePooling2D", {"keepdims": True}, {})], 1),
    ],
)
def test_batch_normalisation_of_what_are_no_channels_is_refused(tmp_path: Path, net: list, axis: int) -> None:
    """Also where as many numbers lie along that axis as there are channels, or rows are one."""
    net = [*net, keras.batch_norm(RNG, 4, axis=axis), ("Flatten", {}, {}), keras.dense(RNG, 16, 3)]
    keras.write_keras(tmp_path / "net.keras", net)
    with pytest.raises(InputError, match=f"found axis '{axis}', need the last one"):
        import_net(tmp_path / "net.keras", Options())


def test_a_bias_that_should_be_there_is_missed(tmp_path: Path) -> None:
    """Of a .h5, where every array has its name; a .keras file has as many as it says or is refused."""
    import h5py

    for net, layer in ((SMALL, "conv2d"), (SMALL, "dense")):
        keras.write_h5(tmp_path / "net.h5", net)
        with h5py.File(tmp_path / "net.h5", "a") as file:
            attributes = file[f"model_weights/{layer}"].attrs
            attributes["weight_names"] = [each for each in attributes["weight_names"] if "bias" not in each]
        with pytest.raises(InputError, match=f"'{layer}': found no bias, need kernel, bias; save the whole net again"):
            import_net(tmp_path / "net.h5", Options())


def test_several_scores_of_yes_and_no_are_refused(tmp_path: Path) -> None:
    keras.write_keras(tmp_path / "net.keras", [*SMALL[:3], keras.dense(RNG, 40, 3, "sigmoid")])
    with pytest.raises(InputError, match="found a sigmoid over 3, need one score behind a dense layer, or Softmax"):
        import_net(tmp_path / "net.keras", Options())


def test_an_activation_behind_the_scores_is_refused(tmp_path: Path) -> None:
    keras.write_keras(tmp_path / "net.keras", [*SMALL[:3], keras.dense(RNG, 40, 3, "relu")])
    with pytest.raises(InputError, match="found it behind the last layer, need scores as they are"):
        import_net(tmp_path / "net.keras", Options())


def test_a_branch_is_named(tmp_path: Path) -> None:
    config = keras.described(SMALL, functional=True)
    layers = config["config"]["layers"]
    layers[2]["inbound_nodes"] = layers[1]["inbound_nodes"]
    keras.write_keras(tmp_path / "net.keras", SMALL, config=config)
    with pytest.raises(InputError, match="layer 2 Flatten 'flatten': found it behind 'inputlayer', as layer 1 Conv2D"):
        import_net(tmp_path / "net.keras", Options())
    both = [{"args": [layers[1]["inbound_nodes"][0]["args"], layers[3]["inbound_nodes"][0]["args"]]}]
    layers[2]["inbound_nodes"] = both
    keras.write_keras(tmp_path / "net.keras", SMALL, config=config)
    with pytest.raises(InputError, match="found 2 inputs, need a chain of layers"):
        import_net(tmp_path / "net.keras", Options())


def test_weights_alone_are_no_net(tmp_path: Path) -> None:
    import h5py

    keras.write_h5(tmp_path / "net.h5", SMALL)
    with h5py.File(tmp_path / "net.h5", "a") as file:
        del file.attrs["model_config"]
    with pytest.raises(InputError, match=r"found no model_config, need the net with its layers; save the whole net"):
        import_net(tmp_path / "net.h5", Options())


def test_a_config_without_layers_is_no_net(tmp_path: Path) -> None:
    keras.write_h5(tmp_path / "net.h5", SMALL, config={"class_name": "Sequential"})
    with pytest.raises(
        InputError, match="found a Sequential without its layers, need the list of them; save the whole"
    ):
        import_net(tmp_path / "net.h5", Options())


def test_the_import_of_one_file_is_always_the_same(tmp_path: Path) -> None:
    keras.write_keras(tmp_path / "net.keras", NETS["everything"])
    one, other = (import_net(tmp_path / "net.keras", Options()).network for _ in range(2))
    np.testing.assert_array_equal(one.parameters.flat, other.parameters.flat)
    assert one.provenance == other.provenance and one.provenance.preset == "net"
    assert isinstance(one.architecture.layers[0], Conv2d) and one.architecture.layers[-1] == Dense(3)
    assert json.loads(json.dumps(one.labels)) == ["0", "1", "2"] and len(images_for(one)) == 40
