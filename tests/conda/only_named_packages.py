"""In a stand-in environment, packages that its file does not name cannot be imported."""

import sys
from pathlib import Path

# Module of each package that Snakemake itself does without; the others it needs inside every job.
MODULES = {
    "ase": "ase",
    "gpaw": "gpaw",
    "h5py": "h5py",
    "matplotlib-base": "matplotlib",
    "pandas": "pandas",
    "pytorch": "torch",
    "scipy": "scipy",
    "seaborn-base": "seaborn",
    "tqdm": "tqdm",
    "typer": "typer",
}
installed = {file.name for file in (Path(__file__).resolve().parents[2] / "share" / "stand-in").iterdir()}
missing = {module: package for package, module in MODULES.items() if package not in installed}


class NotInTheEnvironment:
    """Finder that refuses what is missing."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in missing:
            raise ModuleNotFoundError(f"this environment's file does not name {missing[name]}", name=name)


sys.meta_path.insert(0, NotInTheEnvironment)
