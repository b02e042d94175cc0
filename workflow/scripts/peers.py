"""Time and judge the network and the baselines in one run."""

from extensive.io import atomic_path, read_json, read_structures, write_json
from extensive.keys import STRUCTURE_ID, TRAIN
from extensive.models import load_model
from extensive.peers import compare
from extensive.timing.hardware import hardware_record
from extensive.timing.measure import write_timings
from extensive.timing.networks import timing_cell, weights_of
from logged import logged

with logged(snakemake, append=True):
    params, output = snakemake.params, snakemake.output
    splits = read_json(snakemake.input.splits)
    structures = {
        atoms.info[STRUCTURE_ID]: atoms for path in snakemake.input.structures for atoms in read_structures(path)
    }
    members = {
        part: [structures[name] for name in splits[part] if name in structures] for part in [TRAIN, *params.sets]
    }
    training = members.pop(TRAIN)
    rows, accuracy, stopped = compare.compare(
        snakemake.input.model,
        snakemake.input.mace,
        timing_cell(params.cell, params.seed),
        training,
        members,
        compare.Settings(**params.settings),
        load_model,
        report=print,
    )
    write_timings(output.timings, rows)
    for table, path in ((accuracy, output.accuracy), (compare.summary(rows, accuracy), output.summary)):
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
    weights = weights_of([snakemake.input.model])
    write_json(output.hardware, {**hardware_record(), "weights": weights, "went no further": stopped})
