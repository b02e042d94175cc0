"""All that replaces GPAW's own sums, in one place: the same numbers, sooner (tests hold the two together).

`VERSION` is part of the record of each label that is made with it; 0 are GPAW's own sums.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from extensive.reference.atomic_xc import all_directions_at_once
from extensive.reference.bands import kept_bands_only
from extensive.reference.blocked import dense_products
from extensive.reference.electrostatics import one_process_poisson

# 1: sums over the grid for each k-point, kept bands. 2: for all k-points together, orbitals' forces, atoms, Poisson.
# 3: Poisson by transforms of real numbers; the mixer's memory of the coarser k-points (mixing.py).
# 4: halves of symmetric products; single precision until the density is nearly converged. 5: a start on a coarser grid.
VERSION = 5
REPLACEMENTS = (dense_products, kept_bands_only, all_directions_at_once, one_process_poisson)


@contextmanager
def faster_sums() -> Iterator[None]:
    """GPAW calculations inside use this package's sums wherever they apply."""
    with ExitStack() as stack:
        for replacement in REPLACEMENTS:
            stack.enter_context(replacement())
        yield
