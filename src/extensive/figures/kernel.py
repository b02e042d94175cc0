"""Figure `kernel`: one convolution of the CNN's first layer on an image, with the formula's numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from extensive.figures.style import (
    DOUBLE_IN,
    Drawing,
    new_figure,
    panel_title,
    quote,
    show_image,
    styled,
)


def from_files(data: str) -> Drawing:
    """Draw from kernel.npz; the arrays are those of `draw`."""
    arrays = np.load(Path(data), allow_pickle=False)
    names = (
        "image",
        "kernel",
        "output",
        "cell",
        "window",
        "bias",
        "rest",
        "stride",
        "row",
        "column",
        "corner",
        "filter",
    )
    return draw(**{name: arrays[name] for name in names})


@styled
def draw(
    image: np.ndarray,
    kernel: np.ndarray,
    output: np.ndarray,
    cell: np.ndarray,
    window: np.ndarray,
    bias: Any,
    rest: Any,
    stride: Any,
    row: Any,
    column: Any,
    corner: np.ndarray,
    filter: Any,
) -> Drawing:
    """A channel of the layer's input (H, W), its kernel (k, k), the filter's output (H', W') before ReLU.

    `window` (k, k) are the input values under the kernel at output pixel (row, column), `corner` the
    image pixel (row, column) of the first; `bias` is the filter's, `rest` what other input channels add.
    """
    bias, rest, stride, row, column = float(bias), float(rest), int(stride), int(row), int(column)
    size = kernel.shape[0]
    total = float((kernel * window).sum()) + bias + rest
    figure = new_figure(DOUBLE_IN, 2.35)
    whole, patch, weights, result = figure.subplots(1, 4, width_ratios=(1.25, 1, 1, 1.25))
    panel_title(whole, "a", "input x (standardised)")
    panel_title(patch, "b", "x under the kernel")
    panel_title(weights, "c", f"kernel w, filter {int(filter)}")
    panel_title(result, "d", "output y, before ReLU")
    height, width = image.shape
    pitch = (cell[0] / width, cell[1] / height)
    show_image(whole, image, tuple(cell), cmap="magma")
    whole.add_patch(
        Rectangle(
            # One pixel outside, so that the frame hides none of what it marks.
            ((corner[1] - 1.5) * pitch[0], (corner[0] - 1.5) * pitch[1]),
            (size + 2) * pitch[0],
            (size + 2) * pitch[1],
            fill=False,
            edgecolor="white",
            linewidth=0.5,
        )
    )
    _numbers(patch, window, "magma", image.min(), image.max())
    reach = float(np.abs(kernel).max()) or 1.0
    _numbers(weights, kernel, "RdBu_r", -reach, reach)
    bound = float(np.abs(output).max()) or 1.0
    show_image(result, output, tuple(cell), cmap="RdBu_r", vmin=-bound, vmax=bound)
    result.set_ylabel("")
    step = (cell[0] / output.shape[1], cell[1] / output.shape[0])
    result.add_patch(
        Rectangle(
            ((column - 1.5) * step[0], (row - 1.5) * step[1]),
            *(3 * length for length in step),
            fill=False,
            edgecolor="black",
            linewidth=0.5,
        )
    )
    others = f" + {_signed(rest)} (other channels)" if rest else ""
    figure.supxlabel(
        f"y = Σ w·x + b = {_signed((kernel * window).sum())}{others} + {_signed(bias)} = {_signed(total)};"
        f"   ReLU(y) = {quote(max(total, 0.0))}",
        fontsize=8,
    )
    rows, columns = np.indices(kernel.shape)
    table = pd.DataFrame(
        {
            "row": rows.ravel(),
            "column": columns.ravel(),
            "input": window.ravel(),
            "weight": kernel.ravel(),
            "product": (kernel * window).ravel(),
        }
    )
    numbers = {
        "size": size,
        "stride": stride,
        "filter": int(filter),
        "sum": float((kernel * window).sum()),
        "bias": bias,
        "rest": rest,
        "output": total,
        "relu": max(total, 0.0),
    }
    return Drawing(figure, table, numbers)


def _signed(value: float) -> str:
    text = quote(abs(float(value)))
    return f"(−{text})" if value < 0 else text


def _numbers(axes: Axes, values: np.ndarray, colours: str, low: float, high: float) -> None:
    """A small matrix as coloured squares with its numbers on them; row 0 at the bottom as in the image."""
    axes.imshow(values, origin="lower", cmap=colours, vmin=low, vmax=high)
    diverging = colours.startswith("RdBu")
    for (row, column), value in np.ndenumerate(values):
        part = (value - low) / (high - low or 1.0)
        dark = abs(part - 0.5) > 0.35 if diverging else part < 0.6
        digits = f"{value:.2f}".replace("-", "−")
        axes.text(column, row, digits, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    axes.set_xlabel("column (pixel)")
    axes.set_ylabel("row (pixel)")
    axes.set_xticks(range(values.shape[1]))
    axes.set_yticks(range(values.shape[0]))
