"""Figure `networks`: the networks used, drawn from layer tables that were read off the model objects."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from extensive.figures.style import BLUE, DOUBLE_IN, GREEN, GREY, ORANGE, PURPLE, Drawing, new_figure, panel_letter, styled
from extensive.io import read_json

COLOURS = {"input": GREY, "conv": BLUE, "pool": GREEN, "dense": ORANGE, "sum": PURPLE}


def from_files(data: str) -> Drawing:
    """Draw from networks.json, a list of networks as `draw` takes them."""
    return draw(read_json(data))


@styled
def draw(networks: list[dict[str, Any]]) -> Drawing:
    """One row per network: {name, title, parameters, layers}.

    A layer has kind (input, conv, pool, dense, sum), channels, height, width, kernel, stride, parameters. Box height
    grows with the logarithm of the layer's height in pixels, box width with that of its channels; equal neighbours
    are drawn as one stack with their number.
    """
    figure = new_figure(DOUBLE_IN, 0.35 + 1.65 * len(networks))
    rows = figure.subplots(len(networks), 1, squeeze=False)[:, 0]
    for letter, axes, network in zip("abcdefgh", rows, networks):
        _network(axes, network["layers"])
        panel_letter(axes, letter)
        axes.set_title(f"{network['title']}: {network['parameters']:,} parameters", fontsize=8)
    table = pd.DataFrame(
        [{"network": network["name"], **layer} for network in networks for layer in network["layers"]]
    )
    numbers = {network["name"]: {"parameters": network["parameters"], "title": network["title"]} for network in networks}
    return Drawing(figure, table, numbers)


def _stacks(layers: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """Equal neighbouring layers together, with how many there are."""
    alike = ("kind", "channels", "kernel", "stride", "height", "width")
    stacks: list[tuple[dict[str, Any], int]] = []
    for layer in layers:
        if stacks and all(stacks[-1][0][key] == layer[key] for key in alike) and layer["kind"] != "input":
            stacks[-1] = (layer, stacks[-1][1] + 1)
        else:
            stacks.append((layer, 1))
    return stacks


def _network(axes: Axes, layers: list[dict[str, Any]]) -> None:
    stacks = _stacks(layers)
    step = 1.0
    for index, (layer, count) in enumerate(stacks):
        x = index * step
        height = 0.16 + 0.84 * np.log2(1 + layer["height"]) / np.log2(257)
        width = 0.10 + 0.30 * np.log2(1 + layer["channels"]) / np.log2(1025)
        for k in range(min(count, 4) - 1, -1, -1):
            axes.add_patch(
                Rectangle(
                    (x - width / 2 + 0.035 * k, 0.5 - height / 2 + 0.02 * k), width, height,
                    facecolor=COLOURS[layer["kind"]], edgecolor="white", linewidth=0.5, alpha=0.9, zorder=3 - 0.1 * k,
                )
            )  # fmt: skip
        axes.text(x, -0.10, _label(layer, count), ha="center", va="top", fontsize=7, linespacing=1.15)
        if index:
            axes.annotate(
                "", (x - 0.30, 0.5), (x - 0.72, 0.5), arrowprops={"arrowstyle": "-|>", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 6}, zorder=1,
            )  # fmt: skip
    axes.set(xlim=(-0.55, (len(stacks) - 1) * step + 0.55), ylim=(-0.62, 1.08))
    axes.axis("off")


def _label(layer: dict[str, Any], count: int) -> str:
    shape = f"{layer['height']}×{layer['width']} px" if layer["height"] * layer["width"] > 1 else ""
    if layer["kind"] == "input":
        text = f"input\n{layer['channels']} ch."
    elif layer["kind"] == "conv":
        times = f"{count}× " if count > 1 else ""
        stride = f"/{layer['stride']}" if layer["stride"] > 1 else ""
        text = f"{times}conv {layer['kernel']}×{layer['kernel']}{stride}\n{layer['channels']} ch."
    elif layer["kind"] == "dense":
        text = f"{f'{count}× ' if count > 1 else ''}dense\n{layer['channels']}"
    else:
        text = f"{layer['kind']}\n{layer['channels']}"
    return "\n".join(filter(None, [text, shape]))
