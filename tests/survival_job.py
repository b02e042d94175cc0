"""One script of the workflow, run as Snakemake runs it: python survival_job.py JOB.json

Says "begin" when its libraries are loaded, so that who kills it can aim at the work itself.
"""

import importlib
import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace


class Named(dict):
    """Snakemake's lists with names: x.name, x["name"], x[0], x.get("name")."""

    def __getattr__(self, name):
        return self[name]

    def __getitem__(self, key):
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    for name in job["imports"]:
        importlib.import_module(name)
    for name, value in job["settings"].items():
        module, _, attribute = name.rpartition(".")
        setattr(importlib.import_module(module), attribute, value)
    parts = {name: Named(job[name]) for name in ("input", "output", "params", "wildcards")}
    # Declared outputs are deleted before a job.
    for output in parts["output"].values():
        Path(output).unlink(missing_ok=True)
        Path(output).parent.mkdir(parents=True, exist_ok=True)
    snakemake = SimpleNamespace(**parts, rule="job", log=["job.log"], threads=1, resources=Named())
    # As Snakemake does, for what scripts share.
    sys.path.append(str(Path(job["script"]).parent))
    print("begin", flush=True)
    runpy.run_path(job["script"], init_globals={"snakemake": snakemake})


if __name__ == "__main__":
    main()
