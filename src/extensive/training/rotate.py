"""Sheets rotated by any angle: an exact symmetry of the energy that a square pixel grid hides.

A honeycomb looks the same after a rotation by 60 degrees, but its defects, pores and interfaces do not. Rotated sheets
show the network each of their orientations. See `extensive.images.oblique` for the grid that makes one periodic.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from extensive.images.oblique import Torus, torus_of
from extensive.images.placement import LARGEST_DISTORTION
from extensive.training.augment import Sheet, rotated_tensor


def cell_vectors(cell: np.ndarray, angle: float) -> np.ndarray:
    """Vectors (2, 2), as rows, of an orthogonal cell (2,) rotated by `angle` radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, sine], [-sine, cosine]]) * np.asarray(cell)[:, None]


def polar(vectors_A: np.ndarray, vectors_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(R, U) with R U n = a for both period vectors: a rotation and the symmetric pixel steps (2, 2)."""
    pixels = vectors_A.T @ np.linalg.inv(vectors_px.T.astype(float))
    left, values, right = np.linalg.svd(pixels)
    return left @ right, right.T @ np.diag(values) @ right


def choose_vectors(cell: np.ndarray, angle: float, pitch_A: np.ndarray, multiple: int) -> np.ndarray | None:
    """The grid for a `cell` (2,) rotated by about `angle` whose pixels are nearest to `pitch_A` (2,) along x and y.

    It is given by the period vectors n1, n2 in pixels, as rows (2, 2), each (x, y): multiples of `multiple`, so that
    strided layers fit. None if all are too distorted.
    """
    wanted = cell_vectors(cell, angle)
    low = np.floor(wanted / pitch_A / multiple)
    best, least = None, LARGEST_DISTORTION
    for up in itertools.product((0, 1), repeat=4):
        vectors = ((low + np.reshape(up, (2, 2))) * multiple).astype(int)
        if vectors[0, 0] * vectors[1, 1] - vectors[0, 1] * vectors[1, 0] <= 0:
            continue
        rotation, steps = polar(wanted, vectors)
        tilt = np.arctan2(rotation[1, 0], rotation[0, 0])
        strain = steps / np.sqrt(np.outer(pitch_A, pitch_A)) - np.eye(2)
        distortion = max(abs(tilt), *np.abs(strain).ravel())
        if distortion < least:
            best, least = vectors, distortion
    return best


def rotated(sheet: Sheet, angle: float, vectors_px: np.ndarray) -> Sheet:
    """`sheet` rotated onto the grid of period `vectors_px`; positions and forces rotate, `pixels_A` holds its steps."""
    rotation, steps = polar(cell_vectors(sheet.cell, angle), vectors_px)
    # First by the angle, then back by what the rounding of the grid has rotated.
    whole = rotation.T @ cell_vectors(np.ones(2), angle).T
    return replace(
        sheet,
        positions=sheet.positions @ whole.T,
        forces=None if sheet.forces is None else sheet.forces @ whole.T,
        strain_gradient=rotated_tensor(sheet, whole),
        pixels_A=steps,
    )


def rotated_batch(
    sheets: Sequence[Sheet], angle: float, pitch_A: np.ndarray, multiple: int
) -> tuple[list[Sheet], Torus] | None:
    """All sheets of a batch on one rotated grid, and one period of it; None where there is none that fits."""
    vectors = choose_vectors(np.mean([sheet.cell for sheet in sheets], axis=0), angle, pitch_A, multiple)
    if vectors is None:
        return None
    return [rotated(sheet, angle, vectors) for sheet in sheets], torus_of(vectors)
