"""Structures: sheets of atoms, Lennard-Jones dimers and Ising lattices, all from the configuration and the seed."""

from extensive.config import plan
from extensive.structures.datasets import read_spec
from extensive.structures.user_files import files_of

SHEETS = list(config["structures"]["datasets"])
# Files of the users' own data sets; see rule own_labels.
OWN = {name: spec["files"] for name, spec in config["structures"]["datasets"].items() if spec["files"]}
GENERATED = [name for name in SHEETS if name not in OWN]
# Data sets that trained networks label, by their entry `teacher`, and those that DFT does.
TAUGHT = {
    name: spec["teacher"] for name in GENERATED if (spec := config["structures"]["datasets"][name])["teacher"]
}
COMPUTED = [name for name in GENERATED if name not in TAUGHT]
DIMERS = list(config["structures"]["dimers"])
ISING = {entry["length"]: entry for entry in config["structures"]["ising"]}

if set(SHEETS) & set(DIMERS):
    raise WorkflowError(
        f"structures.dimers: name {sorted(set(SHEETS) & set(DIMERS))[0]!r} is also in structures.datasets"
    )
try:
    # Impossible combinations are refused here, before any job runs.
    for name, spec in config["structures"]["datasets"].items():
        read_spec(name, spec, config["structures"]["lattice_constants_A"])
        files_of(spec["files"], CONFIG_FOLDER)
except InputError as error:
    raise WorkflowError(str(error)) from None


rule structures:
    input:
        code=code("structures.py"),
    output:
        result("structures/{dataset}.extxyz"),
    log:
        result("logs/structures/{dataset}.log"),
    benchmark:
        result("benchmarks/structures/{dataset}.tsv")
    wildcard_constraints:
        dataset=one_of(GENERATED),
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        spec=lambda wildcards: config["structures"]["datasets"][wildcards.dataset],
        seed=lambda wildcards: plan.seed_of(config, wildcards.dataset),
        lattice_constants=config["structures"]["lattice_constants_A"],
    message:
        "Structures of {wildcards.dataset}"
    script:
        "../scripts/structures.py"


rule dimers:
    input:
        code=code("structures-dimers.py"),
    output:
        result("structures/{dataset}.extxyz"),
    log:
        result("logs/structures/{dataset}.log"),
    benchmark:
        result("benchmarks/structures/{dataset}.tsv")
    wildcard_constraints:
        dataset=one_of(DIMERS),
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        spec=lambda wildcards: config["structures"]["dimers"][wildcards.dataset],
        seed=config["seed"],
    message:
        "Lennard-Jones dimers {wildcards.dataset}"
    script:
        "../scripts/structures-dimers.py"


rule ising:
    input:
        code=code("structures-ising.py"),
    output:
        result("structures/ising-{length}.npz"),
    log:
        result("logs/structures/ising-{length}.log"),
    benchmark:
        result("benchmarks/structures/ising-{length}.tsv")
    wildcard_constraints:
        length=one_of(ISING),
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        spec=lambda wildcards: ISING[int(wildcards.length)],
        seed=config["seed"],
    message:
        "Ising lattices of {wildcards.length} x {wildcards.length} spins"
    script:
        "../scripts/structures-ising.py"
