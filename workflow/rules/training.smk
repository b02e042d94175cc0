"""Training: splits, the networks of the sheets, and those of the two model systems."""

from extensive import plan

MODELS = config["models"]
DEVELOPMENT = [name for name in SHEETS if config["structures"]["datasets"][name]["set"] == "development"]
# What a training depends on, beside its data.
TRAINING_CODE = ("errors", "io", "keys", "raster", "images", "models", "training")

if MODELS and not DEVELOPMENT:
    raise WorkflowError("models: nothing to train on; a data set needs 'set: development'")


def fixed_images(model: str) -> list[str]:
    """Image files that a model learns from; none where the atoms are moved anew for every epoch."""
    if config["models"][model]["training"]["augmentation"] is not None:
        return []
    return expand(RUN + "/raster/{dataset}.h5", dataset=DEVELOPMENT)


rule splits:
    input:
        structures=expand(RUN + "/reference/{dataset}.extxyz", dataset=SHEETS),
        code=code("errors", "io", "keys", "training/splits"),
    output:
        RUN + "/splits.json",
    log:
        RUN + "/logs/splits.log",
    benchmark:
        RUN + "/benchmarks/splits.tsv"
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        rule=lambda wildcards: {
            "set_of_dataset": {name: config["structures"]["datasets"][name]["set"] for name in SHEETS},
            "seed": config["seed"],
            **config["training"]["splits"],
        },
    message:
        "Splits"
    script:
        "../scripts/splits.py"


rule train:
    input:
        structures=expand(RUN + "/reference/{dataset}.extxyz", dataset=DEVELOPMENT),
        images=lambda wildcards: fixed_images(wildcards.model),
        splits=RUN + "/splits.json",
        code=code(*TRAINING_CODE),
    output:
        weights=RUN + "/models/{model}.pt",
        description=RUN + "/models/{model}.json",
        curve=RUN + "/models/{model}-curve.csv",
    log:
        RUN + "/logs/train/{model}.log",
    benchmark:
        RUN + "/benchmarks/train/{model}.tsv"
    wildcard_constraints:
        model=one_of(MODELS),
    conda:
        TORCH_ENV
    threads: 2
    resources:
        mem_mb=growing(lambda wildcards: plan.training_memory_MB(config, MODELS[wildcards.model])),
        runtime=growing(
            lambda wildcards: plan.minutes(
                plan.training_seconds(MODELS[wildcards.model], gpu=config["device"] == "cuda")
            )
        ),
        gpu=int(config["device"] == "cuda"),
    params:
        model=lambda wildcards: config["models"][wildcards.model],
        device=config["device"],
        # Not an output: what lies there outlives a killed job.
        checkpoints=RUN + "/checkpoints/{model}",
    message:
        "Training {wildcards.model}"
    script:
        "../scripts/train.py"


rule train_dimers:
    input:
        structures=RUN + "/reference/{dataset}.extxyz",
        code=code(*TRAINING_CODE, "evaluation"),
    output:
        weights=RUN + "/models/cnn-{dataset}.pt",
        description=RUN + "/models/cnn-{dataset}.json",
        curve=RUN + "/models/cnn-{dataset}-curve.csv",
        test=RUN + "/predictions/cnn-{dataset}.csv",
        test_metrics=RUN + "/predictions/cnn-{dataset}-metrics.json",
        outside=RUN + "/predictions/cnn-{dataset}-extrapolation.csv",
        outside_metrics=RUN + "/predictions/cnn-{dataset}-extrapolation-metrics.json",
    log:
        RUN + "/logs/train/cnn-{dataset}.log",
    benchmark:
        RUN + "/benchmarks/train/cnn-{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(DIMERS),
    conda:
        TORCH_ENV
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=config["training"]["dimers"],
        seed=config["seed"],
    message:
        "Training on {wildcards.dataset}"
    script:
        "../scripts/train-dimers.py"


rule train_ising:
    input:
        lattices=RUN + f"/structures/ising-{config['training']['ising']['length']}.npz",
        code=code(*TRAINING_CODE),
    output:
        weights=RUN + "/models/ednn-ising.pt",
        description=RUN + "/models/ednn-ising.json",
        curve=RUN + "/models/ednn-ising-curve.csv",
    log:
        RUN + "/logs/train/ednn-ising.log",
    benchmark:
        RUN + "/benchmarks/train/ednn-ising.tsv"
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=config["training"]["ising"],
        seed=config["seed"],
    message:
        "Training on Ising lattices"
    script:
        "../scripts/train-ising.py"
