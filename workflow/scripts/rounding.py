"""What bfloat16 rounds of one model's energies, on the structures by which it was chosen."""

from extensive.inference.rounding import measure_rounding
from extensive.io import read_json, read_structures, write_json
from extensive.keys import STRUCTURE_ID, VALIDATION
from extensive.training.targets import ENERGY, with_target
from logged import logged

with logged(snakemake):
    wanted = set(read_json(snakemake.input.splits)[VALIDATION])
    structures = [atoms for path in snakemake.input.structures for atoms in read_structures(path)]
    chosen = [atoms for atoms in structures if atoms.info[STRUCTURE_ID] in wanted]
    training = read_json(snakemake.input.description)["metadata"]["training"]
    found = measure_rounding(snakemake.input.weights, with_target(chosen, training.get("target", ENERGY)))
    write_json(snakemake.output[0], found)
