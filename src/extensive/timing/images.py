"""Seconds of one energy by a network that was trained on a file of images."""

from pathlib import Path

import numpy as np
import torch

from extensive.models import load_model
from extensive.timing.hardware import hardware_label
from extensive.timing.measure import Timing, cells_of_atoms, median_seconds, write_timings
from extensive.training.image_files import read_labelled_images

# An ednn's timing repeats the first image so many times along both axes.
TIMED_REPEATS = (1, 2, 4, 8)


def time_images(model: str | Path, file: str | Path, repeats: int, path: str | Path) -> list[Timing]:
    """Seconds of one energy, image to energy, on the CPU; of an ednn also of larger, repeated images; writes a CSV."""
    data, potential = read_labelled_images(file), load_model(model)
    times = TIMED_REPEATS if potential.config.network == "ednn" else (1,)
    rows = []
    for copies in times:
        image = torch.from_numpy(np.tile(data.images[:1], (1, 1, copies, copies)))
        n_atoms = int(data.n_atoms[0]) * copies**2
        with torch.inference_mode():
            seconds, done = median_seconds(lambda image=image: float(potential.network(image)), repeats)
        size = (cells_of_atoms(n_atoms), n_atoms, seconds, done, torch.get_num_threads())
        rows.append(Timing(f"{potential.config.network}-image", "cpu", *size, hardware_label()))
    write_timings(path, rows)
    return rows
