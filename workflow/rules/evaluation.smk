"""Evaluation: predictions and their errors, of every model on every set that it can be asked about."""

SET_OF = {name: config["structures"]["datasets"][name]["set"] for name in SHEETS}
# Sets that the configuration has; `test` and `validation` are parts of the development data sets.
PRESENT = [
    *(["validation", "test"] if DEVELOPMENT else []),
    *dict.fromkeys(s for s in SET_OF.values() if s != "development"),
]


def data_sets(part: str) -> list[str]:
    """Data sets that have members in a set."""
    return (
        DEVELOPMENT if part in ("validation", "test") else [name for name in SHEETS if SET_OF[name] == part]
    )


def sets_of(model: str) -> list[str]:
    """A cnn takes one size of image, so larger cells are not for it."""
    return [part for part in PRESENT if part != "supercells" or MODELS[model]["network"] == "ednn"]


PREDICTIONS = [
    *(f"{RUN}/predictions/{model}-{part}.csv" for model in MODELS for part in sets_of(model)),
    *expand(RUN + "/predictions/cnn-{dataset}.csv", dataset=DIMERS),
    *expand(RUN + "/predictions/ednn-ising-{length}.csv", length=ISING),
]


rule evaluate:
    input:
        structures=lambda wildcards: expand(
            RUN + "/reference/{dataset}.extxyz", dataset=data_sets(wildcards.set)
        ),
        splits=RUN + "/splits.json",
        weights=RUN + "/models/{model}.pt",
        description=RUN + "/models/{model}.json",
        code=code("errors", "io", "keys", "raster", "models", "evaluation"),
    output:
        predictions=RUN + "/predictions/{model}-{set}.csv",
        metrics=RUN + "/predictions/{model}-{set}-metrics.json",
    log:
        RUN + "/logs/evaluate/{model}-{set}.log",
    benchmark:
        RUN + "/benchmarks/evaluate/{model}-{set}.tsv"
    wildcard_constraints:
        model=one_of(MODELS),
        set=one_of(PRESENT),
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(15),
    message:
        "Predicting {wildcards.set} with {wildcards.model}"
    script:
        "../scripts/evaluate.py"


rule evaluate_ising:
    input:
        lattices=RUN + "/structures/ising-{length}.npz",
        weights=RUN + "/models/ednn-ising.pt",
        description=RUN + "/models/ednn-ising.json",
        code=code("errors", "io", "keys", "models", "training/ising", "evaluation"),
    output:
        predictions=RUN + "/predictions/ednn-ising-{length}.csv",
        metrics=RUN + "/predictions/ednn-ising-{length}-metrics.json",
    log:
        RUN + "/logs/evaluate/ednn-ising-{length}.log",
    benchmark:
        RUN + "/benchmarks/evaluate/ednn-ising-{length}.tsv"
    wildcard_constraints:
        length=one_of(ISING),
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(15),
    params:
        held_back=lambda wildcards: int(wildcards.length) == config["training"]["ising"]["length"],
    message:
        "Predicting Ising lattices of side {wildcards.length}"
    script:
        "../scripts/evaluate-ising.py"
