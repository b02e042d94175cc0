"""One training job from files, in this process or, on several GPUs, by torchrun.

torchrun --nproc-per-node 2 -m extensive.training.launch JOB.json
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from extensive.errors import InputError
from extensive.io import read_json, read_structures
from extensive.training.fit import train_model


def train_files(job: dict[str, Any]) -> None:
    """Train as a mapping of `train_model`'s arguments says, `structures` and `splits` being paths of files."""
    job = dict(job)
    job["structures"] = [atoms for path in job["structures"] for atoms in read_structures(path)]
    job["splits"] = read_json(job["splits"])
    train_model(**job)


def launch(job: dict[str, Any], processes: int = 1) -> None:
    """Do a job with so many processes on this machine. Raises InputError if they end with an error."""
    if processes <= 1:
        train_files(job)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job, default=os.fspath))
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        # Libraries that a scheduler's launcher left a rank number for must not take it for theirs.
        ended = subprocess.run([*torchrun, "-m", "extensive.training.launch", str(path)], stderr=sys.stderr)
    if ended.returncode:
        raise InputError(f"models.{job['name']}: training with {processes} processes ended with {ended.returncode}")


if __name__ == "__main__":
    try:
        train_files(json.loads(Path(sys.argv[1]).read_text()))
    except InputError as error:
        sys.exit(f"train: {error}")
