"""Reference: energies and forces of sheets by GPAW, from the archive where it has them, and of dimers exactly."""

from extensive import plan
from extensive.reference.chunks import chunk_count
from extensive.reference.convergence import points
from extensive.reference.settings import DFTSettings

LABELS = config["reference"]["labels"]
LABEL_CODE = (
    "errors",
    "io",
    "keys",
    "reference/archive",
    "reference/calculation",
    "reference/chunks",
    "reference/dynamics",
    "reference/prediction",
    "reference/settings",
)


def chunks_of(dataset: str) -> list[int]:
    """Numbers of the jobs that a data set's labels are cut into."""
    return list(range(chunk_count(config["structures"]["datasets"][dataset], LABELS["chunk_size"])))


rule label_chunk:
    input:
        structures=RUN + "/structures/{dataset}.extxyz",
        code=code(*LABEL_CODE),
    output:
        labelled=RUN + "/reference/chunks/{dataset}.{chunk}.extxyz",
        failed=RUN + "/reference/chunks/{dataset}.{chunk}.failed.csv",
    log:
        RUN + "/logs/label/{dataset}.{chunk}.log",
    benchmark:
        RUN + "/benchmarks/label/{dataset}.{chunk}.tsv"
    wildcard_constraints:
        dataset=one_of(SHEETS),
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(lambda wildcards: plan.label_memory_MB(config, wildcards.dataset)),
        runtime=growing(lambda wildcards: plan.minutes(plan.chunk_seconds(config, wildcards.dataset))),
    params:
        spec=lambda wildcards: config["structures"]["datasets"][wildcards.dataset],
        dft=config["reference"]["dft"],
        archive=LABELS["archive"],
        accept=LABELS["accept_gpaw"],
        chunk_size=LABELS["chunk_size"],
        seed=config["seed"],
        # Not an output: what lies there outlives a killed job.
        store=RUN + "/checkpoints/labels/{dataset}",
    message:
        "Labels of {wildcards.dataset}, chunk {wildcards.chunk}"
    script:
        "../scripts/reference-label.py"


rule label:
    input:
        labelled=lambda wildcards: expand(
            RUN + "/reference/chunks/{{dataset}}.{chunk}.extxyz", chunk=chunks_of(wildcards.dataset)
        ),
        failed=lambda wildcards: expand(
            RUN + "/reference/chunks/{{dataset}}.{chunk}.failed.csv", chunk=chunks_of(wildcards.dataset)
        ),
        code=code("errors", "io", "keys", "reference/chunks"),
    output:
        labelled=RUN + "/reference/{dataset}.extxyz",
        failed=RUN + "/reference/{dataset}.failed.csv",
    log:
        RUN + "/logs/label/{dataset}.log",
    benchmark:
        RUN + "/benchmarks/label/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(SHEETS),
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        spec=lambda wildcards: config["structures"]["datasets"][wildcards.dataset],
    message:
        "All labels of {wildcards.dataset}"
    script:
        "../scripts/reference-gather.py"


rule label_dimers:
    input:
        structures=RUN + "/structures/{dataset}.extxyz",
        code=code("errors", "io", "keys", "reference/lennard_jones"),
    output:
        RUN + "/reference/{dataset}.extxyz",
    log:
        RUN + "/logs/label/{dataset}.log",
    benchmark:
        RUN + "/benchmarks/label/{dataset}.tsv"
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
        # The archive is read from its folder; what this run took from it must be there first.
        labelled=expand(RUN + "/reference/{dataset}.extxyz", dataset=SHEETS),
        code=code(*LABEL_CODE, "reference/audit"),
    output:
        RUN + "/reference/audit.csv",
    log:
        RUN + "/logs/label/audit.log",
    benchmark:
        RUN + "/benchmarks/label/audit.tsv"
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        dft=config["reference"]["dft"],
        labels=LABELS,
        seed=config["seed"],
        store=RUN + "/checkpoints/audit",
    message:
        "Audit: recomputing {params.labels[audit]} archived labels"
    script:
        "../scripts/reference-audit.py"


rule label_cost:
    input:
        labelled=expand(RUN + "/reference/{dataset}.extxyz", dataset=SHEETS),
        failed=expand(RUN + "/reference/{dataset}.failed.csv", dataset=SHEETS),
        code=code("errors", "io", "keys", "reference/cost", "reference/calculation"),
    output:
        cost=RUN + "/reference/cost.csv",
        failed=RUN + "/reference/failed.csv",
    log:
        RUN + "/logs/label/cost.log",
    benchmark:
        RUN + "/benchmarks/label/cost.tsv"
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


rule convergence_labels:
    input:
        structures=expand(
            RUN + "/structures/{dataset}.extxyz", dataset=config["reference"]["convergence"]["datasets"]
        ),
        code=code(*LABEL_CODE, "reference/convergence"),
    output:
        RUN + "/reference/convergence/{point}.extxyz",
    log:
        RUN + "/logs/label/convergence-{point}.log",
    benchmark:
        RUN + "/benchmarks/label/convergence-{point}.tsv"
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
        archive=LABELS["archive"],
        accept=LABELS["accept_gpaw"],
        store=RUN + "/checkpoints/convergence",
    message:
        "Convergence study, point {wildcards.point}"
    script:
        "../scripts/reference-convergence-labels.py"


def convergence_files(wildcards: object) -> list[str]:
    """One file of labels for each point of the convergence study."""
    try:
        count = len(
            points(config["reference"]["convergence"], DFTSettings.from_config(config["reference"]["dft"]))
        )
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return [f"{RUN}/reference/convergence/{point}.extxyz" for point in range(count)]


rule convergence_table:
    input:
        labelled=convergence_files,
        code=code("errors", "io", "keys", "reference/convergence"),
    output:
        RUN + "/reference/convergence.csv",
        RUN + "/tables/convergence.csv",
    log:
        RUN + "/logs/label/convergence.log",
    benchmark:
        RUN + "/benchmarks/label/convergence.tsv"
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
        RUN + "/reference/convergence.csv",
        RUN + "/figures/convergence.pdf",
