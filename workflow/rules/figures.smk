"""Figures, each PDF + PNG + CSV, and the table of claims; drawn from the run's files without torch or GPAW."""


include: "figure_functions.smk"


CNN, EDNN = config["figures"]["cnn"], config["figures"]["ednn"]
PANELS = {panel: name for panel, name in config["figures"]["inputs"].items() if name in [*SHEETS, *DIMERS]}
DATA = f"{RUN}/figures/data"
# Predictions of the sets that figures of errors show; one of them will do.
ERRORS = {
    "cnn-accuracy": predicted(CNN, "test", "independent-md", keys.TEACHER_TEST, keys.TEACHER_INDEPENDENT_MD),
    "ednn-accuracy": predicted(EDNN, "test", "independent-md", "supercells"),
}
# Sets that the uncertainty of its ensemble is compared with the errors of.
CALIBRATED = [part for part in PRESENT if part != "validation" and EDNN in MODELS and part in sets_of(EDNN)]
# What each figure needs the configuration to have; the others' data are made on request.
POSSIBLE = {
    "inputs": bool(PANELS),
    "kernel": CNN in MODELS and config["figures"]["kernel"] in SHEETS,
    "networks": CNN in MODELS or EDNN in MODELS,
    "tiles": EDNN in MODELS and config["figures"]["tiles"] in SHEETS,
    "cnn-accuracy": CNN in MODELS and bool(ERRORS["cnn-accuracy"]),
    "ednn-accuracy": EDNN in MODELS and bool(ERRORS["ednn-accuracy"]),
    "scaling": EDNN in MODELS,
    "dimers": bool(DIMERS),
    "ising": bool(ISING),
    "interpolation": EDNN in MODELS and "extrapolation" in PRESENT,
}
CHOSEN = config["figures"]["draw"]
if CHOSEN is None:
    CHOSEN = [figure for figure, possible in POSSIBLE.items() if possible]
for figure in CHOSEN:
    if not POSSIBLE.get(figure, True):
        raise WorkflowError(
            f"figures.draw: {figure!r} cannot be drawn; models or data sets that figures.* names, or sets to test on, are missing"
        )
FIGURES = expand(f"{RUN}/figures/{{figure}}.{{suffix}}", figure=CHOSEN, suffix=["pdf", "png", "csv"])
TABLES = [
    *expand(
        result("tables/{table}.csv"),
        table=[
            "claims",
            "software",
            *(["labels", "label-cost", "label-failures", "audit"] if COMPUTED else []),
            *(["teachers"] if TAUGHT else []),
        ],
    ),
    *expand(result("timings/{model}.csv"), model=IMAGE_MODELS),
    # Own data without DFT to time beside it: the networks' times alone.
    *([result("timings/networks.csv")] if OWN and MODELS and "scaling" not in CHOSEN else []),
]


include: "figure_data.smk"


rule figure_inputs:
    input:
        data=f"{DATA}/inputs.npz",
        code=figure_code("inputs"),
    output:
        **figure_files("inputs", "Method", "images that the networks see"),
    log:
        f"{RUN}/logs/figures/inputs.log",
    benchmark:
        f"{RUN}/benchmarks/figures/inputs.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        module="inputs",
        numbers=caption_numbers,
    message:
        "Figure {params.module}"
    script:
        "../scripts/figure.py"


use rule figure_inputs as figure_kernel with:
    input:
        data=f"{DATA}/kernel.npz",
        code=figure_code("kernel"),
    output:
        **figure_files("kernel", "Method", "one convolution in numbers"),
    log:
        f"{RUN}/logs/figures/kernel.log",
    benchmark:
        f"{RUN}/benchmarks/figures/kernel.tsv"
    params:
        module="kernel",
        numbers=caption_numbers,


use rule figure_inputs as figure_networks with:
    input:
        data=f"{DATA}/networks.json",
        code=figure_code("networks"),
    output:
        **figure_files("networks", "Method", "the networks' layers"),
    log:
        f"{RUN}/logs/figures/networks.log",
    benchmark:
        f"{RUN}/benchmarks/figures/networks.tsv"
    params:
        module="networks",
        numbers=caption_numbers,


use rule figure_inputs as figure_tiles with:
    input:
        data=f"{DATA}/tiles.npz",
        code=figure_code("tiles"),
    output:
        **figure_files("tiles", "Method", "focus and context tiles, summed"),
    log:
        f"{RUN}/logs/figures/tiles.log",
    benchmark:
        f"{RUN}/benchmarks/figures/tiles.tsv"
    params:
        module="tiles",
        numbers=caption_numbers,


use rule figure_inputs as figure_cnn_accuracy with:
    input:
        **ERRORS["cnn-accuracy"],
        code=figure_code("cnn_accuracy"),
    output:
        **figure_files("cnn-accuracy", "Accuracy", "CNN against DFT"),
    log:
        f"{RUN}/logs/figures/cnn-accuracy.log",
    benchmark:
        f"{RUN}/benchmarks/figures/cnn-accuracy.tsv"
    params:
        module="cnn_accuracy",
        numbers=caption_numbers,
        labels=what_labels_are(),


use rule figure_inputs as figure_ednn_accuracy with:
    input:
        **ERRORS["ednn-accuracy"],
        code=figure_code("ednn_accuracy"),
    output:
        **figure_files("ednn-accuracy", "Accuracy", "EDNN against DFT and chemical accuracy"),
    log:
        f"{RUN}/logs/figures/ednn-accuracy.log",
    benchmark:
        f"{RUN}/benchmarks/figures/ednn-accuracy.tsv"
    params:
        module="ednn_accuracy",
        numbers=caption_numbers,
        labels=what_labels_are(),


use rule figure_inputs as figure_interpolation with:
    input:
        **{
            f"{model}_{part}": path
            for model in (CNN, EDNN)
            if model in MODELS
            for part, path in predicted(model, "test", "interpolation", "extrapolation").items()
        },
        code=figure_code("interpolation"),
    output:
        **figure_files("interpolation", "Accuracy", "inside and outside the training range"),
    log:
        f"{RUN}/logs/figures/interpolation.log",
    benchmark:
        f"{RUN}/benchmarks/figures/interpolation.tsv"
    params:
        module="interpolation",
        numbers=caption_numbers,
        labels=what_labels_are(),


use rule figure_inputs as figure_learning_curves with:
    input:
        **beside_learning_curves(),
        curves=f"{RUN}/tables/learning-curves.csv",
        description=f"{RUN}/models/{EDNN}.json",
        code=figure_code("learning_curves"),
    output:
        **figure_files("learning-curves", "Accuracy", "error against number of labels"),
    log:
        f"{RUN}/logs/figures/learning-curves.log",
    benchmark:
        f"{RUN}/benchmarks/figures/learning-curves.tsv"
    params:
        module="learning_curves",
        numbers=caption_numbers,
        labels=what_labels_are(),


use rule figure_inputs as figure_ablation with:
    input:
        ablation=f"{RUN}/tables/ablation.csv",
        code=figure_code("ablation"),
    output:
        **figure_files("ablation", "Accuracy", "what each ingredient of the recipe is worth"),
    log:
        f"{RUN}/logs/figures/ablation.log",
    benchmark:
        f"{RUN}/benchmarks/figures/ablation.tsv"
    params:
        module="ablation",
        numbers=caption_numbers,
        labels=what_labels_are(),


use rule figure_inputs as figure_context with:
    input:
        context=f"{RUN}/tables/context.csv",
        code=figure_code("context"),
    output:
        **figure_files("context", "Accuracy", "error against the width of the context"),
    log:
        f"{RUN}/logs/figures/context.log",
    benchmark:
        f"{RUN}/benchmarks/figures/context.tsv"
    params:
        module="context",
        numbers=caption_numbers,


use rule figure_inputs as figure_calibration with:
    input:
        **{part.replace("-", "_"): f"{RUN}/predictions/{EDNN}-ensemble-{part}.csv" for part in CALIBRATED},
        code=figure_code("calibration"),
    output:
        **figure_files("calibration", "Accuracy", "the ensemble's uncertainty against its error"),
    log:
        f"{RUN}/logs/figures/calibration.log",
    benchmark:
        f"{RUN}/benchmarks/figures/calibration.tsv"
    params:
        module="calibration",
        settings={"trainings": config["studies"]["seeds"]},
        numbers=caption_numbers,
        labels=what_labels_are(),


use rule figure_inputs as figure_convergence with:
    input:
        convergence=f"{RUN}/reference/convergence.csv",
        code=figure_code("convergence"),
    output:
        **figure_files("convergence", "Accuracy", "what the DFT settings cost"),
    log:
        f"{RUN}/logs/figures/convergence.log",
    benchmark:
        f"{RUN}/benchmarks/figures/convergence.tsv"
    params:
        module="convergence",
        numbers=caption_numbers,


use rule figure_inputs as figure_components with:
    input:
        components=f"{RUN}/predictions/{EDNN}-components.csv",
        code=figure_code("components"),
    output:
        **figure_files("components", "Accuracy", "parts of the energy"),
    log:
        f"{RUN}/logs/figures/components.log",
    benchmark:
        f"{RUN}/benchmarks/figures/components.tsv"
    params:
        module="components",
        numbers=caption_numbers,


use rule figure_inputs as figure_scaling with:
    input:
        dft=f"{RUN}/timings/dft.csv",
        networks=f"{RUN}/timings/networks.csv",
        exponents=f"{RUN}/timings/exponents.json",
        sheet=f"{RUN}/timings/sheet.csv",
        model=f"{RUN}/models/{EDNN}.json",
        record=f"{RUN}/timings/networks-hardware.json",
        code=figure_code("scaling"),
    output:
        **figure_files("scaling", "Speed", "time against number of atoms"),
    log:
        f"{RUN}/logs/figures/scaling.log",
    benchmark:
        f"{RUN}/benchmarks/figures/scaling.tsv"
    params:
        module="scaling",
        numbers=caption_numbers,


use rule figure_inputs as figure_dimers with:
    input:
        **{
            f"dimers_{config['structures']['dimers'][name]['dimensions']}d": f"{RUN}/predictions/cnn-{name}.csv"
            for name in DIMERS
        },
        code=figure_code("dimers"),
    output:
        **figure_files("dimers", "Model systems", "Lennard-Jones dimers"),
    log:
        f"{RUN}/logs/figures/dimers.log",
    benchmark:
        f"{RUN}/benchmarks/figures/dimers.tsv"
    params:
        module="dimers",
        numbers=caption_numbers,


use rule figure_inputs as figure_ising with:
    input:
        **{f"lattice_{length}": f"{RUN}/predictions/ednn-ising-{length}.csv" for length in ISING},
        code=figure_code("ising"),
    output:
        **figure_files("ising", "Model systems", "Ising lattices"),
    log:
        f"{RUN}/logs/figures/ising.log",
    benchmark:
        f"{RUN}/benchmarks/figures/ising.tsv"
    params:
        module="ising",
        numbers=caption_numbers,
