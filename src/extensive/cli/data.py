"""Verbs that make data and networks: generate, label, rasterize, train. Heavy imports wait until a verb runs."""

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from extensive.errors import InputError

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file; see config/README.md.")]

EnergyKey = Annotated[
    str | None, typer.Option("--energy-key", help="Key of the energy (eV). [default: REF_energy, free_energy, energy]")
]
ForcesKey = Annotated[
    str | None, typer.Option("--forces-key", help="Column of the forces (eV/A). [default: REF_forces, forces]")
]

StressKey = Annotated[
    str | None,
    typer.Option(
        "--stress-key", help="Key of the stress (eV/A^3) or virial (eV). [default: REF_stress, stress, virial]"
    ),
]


def _entry(config: Path | None, name: str, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A data set's completed entry, and the whole configuration: from a file, or from options alone."""
    from extensive.config import complete_config, load_config

    if config is None:
        options = {key: value for key, value in given.items() if value is not None}
        options = {"family": "graphene", "sampler": "rattle", "count": 1, **options}
        whole = complete_config({"structures": {"datasets": {name: options}}}, source="options")
        return whole["structures"]["datasets"][name], whole
    whole = load_config(config)
    if name not in whole["structures"]["datasets"]:
        known = ", ".join(whole["structures"]["datasets"]) or "none"
        raise InputError(f"{config}: structures.datasets has no '{name}'; there are {known}")
    entry = {**whole["structures"]["datasets"][name], **{k: v for k, v in given.items() if v is not None}}
    return entry, whole


def _cell(text: str | None) -> str | dict[str, Any] | None:
    """What the option --cell says, as a configuration says it."""
    numbers = re.fullmatch(r"(\d+),(\d+)", text or "")
    return {"chiral": [int(number) for number in numbers.groups()]} if numbers else text


def generate(
    dataset: Annotated[str, typer.Argument(help="Name of the data set; seeds its random numbers.")],
    out: Annotated[Path, typer.Argument(help="Extended XYZ file to write (.extxyz, .extxyz.gz).")],
    config: Config = None,
    family: Annotated[
        str | None, typer.Option(help="graphene, hbn, heterostructure, porous, ... [default: graphene]")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="pristine, rattle, or md (its starts) [default: rattle]")] = None,
    count: Annotated[int | None, typer.Option(help="Number of structures. [default: 1]")] = None,
    cell: Annotated[
        str | None, typer.Option(help="rectangular, hexagonal, or N,M of a chiral cell [default: rectangular]")
    ] = None,
    supercell: Annotated[tuple[int, int] | None, typer.Option(help="Cells along the periods. [default: 5 3]")] = None,
    displacement_a: Annotated[
        tuple[float, float] | None,
        typer.Option("--displacement-A", help="Least and largest amplitude, Angstrom. [default: 0.02 0.09]"),
    ] = None,
    strain: Annotated[float | None, typer.Option(help="Largest strain of each axis. [default: 0.02]")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of all random numbers. [default: 2018]")] = None,
) -> None:
    """Make structures: a data set of a configuration, or one described by the options."""
    from extensive.config.plan import seed_of
    from extensive.io import write_structures
    from extensive.structures.datasets import generate_dataset

    given = {
        "family": family,
        "sampler": sampler,
        "count": count,
        "cell": _cell(cell),
        "supercell": list(supercell) if supercell else None,
        "displacement_A": list(displacement_a) if displacement_a else None,
        "strain": strain,
    }
    entry, whole = _entry(config, dataset, given)
    constants = whole["structures"]["lattice_constants_A"]
    structures = generate_dataset(dataset, entry, seed_of(whole, dataset) if seed is None else seed, constants)
    write_structures(out, structures)
    print(f"{out}: {len(structures)} structures")


def label(
    structures: Annotated[Path, typer.Argument(help="Structures, in any format that ASE reads.")],
    out: Annotated[Path, typer.Argument(help="Labelled extended XYZ to write: REF_energy (eV), REF_forces (eV/A).")],
    config: Config = None,
    archive: Annotated[bool, typer.Option(help="Look up published labels first.")] = True,
    store: Annotated[
        Path | None,
        typer.Option(help="Folder of finished labels, from which a killed run goes on. [default: OUT.labels]"),
    ] = None,
) -> None:
    """Label structures by GPAW with the configuration's reference.dft (PBE, LCAO dzp by default)."""
    from extensive.config import complete_config, load_config
    from extensive.io import write_structures
    from extensive.paths import LABELS, repository_root
    from extensive.reference.archive import Archive
    from extensive.reference.calculator import prepare_serial_process
    from extensive.reference.chunks import Store, label_chunk, write_failures
    from extensive.reference.settings import DFTSettings, gpaw_version
    from extensive.structures.reading import read_any, without_isolated
    from extensive.structures.user_files import dataset_names, name_structures

    gpaw_version()
    prepare_serial_process()
    whole = load_config(config) if config else complete_config({})
    settings = DFTSettings.from_config(whole["reference"]["dft"])
    found = without_isolated(read_any(structures), structures)
    members = list(enumerate(name_structures(found, *dataset_names([structures]))))
    known = Archive(repository_root() / LABELS) if archive else None
    folder = store or out.with_name(out.name + ".labels")
    finished = Store(folder, known, settings, whole["reference"]["labels"]["accept_gpaw"])
    labelled, failures = label_chunk(members, finished, progress=sys.stderr.isatty())
    failed = out.with_name(out.name + ".failed.csv")
    write_structures(out, labelled)
    failed.unlink(missing_ok=True)  # an earlier attempt's
    if failures:
        write_failures(failed, failures)
        raise InputError(
            f"{len(failures)} of {len(members)} calculations failed; {failed} says why, {out} has the others"
        )
    print(f"{out}: {len(labelled)} labels, {finished.computed} computed")


def rasterize(
    labelled: Annotated[Path, typer.Argument(help="Labelled structures (REF_energy, eV), any format that ASE reads.")],
    out: Annotated[Path, typer.Argument(help="HDF5 file of images to write.")],
    channels: Annotated[
        str, typer.Option(help="'Z' (one channel weighted by atomic number) or elements such as B,C,N.")
    ] = "Z",
    pixel_size_a: Annotated[float, typer.Option("--pixel-size-A", help="Pixel size, Angstrom.")] = 0.1,
    sigma_a: Annotated[float, typer.Option("--sigma-A", help="Width of the Gaussians, Angstrom.")] = 0.2,
    multiple_px: Annotated[
        int, typer.Option("--multiple-px", help="Image sides are multiples of so many pixels.")
    ] = 64,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
) -> None:
    """Make images of labelled structures: energies (eV), ids and cells (Angstrom) beside them."""
    from extensive.images.files import write_images
    from extensive.structures.labels import LabelKeys
    from extensive.structures.user_files import dataset_names, read_labelled

    if multiple_px < 1:
        raise InputError(f"--multiple-px: {multiple_px}; it must be at least 1")
    chosen = channels if channels == "Z" else [symbol.strip() for symbol in channels.split(",")]
    structures = read_labelled([labelled], *dataset_names([labelled]), named=LabelKeys(energy_key, forces_key))
    raster = {"pixel_size_A": pixel_size_a, "sigma_A": sigma_a, "multiple_px": multiple_px}
    write_images(out, structures, channels=chosen, **raster, progress=sys.stderr.isatty())
    print(f"{out}: {len(structures)} images")


def train(
    config: Annotated[Path, typer.Argument(help="Configuration file; its models and training.splits are used.")],
    labelled: Annotated[
        list[Path] | None, typer.Argument(help="Labelled structures, one data set a file; none for a model of images.")
    ] = None,
    model: Annotated[str, typer.Option(help="Name of the network under the configuration's models.")] = "ednn",
    out: Annotated[Path, typer.Option(help="Folder for <model>.pt, .json, -curve.csv, and the predictions.")] = Path(
        "."
    ),
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    stress_key: StressKey = None,
) -> None:
    """Train a network on labelled structures (eV, Angstrom), and test it on those held back (meV/atom)."""
    from extensive.config import load_config
    from extensive.evaluation.predict import predict, write_evaluation
    from extensive.evaluation.tables import metrics
    from extensive.io import write_json
    from extensive.structures.labels import Outliers, keys_of, look_for_outliers
    from extensive.structures.user_files import dataset_names, read_labelled
    from extensive.training.fit import train_model
    from extensive.training.splits import DEVELOPMENT, assign_sets, check_honest
    from extensive.training.targets import with_target

    whole = load_config(config)
    if model not in whole["models"]:
        raise InputError(f"{config}: models has no '{model}'; there are {', '.join(whole['models']) or 'none'}")
    entry = whole["models"][model]
    if entry["images"] is not None:
        _train_on_images(whole, model, entry, out, device)
        return
    if not labelled:
        raise InputError("no labelled structures given; name one file or more")
    with_forces = entry["training"]["forces_weight"] > 0
    names, datasets = dataset_names(labelled), whole["structures"]["datasets"]
    given = {"energy_key": energy_key, "forces_key": forces_key, "stress_key": stress_key}
    given = {key: value for key, value in given.items() if value is not None}
    structures = []
    for name, path in zip(names, labelled, strict=True):
        own = (datasets[name].get("labels") if name in datasets else None) or {}
        structures += read_labelled([path], name, with_forces, named=keys_of(whole["labels"], {**own, **given}))
    look_for_outliers(structures, Outliers(whole["labels"]["outliers"], whole["labels"]["outlier_z"]))
    sets = {name: datasets[name]["set"] if name in datasets else DEVELOPMENT for name in names}
    splits = assign_sets(structures, sets, whole["seed"], **whole["training"]["splits"])
    check_honest(splits, structures)
    if not splits["train"]:
        raise InputError(f"{[str(path) for path in labelled]}: {len(structures)} structures leave none to train on")
    write_json(out / "splits.json", splits)
    by_id = {atoms.info["structure_id"]: atoms for atoms in structures}
    # Before the training, which would be in vain where labels lack its part of the energy.
    tested = {
        part: with_target([by_id[member] for member in members], entry["training"]["target"])
        for part, members in splits.items()
        if members and part != "train"
    }
    path = out / model
    potential = train_model(
        model, entry, structures, splits, path, out / f"{model}-curve.csv", device, (), out / f"{model}-checkpoint"
    )
    print(f"{path}.pt: trained on {potential.metadata['n_train']} structures")
    for part, found in tested.items():
        table = predict(potential, found)
        write_evaluation(table, out / f"{model}-{part}.csv", out / f"{model}-{part}-metrics.json")
        print(f"{part}: {len(found)} structures, {metrics(table)['mae_meV_per_atom']:.3g} meV/atom")


def _train_on_images(whole: dict[str, Any], model: str, entry: dict[str, Any], out: Path, device: str) -> None:
    from extensive.evaluation.predict import write_evaluation
    from extensive.evaluation.tables import metrics
    from extensive.training.image_files import train_on_images

    path, curve, resume = out / model, out / f"{model}-curve.csv", out / f"{model}-checkpoint"
    table = train_on_images(
        model, entry, entry["images"], whole["training"]["splits"], whole["seed"], path, curve, device, resume
    )
    write_evaluation(table, out / f"{model}-test.csv", out / f"{model}-test-metrics.json")
    print(f"{path}.pt: test: {len(table)} images, {metrics(table).get('mae_meV_per_atom', float('nan')):.3g} meV/atom")


VERBS = (generate, label, rasterize, train)
