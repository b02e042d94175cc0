"""Training: splits, the networks of the sheets, and those of the two model systems."""

from extensive.config import plan, trainings
from extensive.training.cells import check_cells
from extensive.training.recipe import check_recipe

MODELS = {name: model for name, model in config["models"].items() if model["images"] is None}
# Networks of users' own images; see rule train_images.
IMAGE_MODELS = [name for name in config["models"] if name not in MODELS]
SET_OF = {name: config["structures"]["datasets"][name]["set"] for name in SHEETS}
LEARNED_FROM = [name for name in SHEETS if SET_OF[name] in ("development", "train")]
# What a training is given: what it learns from, and what it is judged by while it goes on.
GIVEN = [
    name for name in SHEETS if SET_OF[name] in ("development", "train", "validation") and name not in TAUGHT
]
TAUGHT_GIVEN = [name for name in TAUGHT if SET_OF[name] in ("development", "train", "validation")]
# What a student is tested on beside DFT's labels: see `training.splits.assign_taught`.
TAUGHT_SETS = [
    f"teacher-{part}"
    for part, names in (("test", ("development", "test")), ("independent-md", ("independent-md",)))
    if any(SET_OF[name] in names for name in TAUGHT)
]
if MODELS and not LEARNED_FROM:
    raise WorkflowError("models: nothing to train on; a data set needs 'set: development' or 'set: train'")
# Variants that studies ask for; they are trained like the models, but only for `snakemake studies`.
try:
    STUDIES = trainings.members(config)
    VARIANTS = {member.model: entry for member, entry in STUDIES.items()}
    for name, model in {**MODELS, **VARIANTS}.items():
        check_patterns(name, model["training"], SET_OF)
    for name, model in MODELS.items():
        check_recipe(name, model)
    check_cells(config, MODELS)
    check_cells(config, VARIANTS, tested=False)
except InputError as error:
    raise WorkflowError(str(error)) from None
TRAINED = {**MODELS, **VARIANTS}
# Those that others go on from are no results themselves, unless figures are of them.
STAGES = {trainings.begun_from(config, model["training"]) for model in TRAINED.values()}
STAGES -= {None, config["figures"]["cnn"], config["figures"]["ednn"]}
STUDENTS = [name for name, model in TRAINED.items() if model["training"]["teacher_labels"]]
for name in TAUGHT:
    teachers_of(name)  # refuses here, before any job, what cannot teach


rule splits:
    input:
        structures=expand(
            result("reference/{dataset}.extxyz"), dataset=[name for name in SHEETS if name not in TAUGHT]
        ),
        code=code("splits.py"),
    output:
        result("splits.json"),
    log:
        result("logs/splits.log"),
    benchmark:
        result("benchmarks/splits.tsv")
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        rule=lambda wildcards: {
            "set_of_dataset": SET_OF,
            "seed": config["seed"],
            **config["training"]["splits"],
        },
    message:
        "Splits"
    script:
        "../scripts/splits.py"


rule splits_taught:
    input:
        splits=result("splits.json"),
        computed=expand(
            result("reference/{dataset}.extxyz"), dataset=[name for name in SHEETS if name not in TAUGHT]
        ),
        structures=expand(result("reference/{dataset}.extxyz"), dataset=TAUGHT),
        code=code("splits-taught.py"),
    output:
        result("splits-taught.json"),
    log:
        result("logs/splits-taught.log"),
    benchmark:
        result("benchmarks/splits-taught.tsv")
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(20),
    params:
        rule=lambda wildcards: {
            "set_of_dataset": SET_OF,
            "seed": config["seed"],
            **config["training"]["splits"],
        },
    message:
        "Splits with a teacher's labels"
    script:
        "../scripts/splits-taught.py"


rule train:
    input:
        structures=lambda wildcards: expand(
            result("reference/{dataset}.extxyz"), dataset=given_to(wildcards.model)
        ),
        images=lambda wildcards: fixed_images(wildcards.model),
        initial=lambda wildcards: begun_weights(wildcards.model),
        splits=lambda wildcards: splits_of(wildcards.model in STUDENTS),
        code=code("train.py"),
    output:
        weights=result("models/{model}.pt"),
        description=result("models/{model}.json"),
        curve=result("models/{model}-curve.csv"),
    log:
        result("logs/train/{model}.log"),
    benchmark:
        result("benchmarks/train/{model}.tsv")
    wildcard_constraints:
        model=one_of(TRAINED),
    # The longest jobs of a small machine: what else there is to do fits beside them.
    priority: 1
    conda:
        TORCH_ENV
    threads: config["training"]["threads"]
    resources:
        mem_mb=growing(lambda wildcards: plan.training_memory_MB(config, TRAINED[wildcards.model])),
        runtime=growing(
            lambda wildcards: plan.minutes(plan.training_seconds(TRAINED[wildcards.model], config))
        ),
        gpu=int(config["device"] == "cuda"),
    params:
        model=lambda wildcards: training_of(wildcards.model),
        device=config["device"],
        # Not an output: what lies there outlives a killed job.
        checkpoints=result("checkpoints/{model}"),
        known=lambda wildcards: [
            str(Path(folder).expanduser() / wildcards.model) for folder in config["training"]["take_from"]
        ],
    message:
        "Training {wildcards.model}"
    script:
        "../scripts/train.py"


rule train_images:
    input:
        images=lambda wildcards: config["models"][wildcards.model]["images"],
        code=code("train-images.py"),
    output:
        weights=result("models/{model}.pt"),
        description=result("models/{model}.json"),
        curve=result("models/{model}-curve.csv"),
        test=result("predictions/{model}-test.csv"),
        test_metrics=result("predictions/{model}-test-metrics.json"),
        timings=result("timings/{model}.csv"),
    log:
        result("logs/train/{model}.log"),
    benchmark:
        result("benchmarks/train/{model}.tsv")
    wildcard_constraints:
        model=one_of(IMAGE_MODELS),
    conda:
        TORCH_ENV
    threads: config["training"]["threads"]
    resources:
        mem_mb=lambda wildcards, input, attempt: attempt * math.ceil(3000 + 3 * input.size_mb),
        runtime=growing(
            lambda wildcards: plan.minutes(plan.training_seconds(config["models"][wildcards.model], config))
        ),
        gpu=int(config["device"] == "cuda"),
    params:
        model=lambda wildcards: config["models"][wildcards.model],
        splits=config["training"]["splits"],
        seed=config["seed"],
        device=config["device"],
        repeats=config["timing"]["networks"]["repeats"],
        # Not an output: what lies there outlives a killed job.
        checkpoints=result("checkpoints/{model}"),
    message:
        "Training {wildcards.model} on images"
    script:
        "../scripts/train-images.py"


rule train_dimers:
    input:
        structures=result("reference/{dataset}.extxyz"),
        code=code("train-dimers.py"),
    output:
        weights=result("models/cnn-{dataset}{replica}.pt"),
        description=result("models/cnn-{dataset}{replica}.json"),
        curve=result("models/cnn-{dataset}{replica}-curve.csv"),
        test=result("predictions/cnn-{dataset}{replica}.csv"),
        test_metrics=result("predictions/cnn-{dataset}{replica}-metrics.json"),
        outside=result("predictions/cnn-{dataset}{replica}-extrapolation.csv"),
        outside_metrics=result("predictions/cnn-{dataset}{replica}-extrapolation-metrics.json"),
    log:
        result("logs/train/cnn-{dataset}{replica}.log"),
    benchmark:
        result("benchmarks/train/cnn-{dataset}{replica}.tsv")
    wildcard_constraints:
        dataset=one_of(DIMERS),
        replica=REPLICA,
    conda:
        TORCH_ENV
    threads: config["training"]["threads"]
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=config["training"]["dimers"],
        seed=config["seed"],
        replica=replica_number,
    message:
        "Training on {wildcards.dataset}{wildcards.replica}"
    script:
        "../scripts/train-dimers.py"


rule train_ising:
    input:
        lattices=result(f"structures/ising-{config['training']['ising']['length']}.npz"),
        code=code("train-ising.py"),
    output:
        weights=result("models/ednn-ising{replica}.pt"),
        description=result("models/ednn-ising{replica}.json"),
        curve=result("models/ednn-ising{replica}-curve.csv"),
    log:
        result("logs/train/ednn-ising{replica}.log"),
    benchmark:
        result("benchmarks/train/ednn-ising{replica}.tsv")
    wildcard_constraints:
        replica=REPLICA,
    conda:
        TORCH_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=config["training"]["ising"],
        seed=lambda wildcards: config["seed"] + replica_number(wildcards),
    message:
        "Training on Ising lattices{wildcards.replica}"
    script:
        "../scripts/train-ising.py"
