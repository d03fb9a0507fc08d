"""The learned nets' integer arithmetic once more, as docs/numerics.md words it: slowly, one output at a time."""

import numpy as np
from host.deploy.learned_nets import ConvStage, PoolStage


def activation(total, multiplier, shift, top=255):
    return min(max((total * int(multiplier) + (1 << (shift - 1))) >> shift, 0), top)


def conv_sum(stage, image, output, y, x):
    """One sum for a map (C, H, W); what lies outside is zero."""
    weights, (channels, height, width) = stage.rows.weights, stage.input_shape
    share = channels // stage.groups
    first = output // (stage.rows.outputs // stage.groups) * share
    total = int(stage.rows.bias[output])
    for c in range(share):
        for i in range(stage.kernel):
            for j in range(stage.kernel):
                row, column = y * stage.stride - stage.padding + i, x * stage.stride - stage.padding + j
                if 0 <= row < height and 0 <= column < width:
                    total += int(weights[output, c, i, j]) * int(image[first + c, row, column])
    return total


def run_stage(stage, values):
    """One stage for one map (C, H, W) or vector; a list of sums where they are the scores."""
    if isinstance(stage, ConvStage):
        found = np.zeros(stage.output_shape, np.uint8)
        for o, y, x in np.ndindex(found.shape):
            found[o, y, x] = max(
                activation(
                    conv_sum(stage, values, o, y * stage.pool + i, x * stage.pool + j),
                    stage.rows.multipliers[o],
                    stage.rows.shift,
                )
                for i in range(stage.pool)
                for j in range(stage.pool)
            )
        return found
    if isinstance(stage, PoolStage):
        found = np.zeros(stage.output_shape, np.uint8)
        for c, y, x in np.ndindex(found.shape):
            window = values[c, y * stage.stride :, x * stage.stride :][: stage.size, : stage.size].astype(int)
            found[c, y, x] = (window.sum() + stage.size**2 // 2) // stage.size**2 if stage.is_average else window.max()
        return found
    flat = values.reshape(-1).astype(int)
    rows = zip(stage.rows.weights.astype(int), stage.rows.bias.tolist(), strict=True)
    sums = [bias + int((row * flat).sum()) for row, bias in rows]
    if stage.rows.multipliers is None:
        return sums
    rules = zip(sums, stage.rows.multipliers, strict=True)
    return np.array([activation(total, m, stage.rows.shift) for total, m in rules], np.uint8)


def scores(net, image):
    """Scores of one image (H, W)."""
    values = image[None]
    for stage in net.stages:
        values = run_stage(stage, values)
    return values
