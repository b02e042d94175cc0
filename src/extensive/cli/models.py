"""Verbs that use networks and look at files: predict, sheet, time, inspect, check."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from extensive.cli.data import EnergyKey, ForcesKey, StressKey
from extensive.errors import InputError

Model = Annotated[
    str, typer.Argument(help="Path of a model (.pt with .json beside it), or the name of a published one.")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU cores used.")]


def predict(
    structures: Annotated[Path, typer.Argument(help="Structures, in any format that ASE reads.")],
    out: Annotated[
        Path, typer.Argument(help="File to write, in any format that ASE writes; .extxyz keeps everything.")
    ],
    model: Annotated[
        list[str], typer.Option(help="Path or published name; several are an ensemble, whose mean is predicted.")
    ] = ["ednn"],  # noqa: B006 - typer copies it
    device: Device = "auto",
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    extrapolate: Annotated[
        bool, typer.Option("--extrapolate", help="Let pass strains and sizes outside the training set's.")
    ] = False,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    stress_key: StressKey = None,
) -> None:
    """Energies (eV) and forces (eV/Angstrom) of structures.

    Prints each energy and, of labelled structures, the mean absolute errors in meV/atom, meV/A and, of the stress in
    the plane, meV/A^3. Of an ensemble, `energy_uncertainty` (eV) goes with each structure.
    """
    import numpy as np
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.stress import voigt_6_to_full_3x3_stress
    from tqdm import tqdm

    from extensive import keys
    from extensive.inference.calculator import Calculator, check_domain
    from extensive.inference.pixels import beyond_training
    from extensive.io import note
    from extensive.structures.frame import frame_of
    from extensive.structures.labels import LabelKeys, check_values, say_which_energy, with_labels
    from extensive.structures.reading import is_isolated, read_any, without_isolated
    from extensive.structures.stress import strain_gradient_of, volume_of
    from extensive.structures.user_files import write_any

    calculator = Calculator(model, device, dtype, extrapolate)
    named = LabelKeys(energy_key, forces_key, stress_key)
    whole = read_any(structures)
    read = without_isolated(whole, structures)
    say_which_energy(read, named, structures)
    # Numbers are those in the file, isolated atoms counted.
    numbers = [index for index, atoms in enumerate(whole) if not is_isolated(atoms)]
    places = [f"{structures}, frame {index + 1}" for index in numbers]
    # The file's own results give way to the predicted ones; as labels, under REF_ keys, they stay.
    found = [with_labels(atoms, named, place) for place, atoms in zip(places, read, strict=True)]
    names = [str(atoms.info.get(keys.STRUCTURE_ID, index)) for index, atoms in zip(numbers, found, strict=True)]
    # All are looked at before any is calculated.
    for place, atoms in zip(places, found, strict=True):
        check_values(atoms, place)
    know_stress = all(getattr(potential.network, "can_fuse", False) for potential in calculator.potentials)
    gradients = [None] * len(found)
    if know_stress:
        try:
            gradients = [strain_gradient_of(atoms, place) for place, atoms in zip(places, found, strict=True)]
        except InputError as error:
            if stress_key is not None:
                raise
            # One unit holds for the whole file.
            note(f"{error}; stresses are left out")
            for atoms in found:
                atoms.info.pop(keys.REF_STRESS, None)
    beyond = {}
    for name, atoms in zip(names, found, strict=True):
        for potential in calculator.potentials:
            if words := beyond_training(check_domain(atoms, potential, extrapolate, name), potential):
                beyond.setdefault(name, words)
    if beyond:
        name, words = next(iter(beyond.items()))
        others = f" ({len(beyond)} structures are like that)" if len(beyond) > 1 else ""
        note(f"structure {name}: {words}{others}; errors may be larger, and a repeated cell has squarer pixels")
    energy_errors, force_errors, stress_errors, lines = [], [], [], []
    bar = tqdm(names, "structures", disable=not sys.stderr.isatty())
    for name, atoms, labelled in zip(bar, found, gradients, strict=True):
        calculator.calculate(atoms, ["energy", "forces", *(["stress"] if labelled is not None else [])])
        energy, forces = calculator.results["energy"], calculator.results["forces"]
        if len(calculator.potentials) > 1:
            atoms.info["energy_uncertainty"] = calculator.uncertainty()["energy"]
        if atoms.info.get(keys.REF_ENERGY) is not None:
            energy_errors.append(abs(energy - float(atoms.info[keys.REF_ENERGY])) / len(atoms))
        if keys.REF_FORCES in atoms.arrays:
            force_errors.append(frame_of(atoms).in_plane(forces - atoms.arrays[keys.REF_FORCES]).ravel())
        found_stress = {}
        if labelled is not None:
            found_stress = {"stress": calculator.results["stress"]}
            axes = frame_of(atoms).axes[:2]
            off = axes @ (voigt_6_to_full_3x3_stress(found_stress["stress"]) - labelled / volume_of(atoms)) @ axes.T
            stress_errors.append(off[np.triu_indices(2)])
        atoms.calc = SinglePointCalculator(atoms, energy=energy, free_energy=energy, forces=forces, **found_stress)
        lines.append(f"{name} {len(atoms)} atoms {energy:.6f} eV")
    write_any(out, found)
    print("\n".join(lines))
    if energy_errors:
        mean = keys.MEV_PER_EV * sum(energy_errors) / len(energy_errors)
        print(f"mean absolute error of {len(energy_errors)} labelled structures: {mean:.3f} meV/atom")
    if force_errors:
        mean = keys.MEV_PER_EV * float(np.abs(np.concatenate(force_errors)).mean())
        print(f"mean absolute error of the forces of {len(force_errors)} labelled structures: {mean:.3f} meV/A")
    if stress_errors:
        mean = keys.MEV_PER_EV * float(np.abs(np.concatenate(stress_errors)).mean())
        print(f"mean absolute error of the stress of {len(stress_errors)} labelled structures: {mean:.4f} meV/A^3")


def sheet(
    model: Model,
    blocks: Annotated[
        tuple[int, int] | None,
        typer.Option(
            help="Blocks of porous graphene along x and y, 14.8 x 17.0 Angstrom each. [default: a square micrometre]"
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Your own sheet instead: plain extended XYZ of any size, or any format.")
    ] = None,
    extrapolate: Annotated[
        bool, typer.Option("--extrapolate", help="Let pass strains and sizes outside the training set's.")
    ] = False,
    displacement_a: Annotated[
        float | None,
        typer.Option("--displacement-A", help="Standard deviation of each coordinate, Angstrom. [default: 0.05]"),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of pores and displacements. [default: 0]")] = None,
    dtype: Annotated[
        str,
        typer.Option(
            help="float32, bfloat16, float64 or auto: bfloat16 where the processor has it and it rounds little."
        ),
    ] = "auto",
    device: Device = "cpu",
    threads: Threads = 2,
    out: Annotated[Path | None, typer.Option(help="Also write the row of sheet.csv to this file.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File of partial sums, from which a killed run goes on; removed at the end.")
    ] = None,
) -> None:
    """Energy (eV) of a sheet of any size, streamed in bounded memory: by default 35.2 million atoms."""
    from extensive.inference.calculator import find_model
    from extensive.models.devices import pick_device
    from extensive.timing.sheet import evaluate_sheet, file_source, sheet_source, write_sheet

    if file is not None and blocks is not None:
        raise InputError("--file and --blocks: give one of the two")
    for option, value in (("--displacement-A", displacement_a), ("--seed", seed)):
        if file is not None and value is not None:
            raise InputError(f"--file and {option}: give one of the two; {option} is for sheets that are made")
    path, where = find_model(model), pick_device(device).type
    if file is None:
        source = sheet_source(blocks, 0.05 if displacement_a is None else displacement_a, seed or 0)
    else:
        source = file_source(file, path, extrapolate)
    try:
        found, row = evaluate_sheet(path, source, checkpoint, dtype, where, threads, progress=sys.stderr.isatty())
    finally:
        if hasattr(source, "close"):
            source.close()
    if out is not None:
        write_sheet([row], out)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    print(
        f"{found.n_atoms} atoms: {found.energy_eV:.6f} eV ({found.energy_eV / found.n_atoms:.6f} eV/atom)"
        f" in {found.seconds:.3g} s, {found.peak_memory_GiB:.2f} GiB"
    )
    print(f"number type: {row.number_type}")


def time_models(
    models: Annotated[list[str], typer.Argument(help="Models: paths, or names of published ones.")],
    cells: Annotated[str, typer.Option(help="Sizes, in copies of the cell, separated by commas.")] = "1,10,100,1000",
    supercell: Annotated[tuple[int, int], typer.Option(help="4-atom cells of the cell that is repeated.")] = (5, 3),
    dtypes: Annotated[
        str, typer.Option(help="Number types of the fused evaluation; auto is the one that `sheet` takes.")
    ] = "float32,auto",
    threads: Threads = 2,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats of each size; the median is kept.")] = 7,
    budget_s: Annotated[float, typer.Option("--budget-s", help="Leave out sizes that take longer, seconds.")] = 30.0,
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option(help="Also write networks.csv to this file.")] = None,
) -> None:
    """Time networks against system size, structure to energy, on rattled graphene."""
    from extensive.inference.calculator import find_model
    from extensive.models.devices import pick_device
    from extensive.timing.measure import write_timings
    from extensive.timing.networks import NetworkTimingSettings, time_networks, timing_cell

    try:
        sizes = [int(size) for size in cells.split(",")]
    except ValueError:
        raise InputError(f"--cells: {cells!r}; whole numbers separated by commas, such as 1,10,100") from None
    if min(sizes) < 1 or min(supercell) < 1:
        raise InputError(f"--cells {cells}, --supercell {supercell}: sizes are at least 1")
    pick_device(device)
    paths = [find_model(model) for model in models]
    settings = NetworkTimingSettings(sizes, dtypes.split(","), threads, repeats, budget_s, budget_s)
    rows = time_networks(paths, timing_cell(supercell, 0), settings, device)
    if out is not None:
        write_timings(out, rows)
    print(f"{'method':<22}{'device':<8}{'atoms':>10}{'seconds':>12}{'us/atom':>10}")
    for row in rows:
        print(
            f"{row.method:<22}{row.device:<8}{row.n_atoms:>10}{row.seconds:>12.4g}"
            f"{1e6 * row.seconds / row.n_atoms:>10.3g}"
        )


def inspect(
    model: Model,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, as JSON.")] = False,
) -> None:
    """What a model is: network, image, elements, training set, errors; and that its weights are whole."""
    from extensive.inference.calculator import find_model
    from extensive.io import read_json
    from extensive.models import load_model

    path = find_model(model)
    potential = load_model(path)  # checks digest, format and weights
    values = read_json(path.with_name(path.name + ".json"))
    if as_json:
        print(json.dumps(values, indent=2))
        return
    config, metadata = potential.config, values["metadata"]
    print(f"{path}.pt: {config.network}, form {config.form}, {values['parameters']} parameters")
    print(f"image: channels {config.channels}, pixels of {config.pixel_size_A:g} A, Gaussians of {config.sigma_A:g} A")
    if config.network == "ednn":
        print(f"tiles: focus {config.focus_px} px, context {values['context_px']} px")
    references = ", ".join(f"{symbol} {value:.6f}" for symbol, value in potential.reference_energies_eV.items())
    print(f"elements (reference energies, eV): {references or 'none'}")
    print(f"energy scale {potential.energy_scale_eV:.6g} eV, shift {potential.energy_shift_eV:.6g} eV")
    ranges = ("n_atoms_range", "cell_range_A", "bond_range_A", "bond_direction_range", "closest_A")
    for key in ("n_train", "n_validation", *ranges, "families"):
        if key in metadata:
            print(f"{key}: {metadata[key]}")
    count = metadata.get("n_teacher_labels")
    learned = f"learned from {count}" if count else "began with weights that learned from"
    for teacher in metadata.get("teachers", []):
        print(f"{learned} labels that are not DFT's but by {teacher}")
    for key, value in metadata.get("final", {}).items():
        print(f"{key}: {value if value is None else format(value, '.6g')}")
    print(f"sha256 {values['weights_sha256']}")


def check(
    config: Annotated[Path, typer.Argument(help="Configuration file.")],
    full: Annotated[bool, typer.Option("--full", help="Print the configuration with all defaults filled in.")] = False,
) -> None:
    """Check a configuration as the workflow would, before any job; prints its expected cost in core-hours."""
    import yaml

    from extensive.cli.checks import check_config, check_files
    from extensive.config import load_config
    from extensive.config.plan import summary

    whole = load_config(config)
    check_config(whole, config.parent)
    read = check_files(whole, config.parent)
    if full:
        print(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True), end="")
        return
    datasets, models = whole["structures"]["datasets"], whole["models"]
    print(f"{config}: right. Run '{whole['run']}': {len(datasets)} data sets of sheets, {len(models)} models")
    print("\n".join([*read, summary(whole)]))


VERBS = (predict, sheet, inspect, check)
