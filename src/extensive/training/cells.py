"""Which cells a network takes: refused before any job is what training or evaluation would refuse after all labels.

Only networks of convolutional tiles take sheets on sheared pixels (`images.placement`). All others, and files of
images, need cells a few of which make a rectangle.
"""

from collections.abc import Mapping
from typing import Any

from extensive import keys
from extensive.config.plan import seed_of
from extensive.errors import InputError
from extensive.images.placement import choose_grid
from extensive.structures.cells import RECTANGULAR
from extensive.structures.datasets import generate_dataset
from extensive.structures.frame import frame_of
from extensive.training.splits import LEARNED, learns_from

Config = dict[str, Any]


def check_cells(config: Config, models: Mapping[str, Config], tested: bool = True) -> None:
    """Raise InputError for a generated data set that a network would be given and whose cells it does not take.

    `config` is a whole configuration, `models` entries like those of its `models`, by name. `tested`: whether they are
    asked about all test sets, and not only trained. A user's own files are looked at when they are read.
    """
    refused: dict[str, bool] = {}
    for name, spec in config["structures"]["datasets"].items():
        if spec["files"] or spec["cell"] == RECTANGULAR:
            continue
        for model, entry in models.items():
            learned = _learned(name, spec, entry)
            asked = tested and _asked(spec, entry)
            if not (learned and _learns_from_rectangles(entry)) and not asked:
                continue
            if name not in refused:
                refused[name] = not _have_rectangles(config, name)
            if refused[name]:
                raise InputError(f"models.{model}: {_words(name, entry, learned, asked)}")


def takes_rectangles_only(model: Config) -> bool:
    """Whether a network takes no sheared pixels; see `models.Potential.grid_of`."""
    return (model["network"], model["tile_network"]) != ("ednn", "convolutional")


def _learns_from_rectangles(model: Config) -> bool:
    return takes_rectangles_only(model) or model["training"]["augmentation"] is None


def _learned(name: str, spec: Config, model: Config) -> bool:
    """Whether a training is given a data set, to learn from or to be validated on."""
    training = model["training"]
    given = training["teacher_labels"] or not spec["teacher"]
    return given and spec["set"] in LEARNED and learns_from(name, training["exclude"], training["only"])


def _asked(spec: Config, model: Config) -> bool:
    """Whether a network that takes rectangles only is asked about a data set, which `exclude` does not change."""
    left_out = {keys.TRAIN, keys.CHIRAL_CELLS, *(keys.OTHER_CELLS if model["network"] == "cnn" else ())}
    if spec["teacher"]:
        left_out.add(keys.VALIDATION)
        if not model["training"]["teacher_labels"]:
            return False
    return takes_rectangles_only(model) and spec["set"] not in left_out


def _have_rectangles(config: Config, name: str) -> bool:
    """Whether the sheets of a data set have a small rectangle, by the first two of each family.

    Of the others only strains, displacements and shapes differ; of pristine ones the first is not strained.
    """
    spec = config["structures"]["datasets"][name]
    families = 1 if isinstance(spec["family"], str) else len(spec["family"])
    few = {**spec, "count": min(spec["count"], 2 * families)}
    sheets = generate_dataset(name, few, seed_of(config, name), config["structures"]["lattice_constants_A"])
    # The size of pixels, and the direction of zigzag rows, have no part in it.
    return all(choose_grid(frame_of(sheet), 1.0, 1, can_shear=False) is not None for sheet in sheets)


def _words(name: str, model: Config, learned: bool, asked: bool) -> str:
    if model["network"] == "cnn":
        takes = "a cnn takes"
    elif takes_rectangles_only(model):
        takes = f"an ednn of tile_network: {model['tile_network']} takes"
    else:
        takes = "fixed images (training.augmentation: null) are of"
    remedy = f"leave it out with training.exclude: [{name}]"
    if asked:
        remedy = f"give it set: {keys.CHIRAL_CELLS}, which this network is not asked about"
        if learned:
            remedy = f"give it set: {keys.TRAIN} and leave it out with training.exclude: [{name}]"
    return f"{takes} cells that have a small rectangle only, and those of data set {name!r} have none; {remedy}"
