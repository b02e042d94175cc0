"""How the pixels of a sheet differ from those that a network met in training.

Upright pixels off their size are refused (`inference.calculator`); of sheared ones a user is told.
"""

import numpy as np

from extensive.images.placement import Placed
from extensive.models import Potential
from extensive.models.domain import largest_pitch

# A shear, or a logarithm of the pitch, that is as good as none.
LEAST = 1e-3


def beyond_training(sheet: Placed, potential: Potential) -> str:
    """In words, what shear or pitch the sheared pixels of a sheet have that the training is not known to have met.

    Empty for upright pixels, and where the metadata say nothing of the training's cells. A training meets shears only
    if it rotates sheets, and then as large as the rounding of its cells to whole pixels makes them.
    """
    size, multiple, metadata = potential.config.pixel_size_A, potential.multiple_px, potential.metadata
    if sheet.pixels_A is None or "cell_range_A" not in metadata:
        return ""
    values, vectors = np.linalg.eigh(sheet.pixels_A / size)
    logarithm = (vectors * np.log(values)) @ vectors.T
    pitch, shear = float(np.abs(np.diag(logarithm)).max()), abs(float(logarithm[0, 1]))
    rotation = (metadata["training"].get("augmentation") or {}).get("rotation_deg", 0.0)
    rounding = largest_pitch(multiple, size, {**metadata, "training": {"augmentation": None}})
    met = rounding if rotation else 0.0
    if shear > met + LEAST:
        return f"its pixels are sheared by {100 * shear:.1f} %, in training by {100 * met:.1f} % at most"
    met = largest_pitch(multiple, size, metadata)
    if pitch > met + LEAST:
        return f"its pixels are {100 * pitch:.1f} % off {size:g} A, in training {100 * met:.1f} % at most"
    return ""
