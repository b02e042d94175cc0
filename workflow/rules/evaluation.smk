"""Evaluation: predictions and their errors, of every model on every set that it can be asked about."""

# Sets that the configuration has; `test` and `validation` are parts of the development data sets.
PRESENT = [
    *(part for part in ("validation", "test") if data_sets(part)),
    *dict.fromkeys(
        part
        for name, part in SET_OF.items()
        if name not in TAUGHT and part not in ("development", "train", "validation", "test")
    ),
]
# The figures' EDNN is judged by its shift average too.
SYMMETRIC = [
    name for name in MODELS if name == config["figures"]["ednn"] and TRAINED[name]["network"] == "ednn"
]
# Those that the engine streams, in a number type that follows from what it rounds of them.
FUSED = [
    name
    for name, model in TRAINED.items()
    if (model["network"], model["tile_network"]) == ("ednn", "convolutional")
]

PREDICTIONS = [
    *(f"{RUN}/predictions/{model}-{part}.csv" for model in MODELS for part in sets_of(model)),
    *(f"{RUN}/predictions/{model}-symmetric-{part}.csv" for model in SYMMETRIC for part in sets_of(model)),
    *expand(result("predictions/{model}-test.csv"), model=IMAGE_MODELS),
    *expand(result("predictions/cnn-{dataset}.csv"), dataset=DIMERS),
    *expand(result("predictions/ednn-ising-{length}.csv"), length=ISING),
]


rule evaluate:
    input:
        structures=lambda wildcards: expand(
            result("reference/{dataset}.extxyz"), dataset=evaluated_on(wildcards.model, wildcards.set)
        ),
        splits=lambda wildcards: splits_of(
            wildcards.set in TAUGHT_SETS or (wildcards.set == "train" and wildcards.model in STUDENTS)
        ),
        weights=result("models/{model}.pt"),
        description=result("models/{model}.json"),
        code=code("evaluate.py"),
    output:
        predictions=result("predictions/{model}-{set}.csv"),
        metrics=result("predictions/{model}-{set}-metrics.json"),
    log:
        result("logs/evaluate/{model}-{set}.log"),
    benchmark:
        result("benchmarks/evaluate/{model}-{set}.tsv")
    wildcard_constraints:
        model=one_of(TRAINED),
        set=one_of([*PRESENT, *TAUGHT_SETS, "train"]),  # what was learned from is predicted on request
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(15),
    params:
        symmetric=False,
    message:
        "Predicting {wildcards.set} with {wildcards.model}"
    script:
        "../scripts/evaluate.py"


use rule evaluate as evaluate_symmetric with:
    output:
        predictions=result("predictions/{model}-symmetric-{set}.csv"),
        metrics=result("predictions/{model}-symmetric-{set}-metrics.json"),
    log:
        result("logs/evaluate/{model}-symmetric-{set}.log"),
    benchmark:
        result("benchmarks/evaluate/{model}-symmetric-{set}.tsv")
    params:
        symmetric=True,
    message:
        "Predicting {wildcards.set} with {wildcards.model}, shift average"


rule rounding:
    input:
        structures=lambda wildcards: expand(
            result("reference/{dataset}.extxyz"), dataset=validated_on(wildcards.model)
        ),
        splits=result("splits.json"),
        weights=result("models/{model}.pt"),
        description=result("models/{model}.json"),
        code=code("rounding.py"),
    output:
        result("models/{model}-rounding.json"),
    log:
        result("logs/evaluate/{model}-rounding.log"),
    benchmark:
        result("benchmarks/evaluate/{model}-rounding.tsv")
    wildcard_constraints:
        model=one_of(FUSED),
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(15),
    message:
        "What bfloat16 rounds of {wildcards.model}"
    script:
        "../scripts/rounding.py"


rule teachers:
    input:
        labelled=expand(result("reference/{dataset}.extxyz"), dataset=TAUGHT),
        students=expand(result("models/{model}.json"), model=[name for name in STUDENTS if name in MODELS]),
        code=code("teachers.py"),
    output:
        report(
            result("tables/teachers.csv"),
            caption="../report/teachers.rst",
            category="Reference data",
            labels={"table": "teachers", "shows": "labels by trained networks, and who learned from them"},
        ),
    log:
        result("logs/evaluate/teachers.log"),
    benchmark:
        result("benchmarks/evaluate/teachers.tsv")
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(15),
    message:
        "Labels by trained networks"
    script:
        "../scripts/teachers.py"


rule evaluate_ising:
    input:
        lattices=result("structures/ising-{length}.npz"),
        weights=result("models/ednn-ising{replica}.pt"),
        description=result("models/ednn-ising{replica}.json"),
        code=code("evaluate-ising.py"),
    output:
        predictions=result("predictions/ednn-ising{replica}-{length}.csv"),
        metrics=result("predictions/ednn-ising{replica}-{length}-metrics.json"),
    log:
        result("logs/evaluate/ednn-ising{replica}-{length}.log"),
    benchmark:
        result("benchmarks/evaluate/ednn-ising{replica}-{length}.tsv")
    wildcard_constraints:
        length=one_of(ISING),
        replica=REPLICA,
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(15),
    params:
        held_back=lambda wildcards: int(wildcards.length) == config["training"]["ising"]["length"],
    message:
        "Predicting Ising lattices of side {wildcards.length} with ednn-ising{wildcards.replica}"
    script:
        "../scripts/evaluate-ising.py"
