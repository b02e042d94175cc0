"""MACE models (Batatia and others, NeurIPS 2022), trained by their own program on the same labels."""

import os
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.io import atomic_path, digest, read_json
from extensive.peers.sheets import finished, timed, with_height
from extensive.structures.frame import frame_of

# Of the program's files; a configuration may have several models, each in its own folder.
NAME = "mace"


def command(settings: dict[str, Any], folder: Path, seed: int) -> list[str]:
    """Arguments of MACE's training program. Its defaults, but for size, length and what is named here.

    Its default weights (1 and 100 until the second stage) left energies 75 meV/atom off: equal ones fit both.
    """
    options = {
        "name": NAME, "seed": seed, "work_dir": folder, "train_file": folder / "train.xyz",
        "valid_file": folder / "validation.xyz", "energy_key": keys.REF_ENERGY, "forces_key": keys.REF_FORCES,
        "E0s": "average", "model": "MACE", "num_channels": settings["channels"], "max_L": settings["max_L"],
        "r_max": settings["cutoff_A"], "num_interactions": settings["layers"], "batch_size": settings["batch_size"],
        "valid_batch_size": settings["batch_size"], "max_num_epochs": settings["epochs"],
        "eval_interval": max(1, settings["epochs"] // 20), "device": "cpu", "default_dtype": "float32",
        "energy_weight": 100.0, "forces_weight": 100.0, "start_stage_two": settings["epochs"] * 3 // 4, "plot": False,
    }  # fmt: skip
    flags = ["--stage_two", "--ema", "--restart_latest"]
    return [sys.executable, "-m", "mace.cli.run_train", *(f"--{key}={value}" for key, value in options.items()), *flags]


def stamp(settings: dict[str, Any], seed: int, labels: Mapping[str, str]) -> str:
    """Digest of all that a training depends on: options, the texts that MACE reads, MACE and torch."""
    import mace

    versions = [mace.__version__, torch.__version__]
    return digest({"options": command(settings, Path(), seed)[1:], "labels": dict(labels), "versions": versions})


def train(
    training: Sequence[Atoms],
    validation: Sequence[Atoms],
    settings: dict[str, Any],
    folder: str | Path,
    model: str | Path,
    seed: int = 0,
    threads: int = 1,
) -> dict[str, Any]:
    """Train on labelled sheets and write `model`; what `timed` says of the training.

    Each training has a folder of its own in `folder`, named by its stamp. It goes on from MACE's last checkpoint there;
    one that has finished is not run again. Raises InputError if MACE is not installed or its program fails; what it
    said is in that folder's output.txt.
    """
    try:
        import mace  # noqa: F401 - the program below is its
    except ImportError:
        raise InputError("mace is not installed; baselines need the extra: envs/setup.sh bench") from None
    labels = {"train": _text(training), "validation": _text(validation)}
    work = Path(folder) / stamp(settings, seed, labels)[:16]
    record, written = work / "seconds.json", work / f"{NAME}_stagetwo.model"
    if not (finished(record) and written.is_file()):
        work.mkdir(parents=True, exist_ok=True)
        for name, text in labels.items():
            (work / f"{name}.xyz").write_text(text)
        with timed(record, threads):
            _run(command(settings, work, seed), work, written, threads)
    with atomic_path(model) as temporary:
        temporary.write_bytes(written.read_bytes())
    return read_json(record)


def _text(structures: Sequence[Atoms]) -> str:
    """Labelled sheets as MACE reads them, in extended XYZ."""
    stream = StringIO()
    ase.io.write(stream, [with_height(atoms) for atoms in structures], format="extxyz")
    return stream.getvalue()


def _run(program: list[str], work: Path, written: Path, threads: int) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with (work / "output.txt").open("a") as output:
        status = subprocess.run(program, env=environment, stdout=output, stderr=subprocess.STDOUT).returncode
    if status or not written.is_file():
        raise InputError(f"MACE's training ended with {status}; see {work}/output.txt")


class Mace:
    """A trained model on the CPU, in float32."""

    number_types = ("float32", "float32")

    def __init__(self, model: str | Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mace.calculators import MACECalculator

            self._calculator = MACECalculator(model_paths=str(model), device="cpu", default_dtype="float32")

    def energy(self, atoms: Atoms) -> float:
        """Energy (eV) alone, without the derivative that the calculator always takes."""
        model = self._calculator.models[0]
        batch = self._calculator._atoms_to_batch(with_height(atoms)).to_dict()
        numbers = next(model.parameters()).dtype
        batch = {
            key: value.to(numbers) if torch.is_tensor(value) and value.is_floating_point() else value
            for key, value in batch.items()
        }
        with torch.no_grad():
            return float(model(batch, compute_force=False)["energy"])

    def energy_and_forces(self, atoms: Atoms) -> tuple[float, np.ndarray]:
        """Energy (eV) and forces (N, 3) (eV/Angstrom; zero out of the plane) in the user's axes."""
        self._calculator.calculate(with_height(atoms), ["energy", "forces"])
        found = self._calculator.results
        return float(found["energy"]), frame_of(atoms).back(found["forces"][:, :2])
