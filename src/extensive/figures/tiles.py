"""Figure `tiles`: focus and context tiles over a porous graphene sheet, and one network on all of them, summed."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from extensive.figures.style import (
    BLACK,
    BLUE,
    DOUBLE_IN,
    ORANGE,
    Drawing,
    new_figure,
    panel_letter,
    quote,
    show_image,
    styled,
)

SHOWN = 3  # tiles drawn in the scheme


def from_files(data: str) -> Drawing:
    """Draw from tiles.npz; the arrays are those of `draw`."""
    arrays = np.load(Path(data), allow_pickle=False)
    return draw(
        arrays["image"],
        arrays["cell"],
        int(arrays["focus_px"]),
        int(arrays["context_px"]),
        arrays["tile_energies_eV"],
        str(arrays["structure_id"]),
    )


@styled
def draw(
    image: np.ndarray,
    cell: np.ndarray,
    focus_px: int,
    context_px: int,
    tile_energies_eV: np.ndarray,
    structure_id: str = "",
) -> Drawing:
    """Image (H, W) of a cell (Lx, Ly) in Angstrom, tiles of side focus + 2 context, tile energies (H/f, W/f) in eV."""
    figure = new_figure(DOUBLE_IN, 2.85)
    sheet, scheme, energies = figure.subplots(1, 3, width_ratios=(1.1, 1.35, 1.1))
    for letter, axes in zip("abc", (sheet, scheme, energies)):
        panel_letter(axes, letter)
    height, width = image.shape
    pitch = np.array([cell[0] / width, cell[1] / height])
    rows, columns = tile_energies_eV.shape
    show_image(sheet, image, tuple(cell), cmap="Greys")
    for k in range(columns + 1):
        sheet.axvline((k * focus_px - 0.5) * pitch[0], color=BLUE, linewidth=0.35)
    for k in range(rows + 1):
        sheet.axhline((k * focus_px - 0.5) * pitch[1], color=BLUE, linewidth=0.35)
    chosen = _shown_tiles(rows, columns, focus_px, context_px)
    for row, column in chosen[1:2]:
        corner = np.array([column, row]) * focus_px - 0.5
        side = focus_px + 2 * context_px
        sheet.add_patch(
            Rectangle(corner * pitch, *(focus_px * pitch), fill=False, edgecolor=BLUE, linewidth=1.6)
        )
        sheet.add_patch(
            Rectangle((corner - context_px) * pitch, *(side * pitch), fill=False, edgecolor=ORANGE, linewidth=1.4, linestyle="--")
        )
    sheet.set_title("focus (solid), context (dashed)", fontsize=7)
    _scheme(scheme, image, focus_px, context_px, chosen, tile_energies_eV)
    shown = show_image(energies, tile_energies_eV, tuple(cell), cmap="viridis")
    energies.set_title("energy of each tile", fontsize=7)
    bar = figure.colorbar(shown, ax=energies, location="right", shrink=0.8, aspect=18)
    bar.set_label("tile energy (eV)")
    row_of, column_of = np.indices(tile_energies_eV.shape)
    table = pd.DataFrame(
        {
            "row": row_of.ravel(),
            "column": column_of.ravel(),
            "x_A": (column_of.ravel() + 0.5) * focus_px * pitch[0],
            "y_A": (row_of.ravel() + 0.5) * focus_px * pitch[1],
            "tile_energy_eV": tile_energies_eV.ravel(),
        }
    )
    numbers = {
        "structure_id": structure_id,
        "focus_px": focus_px,
        "context_px": context_px,
        "focus_A": float(focus_px * pitch.mean()),
        "context_A": float(context_px * pitch.mean()),
        "tiles": int(rows * columns),
        "sum_eV": float(tile_energies_eV.sum()),
    }
    return Drawing(figure, table, numbers)


def _shown_tiles(rows: int, columns: int, focus_px: int, context_px: int) -> list[tuple[int, int]]:
    """Tiles for the scheme: spread over the sheet, the middle one with its context inside the drawn cell if any is."""
    margin = -(-context_px // focus_px)
    middle = (min(max(rows // 2, margin), rows - 1), min(max(columns // 2, margin), columns - 1))
    return [(0, 0), middle, (rows - 1, columns - 1)]


def _scheme(
    axes: Axes,
    image: np.ndarray,
    focus_px: int,
    context_px: int,
    chosen: list[tuple[int, int]],
    tile_energies_eV: np.ndarray,
) -> None:
    """Tiles on the left, the same network for each in the middle, the sum on the right."""
    axes.set(xlim=(0, 10), ylim=(0, 9.4))
    axes.axis("off")
    axes.set_title("the same network on every tile", fontsize=7)
    side = focus_px + 2 * context_px
    span = np.arange(-context_px, focus_px + context_px)
    for k, (row, column) in enumerate(chosen):
        y = 6.6 - 3.1 * k
        # Wrapped, as the network is given it: the sheet is periodic.
        tile = image.take(row * focus_px + span, axis=0, mode="wrap").take(column * focus_px + span, axis=1, mode="wrap")
        axes.imshow(tile, origin="lower", extent=(0.1, 2.6, y, y + 2.5), cmap="Greys", vmin=image.min(), vmax=image.max(), zorder=1)
        edge = 2.5 * context_px / side
        axes.add_patch(Rectangle((0.1, y), 2.5, 2.5, fill=False, edgecolor=ORANGE, linewidth=1.0, linestyle="--"))
        axes.add_patch(
            Rectangle((0.1 + edge, y + edge), 2.5 - 2 * edge, 2.5 - 2 * edge, fill=False, edgecolor=BLUE, linewidth=1.2)
        )
        axes.add_patch(
            FancyBboxPatch((3.5, y + 0.75), 1.6, 1.0, boxstyle="round,pad=0.1", facecolor="#E8EEF4", edgecolor=BLACK, linewidth=0.7)
        )
        axes.text(4.3, y + 1.25, "network", ha="center", va="center", fontsize=7)
        _arrow(axes, (2.7, y + 1.25), (3.4, y + 1.25))
        _arrow(axes, (5.25, y + 1.25), (7.3, 4.75 + 0.35 * (1 - k)))
        text = f"{quote(tile_energies_eV[row, column])} eV".replace("-", "−")
        axes.text(5.35, y + 1.25 + (0.55 if k < 2 else -0.55), text, fontsize=7, va="center")
    for y in (6.35, 3.25):
        axes.text(1.35, y, "⋯", ha="center", va="center", fontsize=8)
    axes.text(7.75, 4.75, "Σ", ha="center", va="center", fontsize=15)
    total = f"{quote(tile_energies_eV.sum(), 5)} eV".replace("-", "−")
    axes.text(8.2, 4.75, f"= {total}" if len(total) < 9 else f"=\n{total}", ha="left", va="center", fontsize=7)
    axes.set_aspect("auto")


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=6, linewidth=0.7, color=BLACK))
