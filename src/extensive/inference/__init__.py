"""Inference: a trained network and structures go in, energies and forces come out.

`engine` is fast evaluation: small structures in a millisecond, sheets of any size in bounded memory. `shifts` takes
means over shifted copies of a structure, `calculator` is ASE's. Used by evaluation, timing, peers and the command
line; needs neither training nor labels.

>>> from extensive.models import load_model                                     # doctest: +SKIP
>>> ednn = load_model("results/published/models/ednn")                          # doctest: +SKIP
>>> engine = Engine(ednn, dtype="bfloat16", threads=2)                          # doctest: +SKIP
>>> engine.energy(atoms)                                                        # doctest: +SKIP
"""

from extensive.inference.engine import Engine
from extensive.inference.sources import AtomsSource, FileSource, RepeatedSource, Source
from extensive.inference.stream import SheetEnergy, peak_memory_GiB, stream_energy
from extensive.inference.strips import Checkpoint, Strip, strips

__all__ = [
    "AtomsSource",
    "Checkpoint",
    "Engine",
    "FileSource",
    "RepeatedSource",
    "SheetEnergy",
    "Source",
    "Strip",
    "peak_memory_GiB",
    "stream_energy",
    "strips",
]
