"""What a run asks of a machine, from its configuration alone: time and memory of its jobs, core-hours of its stages.

The workflow requests resources by these numbers and prints their sum at a dry-run. They are upper estimates from
timings on one core of a server of 2024 (GPAW in LCAO dzp; networks at 20 GFLOP/s a core) and of a data-centre GPU; what
jobs really used is in results/<run>/benchmarks.
"""

import math
from typing import Any

from extensive.config import trainings

Config = dict[str, Any]

ATOMS_PER_CELL = 4
# One label of 60 atoms, energy and forces: on its grid, at each k-point, and how both grow with the number of atoms.
GRID_SECONDS, KPOINT_SECONDS, LABEL_ATOMS, LABEL_POWER = 18.0, 5.0, 60, 1.8
# What GPAW takes longer with its own sums over the grid.
OWN_SUMS = 2.0
# Grid points per 4-atom cell of those timings, and what other bases cost.
LABEL_GRID_POINTS = 64 * 64 * 32 / 15
BASIS_COST = {"dzp": 1.0, "szp(dzp)": 0.5, "sz(dzp)": 0.35}
LABEL_OVERHEAD_S = 1.0
# A job that takes all labels from the archive, which it reads and verifies whole.
CHUNK_OVERHEAD_S = 20.0
# A trajectory's later steps begin with the density of the step before.
MD_REUSE = 0.8
# Energy and forces by one evaluation of a network that labels in place of DFT, for each atom.
TEACHER_ATOM_S = 1.5e-4
# Every further process (MPI) adds this much of the speed of one; ranks load GPAW anew for every label.
MPI_GAIN, MPI_START_S, MPI_RANK_MB = 0.6, 5.0, 500
# Effective rates of training (floating-point operations a second).
CPU_RATE, GPU_RATE = 2e10, 4e12
# Forward and backward; forces and stress are derivatives of the energy, so training on them is a second one. Stress
# beside forces takes half as long again.
TRAIN_COST, FORCES_COST, STRESS_COST = 3.0, 3.0, 1.5
CELL_60_A = (12.30, 12.78)
# How much longer than estimated a job may take before it is resubmitted with more.
PATIENCE = 3


def sheet_models(config: Config) -> list[str]:
    """Names of the models that the large sheet is evaluated by: `sheet.model` is one, or several."""
    names = config["sheet"]["model"]
    return [names] if isinstance(names, str) else names


def seed_of(config: Config, dataset: str) -> int:
    """Random seed of a data set of `structures.datasets`: its own, else the configuration's."""
    own = config["structures"]["datasets"][dataset]["seed"]
    return config["seed"] if own is None else own


def supercell_of(spec: Config) -> list[float]:
    """Rectangular 4-atom cells along x and y that hold as many atoms as a data set's pristine sheets.

    Sheets in other cells are counted along x.
    """
    if spec["cell"] == "rectangular":
        return spec["supercell"]
    n, m = (1, 0) if spec["cell"] == "hexagonal" else spec["cell"]["chiral"]
    return [math.prod(spec["supercell"]) * (n * n + n * m + m * m) / 2, 1]


def label_seconds(supercell: list[float], dft: Config, processes: int = 1) -> float:
    """Seconds of one GPAW energy with forces, for a supercell of rectangular 4-atom cells, by so many processes.

    Several processes share a grid and take GPAW's own sums over it.
    """
    cells = supercell[0] * supercell[1]
    density = math.prod(dft["kpoints"]) * math.prod(dft["kpoint_cells"])
    # Time reversal leaves half of the k-points, and half of those are mirror images.
    kpoints = math.ceil(max(1, round(density / cells)) / (2 if dft["mirror_kpoints"] else 4))
    planes = 2 * dft["vacuum_A"] / dft["z_spacing_A"]
    grid = math.prod(dft["grid_points"]) / math.prod(dft["grid_cells"]) * planes / LABEL_GRID_POINTS
    size = (ATOMS_PER_CELL * cells / LABEL_ATOMS) ** LABEL_POWER
    each = GRID_SECONDS * grid + KPOINT_SECONDS * kpoints
    seconds = LABEL_OVERHEAD_S + each * size * BASIS_COST.get(dft["basis"], 1.0)
    return seconds * (OWN_SUMS if processes > 1 else 1.0) / speedup(processes)


def ranks(config: Config, supercell: list[float]) -> int:
    """Processes (MPI) that one calculation of a supercell is done by."""
    mpi = config["reference"]["mpi"]
    above = mpi["above_atoms"]
    return mpi["ranks"] if above is not None and ATOMS_PER_CELL * math.prod(supercell) > above else 1


def speedup(processes: int) -> float:
    """How much sooner several processes are done than one."""
    return 1 + MPI_GAIN * (processes - 1)


def label_memory_MB(config: Config, dataset: str) -> int:
    """Memory of a job that labels structures of a data set (MB)."""
    supercell = supercell_of(config["structures"]["datasets"][dataset])
    return cell_memory_MB(config, supercell, ranks(config, supercell))


def cell_memory_MB(config: Config, supercell: list[float], processes: int) -> int:
    """Memory of a job that computes a supercell (MB): the caller's and, with MPI, that of each rank."""
    atoms = ATOMS_PER_CELL * math.prod(supercell)
    beside = MPI_RANK_MB * processes if processes > 1 else 0
    # Functions on the grid grow with the number of atoms, matrices of pairs of functions with its square. Measured:
    # 3.6 GB for a label of 60 atoms, 12.5 for the energy of 240; a label of 360 needs more than 23.
    return math.ceil(1500 + 41 * atoms + 0.07 * atoms**2) + beside


def chunk_labels(config: Config, dataset: str) -> int:
    """Most labels that one job of a data set computes: a chunk of structures or a whole trajectory."""
    spec = config["structures"]["datasets"][dataset]
    if spec["sampler"] == "md":
        return spec["md"]["frames"] * spec["md"]["save_every"]
    return min(spec["count"], config["reference"]["labels"]["chunk_size"])


def chunk_seconds(config: Config, dataset: str) -> float:
    """Seconds of one job of a data set's labels, on one core or on the ranks that its cells are computed by."""
    if config["reference"]["labels"]["missing"] == "leave-out":
        return CHUNK_OVERHEAD_S
    spec = config["structures"]["datasets"][dataset]
    supercell = supercell_of(spec)
    processes = ranks(config, supercell)
    each = label_seconds(supercell, config["reference"]["dft"], processes)
    if processes > 1:
        each += MPI_START_S
    elif spec["sampler"] == "md":
        each *= MD_REUSE
    return each * chunk_labels(config, dataset)


def taught_seconds(config: Config, dataset: str) -> float:
    """Seconds of one job of a data set that a teacher labels, on one core."""
    spec = config["structures"]["datasets"][dataset]
    atoms = ATOMS_PER_CELL * math.prod(supercell_of(spec))
    shifts = 8 if spec["teacher"]["shift_average"] else 1
    steps, labels = 0, min(spec["count"], config["reference"]["labels"]["chunk_size"])
    if spec["sampler"] == "md":
        steps, labels = chunk_labels(config, dataset), spec["md"]["frames"]
    return TEACHER_ATOM_S * atoms * (steps + labels * shifts * len(spec["teacher"]["models"]))


def label_hours(config: Config) -> float:
    """Core-hours of all labels, none taken from the archive unless nothing else is used."""
    hours = 0.0
    for dataset, spec in config["structures"]["datasets"].items():
        if spec["files"]:
            continue
        if spec["teacher"]:
            jobs = spec["count"] if spec["sampler"] == "md" else spec["count"] / max(1, chunk_labels(config, dataset))
            hours += jobs * taught_seconds(config, dataset) / 3600
            continue
        share = spec["count"]
        if spec["sampler"] != "md":
            share /= max(1, chunk_labels(config, dataset))
        hours += ranks(config, supercell_of(spec)) * share * chunk_seconds(config, dataset) / 3600
    return hours


def network_flops_per_pixel(model: Config) -> float:
    """Floating-point operations of one evaluation per pixel of the image."""
    if "paper" in (model["form"] if model["network"] == "cnn" else model["tile_network"]):
        # 13 convolutions and two dense layers on 128 x 128 pixels; tiles see their context again and again.
        tiles = 1.0
        if model["network"] == "ednn":
            tiles = ((model["focus_px"] + 2 * (model["context_px"] or 0)) / model["focus_px"]) ** 2
        return 12_500 * tiles
    stride, width, flops = 1, 1 if model["channels"] == "Z" else len(model["channels"]), 0.0
    for out, kernel, step in model["stem"]:
        stride *= step
        flops += 2 * out * kernel**2 * width / stride**2
        width = out
    flops += sum(2 * 9 * width * inner for inner in model["inner_widths"] or [width] * model["blocks"]) / stride**2
    for out in [*model["head"], 1]:
        flops += 2 * width * out / stride**2
        width = out
    return flops


def training_seconds(model: Config, config: Config) -> float:
    """Seconds of one training on one GPU or on the cores that it is given."""
    pixels = math.prod(length / model["pixel_size_A"] for length in CELL_60_A)
    if model["network"] == "cnn" and model["image_px"]:
        pixels = model["image_px"] ** 2
    training = model["training"]
    forces, stress = training["forces_weight"] > 0, training["stress_weight"] > 0
    cost = TRAIN_COST * (FORCES_COST if forces or stress else 1.0) * (STRESS_COST if forces and stress else 1.0)
    flops = training["samples"] * pixels * network_flops_per_pixel(model) * cost
    return 60 + flops / (GPU_RATE if config["device"] == "cuda" else CPU_RATE * config["training"]["threads"])


def training_memory_MB(config: Config, model: Config) -> int:
    """Memory of one training (MB): PyTorch, and the images where they are fixed and kept."""
    images = 0
    if model["training"]["augmentation"] is None:
        specs = [spec for spec in config["structures"]["datasets"].values() if not spec["files"]]
        labels = sum(spec["count"] * (spec["md"]["frames"] if spec["sampler"] == "md" else 1) for spec in specs)
        channels = 1 if model["channels"] == "Z" else len(model["channels"])
        images = labels * math.prod(CELL_60_A) / model["pixel_size_A"] ** 2 * channels * 4
    return 3000 + math.ceil(2 * images / 1e6)


def minutes(seconds: float) -> int:
    """Time limit to ask for (minutes): an estimate, with patience for slower machines and busy disks."""
    return 15 + math.ceil(PATIENCE * seconds / 60)


def timing_dft_seconds(config: Config, supercell: list[int], processes: int) -> float:
    """Seconds of one size's DFT timing by so many processes."""
    repeats = config["timing"]["dft"]["repeats"]
    return repeats * label_seconds(supercell, config["reference"]["dft"], processes)


def stage_hours(config: Config) -> dict[str, dict[str, float]]:
    """Expected core-hours and, where there are any, GPU-hours by stage.

    `studies` are the trainings that only `snakemake studies` asks for; the other stages are those of a run.
    """
    gpu = config["device"] == "cuda"
    variants = trainings.variants(config)
    taught_by = trainings.needed_by_teachers(config, variants)
    trained = [*config["models"].values(), *(entry for name, entry in variants.items() if name in taught_by)]
    training = sum(training_seconds(entry, config) for entry in trained) / 3600
    studied = [entry for name, entry in variants.items() if name not in taught_by]
    study = sum(training_seconds(entry, config) for entry in studied) / 3600
    dft = config["timing"]["dft"]
    timing = sum(timing_dft_seconds(config, cells, 1) for cells in dft["supercells"])
    timing += sum(
        processes * timing_dft_seconds(config, cells, processes)
        for cells in dft["supercells"]
        if (processes := ranks(config, cells)) > 1
    )
    networks = config["timing"]["networks"]
    timing += networks["threads"] * len(networks["models"]) * 10 * networks["budget_s"]
    counts = len(config["structures"]["datasets"])
    return {
        "structures": {"cores": counts * 10 / 3600},
        "reference": {"cores": label_hours(config)},
        "raster": {"cores": counts * 30 / 3600},
        "training": {"cores": config["training"]["threads"] * training, "gpus": training if gpu else 0.0},
        "evaluation": {"cores": len(config["models"]) * counts * 10 / 3600},
        "timing": {"cores": timing / 3600},
        "figures": {"cores": 20 * 10 / 3600},
        "studies": {"cores": config["training"]["threads"] * study, "gpus": study if gpu else 0.0},
    }


def summary(config: Config) -> str:
    """A table of what the run is expected to cost, for people."""
    rows = stage_hours(config)
    studies = rows.pop("studies")
    lines = ["Expected cost (upper estimates; nothing is taken off for what is done already or is in the archive):"]
    lines.append(f"{'stage':<12}{'core-hours':>12}{'GPU-hours':>12}")
    for stage, hours in rows.items():
        gpus = f"{hours['gpus']:12.1f}" if hours.get("gpus") else " " * 12
        lines.append(f"{stage:<12}{hours['cores']:12.1f}{gpus}".rstrip())
    total = sum(hours["cores"] for hours in rows.values())
    gpus = sum(hours.get("gpus", 0.0) for hours in rows.values())
    lines.append(f"{'all':<12}{total:12.1f}{f'{gpus:12.1f}' if gpus else ''}")
    if studies["cores"]:
        lines.append(f"Variants that `snakemake studies` trains beside: {studies['cores']:.1f} core-hours")
    return "\n".join(lines)
