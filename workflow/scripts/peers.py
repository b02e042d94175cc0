"""Time and judge the networks and the baselines in one run."""

from extensive.io import atomic_path, read_json, write_json
from extensive.keys import TRAIN
from extensive.models import load_model
from extensive.peers import compare
from extensive.peers.networks import by_name, training_of
from extensive.peers.sheets import structures_of
from extensive.timing.hardware import hardware_record
from extensive.timing.measure import write_timings
from extensive.timing.networks import timing_cell, weights_of
from logged import logged

with logged(snakemake, append=True):
    given, params, output = snakemake.input, snakemake.params, snakemake.output
    members = structures_of(given.splits, given.structures, [TRAIN, *params.sets])
    training = members.pop(TRAIN)
    rows, accuracy, stopped = compare.compare(
        compare.Files(by_name(given.models), by_name(given.mace), **params.fits),
        timing_cell(params.cell, params.seed),
        training,
        members,
        compare.Settings(**params.settings),
        load_model,
        report=print,
    )
    write_timings(output.timings, rows)
    trainings = {name: training_of(path) for name, path in by_name(given.descriptions).items()}
    trainings |= {name: read_json(path) for name, path in by_name(given.trainings, "-training").items()}
    for table, path in ((accuracy, output.accuracy), (compare.summary(rows, accuracy, trainings), output.summary)):
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
    weights = weights_of(given.models)
    write_json(output.hardware, {**hardware_record(), "weights": weights, "went no further": stopped})
