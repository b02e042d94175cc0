"""Several processes of one program on this machine, which find each other by themselves."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def torchrun(module: str, job: dict[str, Any], processes: int, threads: int | None = None) -> int:
    """Run `python -m MODULE JOB.json` in so many processes; their exit status.

    `threads` are those of each process; without it they follow from the environment, or torchrun sets one.
    """
    environment = None if threads is None else dict(os.environ, OMP_NUM_THREADS=str(threads))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job, default=os.fspath))
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        return subprocess.run([*command, "-m", module, str(path)], stderr=sys.stderr, env=environment).returncode
