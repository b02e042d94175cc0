"""One training job from files, in this process or, on several GPUs, by torchrun.

torchrun --nproc-per-node 2 -m extensive.training.launch JOB.json
"""

import json
import sys
from pathlib import Path
from typing import Any

from extensive import keys
from extensive.errors import InputError
from extensive.io import read_json, read_structures
from extensive.training.fit import train_model
from extensive.training.torchrun import torchrun


def train_files(job: dict[str, Any]) -> None:
    """Train as a mapping of `train_model`'s arguments says, `structures` and `splits` being paths of files."""
    job = dict(job)
    job["structures"] = [atoms for path in job["structures"] for atoms in read_structures(path)]
    # Data sets that the network does not learn from are not among the files.
    given = {atoms.info[keys.STRUCTURE_ID] for atoms in job["structures"]}
    splits = read_json(job["splits"])
    job["splits"] = {part: [member for member in members if member in given] for part, members in splits.items()}
    train_model(**job)


def launch(job: dict[str, Any], processes: int = 1) -> None:
    """Do a job with so many processes on this machine. Raises InputError if they end with an error."""
    if processes <= 1:
        train_files(job)
        return
    status = torchrun("extensive.training.launch", job, processes)
    if status:
        raise InputError(f"models.{job['name']}: training with {processes} processes ended with {status}")


if __name__ == "__main__":
    try:
        train_files(json.loads(Path(sys.argv[1]).read_text()))
    except InputError as error:
        sys.exit(f"train: {error}")
