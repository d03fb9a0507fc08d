"""The arithmetic once more, as docs/numerics.md words it: slowly, one number at a time, in Python's whole numbers or in
float32 rounded after every step. Maps are (channels, height, width), vectors (units,)."""

import itertools

import numpy as np

from host.quantise.ops import Conv, Dense, Pool, Preconv
from host.quantise.requantisers import HalfUp

KERNEL = ((1, 2, 1), (2, 4, 2), (1, 2, 1))


def requantised(sums, multiplier, shift, top):
    """Whole arrays at once: (sum·multiplier + 2^(shift−1)) >> shift, held to 0..top."""
    return np.clip((np.asarray(sums, np.int64) * multiplier + (1 << (shift - 1))) >> shift, 0, top).astype(np.uint8)


def run(graph, image):
    """What each op puts out for one image (height, width) or (channels, height, width); the scores are the last."""
    values, found = image.reshape(graph.input_shape), []
    for op in graph.ops:
        values = run_op(op, values)
        found.append(values)
    return found


def scores(graph, image):
    """Scores of one image, as a list."""
    return run(graph, image)[-1].tolist()


def run_op(op, values):
    """A map or vector of codes, of float32 numbers, or of sums where those are the scores."""
    if isinstance(op, Preconv):
        return front_end(values[0], op.top)[None]
    if isinstance(op, Pool):
        return pooled(op, values)
    sums = conv_sum if isinstance(op, Conv) else dense_sum
    if isinstance(op, Dense):
        return array_of(op, [output(op, k, sums(op, values, k)) for k in range(op.rows.outputs)])
    (tall, wide), shape = op.pool, op.output_shape
    found = [
        max(
            output(op, o, conv_sum(op, values, o, y * tall + i, x * wide + j)) for i in range(tall) for j in range(wide)
        )
        for o, y, x in np.ndindex(shape)
    ]
    return array_of(op, found).reshape(shape)


def array_of(op, numbers):
    if not op.rows.format.is_integer:
        return np.array(numbers, np.float32)
    return np.array(numbers, np.int64 if op.rows.requantiser is None else np.uint8)


def front_end(image, top):
    """Blurred with a border of zeros, the largest of each 2×2, stretched to 0..top."""
    height, width = image.shape
    blurred = np.zeros((height, width), int)
    for y, x, i, j in np.ndindex(height, width, 3, 3):
        if 0 <= y + i - 1 < height and 0 <= x + j - 1 < width:
            blurred[y, x] += KERNEL[i][j] * int(image[y + i - 1, x + j - 1])
    largest = [
        [max(int(blurred[2 * y + i, 2 * x + j]) for i in (0, 1) for j in (0, 1)) for x in range(width // 2)]
        for y in range(height // 2)
    ]
    low, high = min(map(min, largest)), max(map(max, largest))
    stretched = [[(value - low) * top // (high - low) if high > low else 0 for value in row] for row in largest]
    return np.array(stretched, np.uint8)


def pooled(op, values):
    """The largest of each window, or its mean, halves up; the mean of floats is the sum in order, then one division."""
    found = np.zeros(op.output_shape, values.dtype)
    for c, y, x in np.ndindex(found.shape):
        rows = values[c, y * op.strides[0] :, x * op.strides[1] :][: op.size[0], : op.size[1]]
        window = rows.ravel().tolist() if values.dtype == np.uint8 else list(rows.ravel())
        if not op.is_average:
            found[c, y, x] = max(window)
        elif values.dtype == np.uint8:
            found[c, y, x] = (sum(window) + len(window) // 2) // len(window)
        else:
            total = np.float32(0)
            for value in window:
                total = np.float32(total + value)
            found[c, y, x] = np.float32(total / np.float32(len(window)))
    return found


def conv_sum(op, values, output, y, x):
    """One sum, bias first, then kernel row, kernel column, channel; what lies outside is the code that stands for 0."""
    (channels, height, width), (tall, wide) = op.input_shape, op.kernel
    share = channels // op.groups
    first = output // (op.rows.outputs // op.groups) * share
    factors = []
    for i, j, c in itertools.product(range(tall), range(wide), range(share)):
        row, column = y * op.strides[0] - op.pads[0] + i, x * op.strides[1] - op.pads[1] + j
        inside = 0 <= row < height and 0 <= column < width
        value = values[first + c, row, column] if inside else values.dtype.type(op.source.zero)
        factors.append((op.rows.weights[output, c, i, j], value))
    return summed(op, output, factors)


def dense_sum(op, values, output):
    """One sum, bias first, then the inputs as they lie in memory: of a map row, column, channel."""
    weights = op.rows.weights[output].reshape(values.shape)
    if values.ndim == 3:
        weights, values = weights.transpose(1, 2, 0), values.transpose(1, 2, 0)
    return summed(op, output, zip(weights.ravel(), values.ravel(), strict=True))


def summed(op, output, factors):
    """Exact for integers; for floats every product and every sum is rounded to float32."""
    if op.rows.format.is_integer:
        return int(op.rows.bias[output]) + sum(int(weight) * int(value) for weight, value in factors)
    total = np.float32(op.rows.bias[output] + np.float32(0))  # -0 counts as +0
    for weight, value in factors:
        total = np.float32(total + np.float32(np.float32(weight) * np.float32(value)))
    return total


def output(op, k, total):
    """The code, the float or the score that the sum of output k becomes."""
    rows = op.rows
    if not rows.format.is_integer:
        return max(total, np.float32(0)) if rows.relu else total
    if rows.requantiser is None:
        return total
    scaled = scale_half_up if isinstance(rows.requantiser, HalfUp) else scale_twice_rounded
    return min(max(scaled(rows.requantiser, k, total) + rows.codes.zero, rows.codes.low), rows.codes.high)


def scale_half_up(rule, k, total):
    return (total * int(rule.multipliers[k]) + (1 << (rule.shift - 1))) >> rule.shift


def scale_twice_rounded(rule, k, total):
    """MultiplyByQuantizedMultiplier of TensorFlow Lite's reference kernels, in its own steps."""
    exponent = int(rule.exponents[k])
    product = total * 2 ** max(exponent, 0) * int(rule.multipliers[k])
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    high = abs(nudged) // 2**31 * (1 if nudged >= 0 else -1)  # C divides towards zero
    divisor = 2 ** max(-exponent, 0)
    rest = high % divisor
    threshold = (divisor - 1) // 2 + (1 if high < 0 else 0)
    return high // divisor + (1 if rest > threshold else 0)
