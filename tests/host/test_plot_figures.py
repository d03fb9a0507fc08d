"""The pictures say what the numbers are: read from the figures' own data, not from pixels."""

import itertools
import json

import numpy as np
import pytest
from networks import drawn_images, network_of, random_images, random_network

from host.compile.exports import lowered
from host.data import Split
from host.errors import InputError
from host.nn.formats import WeightFormat
from host.nn.layers import PRECONV_KERNEL, Conv2d, Flatten, MaxPool2d, ReLU, preconv_layers
from host.nn.network import float_scores
from host.nn.preconv import convolve, preconv_features
from host.nn.windows import largest
from host.quantise.reference import infer
from host.report.plots.classes import confusion_figure, recall_figure
from host.report.plots.history import loss_figure
from host.report.plots.kernels import kernels_figure
from host.report.plots.maps import maps_figure, preconv_figure
from host.report.plots.measured import Measured, from_report, model_name
from host.report.plots.mosaic import columns_for, mosaic, ticks
from host.report.plots.steps import predicted, steps

INT8, FLOAT16, FLOAT32 = WeightFormat.INT8, WeightFormat.FLOAT16, WeightFormat.FLOAT32
MATRIX = np.array([[8, 2, 0], [0, 0, 0], [1, 0, 3]])


def measured():
    return Measured("preset, model abc", "int8 on the PC", "usps test", ("zero", "one", "two"), MATRIX)


def with_history(network, **history):
    source = network.provenance
    object.__setattr__(source, "history", {name: tuple(values) for name, values in history.items()})
    return network


def with_convolutions(front_end):
    """A net of 16x16 pixels, its convolution perhaps behind the front end."""
    layers = (Conv2d(4, 3), ReLU(), MaxPool2d(), Flatten())
    return network_of((*preconv_layers(63), *layers) if front_end else layers)


def texts(axes):
    return {(round(text.get_position()[0]), round(text.get_position()[1])): text.get_text() for text in axes.texts}


def image_of(axes):
    assert len(axes.images) == 1
    return np.ma.filled(axes.images[0].get_array().astype(float), np.nan)


def tiles(whole, count, side, columns, gap=1):
    """The tiles of a mosaic, cut out by hand."""
    step = side + gap
    return np.array([whole[i // columns * step :, i % columns * step :][:side, :side] for i in range(count)])


def title(figure):
    return figure.get_suptitle()


def test_the_curves_are_the_history():
    loss, accuracy = [2.0, 1.0, 0.25], [0.5, 0.75, 0.875]
    figure = loss_figure(with_history(random_network(preset="preconv"), loss=loss, accuracy=accuracy))
    above, below = figure.axes
    assert above.lines[0].get_xydata().tolist() == [[1, 2.0], [2, 1.0], [3, 0.25]]
    assert below.lines[0].get_xydata().tolist() == [[1, 50.0], [2, 75.0], [3, 87.5]]
    assert [line.get_label() for line in above.lines] == ["training"]
    assert (above.get_xlabel(), above.get_ylabel(), above.get_yscale()) == ("epoch", "loss", "log")
    assert below.get_ylabel() == "accuracy (%)"
    assert "train 90.00 %, test 80.00 %" in title(figure)


def test_validation_is_drawn_where_there_is_one():
    history = {"loss": [2, 1], "accuracy": [0.5, 0.75], "validation_loss": [3, 2], "validation_accuracy": [0.25, 0.5]}
    network = with_history(network_of("plain"), **history, batch_loss=[4, 3, 2, 1])
    above, below = loss_figure(network).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in above.lines}
    assert lines["each batch"] == [[0.5, 4], [1, 3], [1.5, 2], [2, 1]]
    assert (lines["training"], lines["validation"]) == ([[1, 2], [2, 1]], [[1, 3], [2, 2]])
    assert [line.get_ydata().tolist() for line in below.lines] == [[50, 75], [25, 50]]


def test_a_validation_runs_figure_is_a_line_across():
    network = random_network(preset="preconv")
    object.__setattr__(network.provenance, "metrics", {"validation": 0.625})
    _, below = loss_figure(with_history(network, loss=[1], accuracy=[0.5])).axes
    assert below.lines[1].get_ydata() == [62.5, 62.5]
    assert below.lines[1].get_label() == "validation, at the end"


def test_full_batch_training_counts_evaluations_and_a_loss_of_zero_has_no_logarithm():
    network = with_history(random_network(preset="preconv-seed"), loss=[1.0, 0.0, 0.5], accuracy=[0.5])
    above, below = loss_figure(network).axes
    assert (above.get_xlabel(), below.get_xlabel()) == ("evaluation of the loss", "iteration")
    assert above.get_yscale() == "linear"


def test_a_model_without_history_has_no_curve():
    with pytest.raises(InputError, match="history: found none in the model"):
        loss_figure(with_history(random_network()))


def test_bars_are_the_recalls_and_an_absent_class_says_so():
    figure = recall_figure(measured())
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == [80.0, 0.0, 75.0]
    assert [text.get_text() for text in axes.texts][:3] == ["80.0", "–", "75.0"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["zero\nn=10", "one\nn=0", "two\nn=4"]
    assert axes.lines[0].get_ydata() == pytest.approx([100 * 11 / 14] * 2)
    assert title(figure) == "preset, model abc, int8 on the PC\nusps test, 14 digits, accuracy 78.57 %"
    assert axes.get_xlabel() and axes.get_ylabel() == "recall (%)"


def test_the_matrix_shows_counts_and_colours_shares_of_the_row():
    axes = confusion_figure(measured()).axes[0]
    assert texts(axes) == {(0, 0): "8", (1, 0): "2", (0, 2): "1", (2, 2): "3"}
    assert image_of(axes) == pytest.approx(np.array([[80, 20, 0], [0, 0, 0], [25, 0, 75]]))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answered", "true class")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["zero", "one", "two"]


@pytest.mark.parametrize("fmt", [INT8, FLOAT16, FLOAT32])
def test_what_is_predicted_is_what_the_oracle_says(fmt):
    network, images = random_network(), random_images(3)
    if fmt is INT8:
        network, images = with_convolutions(front_end=True), drawn_images(9)
    assert np.array_equal(predicted(network, fmt, images), infer(lowered(network, fmt), images).classes)


@pytest.mark.parametrize("front_end", [False, True])
def test_what_no_board_holds_is_measured_as_trained_or_refused(front_end, monkeypatch):
    monkeypatch.setattr("host.report.plots.steps.refusal", lambda network, fmt: "no room")
    network, images = with_convolutions(front_end), drawn_images(9)
    assert np.array_equal(predicted(network, FLOAT32, images), float_scores(network, images).argmax(axis=1))
    with pytest.raises(InputError, match="no room"):
        predicted(network, FLOAT16, images)


def test_hidden_units_look_as_their_weights():
    network = random_network(hidden=6)
    for fmt in (INT8, FLOAT32):
        weights = lowered(network, fmt).ops[1].rows.weights
        figure = kernels_figure(network, fmt)
        gaussian, units = figure.axes[:2]
        assert np.array_equal(image_of(gaussian), [[1, 2, 1], [2, 4, 2], [1, 2, 1]])
        assert texts(gaussian)[1, 1] == "4"
        assert np.array_equal(tiles(image_of(units), 6, 4, 3), weights.reshape(6, 4, 4).astype(float))
        assert fmt.label in title(figure) and model_name(network) in title(figure)
        low, high = units.images[0].get_clim()
        assert (low, high) == (-high, np.abs(weights.astype(float)).max())


def test_kernels_of_every_convolution_are_its_weights():
    network = network_of("padded")
    for fmt in (INT8, FLOAT32):
        first, second = (op.rows.weights for op in lowered(network, fmt).ops[:2])
        axes = [axes for axes in kernels_figure(network, fmt).axes if axes.get_title()]
        assert np.array_equal(tiles(image_of(axes[0]), 4, 5, 2), first[:, 0].astype(float))
        assert np.array_equal(tiles(image_of(axes[1]), 24, 3, 4), second.reshape(24, 3, 3).astype(float))
        assert (axes[1].get_xlabel(), axes[1].get_ylabel()) == ("input map", "output map")


def test_pointwise_kernels_have_no_gaps():
    axes = [axes for axes in kernels_figure(network_of("depthwise"), FLOAT32).axes if axes.get_title()]
    weights = network_of("depthwise").parameters.of(4)["weights"]
    assert np.array_equal(image_of(axes[2]), weights[:, :, 0, 0])


def test_a_net_without_convolution_has_no_kernels():
    with pytest.raises(InputError, match="found no convolution"):
        kernels_figure(network_of("dense alone"), INT8)


@pytest.mark.parametrize("fmt", [INT8, FLOAT16, FLOAT32])
def test_the_front_ends_steps_lead_to_its_features_and_scores(fmt):
    network, image = random_network(), random_images(4)[7]
    net = lowered(network, fmt)
    found = {step.name.split(",")[0]: step.values for step in steps(network, fmt, image)}
    assert list(found) == ["image", "Gaussian 3×3", "max-pool 2×2", "normalised", "dense + ReLU", "scores"]
    blurred = convolve(image, PRECONV_KERNEL, padding=1)
    assert np.array_equal(found["Gaussian 3×3"][0], blurred)
    pooled = largest(blurred, (2, 2), (2, 2))
    assert np.array_equal(found["max-pool 2×2"][0], pooled)
    features = (pooled - pooled.min()) * net.top // (pooled.max() - pooled.min())
    assert np.array_equal(found["normalised"][0], features)
    assert np.array_equal(features.reshape(-1), preconv_features(image[None], net.top)[0])
    scores = infer(net, image[None]).scores[0]
    assert np.array_equal(found["scores"], scores)
    last = net.ops[-1].rows
    again = last.weights.astype(float) @ found["dense + ReLU"].astype(float) + last.bias
    assert again == pytest.approx(scores, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("name", ["padded", "pools", "strided", "average first"])
def test_steps_as_int8_are_the_ops_and_end_in_the_oracles_scores(name):
    network, image = network_of(name), drawn_images(5)[4]
    graph = lowered(network, INT8)
    found = steps(network, INT8, image)
    assert [step.values.shape for step in found[1:]] == [op.output_shape for op in graph.ops]
    assert np.array_equal(found[-1].values, infer(graph, image[None]).scores[0])


@pytest.mark.parametrize("name", ["padded", "pools", "strided", "average first", "behind the front end"])
def test_steps_as_trained_follow_from_one_another(name, monkeypatch):
    monkeypatch.setattr("host.report.plots.steps.refusal", lambda network, fmt: "no room")
    network = with_convolutions(front_end=True) if name == "behind the front end" else network_of(name)
    image = drawn_images(5)[4]
    found = steps(network, FLOAT32, image)
    assert found[-1].values == pytest.approx(float_scores(network, image[None])[0], rel=1e-4, abs=1e-4)
    for before, after in itertools.pairwise(found[1:]):  # the image itself is scaled on its way into the first layer
        if after.name == "max-pool 2×2":
            assert np.array_equal(after.values, largest(before.values, (2, 2), (2, 2)))
        if "ReLU" in after.name:
            assert after.values.min() >= 0


def test_maps_stand_in_the_figure_and_the_answer_in_the_title():
    network, images = network_of("padded"), drawn_images(6)
    labels = np.array([3, 1, 4, 1, 5, 9])
    shown = steps(network, INT8, images[2])
    figure = maps_figure(network, INT8, "usps test", Split(images, labels), 2)
    axes = [axes for axes in figure.axes if axes.get_visible()]
    assert np.array_equal(image_of(axes[0]), images[2])
    first = shown[1].values
    assert np.array_equal(tiles(image_of(axes[1]), 4, first.shape[1], 2), first.astype(float))
    assert [bar.get_height() for bar in axes[-1].patches] == shown[-1].values.tolist()
    answer = int(np.argmax(shown[-1].values))
    assert f"usps test, digit 2: true class 4, answered {answer}" in title(figure)


def test_a_digit_that_is_not_there():
    split = Split(random_images(1, 5), np.zeros(5, np.int64))
    with pytest.raises(InputError, match=r"--digit: found 5, need 0\.\.4"):
        maps_figure(random_network(), INT8, "usps test", split, 5)


def test_originals_beside_what_the_front_end_makes_of_them():
    network, images = random_network(), random_images(2, 45)
    figure = preconv_figure(network, INT8, "usps test", Split(images, np.zeros(45, np.int64)))
    left, right = figure.axes
    assert np.array_equal(tiles(image_of(left), 40, 8, 8), images[:40])
    levels = lowered(network, INT8).top
    features = preconv_features(images[:40], levels).reshape(-1, 4, 4)
    assert np.array_equal(tiles(image_of(right), 40, 4, 8), features)
    assert f"0..{levels}" in right.get_title() and "first 40 digits" in title(figure)
    with pytest.raises(InputError, match="found a net without the fixed front end"):
        preconv_figure(network_of("plain"), INT8, "usps test", Split(images, np.zeros(45, np.int64)))


def test_a_mosaic_has_gaps_and_leaves_places_over_empty():
    whole = mosaic(np.arange(12).reshape(3, 2, 2), 2)
    nothing = np.nan
    assert np.array_equal(
        whole,
        [[0, 1, nothing, 4, 5], [2, 3, nothing, 6, 7], [nothing] * 5, [8, 9, *[nothing] * 3], [10, 11, *[nothing] * 3]],
        equal_nan=True,
    )
    assert [columns_for(count) for count in (1, 4, 7, 8, 12, 32, 40)] == [1, 2, 3, 4, 4, 8, 8]
    assert [columns_for(count) for count in (11, 13)] == [4, 4]
    assert ticks(3, 2, step=8) == ([0.5, 3.5, 6.5], ["0", "8", "16"])
    assert len(ticks(40, 3)[0]) <= 12


def report(**changes):
    """What `host verify --json` writes, as far as pictures need it."""
    content = {
        "schema": 1,
        "dataset": "usps",
        "split": "test",
        "n": 14,
        "model": {"hash": "0123456789abcdef", "format": "int8", "preset": "preconv"},
        "board": {"kind": "uno", "mcu": "atmega328p", "simulated": True},
        "accuracy": {"device": 11 / 14},
        "confusion": MATRIX.tolist(),
    }
    return {**content, **changes}


def test_a_report_is_what_the_board_said(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(report()))
    found = from_report(path)
    assert np.array_equal(found.matrix, MATRIX)
    assert found.title == (
        "preconv, exported 0123456789ab, int8 on simulated uno (atmega328p)",
        "usps test, 14 digits, accuracy 78.57 %",
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "another document"),
        (json.dumps(report(schema=2)), "another document"),
        (json.dumps({"schema": 1, "confusion": {"int8": []}}), "another document"),
        (json.dumps(report(confusion=[[1, 2]])), "confusion of"),
        (json.dumps(report(confusion=[[1, 2], [3]])), "another kind of value"),
        (json.dumps(report(confusion=[[1.5, 2], [3, 4]])), "confusion of float64"),
        (json.dumps(report(confusion=[[-1, 2], [3, 4]])), "without counts"),
        (json.dumps(report(confusion=[[10**30, 2], [3, 4]])), "confusion of object"),
        (json.dumps(report(n=15)), "do not give the report's accuracy"),
        (json.dumps(report(accuracy={"device": 0.9})), "do not give the report's accuracy"),
        (json.dumps(report(accuracy={})), "no such field"),
        (json.dumps(report(board="uno")), "another kind of value"),
    ],
)
def test_another_document_is_no_report(tmp_path, content, says):
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(InputError, match=says) as caught:
        from_report(path)
    assert str(path) in str(caught.value)


def test_a_missing_report(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: found No such file"):
        from_report(tmp_path / "none.json")
