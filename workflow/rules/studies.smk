"""Studies: learning curves, ablations, error bars and parts of the energy, from variants of the models."""

# Judged on the validation set: what a recipe is chosen by must not be what it is quoted on.
SETS_OF_STUDY = {
    trainings.LEARNING_CURVES: [
        part
        for part in ("test", "independent-md", "supercells", keys.TEACHER_TEST, keys.TEACHER_INDEPENDENT_MD)
        if part in [*PRESENT, *TAUGHT_SETS]
    ],
    trainings.ABLATION: ["validation"],
    trainings.CONTEXT: ["validation"],
    trainings.SEEDS: PRESENT,
}
ENSEMBLES = config["studies"]["ensembles"] if config["studies"]["seeds"] > 1 else []
OTHER_SEEDS = range(1, config["studies"]["seeds"])
PARTS_OF_ENERGY = study_members(trainings.COMPONENTS)
# Mean over several trainings, each as its shift average: the most that is done for one number.
ENSEMBLE_OF_AVERAGES = [
    result(f"predictions/{model}-symmetric-ensemble-{part}.csv")
    for model in ENSEMBLES
    if model in SYMMETRIC
    for part in sets_of(model)
]
STUDY_FIGURES = [
    *[
        study
        for study in (trainings.LEARNING_CURVES, trainings.ABLATION, trainings.CONTEXT)
        if study_members(study)
    ],
    *(["components"] if PARTS_OF_ENERGY else []),
]
# Error bars of what is published.
OF_SEEDS = [
    *([result("tables/seeds.csv")] if ENSEMBLES else []),
    *([result("figures/calibration.png")] if EDNN in ENSEMBLES and CALIBRATED else []),
    *(result(f"predictions/{model}-ensemble-{part}.csv") for model in ENSEMBLES for part in sets_of(model)),
    *ENSEMBLE_OF_AVERAGES,
    *([result("tables/claims-seeds.csv")] if config["studies"]["seeds"] > 1 else []),
]


rule seeds:
    input:
        OF_SEEDS,


rule studies:
    input:
        OF_SEEDS,
        expand(result("tables/{study}.csv"), study=[s for s in SETS_OF_STUDY if study_members(s)]),
        expand(result("figures/{figure}.png"), figure=STUDY_FIGURES),


rule study_table:
    input:
        descriptions=lambda wildcards: [
            result(f"models/{m.model}.json") for m in study_members(wildcards.study)
        ],
        metrics=lambda wildcards: [
            result(f"predictions/{m.model}-{part}-metrics.json")
            for m in study_members(wildcards.study)
            for part in study_sets(wildcards.study, m)
        ],
        code=code("study-table.py"),
    output:
        result("tables/{study}.csv"),
    log:
        result("logs/studies/{study}.log"),
    benchmark:
        result("benchmarks/studies/{study}.tsv")
    wildcard_constraints:
        study=one_of(SETS_OF_STUDY),
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        members=lambda wildcards: [vars(m) for m in study_members(wildcards.study)],
        sets=lambda wildcards: [study_sets(wildcards.study, m) for m in study_members(wildcards.study)],
    message:
        "Table of the study {wildcards.study}"
    script:
        "../scripts/study-table.py"


rule claims_seeds:
    input:
        published=PREDICTIONS,
        sheets=[
            result(f"predictions/{m.model}-{part}.csv")
            for m in study_members(trainings.SEEDS)
            for part in study_sets(trainings.SEEDS, m)
        ],
        averages=[
            result(f"predictions/{m.model}-symmetric-{part}.csv")
            for m in study_members(trainings.SEEDS)
            if m.base in SYMMETRIC
            for part in study_sets(trainings.SEEDS, m)
        ],
        students=[
            result(f"models/{m.model}.json") for m in study_members(trainings.SEEDS) if m.model in STUDENTS
        ],
        dimers=expand(result("predictions/cnn-{dataset}-seed{seed}.csv"), dataset=DIMERS, seed=OTHER_SEEDS),
        ising=expand(result("predictions/ednn-ising-seed{seed}-{length}.csv"), length=ISING, seed=OTHER_SEEDS),
        code=code("claims-seeds.py"),
    output:
        report(
            result("tables/claims-seeds.csv"),
            caption="../report/claims-seeds.rst",
            category="Claims",
            labels={"figure": "claims-seeds", "shows": "the claims on accuracy from other seeds"},
        ),
    log:
        result("logs/studies/claims-seeds.log"),
    benchmark:
        result("benchmarks/studies/claims-seeds.tsv")
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        trainings=[claimed(seed) for seed in (0, *OTHER_SEEDS)],
    message:
        "The claims on accuracy from other seeds"
    script:
        "../scripts/claims-seeds.py"


rule ensemble:
    input:
        predictions=lambda wildcards: [
            result(f"predictions/{m.model}{wildcards.average}-{wildcards.set}.csv")
            for m in study_members(trainings.SEEDS)
            if m.base == wildcards.model
        ],
        code=code("ensemble.py"),
    output:
        result("predictions/{model}{average}-ensemble-{set}.csv"),
    log:
        result("logs/studies/{model}{average}-ensemble-{set}.log"),
    benchmark:
        result("benchmarks/studies/{model}{average}-ensemble-{set}.tsv")
    wildcard_constraints:
        model=one_of(ENSEMBLES),
        average="(-symmetric)?",
        set=one_of([*PRESENT, *TAUGHT_SETS]),
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    message:
        "Ensemble of {wildcards.model}{wildcards.average} on {wildcards.set}"
    script:
        "../scripts/ensemble.py"


rule components_table:
    input:
        predictions=[result(f"predictions/{m.model}-test.csv") for m in PARTS_OF_ENERGY],
        code=code("components.py"),
    output:
        result(f"predictions/{EDNN}-components.csv"),
    log:
        result("logs/studies/components.log"),
    benchmark:
        result("benchmarks/studies/components.tsv")
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        parts=[m.variant for m in PARTS_OF_ENERGY],
    message:
        "Predictions of parts of the energy"
    script:
        "../scripts/components.py"
