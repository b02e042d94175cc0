"""Figure `inputs`: images that the networks see, the papers' four panels, with the atoms marked on them."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from extensive.figures.style import (
    DOUBLE_IN,
    Drawing,
    image_table,
    new_figure,
    panel_title,
    show_image,
    styled,
)

TITLES = {
    "dimer": "Lennard-Jones dimer",
    "heterostructure": "graphene–hBN",
    "point-defect": "hBN, point defect",
    "stone-wales": "Stone–Wales",
}


def from_files(data: str) -> Drawing:
    """Draw from inputs.npz: <panel>_image (H, W), <panel>_cell (2,), and <panel>_id of each panel."""
    arrays = np.load(Path(data), allow_pickle=False)
    names = [name for name in TITLES if f"{name}_image" in arrays]
    return draw({name: (arrays[f"{name}_image"], arrays[f"{name}_cell"], str(arrays[f"{name}_id"])) for name in names})


@styled
def draw(panels: dict[str, tuple[np.ndarray, np.ndarray, str]]) -> Drawing:
    """Images (H, W) by panel with their cell (Lx, Ly) in Angstrom and structure_id."""
    figure = new_figure(DOUBLE_IN, 2.25 if len(panels) > 2 else 3.0)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    tables = []
    for letter, axes, (name, (image, cell, _)) in zip("abcd", grid, panels.items()):
        shown = show_image(axes, image, tuple(cell), cmap="magma", vmin=0)
        panel_title(axes, letter, TITLES.get(name, name))
        axes.locator_params(nbins=4)
        bar = figure.colorbar(shown, ax=axes, location="bottom", shrink=0.85, aspect=18, pad=0.03)
        bar.set_label("pixel value (Z)", fontsize=7)
        bar.ax.tick_params(labelsize=7)
        bar.locator = MaxNLocator(nbins=4)
        bar.update_ticks()
        tables.append(image_table(name, image, tuple(cell)))
    for axes in grid[1:]:
        axes.set_ylabel("")
    numbers = {
        name: {
            "structure_id": identity,
            "pixels": list(image.shape),
            "cell_A": [float(length) for length in cell],
        }
        for name, (image, cell, identity) in panels.items()
    }
    return Drawing(figure, pd.concat(tables, ignore_index=True), numbers)
