"""What every stage asks of a sheet: flat, periodic in its plane, in an orthogonal cell."""

import numpy as np
from ase import Atoms

from extensive.errors import InputError

# The image knows only the plane; a sheet that buckles more than this is another system.
FLAT_TOLERANCE_A = 0.1


def check_sheet(atoms: Atoms, name: str | None = None) -> None:
    """Raise InputError unless `atoms` is a flat sheet, periodic in x and y, in an orthogonal cell."""
    name = name or atoms.info.get("structure_id", atoms.get_chemical_formula())
    if len(atoms) == 0:
        raise InputError(f"structure {name}: no atoms; an image needs at least one")
    cell = np.asarray(atoms.cell)
    if not (atoms.pbc[0] and atoms.pbc[1]):
        raise InputError(f"structure {name}: pbc is {atoms.pbc.tolist()}; a sheet must be periodic in x and y")
    off_diagonal = np.abs(cell - np.diag(np.diag(cell))).max()
    if off_diagonal > 1e-6 or min(cell[0, 0], cell[1, 1]) <= 0:
        raise InputError(f"structure {name}: cell {cell.round(3).tolist()} is not orthogonal; use diag(Lx, Ly, Lz)")
    if not np.isfinite(atoms.positions).all():
        raise InputError(f"structure {name}: positions hold NaN or infinity; they must be finite, in Angstrom")
    spread = float(np.ptp(atoms.positions[:, 2]))
    if spread > FLAT_TOLERANCE_A:
        raise InputError(
            f"structure {name}: atoms spread {spread:.3f} A along z; the image knows flat sheets only"
            f" (at most {FLAT_TOLERANCE_A} A)"
        )
