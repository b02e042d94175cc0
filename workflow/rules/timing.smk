"""Timing: seconds of one energy against system size, by DFT and by networks, and the papers' largest sheet."""

TIMED_MODELS = config["timing"]["networks"]["models"]
SHEET_MODELS = plan.sheet_models(config)
# Where the cell that is repeated is not graphene, the data set that has it.
TIMED_STRUCTURE = config["timing"]["networks"]["structure"]
DFT_SIZES = ["x".join(map(str, supercell)) for supercell in config["timing"]["dft"]["supercells"]]

# Cells that labels are computed for by several processes are timed so too.
DFT_SIZES += [
    f"{'x'.join(map(str, supercell))}-mpi"
    for supercell in config["timing"]["dft"]["supercells"]
    if plan.ranks(config, supercell) > 1
]

for key, names in (("timing.networks.models", TIMED_MODELS), ("sheet.model", SHEET_MODELS)):
    for name in names if MODELS else []:
        if name not in MODELS:
            raise WorkflowError(
                f"{key}: {name!r} is not among models of sheets; there are {', '.join(MODELS)}"
            )


if TIMED_STRUCTURE is not None and TIMED_STRUCTURE not in SHEETS:
    raise WorkflowError(f"timing.networks.structure: {TIMED_STRUCTURE!r} is not among structures.datasets")


rule timings:
    input:
        expand(
            result("timings/{name}"),
            name=[
                "dft.csv",
                "networks.csv",
                "sheet.csv",
                "sheet-hardware.json",
                "precision.csv",
                "exponents.json",
                "hardware.json",
            ],
        ),


rule timing_dft:
    input:
        code=code("timing_dft.py"),
    output:
        result("timings/dft/{supercell}.json"),
    log:
        result("logs/timing/dft-{supercell}.log"),
    benchmark:
        result("benchmarks/timing/dft-{supercell}.tsv")
    wildcard_constraints:
        supercell=r"\d+x\d+",
    conda:
        "../../envs/dft.yaml"
    threads: alone(1)
    resources:
        mem_mb=growing(lambda wildcards: plan.cell_memory_MB(config, cells_of(wildcards), 1)),
        runtime=growing(
            lambda wildcards: plan.minutes(plan.timing_dft_seconds(config, cells_of(wildcards), 1))
        ),
    params:
        dft=config["reference"]["dft"],
        repeats=config["timing"]["dft"]["repeats"],
        seed=config["seed"],
        ranks=1,
    message:
        "Time of one DFT energy, {wildcards.supercell} cells of 4 atoms"
    script:
        "../scripts/timing_dft.py"


use rule timing_dft as timing_dft_mpi with:
    output:
        result("timings/dft/{supercell}-mpi.json"),
    log:
        result("logs/timing/dft-{supercell}-mpi.log"),
    benchmark:
        result("benchmarks/timing/dft-{supercell}-mpi.tsv")
    threads: alone(1 if on_cluster() else MPI_RANKS)
    resources:
        mem_mb=growing(lambda wildcards: plan.cell_memory_MB(config, cells_of(wildcards), MPI_RANKS)),
        runtime=growing(
            lambda wildcards: plan.minutes(plan.timing_dft_seconds(config, cells_of(wildcards), MPI_RANKS))
        ),
        tasks=MPI_RANKS,
        nodes=1,  # ranks share a temporary folder, which may be a node's own
        mpi="mpirun",
    params:
        dft=config["reference"]["dft"],
        repeats=config["timing"]["dft"]["repeats"],
        seed=config["seed"],
        ranks=MPI_RANKS,
    message:
        "Time of one DFT energy, {wildcards.supercell} cells of 4 atoms, several processes"


rule timing_networks:
    input:
        models=expand(result("models/{model}.pt"), model=TIMED_MODELS),
        rounding=expand(result("models/{model}-rounding.json"), model=[m for m in TIMED_MODELS if m in FUSED]),
        structures=[result(f"structures/{TIMED_STRUCTURE}.extxyz")] if TIMED_STRUCTURE else [],
        code=code("timing_networks.py"),
    output:
        networks=result("timings/networks.csv"),
        precision=result("timings/precision.csv"),
        hardware=result("timings/networks-hardware.json"),
    log:
        result("logs/timing/networks.log"),
    benchmark:
        result("benchmarks/timing/networks.tsv")
    conda:
        TORCH_ENV
    threads: alone(config["timing"]["networks"]["threads"])
    resources:
        mem_mb=growing(6000),
        runtime=growing(60),
        gpu=int(config["device"] == "cuda"),
    params:
        settings=config["timing"]["networks"],
        cell=config["timing"]["cell"],
        device=config["device"],
        seed=config["seed"],
    message:
        "Times of {params.settings[models]} against system size"
    script:
        "../scripts/timing_networks.py"


rule sheet:
    input:
        models=expand(result("models/{model}.pt"), model=SHEET_MODELS),
        rounding=expand(result("models/{model}-rounding.json"), model=[m for m in SHEET_MODELS if m in FUSED]),
        code=code("sheet.py"),
    output:
        table=result("timings/sheet.csv"),
        hardware=result("timings/sheet-hardware.json"),
    log:
        result("logs/timing/sheet.log"),
    benchmark:
        result("benchmarks/timing/sheet.tsv")
    conda:
        TORCH_ENV
    threads: alone(config["sheet"]["threads"])
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        gpu=int(config["device"] == "cuda"),
    params:
        sheet=config["sheet"],
        device=config["device"],
        # Not declared as output: partial sums must outlive a killed job.
        checkpoint=result("checkpoints/sheet.json"),
    message:
        "Energy of a sheet of a square micrometre, or as configured"
    script:
        "../scripts/sheet.py"


rule timing_exponents:
    input:
        dft=expand(result("timings/dft/{supercell}.json"), supercell=DFT_SIZES),
        networks=result("timings/networks.csv"),
        hardware=result("timings/networks-hardware.json"),
        code=code("timing_exponents.py"),
    output:
        dft=result("timings/dft.csv"),
        exponents=result("timings/exponents.json"),
        hardware=result("timings/hardware.json"),
    log:
        result("logs/timing/exponents.log"),
    benchmark:
        result("benchmarks/timing/exponents.tsv")
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        linear_from_atoms=config["timing"]["linear_from_cells"] * 60,
    message:
        "Exponents of the scaling with system size"
    script:
        "../scripts/timing_exponents.py"
