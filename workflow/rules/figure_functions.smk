"""What figures.smk uses to name a figure's files, code and numbers."""

import json


def figure_files(figure: str, category: str, subject: str) -> dict:
    """Outputs of a figure; its PNG goes into the report, captioned with its own numbers."""
    stem = f"{RUN}/figures/{figure}"
    picture = report(
        f"{stem}.png",
        caption=f"../report/{figure}.rst",
        category=category,
        labels={"figure": figure, "shows": subject},
    )
    return {
        "png": picture,
        "pdf": f"{stem}.pdf",
        "csv": f"{stem}.csv",
        "numbers": f"{DATA}/{figure}-numbers.json",
    }


def figure_code(module: str) -> list[str]:
    """Modules that one figure is drawn by: an edit redraws that figure alone."""
    return code("figure.py", f"extensive.figures.{module}")


def caption_numbers(wildcards, output) -> dict:
    """Numbers that a figure's caption quotes, once it is drawn. Derived from an output, so never a reason to rerun."""
    path = Path(output.numbers)
    return json.loads(path.read_text()) if path.is_file() else {}


def what_labels_are() -> str:
    """A sentence for captions of accuracy figures; none where all labels are the user's own."""
    if not GENERATED:
        return ""
    return f"DFT is GPAW: {DFTSettings.from_config(config['reference']['dft']).in_words()}."


def predicted(model: str, *parts: str) -> dict:
    """Predictions of a model by set, of those that it is asked about, named as Python names."""
    return {
        part.replace("-", "_"): f"{RUN}/predictions/{model}-{part}.csv"
        for part in parts
        if part in (sets_of(model) if model in TRAINED else PRESENT)
    }


def beside_learning_curves() -> dict:
    """The published model's predictions and, where the labels have the settings that were studied, their noise."""
    study = Path("results/published/tables/convergence.csv")
    noise = {"convergence": str(study)} if PRODUCTION and study.is_file() else {}
    sets = ("test", "independent-md", "supercells", keys.TEACHER_TEST, keys.TEACHER_INDEPENDENT_MD)
    return predicted(EDNN, *sets) | noise


def claimed(seed: int) -> dict:
    """What the claims are computed from: the published models or, of another seed, what the studies trained."""
    other = {
        m.base: m.model
        for m in study_members(trainings.SEEDS)
        if m.seed == config["models"][m.base]["training"]["seed"] + seed
    }
    suffix = f"-seed{seed}" if seed else ""
    models = {model: model if seed == 0 else other.get(model, f"{model}{suffix}") for model in MODELS}
    return {
        "run": RUN,
        "cnn": models.get(CNN, CNN),
        "ednn": models.get(EDNN, EDNN),
        "dimers": {
            f"{config['structures']['dimers'][name]['dimensions']}D": f"cnn-{name}{suffix}" for name in DIMERS
        },
        "ising": {length: f"ednn-ising{suffix}-{length}" for length in ISING},
        "others": {model: models[model] for model in MODELS if model not in (CNN, EDNN, *STAGES)},
    }


def done_studies(wildcards) -> list[str]:
    """The ensemble for the claims: where the run trains all of it in any case, or where a study left it."""
    anyway = {*MODELS, *trainings.needed_by_teachers(config, TRAINED)}
    if all(m.model in anyway for m in study_members(trainings.SEEDS) if m.base in SYMMETRIC):
        return ENSEMBLE_OF_AVERAGES
    return [file for file in ENSEMBLE_OF_AVERAGES if Path(file).is_file()]
