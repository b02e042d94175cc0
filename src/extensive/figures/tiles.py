"""Figure `tiles`: focus and context tiles over porous graphene, one network on all of them, summed."""

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
    panel_title,
    show_image,
    styled,
)


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
    """Image (H, W) of a cell (Lx, Ly) in Angstrom, tiles of side f + 2c, their energies (H/f, W/f) in eV."""
    figure = new_figure(DOUBLE_IN, 2.9)
    sheet, scheme, energies = figure.subplots(1, 3, width_ratios=(1, 1.3, 1))
    panel_title(sheet, "a", "focus and context")
    panel_title(scheme, "b", "the same network on every tile")
    panel_title(energies, "c", "energy of each tile")
    height, width = image.shape
    pitch = np.array([cell[0] / width, cell[1] / height])
    rows, columns = tile_energies_eV.shape
    show_image(sheet, image, tuple(cell), cmap="Greys")
    for k in range(columns + 1):
        sheet.axvline((k * focus_px - 0.5) * pitch[0], color=BLUE, linewidth=0.35)
    for k in range(rows + 1):
        sheet.axhline((k * focus_px - 0.5) * pitch[1], color=BLUE, linewidth=0.35)
    chosen = _shown_tiles(tile_energies_eV, focus_px, context_px)
    for row, column in chosen[1:2]:
        corner = np.array([column, row]) * focus_px - 0.5
        side = focus_px + 2 * context_px
        sheet.add_patch(Rectangle(corner * pitch, *(focus_px * pitch), fill=False, edgecolor=BLUE, linewidth=1.6))
        sheet.add_patch(
            Rectangle(
                (corner - context_px) * pitch,
                *(side * pitch),
                fill=False,
                edgecolor=ORANGE,
                linewidth=1.4,
                linestyle="--",
            )
        )
    _scheme(scheme, image, focus_px, context_px, chosen, tile_energies_eV)
    extent = sheet.images[0].get_extent()
    shown = energies.imshow(tile_energies_eV, origin="lower", cmap="viridis", extent=extent)
    energies.set_xlabel("x (Å)")
    bar = figure.colorbar(shown, ax=energies, location="bottom", shrink=0.9, aspect=22, pad=0.02)
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


def _shown_tiles(tile_energies_eV: np.ndarray, focus_px: int, context_px: int) -> list[tuple[int, int]]:
    """Tiles for the scheme: that of least energy, one in the middle, its context in view if possible, and of most."""
    margin = -(-context_px // focus_px)
    middle = tuple(min(max(count // 2, margin), count - 1) for count in tile_energies_eV.shape)
    least, most = (
        tuple(int(index) for index in np.unravel_index(place, tile_energies_eV.shape))
        for place in (tile_energies_eV.argmin(), tile_energies_eV.argmax())
    )
    return [least, middle, most]


def _scheme(
    axes: Axes,
    image: np.ndarray,
    focus_px: int,
    context_px: int,
    chosen: list[tuple[int, int]],
    tile_energies_eV: np.ndarray,
) -> None:
    """Tiles on the left, the same network for each in the middle, the sum on the right."""
    axes.set(xlim=(-0.2, 11.4), ylim=(0, 9.6), aspect="equal", anchor="N")
    axes.axis("off")
    side = focus_px + 2 * context_px
    span = np.arange(-context_px, focus_px + context_px)
    for k, (row, column) in enumerate(chosen):
        y = 6.9 - 3.3 * k
        middle = y + 1.25
        # Wrapped, as the network is given it: the sheet is periodic.
        tile = image.take(row * focus_px + span, axis=0, mode="wrap").take(
            column * focus_px + span, axis=1, mode="wrap"
        )
        extent = (0.0, 2.5, y, y + 2.5)
        axes.imshow(tile, origin="lower", extent=extent, cmap="Greys", vmin=image.min(), vmax=image.max())
        edge = 2.5 * context_px / side
        inner = 2.5 - 2 * edge
        axes.add_patch(Rectangle((0.0, y), 2.5, 2.5, fill=False, edgecolor=ORANGE, linewidth=1.0, linestyle="--"))
        axes.add_patch(Rectangle((edge, y + edge), inner, inner, fill=False, edgecolor=BLUE, linewidth=1.2))
        axes.add_patch(
            FancyBboxPatch(
                (3.45, middle - 0.45),
                2.4,
                0.9,
                boxstyle="round,pad=0.1",
                facecolor="#E8EEF4",
                edgecolor=BLACK,
                linewidth=0.7,
            )
        )
        axes.text(4.65, middle, "network", ha="center", va="center", fontsize=7)
        _arrow(axes, (2.6, middle), (3.35, middle))
        _arrow(axes, (6.0, middle), (9.35, 4.85 + 0.7 * (1 - k)))
        energy = f"{tile_energies_eV[row, column]:.2f} eV".replace("-", "−")
        axes.text(6.15, middle + (0.45 if k < 2 else -0.45), energy, fontsize=7, va="center")
    for y in (6.5, 3.2):
        axes.text(1.25, y, "⋯", ha="center", va="center", fontsize=8)
    axes.text(9.85, 4.85, "Σ", ha="center", va="center", fontsize=15)
    total = f"{tile_energies_eV.sum():.1f} eV".replace("-", "−")
    axes.text(10.0, 3.55, f"{total}\n({tile_energies_eV.size} tiles)", ha="center", va="top", fontsize=7)
    # imshow has narrowed the limits to the last tile.
    axes.set(xlim=(-0.2, 11.4), ylim=(0, 9.6))


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=6, linewidth=0.7, color=BLACK))
