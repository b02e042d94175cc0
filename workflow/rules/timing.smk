"""Timing: seconds of one energy against system size, by DFT and by networks, and the papers' largest sheet."""

TIMED_MODELS = config["timing"]["networks"]["models"]
DFT_SIZES = ["x".join(map(str, supercell)) for supercell in config["timing"]["dft"]["supercells"]]

for key, names in (("timing.networks.models", TIMED_MODELS), ("sheet.model", [config["sheet"]["model"]])):
    for name in names:
        if name not in config["models"]:
            raise WorkflowError(
                f"{key}: {name!r} is not among models; there are {', '.join(config['models'])}"
            )


def alone(threads: int) -> int:
    """All cores of a local run, so that nothing runs beside a timing; on a cluster, the cores that are timed."""
    on_cluster = workflow.resource_settings.nodes or workflow.remote_exec
    cores = 0 if on_cluster else workflow.resource_settings.cores or 0
    return max(threads, cores) if config["timing"]["alone"] else threads


rule timings:
    input:
        expand(
            RUN + "/timings/{name}",
            name=[
                "dft.csv",
                "networks.csv",
                "sheet.csv",
                "precision.csv",
                "exponents.json",
                "hardware.json",
            ],
        ),


rule timing_dft:
    input:
        code=code(
            "keys",
            "errors",
            "io",
            "reference/calculation",
            "reference/settings",
            "timing/dft",
            "timing/measure",
        ),
    output:
        RUN + "/timings/dft/{supercell}.json",
    log:
        RUN + "/logs/timing/dft-{supercell}.log",
    benchmark:
        RUN + "/benchmarks/timing/dft-{supercell}.tsv"
    wildcard_constraints:
        supercell=r"\d+x\d+",
    conda:
        "../../envs/dft.yaml"
    threads: alone(1)
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        dft=config["reference"]["dft"],
        repeats=config["timing"]["dft"]["repeats"],
        seed=config["seed"],
    message:
        "Time of one DFT energy, {wildcards.supercell} cells of 4 atoms"
    script:
        "../scripts/timing_dft.py"


rule timing_networks:
    input:
        models=expand(RUN + "/models/{model}.pt", model=TIMED_MODELS),
        code=code("inference", "raster", "models", "timing/networks", "timing/measure", "timing/precision"),
    output:
        networks=RUN + "/timings/networks.csv",
        precision=RUN + "/timings/precision.csv",
        hardware=RUN + "/timings/networks-hardware.json",
    log:
        RUN + "/logs/timing/networks.log",
    benchmark:
        RUN + "/benchmarks/timing/networks.tsv"
    conda:
        TORCH_ENV
    threads: alone(config["timing"]["networks"]["threads"])
    resources:
        mem_mb=growing(6000),
        runtime=growing(60),
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
        model=RUN + f"/models/{config['sheet']['model']}.pt",
        code=code("inference", "raster", "models", "structures/sheet", "timing/sheet"),
    output:
        RUN + "/timings/sheet.csv",
    log:
        RUN + "/logs/timing/sheet.log",
    benchmark:
        RUN + "/benchmarks/timing/sheet.tsv"
    conda:
        TORCH_ENV
    threads: alone(config["sheet"]["threads"])
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        sheet=config["sheet"],
        device=config["device"],
        # Not declared as output: partial sums must outlive a killed job.
        checkpoint=RUN + "/checkpoints/sheet.json",
    message:
        "Energy of a sheet of a square micrometre, or as configured"
    script:
        "../scripts/sheet.py"


rule timing_exponents:
    input:
        dft=expand(RUN + "/timings/dft/{supercell}.json", supercell=DFT_SIZES),
        networks=RUN + "/timings/networks.csv",
        hardware=RUN + "/timings/networks-hardware.json",
        code=code("timing/fits", "timing/collect"),
    output:
        dft=RUN + "/timings/dft.csv",
        exponents=RUN + "/timings/exponents.json",
        hardware=RUN + "/timings/hardware.json",
    log:
        RUN + "/logs/timing/exponents.log",
    benchmark:
        RUN + "/benchmarks/timing/exponents.tsv"
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
