"""Claims: the papers' numbers beside the run's. Publishing: a run's results into results/published."""

import platform
from importlib.metadata import version

import extensive


rule claims:
    input:
        predictions=PREDICTIONS,
        ensemble=done_studies,
        students=expand(result("models/{model}.json"), model=[name for name in STUDENTS if name in MODELS]),
        timings=(
            expand(
                f"{RUN}/timings/{{file}}", file=["dft.csv", "networks.csv", "exponents.json", "sheet.csv"]
            )
            if "scaling" in CHOSEN
            else []
        ),
        figures=expand(
            f"{RUN}/figures/{{figure}}.csv",
            figure=[figure for figure in ("inputs", "tiles") if figure in CHOSEN],
        ),
        code=code("claims.py"),
    output:
        report(
            f"{RUN}/tables/claims.csv",
            caption="../report/claims.rst",
            category="Claims",
            labels={"figure": "claims", "shows": "the papers' claims and this run's numbers"},
        ),
    log:
        f"{RUN}/logs/figures/claims.log",
    benchmark:
        f"{RUN}/benchmarks/figures/claims.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        settings=claimed(0),
    message:
        "The papers' claims beside this run's numbers"
    script:
        "../scripts/claims.py"


rule software:
    input:
        labelled=expand(result("reference/{dataset}.extxyz"), dataset=COMPUTED),
        models=expand(result("models/{model}.json"), model=[*MODELS, *IMAGE_MODELS]),
        code=code("software.py"),
    output:
        report(
            result("tables/software.csv"),
            caption="../report/software.rst",
            category="Run",
            labels={"table": "software", "shows": "versions of what made the labels and the models"},
        ),
    log:
        result("logs/figures/software.log"),
    benchmark:
        result("benchmarks/figures/software.tsv")
    conda:
        "../../envs/dft.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        workflow={
            "python": platform.python_version(),
            "snakemake": version("snakemake"),
            "extensive": extensive.__version__,
        },
    message:
        "Versions of what made the labels and the models"
    script:
        "../scripts/software.py"


rule publish:
    input:
        FIGURES,
        TABLES,
        OF_SEEDS,
        code=code("publish.py"),
    log:
        f"{RUN}/logs/figures/publish.log",
    benchmark:
        f"{RUN}/benchmarks/figures/publish.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        run=config["run"],
        production=PRODUCTION,
        published=config["published"],
        page="docs/claims.md" if config["published"] == "results/published" else None,
        left_out=trainings.compared_only(STUDIES, MODELS),
    message:
        "Publishing {params.run}"
    script:
        "../scripts/publish.py"
