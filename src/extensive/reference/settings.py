"""DFT settings, what of them makes a label another one, and which sheets can be labelled."""

import importlib.metadata
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.io import digest

# Real-space grids are rounded to multiples of this, so that the Poisson solver's grids fit.
GRID_MULTIPLE = 4
# Labels are told apart down to this length; structures are rounded to it when they are made.
LENGTH_STEP_A = 1e-6
# Cell vectors that leave the plane by less lie in it (Angstrom).
PLANE_A = 1e-9
# Settings of the way to the solution, not of the solution.
STEERING = ("mixer", "max_iterations", "start_kpoints", "start_grid_points")
# Heights that differ by less are one.
FLAT_A = 1e-6


@dataclass(frozen=True)
class DFTSettings:
    """Settings of one level of DFT, per sheet and not per cell, so that cells of all sizes are comparable.

    `grid_points` along (x, y) belong to `grid_cells` rectangular 4-atom cells, `kpoints` (Monkhorst-Pack, even)
    to `kpoint_cells`; other supercells get the proportional grid and the folded k-points. Without `mirror_kpoints`,
    one of each set of points that the mirrors of a perfect sheet map onto each other stands for all. `mixer`,
    `max_iterations`, `start_kpoints` and `start_grid_points` (of the coarser calculation whose density this one starts
    from) steer how the solution is found, not what it is: they are not part of the digest.
    """

    mode: str
    basis: str
    xc: str
    grid_points: tuple[int, int]
    grid_cells: tuple[int, int]
    z_spacing_A: float
    vacuum_A: float
    kpoints: tuple[int, int]
    kpoint_cells: tuple[int, int]
    mirror_kpoints: bool
    occupations: str
    smearing_eV: float
    density_convergence: float
    mixer: tuple[float, int, float]
    max_iterations: int
    start_kpoints: tuple[int, int] | None
    start_grid_points: tuple[int, int] | None

    @classmethod
    def from_config(cls, section: dict[str, Any]) -> "DFTSettings":
        """Settings from the `reference.dft` section of a configuration, lists made tuples."""
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in section.items()})

    def in_words(self) -> str:
        """What the labels are, for captions: functional, basis, occupations and k-points."""
        basis = f"LCAO {self.basis}" if self.mode == "lcao" else self.mode
        kind = self.occupations.replace("-", " ").title().replace(" ", "-")
        points = "x".join(str(count) for count in self.kpoints)
        some = "" if self.mirror_kpoints else ", one for all that the mirrors of a perfect sheet join"
        atoms = 4 * math.prod(self.kpoint_cells)
        return (
            f"{self.xc}, {basis}, not spin-polarised, {kind} occupations of {self.smearing_eV:g} eV, "
            f"{points} k-points for each {atoms} atoms{some}"
        )

    def of_the_start(self) -> "DFTSettings":
        """The settings of the calculation whose density the one with these settings starts from."""
        points = self.start_grid_points or self.grid_points
        return replace(
            self,
            kpoints=self.start_kpoints or self.kpoints,
            grid_points=tuple(min(pair) for pair in zip(points, self.grid_points)),
        )

    def physical(self) -> dict[str, Any]:
        """What determines the converged result, JSON-able."""
        values = asdict(self)
        for key in STEERING:
            del values[key]
        if self.occupations == "fermi-dirac":
            del values["occupations"]  # labels from before there was a choice say nothing
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    def steering(self) -> str:
        """Short digest of what steers how the solution is found: what failed with one may converge with another."""
        return digest([getattr(self, key) for key in STEERING])[:12]


def gpaw_version() -> str:
    """Version of the installed GPAW without importing it; InputError if there is none."""
    try:
        return importlib.metadata.version("gpaw")
    except importlib.metadata.PackageNotFoundError:
        raise InputError("gpaw is not installed; DFT labels need it (pip install gpaw==26.7.0)") from None


def version_key(version: str) -> str:
    """The part of a GPAW version that labels are told apart by: major.minor."""
    return ".".join(version.split(".")[:2])


def label_digest(atoms: Atoms, physical: dict[str, Any], version: str) -> str:
    """Digest of what determines a label: species, cell, boundary conditions, positions (to 1e-6 A), settings.

    A sheet's own vacuum does not count, since the settings bring theirs: heights are taken relative to the lowest
    atom and the third cell vector of a cell that is not periodic along it is left out.
    """
    positions = atoms.positions.copy()
    cell = atoms.cell.array.copy()
    if not atoms.pbc[2]:
        positions[:, 2] -= positions[:, 2].min()
        cell[2] = 0.0
    value = {
        "numbers": atoms.numbers.tolist(),
        "pbc": atoms.pbc.tolist(),
        "cell": np.rint(cell / LENGTH_STEP_A).astype(int).tolist(),
        "positions": np.rint(positions / LENGTH_STEP_A).astype(int).tolist(),
        "settings": physical,
        "gpaw": version_key(version),
    }
    # The prefix keeps extended XYZ from reading a digest of digits as a number.
    return "sha256:" + digest(value)


def height_room(atoms: Atoms, settings: DFTSettings) -> float:
    """Room (A) for the heights of a sheet that is not flat, in whole steps of the grid: frames in a row share one."""
    heights = atoms.positions[:, 2] - atoms.positions[:, 2].mean()
    step = GRID_MULTIPLE * settings.z_spacing_A
    return step * math.ceil(2 * np.abs(heights).max() / step - FLAT_A)


def with_vacuum(atoms: Atoms, settings: DFTSettings) -> Atoms:
    """A copy of a sheet with at least the settings' vacuum on either side; the mean of its heights is the middle."""
    sheet = atoms.copy()
    sheet.info = {}
    height = height_room(atoms, settings) + 2 * settings.vacuum_A
    sheet.cell[2] = (0.0, 0.0, height)
    # Of a flat sheet all heights are one number, so that the place of atoms on the grid is the same for all.
    heights = sheet.positions[:, 2]
    middle = heights.mean() if np.ptp(heights) > FLAT_A else heights.min()
    sheet.positions[:, 2] += height / 2 - middle
    return sheet


def check_sheet(atoms: Atoms) -> None:
    """InputError unless `atoms` is a sheet that this stage can label: in the x-y plane and periodic there only."""
    name = atoms.info.get(keys.STRUCTURE_ID, "structure")
    if len(atoms) == 0:
        raise InputError(f"{name}: no atoms; expected a sheet of atoms")
    if atoms.pbc.tolist() != [True, True, False]:
        raise InputError(f"{name}: pbc is {atoms.pbc.tolist()}; expected periodic in x and y only")
    if np.abs(atoms.cell.array[:2, 2]).max() > PLANE_A:
        raise InputError(f"{name}: a period leaves the x-y plane; expected the first two cell vectors in it")
    if abs(np.linalg.det(atoms.cell.array[:2, :2])) < PLANE_A:
        raise InputError(f"{name}: the first two cell vectors span no area")
    if not np.isfinite(atoms.positions).all():
        raise InputError(f"{name}: positions that are not numbers")
