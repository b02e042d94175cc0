"""What all stages share: the checked configuration, the run's folder, and the code that a stage depends on."""

import math
import os
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
# Results, the archive and profiles are named from here.
if Path.cwd().resolve() != ROOT.resolve():
    raise WorkflowError(f"the working directory is {Path.cwd()}; start snakemake in {ROOT}")
# The package is used from the source tree, also where it is not installed (a conda environment on a node).
sys.path.insert(0, str(ROOT / "src"))
# Scripts are processes of their own and inherit it.
os.environ.update(PYTHONPATH=str(ROOT / "src"))

from extensive import keys
from extensive.config import complete_config, merged
from extensive.config.load import with_base, with_image_files
from extensive.config.provenance import code_of
from extensive.errors import InputError
from extensive.paths import MODELS as PUBLISHED_MODELS
from extensive.paths import archive_folder, initial_weights
from extensive.training.splits import check_patterns, learns_from

# Where files are looked for that are not found from the working directory.
CONFIG_FOLDER = Path(workflow.configfiles[-1]).parent if workflow.configfiles else Path(".")
try:
    # In place: rules and captions read `config`, and Snakemake keeps that very object.
    config.update(complete_config(with_base(config, CONFIG_FOLDER), source="config"))
except InputError as error:
    raise WorkflowError(str(error)) from None
with_image_files(config, CONFIG_FOLDER)
RUN = f"results/{config['run']}"
# Folder of the labels that are known already; None where all are computed.
ARCHIVE = archive_folder(config["reference"]["labels"]["archive"])
# Whether the labels have the published ones' settings: what is published of labels then holds for the run's.
PRODUCTION = config["reference"]["dft"] == complete_config({})["reference"]["dft"]
# Networks run on a GPU where the configuration asks for one; see profiles/ for how a site grants it.
TORCH_ENV = "../../envs/torch-cuda.yaml" if config["device"] == "cuda" else "../../envs/torch-cpu.yaml"

# One image for all jobs, used with `--sdm apptainer`; see envs/extensive.def.
IMAGE = os.environ.get("EXTENSIVE_CONTAINER")
if IMAGE:

    container: IMAGE


def code(script: str, *modules: str) -> list[str]:
    """Code that a script imports, directly or through others, as input files; `modules` it imports by computed names.

    Snakemake tracks the script of a rule but not what it imports; naming that as inputs makes an edit rerun the rules
    that use it, and what follows, and nothing else.
    """
    files = code_of(ROOT / "workflow" / "scripts" / script, ROOT / "src", "extensive", *modules)
    return [str(file.relative_to(ROOT)) for file in files]


def archived(*datasets: str) -> list[str]:
    """Files of the archive that labels of these data sets are looked up in: labels added there are labels seen."""
    files = [ARCHIVE / f"{dataset}.extxyz.gz" for dataset in datasets] if ARCHIVE else []
    return [str(file) for file in files if file.is_file()]


def growing(amount):
    """A resource that every attempt at a job asks for more of: an amount, or a function of wildcards that gives it."""
    first = amount if callable(amount) else (lambda wildcards: amount)
    return lambda wildcards, attempt: attempt * first(wildcards)


def result(path: str) -> str:
    """A file of this run."""
    return f"{RUN}/{path}"


def one_of(names) -> str:
    """Wildcard pattern that matches these names and, where there are none, nothing."""
    return "|".join(map(str, names)) or "(?!)"


def chunks_of(dataset: str) -> list[int]:
    """Numbers of the jobs that a data set's labels are cut into."""
    return list(range(chunk_count(config["structures"]["datasets"][dataset], LABELS["chunk_size"])))


def convergence_files(wildcards: object) -> list[str]:
    """One file of labels for each point of the convergence study."""
    try:
        count = len(
            points(config["reference"]["convergence"], DFTSettings.from_config(config["reference"]["dft"]))
        )
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return [f"{RUN}/reference/convergence/{point}.extxyz" for point in range(count)]


def fixed_images(model: str) -> list[str]:
    """Image files that a cnn learns from; none where the atoms are moved anew for every epoch.

    Images of a file have one shape, and those of an ednn the shapes of their cells: its training makes them.
    """
    entry = TRAINED[model]
    if entry["network"] != "cnn" or entry["training"]["augmentation"] is not None:
        return []
    return expand(result("raster/{dataset}.h5"), dataset=given_to(model))


def given_to(model: str) -> list[str]:
    """Data sets that a training learns from or is validated on: a teacher's too, if it asks for them."""
    exclude, only = (TRAINED[model]["training"][key] for key in ("exclude", "only"))
    given = GIVEN + (TAUGHT_GIVEN if model in STUDENTS else [])
    return [name for name in given if learns_from(name, exclude, only)]


def splits_of(taught: bool) -> str:
    """Which structure is in which set: of those that DFT labelled, or of those that a teacher did as well."""
    return result("splits-taught.json" if taught else "splits.json")


def model_files(name: str, where: str) -> list[str]:
    """Weights of a network, and what describes them: one of this run's, a published one, or a file."""
    if name in TRAINED:
        stem = result(f"models/{name}")
    else:
        stem = name.removesuffix(".pt") if name.endswith(".pt") else str(PUBLISHED_MODELS / name)
        if not Path(f"{stem}.pt").is_file():
            raise WorkflowError(
                f"{where}: {name!r} is no model of this configuration, no published one and no file"
            )
    return [f"{stem}.pt", f"{stem}.json"]


def teachers_of(dataset: str) -> list[str]:
    """Weights, and what describes them, of the networks that label a data set."""
    files = []
    where = f"structures.datasets.{dataset}.teacher.models"
    for name in TAUGHT[dataset]["models"]:
        if name in STUDENTS:
            raise WorkflowError(f"{where}: {name!r} learns from a teacher's labels itself")
        files += model_files(name, where)
    return files


def begun_weights(model: str) -> list[str]:
    """Weights, and what describes them, that a model's training goes on from; none for a new one.

    A name among the configuration's models is its training of the same seed, in this run.
    """
    training = TRAINED[model]["training"]
    first, seed = training["initial_weights"], training["seed"]
    if begun := trainings.begun_from(config, training):
        if begun == model or begun not in TRAINED:
            raise WorkflowError(
                f"models.{model}.training.initial_weights: {first!r} has no training of seed {seed} to go on from; "
                "studies.ensembles trains a model with every seed"
            )
        return [result(f"models/{begun}.pt"), result(f"models/{begun}.json")]
    first = initial_weights(training)
    return [first, str(Path(first).with_suffix(".json"))] if first else []


def training_of(model: str) -> dict:
    """A model's entry with the file of the weights that its training goes on from."""
    first = begun_weights(model)
    return merged(TRAINED[model], {"training": {"initial_weights": first[0]}}) if first else TRAINED[model]


def data_sets(part: str) -> list[str]:
    """Data sets that have members in a set: its own, and the development ones that are split into three."""
    own = {part, "development"} if part in ("train", "validation", "test") else {part}
    return [name for name in SHEETS if SET_OF[name] in own and name not in TAUGHT]


def evaluated_on(model: str, part: str) -> list[str]:
    """Data sets that hold a set that a model is asked about: DFT's, or a teacher's where the set says so."""
    if part in TAUGHT_SETS:
        own = {"teacher-test": ("development", "test")}.get(part) or ("independent-md",)
        return [name for name in TAUGHT if SET_OF[name] in own]
    if part == keys.VALIDATION:
        return validated_on(model)
    return data_sets(part) + (TAUGHT_GIVEN if part == "train" and model in STUDENTS else [])


def validated_on(model: str) -> list[str]:
    """DFT's validation data sets that a model is judged by: those that its training takes.

    A network that learned from a teacher's labels alone takes none, and is judged as its teacher.
    """
    given = given_to(model)
    found = [name for name in data_sets("validation") if name in given]
    teachers = [
        teacher
        for name in given
        if name in TAUGHT
        for teacher in TAUGHT[name]["models"]
        if teacher in TRAINED
    ]
    if found or not teachers:
        return found or data_sets("validation")
    return validated_on(teachers[0])


def sets_of(model: str) -> list[str]:
    """A cnn takes one size of image, so larger cells and those of other shapes are not for it.

    Cells at an angle to the lattice are for networks of convolutional tiles alone; see extensive.models.Potential.lay.
    A network that learned from a teacher's labels is asked about what the teacher labelled too. One that another goes
    on from is no result, and meets no test set.
    """
    if model in STAGES:
        return []
    entry = TRAINED[model]
    left_out = set() if entry["network"] == "ednn" else set(keys.OTHER_CELLS)
    if entry["tile_network"] != "convolutional":
        left_out.add(keys.CHIRAL_CELLS)
    own = TAUGHT_SETS if model in STUDENTS else []
    return [part for part in [*PRESENT, *own] if part not in left_out]


def cells_of(wildcards) -> list[int]:
    """Supercell that a timing's name says."""
    return [int(count) for count in wildcards.supercell.split("x")]


def study_members(study: str) -> list:
    """Trainings that a study asks for."""
    return [member for member in STUDIES if member.study == study]


def study_sets(study: str, member) -> list[str]:
    """Sets that a member of a study is judged on."""
    return [part for part in SETS_OF_STUDY[study] if part in sets_of(member.model)]


# What follows the name of a model system's network that was trained from another seed.
REPLICA = r"|-seed[1-9]\d*"


def replica_number(wildcards) -> int:
    """Which training of the same network it is; 0 is the one that is published."""
    return int(wildcards.replica.removeprefix("-seed") or 0)


def on_cluster() -> bool:
    """Whether jobs go to a scheduler (or this is one of them) and not to this machine."""
    return bool(workflow.resource_settings.nodes or workflow.remote_exec)


def alone(threads: int) -> int:
    """All cores of a local run, so that nothing runs beside a timing; on a cluster, the cores that are timed."""
    cores = 0 if on_cluster() else workflow.resource_settings.cores or 0
    return max(threads, cores) if config["timing"]["alone"] else threads


wildcard_constraints:
    dataset=r"[a-z0-9][a-z0-9-]*",
    model=r"[a-z0-9][a-z0-9-]*",
    set=r"[a-z0-9][a-z0-9-]*",
    figure=r"[a-z0-9][a-z0-9-]*",
    chunk=r"\d+",


localrules:
    all,


def peer_models(wildcards) -> dict:
    """Weights of the networks that are compared, what is said of their trainings, and what bfloat16 rounds of them."""
    for name in PEERS["models"]:
        if name not in MODELS:
            raise WorkflowError(
                f"peers.models: {name!r} is not among models of sheets; there are {', '.join(MODELS)}"
            )
    return {
        "models": [result(f"models/{name}.pt") for name in PEERS["models"]],
        "descriptions": [result(f"models/{name}.json") for name in PEERS["models"]],
        "rounding": [result(f"models/{name}-rounding.json") for name in PEERS["models"] if name in FUSED],
    }


def peer_labels(wildcards) -> list[str]:
    """Labels by DFT that the first of the compared networks learns from, or is validated on: baselines do so too."""
    return [result(f"reference/{name}.extxyz") for name in given_to(PEERS["models"][0]) if name not in TAUGHT]
