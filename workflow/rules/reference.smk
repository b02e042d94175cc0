"""Reference: energies and forces of sheets by GPAW, from the archive where it has them, and of dimers exactly."""

from extensive.config import plan
from extensive.reference.chunks import chunk_count
from extensive.reference.convergence import points
from extensive.reference.settings import DFTSettings
from extensive.structures import physics

LABELS = config["reference"]["labels"]
# Whether only labels of the archive are used, and none is computed.
LEAVE_OUT = LABELS["missing"] == "leave-out"
PHYSICS = config["reference"]["physics"]
# Data sets whose cells are computed by several processes.
MPI_RANKS = config["reference"]["mpi"]["ranks"]
MPI_SETS = [
    name
    for name in COMPUTED
    if plan.ranks(config, plan.supercell_of(config["structures"]["datasets"][name])) > 1
]


rule label_chunk:
    input:
        structures=result("structures/{dataset}.extxyz"),
        archive=lambda wildcards: archived(wildcards.dataset),
        code=code("reference-label.py"),
    output:
        labelled=result("reference/chunks/{dataset}.{chunk}.extxyz"),
        failed=result("reference/chunks/{dataset}.{chunk}.failed.csv"),
    log:
        result("logs/label/{dataset}.{chunk}.log"),
    benchmark:
        result("benchmarks/label/{dataset}.{chunk}.tsv")
    wildcard_constraints:
        dataset=one_of(name for name in COMPUTED if name not in MPI_SETS),
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(lambda wildcards: plan.label_memory_MB(config, wildcards.dataset)),
        runtime=growing(lambda wildcards: plan.minutes(plan.chunk_seconds(config, wildcards.dataset))),
    params:
        spec=lambda wildcards: config["structures"]["datasets"][wildcards.dataset],
        dft=config["reference"]["dft"],
        archive=str(ARCHIVE or ""),
        accept=LABELS["accept_gpaw"],
        leave_out=LEAVE_OUT,
        chunk_size=LABELS["chunk_size"],
        seed=lambda wildcards: plan.seed_of(config, wildcards.dataset),
        # Not an output: what lies there outlives a killed job.
        store=result("checkpoints/labels/{dataset}"),
        ranks=lambda wildcards: plan.ranks(
            config, plan.supercell_of(config["structures"]["datasets"][wildcards.dataset])
        ),
    message:
        "Labels of {wildcards.dataset}, chunk {wildcards.chunk}"
    script:
        "../scripts/reference-label.py"


# `mpi` is what starts the ranks: mpirun on one machine; a cluster's profile names its own.
use rule label_chunk as label_chunk_mpi with:
    wildcard_constraints:
        dataset=one_of(MPI_SETS),
    threads: 1 if on_cluster() else MPI_RANKS
    resources:
        mem_mb=growing(lambda wildcards: plan.label_memory_MB(config, wildcards.dataset)),
        runtime=growing(lambda wildcards: plan.minutes(plan.chunk_seconds(config, wildcards.dataset))),
        tasks=MPI_RANKS,
        nodes=1,  # ranks share a temporary folder, which may be a node's own
        mpi="mpirun",
    message:
        "Labels of {wildcards.dataset}, chunk {wildcards.chunk}, several processes each"


# Labels by trained networks, in place of DFT.
rule teach_chunk:
    input:
        structures=result("structures/{dataset}.extxyz"),
        teachers=lambda wildcards: teachers_of(wildcards.dataset),
        code=code("teach.py"),
    output:
        labelled=result("reference/chunks/{dataset}.{chunk}.extxyz"),
        failed=result("reference/chunks/{dataset}.{chunk}.failed.csv"),
    log:
        result("logs/label/{dataset}.{chunk}.log"),
    benchmark:
        result("benchmarks/label/{dataset}.{chunk}.tsv")
    wildcard_constraints:
        dataset=one_of(TAUGHT),
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(lambda wildcards: plan.minutes(plan.taught_seconds(config, wildcards.dataset))),
    params:
        spec=lambda wildcards: config["structures"]["datasets"][wildcards.dataset],
        chunk_size=LABELS["chunk_size"],
        seed=lambda wildcards: plan.seed_of(config, wildcards.dataset),
        # Not an output: what lies there outlives a killed job.
        store=result("checkpoints/taught/{dataset}"),
    message:
        "A teacher's labels of {wildcards.dataset}, chunk {wildcards.chunk}"
    script:
        "../scripts/teach.py"


rule label:
    input:
        labelled=lambda wildcards: expand(
            result("reference/chunks/{{dataset}}.{chunk}.extxyz"), chunk=chunks_of(wildcards.dataset)
        ),
        failed=lambda wildcards: expand(
            result("reference/chunks/{{dataset}}.{chunk}.failed.csv"), chunk=chunks_of(wildcards.dataset)
        ),
        code=code("reference-gather.py"),
    output:
        labelled=result("reference/{dataset}.extxyz"),
        failed=result("reference/{dataset}.failed.csv"),
    log:
        result("logs/label/{dataset}.log"),
    benchmark:
        result("benchmarks/label/{dataset}.tsv")
    wildcard_constraints:
        dataset=one_of(GENERATED),
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        spec=lambda wildcards: config["structures"]["datasets"][wildcards.dataset],
        may_fail=LABELS["may_fail"],
        # Sheets that a teacher does not know are left out; its trajectories are whole.
        leave_out=lambda wildcards: LEAVE_OUT
        or (
            wildcards.dataset in TAUGHT
            and config["structures"]["datasets"][wildcards.dataset]["sampler"] != "md"
        ),
    message:
        "All labels of {wildcards.dataset}"
    script:
        "../scripts/reference-gather.py"


rule own_labels:
    input:
        files=lambda wildcards: files_of(OWN[wildcards.dataset], CONFIG_FOLDER),
        code=code("reference-own.py"),
    output:
        structures=result("structures/{dataset}.extxyz"),
        labelled=result("reference/{dataset}.extxyz"),
        failed=result("reference/{dataset}.failed.csv"),
    log:
        result("logs/label/{dataset}.log"),
    benchmark:
        result("benchmarks/label/{dataset}.tsv")
    wildcard_constraints:
        dataset=one_of(OWN),
    conda:
        # Structures are checked as the raster stage will.
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        spec=lambda wildcards: config["structures"]["datasets"][wildcards.dataset],
        with_forces=any(model["training"]["forces_weight"] > 0 for model in config["models"].values()),
        labels=config["labels"],
    message:
        "Labelled structures of {wildcards.dataset} from the user's files"
    script:
        "../scripts/reference-own.py"


rule label_dimers:
    input:
        structures=result("structures/{dataset}.extxyz"),
        code=code("reference-dimers.py"),
    output:
        result("reference/{dataset}.extxyz"),
    log:
        result("logs/label/{dataset}.log"),
    benchmark:
        result("benchmarks/label/{dataset}.tsv")
    wildcard_constraints:
        dataset=one_of(DIMERS),
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        potential=config["reference"]["lennard_jones"],
    message:
        "Lennard-Jones energies of {wildcards.dataset}"
    script:
        "../scripts/reference-dimers.py"


rule audit:
    input:
        # What this run took from the archive must be there first.
        labelled=expand(result("reference/{dataset}.extxyz"), dataset=COMPUTED),
        archive=sorted(map(str, ARCHIVE.glob("[!.]*.extxyz.gz"))) if ARCHIVE else [],
        code=code("reference-audit.py"),
    output:
        report(
            result("tables/audit.csv"),
            caption="../report/audit.rst",
            category="Reference data",
            labels={"table": "audit", "shows": "archived labels computed again"},
        ),
    log:
        result("logs/label/audit.log"),
    benchmark:
        result("benchmarks/label/audit.tsv")
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(
            lambda wildcards: plan.cell_memory_MB(
                config, [math.ceil(LABELS["audit_largest_atoms"] / 4), 1], 1
            )
        ),
        runtime=growing(120),
    params:
        dft=config["reference"]["dft"],
        archive=str(ARCHIVE or ""),
        labels=LABELS,
        seed=config["seed"],
        store=result("checkpoints/audit"),
    message:
        "Audit: recomputing {params.labels[audit]} archived labels"
    script:
        "../scripts/reference-audit.py"


rule label_cost:
    input:
        labelled=expand(result("reference/{dataset}.extxyz"), dataset=COMPUTED),
        failed=expand(result("reference/{dataset}.failed.csv"), dataset=COMPUTED),
        code=code("reference-cost.py"),
    output:
        labels=report(
            result("tables/labels.csv"),
            caption="../report/labels.rst",
            category="Reference data",
            labels={"table": "labels", "shows": "every label of this run"},
        ),
        cost=report(
            result("tables/label-cost.csv"),
            caption="../report/label-cost.rst",
            category="Reference data",
            labels={"table": "label cost", "shows": "seconds per label by data set and size"},
        ),
        failed=report(
            result("tables/label-failures.csv"),
            caption="../report/label-failures.rst",
            category="Reference data",
            labels={"table": "failures", "shows": "calculations that gave no label, and why"},
        ),
    log:
        result("logs/label/cost.log"),
    benchmark:
        result("benchmarks/label/cost.tsv")
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    message:
        "What the labels cost, and which failed"
    script:
        "../scripts/reference-cost.py"


# Sheets of quantities that a reader can look up.
rule physics_network:
    input:
        model=lambda wildcards: model_files(PHYSICS["model"], "reference.physics.model"),
        code=code("physics-network.py"),
    output:
        result("physics/network.extxyz"),
    log:
        result("logs/physics/network.log"),
    benchmark:
        result("benchmarks/physics/network.tsv")
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        model=lambda wildcards, input: input.model[0],
        lattice_constants=config["structures"]["lattice_constants_A"],
        largest_force=PHYSICS["network_force_eV_per_A"],
        most_atoms=PHYSICS["cells_most_atoms"],
    message:
        "Sheets of the physics table, relaxed by {params.model}"
    script:
        "../scripts/physics-network.py"


rule physics_labels:
    input:
        structures=result("physics/network.extxyz"),
        archive=archived("physics"),
        code=code("physics-labels.py"),
    output:
        result("physics/{system}.extxyz"),
    log:
        result("logs/physics/{system}.log"),
    benchmark:
        result("benchmarks/physics/{system}.tsv")
    wildcard_constraints:
        system=one_of(physics.SYSTEMS),
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(
            lambda wildcards: plan.cell_memory_MB(
                config, physics.largest(wildcards.system, PHYSICS["cells_most_atoms"]), 1
            )
        ),
        runtime=growing(240),
    params:
        dft=config["reference"]["dft"],
        archive=str(ARCHIVE or ""),
        accept=LABELS["accept_gpaw"],
        largest_force=PHYSICS["force_eV_per_A"],
        steps=PHYSICS["steps"],
        # Not an output: what lies there outlives a killed job.
        store=result("checkpoints/physics"),
    message:
        "DFT of the physics table: {wildcards.system}"
    script:
        "../scripts/physics-labels.py"


rule physics_table:
    input:
        labelled=expand(result("physics/{system}.extxyz"), system=physics.SYSTEMS),
        network=result("physics/network.extxyz"),
        code=code("physics-table.py"),
    output:
        physics=report(
            result("tables/physics.csv"),
            caption="../report/physics.rst",
            category="Reference data",
            labels={"table": "physics", "shows": "lattice constants, defects and an interface"},
        ),
        cells=report(
            result("tables/cells.csv"),
            caption="../report/cells.rst",
            category="Reference data",
            labels={"table": "cells", "shows": "one crystal in cells of all shapes and sizes"},
        ),
    log:
        result("logs/physics/table.log"),
    benchmark:
        result("benchmarks/physics/table.tsv")
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        lattice_constants=config["structures"]["lattice_constants_A"],
    message:
        "Lattice constants, defects and an interface: DFT, network, published"
    script:
        "../scripts/physics-table.py"


rule convergence_labels:
    input:
        structures=expand(
            result("structures/{dataset}.extxyz"), dataset=config["reference"]["convergence"]["datasets"]
        ),
        archive=archived("convergence", *config["reference"]["convergence"]["datasets"]),
        code=code("reference-convergence-labels.py"),
    output:
        result("reference/convergence/{point}.extxyz"),
    log:
        result("logs/label/convergence-{point}.log"),
    benchmark:
        result("benchmarks/label/convergence-{point}.tsv")
    wildcard_constraints:
        point=r"\d+",
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(240),
    params:
        dft=config["reference"]["dft"],
        study=config["reference"]["convergence"],
        datasets=config["reference"]["convergence"]["datasets"],
        archive=str(ARCHIVE or ""),
        accept=LABELS["accept_gpaw"],
        store=result("checkpoints/convergence"),
    message:
        "Convergence study, point {wildcards.point}"
    script:
        "../scripts/reference-convergence-labels.py"


rule convergence_table:
    input:
        labelled=convergence_files,
        code=code("reference-convergence.py"),
    output:
        result("reference/convergence.csv"),
        result("tables/convergence.csv"),
    log:
        result("logs/label/convergence.log"),
    benchmark:
        result("benchmarks/label/convergence.tsv")
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        dft=config["reference"]["dft"],
        study=config["reference"]["convergence"],
    message:
        "Table of the convergence study"
    script:
        "../scripts/reference-convergence.py"


rule convergence:
    input:
        result("reference/convergence.csv"),
        result("figures/convergence.pdf"),
