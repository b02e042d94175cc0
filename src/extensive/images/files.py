"""Files of images: what the raster stage writes of a labelled data set, in HDF5.

Every image of a file has one shape, that of the data set's mean cell; `cells` holds each structure's own, so
the true pitch of an image is cell / shape. Attributes state the formula, its parameters and the units.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from ase import Atoms
from tqdm import tqdm

from extensive.errors import InputError
from extensive.images.placement import as_rectangle
from extensive.images.raster import (
    Channels,
    batch_of,
    channel_count,
    image_shape,
    rasterize_batch,
)
from extensive.io import atomic_path
from extensive.keys import REF_ENERGY, STRUCTURE_ID

FORMULA = "image[c, y, x] = sum_j w_jc exp(-|r_yx - r_j|^2 / (2 sigma^2)), periodic in x and y"
# The cells of one file may differ by strain and lattice, not by their number of unit cells.
LARGEST_PITCH_DEVIATION = 0.15
BATCH = 64


def write_images(
    path: str | Path,
    structures: Sequence[Atoms],
    *,
    channels: Channels,
    pixel_size_A: float,
    sigma_A: float,
    multiple_px: int,
    progress: bool = False,
) -> None:
    """Rasterize labelled structures into an HDF5 file, atomically and in bounded memory.

    Datasets: images (B, C, H, W) float32; energies (B,) eV, float64; ids (B,); n_atoms (B,); cells (B, 2)
    Angstrom. A sheet in a cell that is no rectangle is drawn as the small rectangle of such cells, with its energy.
    Raises InputError for no structures, for one without energy, and for cells too unlike to share
    one image shape.
    """
    if not structures:
        raise InputError(f"{path}: no labelled structures to make images of; did all calculations fail?")
    placed = [as_rectangle(atoms) for atoms in structures]
    for atoms in structures:
        if not np.isfinite(atoms.info.get(REF_ENERGY, np.nan)):
            name = atoms.info.get(STRUCTURE_ID, atoms.get_chemical_formula())
            raise InputError(f"structure {name}: no finite {REF_ENERGY}; images are made of labelled structures")
    cells = np.array([sheet.cell for sheet in placed])
    shape = image_shape(cells.mean(axis=0), pixel_size_A, multiple_px)
    deviation = np.abs(cells / cells.mean(axis=0) - 1.0).max(axis=1)
    if deviation.max() > LARGEST_PITCH_DEVIATION:
        worst = structures[int(deviation.argmax())]
        raise InputError(
            f"structure {worst.info.get(STRUCTURE_ID)}: cell {100 * deviation.max():.0f} % off the mean;"
            f" images of one file share a shape, so at most {100 * LARGEST_PITCH_DEVIATION:.0f} % is allowed"
        )
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(
            {
                "formula": FORMULA,
                "channels": [channels] if isinstance(channels, str) else list(channels),
                "sigma_A": sigma_A,
                "pixel_size_A": pixel_size_A,
                "energy_unit": "eV",
                "length_unit": "Angstrom",
                "axes": "B structures, C channels, H along y, W along x; pixel i at i * cell / n",
            }
        )
        energies = [sheet.copies * atoms.info[REF_ENERGY] for sheet, atoms in zip(placed, structures, strict=True)]
        file["energies"] = np.array(energies, dtype=np.float64)
        ids = [str(atoms.info[STRUCTURE_ID]) for atoms in structures]
        file.create_dataset("ids", data=ids, dtype=h5py.string_dtype())
        file["n_atoms"] = np.array([len(sheet) for sheet in placed], dtype=np.int64)
        file["cells"] = cells
        n_channels = channel_count(channels)
        # gzip, because lzf starts from uninitialised memory: same images, other bytes.
        images = file.create_dataset(
            "images",
            (len(structures), n_channels, *shape),
            np.float32,
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        )
        with torch.no_grad():
            for first in tqdm(range(0, len(structures), BATCH), "images", disable=not progress):
                some = placed[first : first + BATCH]
                batch = batch_of([s.positions for s in some], [s.numbers for s in some], cells[first : first + BATCH])
                images[first : first + BATCH] = rasterize_batch(batch, shape, channels, sigma_A).numpy()


def read_images(path: str | Path) -> dict[str, Any]:
    """All of a file of `write_images`: images, energies, ids, n_atoms, cells, and `attributes`.

    Raises InputError naming the file when it is missing, broken, or not such a file, or its units are others.
    """
    try:
        with h5py.File(path, "r") as file:
            attributes = dict(file.attrs)
            found = {key: file[key][()] for key in ("images", "energies", "n_atoms", "cells")}
            found["ids"] = file["ids"].asstr()[()].tolist()
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: not a file of images ({error})") from error
    if attributes.get("energy_unit") != "eV" or attributes.get("length_unit") != "Angstrom":
        raise InputError(f"{path}: units are not stated as eV and Angstrom")
    found["attributes"] = attributes
    return found
