"""The one owner of where published things are. Paths are relative to the repository's root.

An installed package has no repository around it; it has the published networks that prediction uses inside.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

PUBLISHED = Path("results/published")
LABELS = PUBLISHED / "labels"
MODELS = PUBLISHED / "models"


def repository_root() -> Path:
    """The folder that holds the Snakefile, looked for upwards from this file, then from the working directory."""
    for start in (Path(__file__).resolve(), Path.cwd() / "x"):
        for folder in start.parents:
            if (folder / "Snakefile").is_file() and (folder / "workflow" / "rules").is_dir():
                return folder
    return Path.cwd()


def model_folders() -> list[Path]:
    """Folders that hold published models: the repository's and, of an installed package, its own."""
    inside = Path(str(files("extensive"))) / "published"
    return [folder for folder in (repository_root() / MODELS, inside) if folder.is_dir()]


def archive_folder(archive: bool | str) -> Path | None:
    """Folder of archived labels that `reference.labels.archive` means: the published ones, one's own, or none."""
    if isinstance(archive, str):
        return Path(archive).expanduser()
    return LABELS if archive else None


def initial_weights(training: Mapping[str, Any]) -> str | None:
    """Weights that a training (an entry of `models.<name>.training`) goes on from; None for random ones."""
    path = training["initial_weights"]
    return path and path.replace("{seed}", str(training["seed"]))
