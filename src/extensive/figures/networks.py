"""Figure `networks`: the networks used, drawn from layer tables that were read off the model objects."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from extensive.figures.style import (
    BLACK,
    BLUE,
    DOUBLE_IN,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    Drawing,
    new_figure,
    styled,
)
from extensive.io import read_json

COLOURS = {"input": GREY, "conv": BLUE, "residual": SKY, "pool": GREEN, "dense": ORANGE, "sum": PURPLE}
ALIKE = ("kind", "channels", "kernel", "stride", "dilation")


def from_files(data: str) -> Drawing:
    """Draw from networks.json, a list of networks as `draw` takes them."""
    return draw(read_json(data))


@styled
def draw(networks: list[dict[str, Any]]) -> Drawing:
    """One row per network: {name, title, parameters, layers}.

    A layer has kind (input, conv, residual, pool, dense, sum), channels, height, width, kernel, stride,
    dilation (pixels from tap to tap), parameters. Box height grows with the logarithm of the layer's height
    in pixels, box width with that of its channels; equal neighbours are drawn as one stack with their number.
    """
    figure = new_figure(DOUBLE_IN, 1.45 * len(networks))
    rows = figure.subplots(len(networks), 1, squeeze=False)[:, 0]
    longest = max(len(_stacks(network["layers"])) for network in networks)
    for letter, axes, network in zip("abcdefgh", rows, networks):
        _network(axes, network["layers"], longest)
        axes.set_title(f"{network['title']}: {network['parameters']:,} parameters", loc="left", fontsize=8, x=0.03)
        axes.text(0, 1.03, letter, transform=axes.transAxes, fontweight="bold", fontsize=9, va="bottom")
    table = pd.DataFrame([{"network": network["name"], **layer} for network in networks for layer in network["layers"]])
    numbers = {
        network["name"]: {"parameters": network["parameters"], "title": network["title"]} for network in networks
    }
    return Drawing(figure, table, numbers)


def _stacks(layers: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """Equal neighbouring layers together, the first of each, with how many there are."""
    stacks: list[tuple[dict[str, Any], int]] = []
    for layer in layers:
        if stacks and all(stacks[-1][0][key] == layer[key] for key in ALIKE) and layer["kind"] != "dense":
            stacks[-1] = (layer, stacks[-1][1] + 1)
        else:
            stacks.append((layer, 1))
    return stacks


def _network(axes: Axes, layers: list[dict[str, Any]], longest: int) -> None:
    for x, (layer, count) in enumerate(_stacks(layers)):
        height = 0.12 + 0.78 * np.log2(layer["height"]) / 8
        width = 0.07 + 0.36 * np.log2(layer["channels"]) / 10
        shown = min(count, 6)
        for k in range(shown - 1, -1, -1):
            left, bottom = x - width / 2 + 0.035 * (k - (shown - 1) / 2), 0.5 - height / 2 + 0.02 * k
            axes.add_patch(
                Rectangle(
                    (left, bottom),
                    width,
                    height,
                    facecolor=COLOURS[layer["kind"]],
                    edgecolor="white",
                    linewidth=0.5,
                    zorder=3 - 0.1 * k,
                )
            )
        if x:
            arrow = {
                "arrowstyle": "-|>",
                "linewidth": 0.7,
                "color": BLACK,
                "shrinkA": 0,
                "shrinkB": 0,
                "mutation_scale": 6,
            }
            axes.annotate("", (x - 0.37, 0.5), (x - 0.63, 0.5), arrowprops=arrow)
        axes.text(x, -0.05, _label(layer, count), ha="center", va="top", fontsize=7, linespacing=1.15)
    axes.set(xlim=(-0.5, longest - 0.5), ylim=(-0.62, 1.0))
    axes.axis("off")


def _label(layer: dict[str, Any], count: int) -> str:
    times = f"{count}× " if count > 1 else ""
    size = f"{layer['kernel']}×{layer['kernel']}"
    shape = f"{layer['height']}×{layer['width']} px" if layer["height"] * layer["width"] > 1 else ""
    channels = f"{layer['channels']} ch."
    if layer["kind"] == "conv":
        stride = f", /{layer['stride']}" if layer["stride"] > 1 else ""
        lines = [f"{times}conv", f"{size}{stride}", channels, shape]
    elif layer["kind"] == "residual":
        taps = f", taps ×{layer['dilation']}" if layer["dilation"] > 1 else ""
        lines = [f"{times}residual", f"{size}{taps}", channels, shape]
    elif layer["kind"] == "dense":
        lines = ["dense", str(layer["channels"])]
    elif layer["kind"] == "sum":
        lines = ["sum over" if layer["channels"] == 1 else f"{layer['channels']} sums over", "all tiles"]
    else:
        lines = [layer["kind"], channels, shape]
    return "\n".join(filter(None, lines))
