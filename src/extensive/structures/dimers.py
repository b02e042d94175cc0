"""Lennard-Jones dimers placed and rotated at random in a box; their energies are the reference stage's."""

from typing import Any

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.structures.lattices import SHEET_HEIGHT_A
from extensive.structures.sampling import DECIMALS, stream


def _check(name: str, spec: dict[str, Any]) -> None:
    where = f"structures.dimers.{name}"
    low, high = spec["separation_A"]
    if not 0 < low <= high:
        raise InputError(f"{where}.separation_A: {[low, high]} should be [low, high] with 0 < low <= high")
    room = spec["box_A"] - 2 * spec["margin_A"]
    if room <= high:
        raise InputError(
            f"{where}.separation_A: up to {high:g} A does not fit between the margins of "
            f"box_A {spec['box_A']:g}; at most {max(room, 0):.2f}"
        )


def _dimer(name: str, spec: dict[str, Any], index: int, seed: int) -> Atoms:
    rng = stream(seed, name, index)
    dimensions, box, margin = spec["dimensions"], spec["box_A"], spec["margin_A"]
    separation = rng.uniform(*spec["separation_A"])
    direction = rng.normal(size=dimensions)
    half = 0.5 * separation * direction / np.linalg.norm(direction)
    # Even over all places at which both atoms keep the margin.
    reach = margin + np.abs(half)
    centre = reach + rng.uniform(size=dimensions) * (box - 2 * reach)
    flat = np.round(np.stack([centre - half, centre + half]), DECIMALS)
    if dimensions == 2:
        positions = np.column_stack([flat, np.full(2, SHEET_HEIGHT_A / 2)])
        cell, pbc = [box, box, SHEET_HEIGHT_A], (True, True, False)
    else:
        positions, cell, pbc = flat, [box, box, box], (True, True, True)
    atoms = Atoms([spec["element"]] * 2, positions=positions, cell=cell, pbc=pbc)
    identity = f"{name}-{index:05d}"
    atoms.info.update(
        {
            keys.STRUCTURE_ID: identity,
            keys.DATASET: name,
            keys.FAMILY: "dimer",
            keys.SAMPLER: "rattle",
            keys.PARENT: identity,
            # Of the rounded positions, so that it is what a network can see.
            "separation_A": round(float(np.linalg.norm(flat[1] - flat[0])), DECIMALS),
        }
    )
    return atoms


def generate_dimers(name: str, spec: dict[str, Any], seed: int) -> list[Atoms]:
    """Dimers of one data set, without energies; the same to the bit for the same arguments, extendable in
    count.

    `spec` is a completed entry of structures.dimers: dimensions 2 (positions in the plane z = Lz/2, periodic
    in the plane) or 3 (periodic cube), count, element, box_A, margin_A, separation_A. The dimer lies whole
    within the box: the shortest distance between its atoms is direct, not across the boundary, as long as it
    is below half the box. `info` holds separation_A. Raises InputError if the longest dimer does not fit.
    """
    _check(name, spec)
    return [_dimer(name, spec, index, seed) for index in range(spec["count"])]
