"""What all figures share: widths, fonts, colours, markers, and how one is saved with its numbers."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from extensive.io import atomic_path, write_json

COLUMN_IN = 3.4  # width of one journal column, inch
DOUBLE_IN = 7.0  # width of two columns, inch
DPI = 300

# Okabe and Ito's palette: told apart with any colour vision. Markers differ too, for print without colour.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, BLACK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#222222",
)
GREY = "#777777"

# One colour and marker per family wherever it appears.
FAMILIES = {
    "graphene": (BLACK, "o"),
    "hbn": (BLUE, "s"),
    "heterostructure": (ORANGE, "D"),
    "graphene-vacancy": (RED, "v"),
    "graphene-substitution": (PURPLE, "^"),
    "hbn-vacancy": (SKY, "<"),
    "hbn-antisite": (GREEN, ">"),
    "hbn-substitution": ("#8C6D1F", "P"),
    "stone-wales": (YELLOW, "X"),
    "porous": (GREY, "h"),
}
FAMILY_TITLES = {
    "graphene": "graphene",
    "hbn": "hBN",
    "heterostructure": "graphene–hBN",
    "graphene-vacancy": "graphene, vacancy",
    "graphene-substitution": "graphene, B or N",
    "hbn-vacancy": "hBN, vacancy",
    "hbn-antisite": "hBN, antisite",
    "hbn-substitution": "hBN, C",
    "stone-wales": "Stone–Wales",
    "porous": "porous graphene",
}
_SPARE = [(BLUE, "o"), (ORANGE, "s"), (GREEN, "D"), (RED, "^"), (PURPLE, "v"), (SKY, "P"), (BLACK, "X")]

_RC = {
    **sns.axes_style("ticks"),
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.titleweight": "normal",
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 1.8,
    "ytick.minor.size": 1.8,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "image.interpolation": "nearest",
    "pdf.fonttype": 42,  # text stays text in the PDF
    "savefig.dpi": DPI,
}


@dataclass
class Drawing:
    """A figure, the numbers that it shows (one row per mark), and the few that its caption quotes."""

    figure: Figure
    table: pd.DataFrame
    numbers: dict[str, Any] = field(default_factory=dict)


def styled(draw: Callable[..., Drawing]) -> Callable[..., Drawing]:
    """Run `draw` under this project's style, whatever the caller's settings are."""

    @functools.wraps(draw)
    def wrapper(*args: Any, **kwargs: Any) -> Drawing:
        with mpl.rc_context(_RC):
            drawing = draw(*args, **kwargs)
            # Laid out here: sizes of text depend on the style, which ends with this block.
            drawing.figure.canvas.draw()
            return drawing

    return wrapper


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure with constrained layout, outside pyplot's global state."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def said_below(drawing: Drawing, text: str) -> None:
    """Write a line below all panels: what must not be missed where the figure is shown without its caption."""
    with mpl.rc_context(_RC):
        if drawing.figure.legends:  # there a label of the figure would lie on it
            drawing.figure.legends[-1].set_title(text, prop={"size": 6})
        else:
            drawing.figure.supxlabel(text, x=0.01, ha="left", fontsize=6)


def save(drawing: Drawing, pdf: str | Path, png: str | Path, csv: str | Path, numbers: str | Path) -> None:
    """Write the figure (PDF, PNG), its numbers (CSV) and its caption's numbers (JSON), each atomically."""
    with mpl.rc_context(_RC):
        for path, kind, metadata in (
            (pdf, "pdf", {"CreationDate": None, "Producer": None, "Creator": None}),
            (png, "png", {"Software": None}),
        ):
            with atomic_path(path) as temporary:
                drawing.figure.savefig(temporary, format=kind, metadata=metadata)
    with atomic_path(csv) as temporary:
        drawing.table.to_csv(temporary, index=False, float_format="%.9g", lineterminator="\n")
    write_json(numbers, drawing.numbers)


def family_style(family: str, index: int = 0) -> tuple[str, str]:
    """Colour and marker of a family; families of the user's own take spare ones by `index`."""
    return FAMILIES.get(family) or _SPARE[index % len(_SPARE)]


def series_style(index: int) -> tuple[str, str]:
    """Colour and marker of the index-th series."""
    return _SPARE[index % len(_SPARE)]


def family_title(family: str) -> str:
    """A family's name as printed."""
    return FAMILY_TITLES.get(family, family)


def order_families(families: list[str]) -> list[str]:
    """Known families in their fixed order, then others by name."""
    known = list(FAMILIES)
    return sorted(set(families), key=lambda name: (known.index(name) if name in known else len(known), name))


def panel_title(axes: Axes, letter: str, title: str = "") -> None:
    """A bold letter and a title above the panel's left edge."""
    axes.annotate(
        letter,
        (0, 1),
        xycoords="axes fraction",
        xytext=(-14, 5),
        textcoords="offset points",
        fontweight="bold",
        fontsize=9,
        ha="left",
    )
    axes.set_title(title or " ", loc="left", fontsize=8)


def scatter(axes: Axes, x: Any, y: Any, style: tuple[str, str], size: float = 10, **options: Any) -> None:
    """Small marks in one (colour, marker), told apart where they overlap."""
    colour, marker = style
    thin = marker in "XP"  # these lose their shape under a white rim
    axes.scatter(
        x,
        y,
        s=size * (1.5 if thin else 1.0),
        color=colour,
        marker=marker,
        edgecolors=BLACK if thin else "white",
        linewidths=0.25 if thin else 0.3,
        **options,
    )


def quote(value: float, digits: int = 3) -> str:
    """A number for print: `digits` significant digits, no exponent between 1e-3 and 1e5."""
    value = float(value)
    if not np.isfinite(value):
        return "n/a"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits - 1}e}"
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e" in text else text


def show_image(axes: Axes, image: np.ndarray, cell: tuple[float, float], **options: Any) -> AxesImage:
    """Draw an image (H, W) of `cell` (Lx, Ly) in Angstrom; pixel i is centred on i * pitch, y upwards."""
    height, width = image.shape
    half_x, half_y = 0.5 * cell[0] / width, 0.5 * cell[1] / height
    extent = (-half_x, cell[0] - half_x, -half_y, cell[1] - half_y)
    shown = axes.imshow(image, origin="lower", extent=extent, aspect="equal", **options)
    axes.set_xlabel("x (Å)")
    axes.set_ylabel("y (Å)")
    return shown


def image_table(panel: str, image: np.ndarray, cell: tuple[float, float]) -> pd.DataFrame:
    """An image (H, W) with a row for each row of pixels: panel, y_A, pitch_x_A, then its values px0, px1, ...

    Pixel i lies at i * pitch along either axis. Values are rounded to 1e-3, far below what can be seen.
    """
    height, width = image.shape
    place = {"panel": panel, "y_A": np.arange(height) * cell[1] / height, "pitch_x_A": cell[0] / width}
    values = {f"px{column}": np.round(image[:, column], 3) + 0.0 for column in range(width)}
    return pd.DataFrame({**place, **values})
