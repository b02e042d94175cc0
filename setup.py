"""What pyproject.toml cannot say: a wheel holds copies of the published networks, which git holds once."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PUBLISHED = Path(__file__).parent / "results" / "published" / "models"
# The EDNN of all seeds, which prediction uses by default, and the fast one: small.
NETWORKS = tuple(
    f"{name}{end}" for name in ("ednn", "ednn-seed[0-9]", "ednn-fast") for end in (".pt", ".json", "-rounding.json")
)


class BuildWithNetworks(build_py):
    """Also copies the networks to where `extensive.paths` looks for them; an editable install finds the originals."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "extensive" / "published"
        target.mkdir(parents=True, exist_ok=True)
        for pattern in NETWORKS:
            for file in sorted(PUBLISHED.glob(pattern)):
                shutil.copy(file, target)


setup(cmdclass={"build_py": BuildWithNetworks})
