"""Which sheets a network takes: refused before any job is what training or evaluation would refuse after all labels.

Only networks of convolutional tiles take sheets on sheared pixels (`images.placement`). All others, and files of
images, need cells a few of which make a rectangle. And a network knows the elements that it learned from alone.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ase import Atoms

from extensive import keys
from extensive.config.plan import seed_of
from extensive.errors import InputError
from extensive.images.placement import choose_grid
from extensive.structures.cells import RECTANGULAR
from extensive.structures.datasets import generate_dataset
from extensive.structures.frame import frame_of
from extensive.training.splits import LEARNED, learns_from

Config = dict[str, Any]
# As many sheets of each family show what there is in a data set, unless defects are drawn from several elements.
FEW = 2


def check_cells(config: Config, models: Mapping[str, Config], tested: bool = True) -> None:
    """Raise InputError for a generated data set that a network would be given and whose cells or elements it does not
    take.

    `config` is a whole configuration, `models` entries like those of its `models`, by name. `tested`: whether they are
    asked about all test sets, and not only trained. A user's own files are looked at when they are read.
    """
    refused: dict[str, bool] = {}
    for name, spec in config["structures"]["datasets"].items():
        if spec["files"] or spec["cell"] == RECTANGULAR:
            continue
        for model, entry in models.items():
            learned = _learned(name, spec, entry)
            asked = tested and takes_rectangles_only(entry) and _asked(spec, entry)
            if not (learned and _learns_from_rectangles(entry)) and not asked:
                continue
            if name not in refused:
                refused[name] = not _have_rectangles(config, name)
            if refused[name]:
                raise InputError(f"models.{model}: {_words(name, entry, learned, asked)}")
    for model, entry in models.items():
        _check_elements(config, model, entry, tested)


def _check_elements(config: Config, model: str, entry: Config, tested: bool) -> None:
    """Refuse a data set with an element that none is learned from has, where generated ones are all that is known."""
    datasets = config["structures"]["datasets"]
    given = [name for name, spec in datasets.items() if _learned(name, spec, entry)]
    learned = [name for name in given if datasets[name]["set"] != keys.VALIDATION]
    if not learned or entry["training"]["initial_weights"] or any(datasets[name]["files"] for name in learned):
        return  # what weights know and files have, the training looks at
    families = {family for name in learned for family in _families(datasets[name])}
    for name, spec in datasets.items():
        asked = tested and spec["set"] != keys.VALIDATION and _asked(spec, entry)
        if spec["files"] or not (name in given or asked) or families.issuperset(_families(spec)):
            continue
        found = _elements(_sheets(config, name, FEW))
        # All sheets, which may be many, are made only where a few do not say enough.
        for count in (FEW, None):
            strange = sorted(found - _elements([sheet for other in learned for sheet in _sheets(config, other, count)]))
            if not strange:
                break
        else:
            raise InputError(
                f"models.{model}: data set {name!r} (set: {spec['set']}) has {strange[0]}, which no data set has that"
                f" this network is trained on; give it one with {strange[0]}, or leave {name!r} out"
            )


def _elements(sheets: Iterable[Atoms]) -> set[str]:
    return {symbol for sheet in sheets for symbol in sheet.get_chemical_symbols()}


def _families(spec: Config) -> list[str]:
    return [spec["family"]] if isinstance(spec["family"], str) else list(spec["family"])


def _sheets(config: Config, name: str, each: int | None) -> list[Atoms]:
    """Sheets of a data set without labels: as many as `each` of a family, or all."""
    spec = config["structures"]["datasets"][name]
    count = spec["count"] if each is None else min(spec["count"], each * len(_families(spec)))
    constants = config["structures"]["lattice_constants_A"]
    return generate_dataset(name, {**spec, "count": count}, seed_of(config, name), constants)


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
    """Whether a network is asked about a data set after its training, which `exclude` does not change."""
    left_out = {keys.TRAIN, *(keys.OTHER_CELLS if model["network"] == "cnn" else ())}
    if takes_rectangles_only(model):
        left_out.add(keys.CHIRAL_CELLS)
    if spec["teacher"]:
        left_out.add(keys.VALIDATION)
        if not model["training"]["teacher_labels"]:
            return False
    return spec["set"] not in left_out


def _have_rectangles(config: Config, name: str) -> bool:
    """Whether the sheets of a data set have a small rectangle, by the first two of each family.

    Of the others only strains, displacements and shapes differ; of pristine ones the first is not strained.
    """
    # The size of pixels, and the direction of zigzag rows, have no part in it.
    sheets = _sheets(config, name, FEW)
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
