"""Solve envs/*.yaml and write explicit lock files beside them, which Snakemake then installs to the letter.

    python envs/lock.py [--channels URL] [FILE.yaml ...]

Needs py-rattler (a solver without conda) and the channels. `--channels` is the address that channel names are
relative to, for mirrors. A GPU is assumed where an environment asks for one, so this runs on a login node.
"""

import argparse
import asyncio
from pathlib import Path

import yaml
from rattler import (
    BuildString,
    Channel,
    ChannelConfig,
    GenericVirtualPackage,
    PackageName,
    RepoDataRecord,
    Version,
    solve,
)

PLATFORM = "linux-64"
# The oldest cluster that is meant to work: glibc of 2018, a driver for CUDA 12.9.
VIRTUAL = {"__unix": "0", "__linux": "4.18", "__glibc": "2.28", "__cuda": "12.9"}


def match_spec(entry: str) -> str:
    """A dependency as rattler reads it: conda's name=version=build needs spaces and an exact version."""
    name, *rest = entry.split("=")
    return f"{name} =={rest[0]} {rest[1]}" if len(rest) == 2 else entry


def solve_file(path: Path, channels: str = "https://conda.anaconda.org") -> list[RepoDataRecord]:
    """Packages that conda would install for an environment file; SolverError says what is impossible."""
    environment = yaml.safe_load(path.read_text())
    where = ChannelConfig(channels.rstrip("/") + "/")
    names = [name for name in environment["channels"] if name != "nodefaults"]
    virtual = [
        GenericVirtualPackage(PackageName(name), Version(version), BuildString("0"))
        for name, version in VIRTUAL.items()
    ]
    return asyncio.run(
        solve(
            sources=[Channel(name, where) for name in names],
            # What pip is to install beside them is a mapping.
            specs=[match_spec(entry) for entry in environment["dependencies"] if isinstance(entry, str)],
            platforms=[PLATFORM, "noarch"],
            virtual_packages=virtual,
        )
    )


def explicit(records: list[RepoDataRecord]) -> str:
    """A lock file: the address and the hash of every package, dependencies first."""
    lines = sorted(f"{record.url}#{record.md5.hex()}" for record in records)
    return "\n".join([f"# platform: {PLATFORM}", "@EXPLICIT", *lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=sorted(Path(__file__).parent.glob("*.yaml")))
    parser.add_argument("--channels", default="https://conda.anaconda.org")
    options = parser.parse_args()
    for file in options.files:
        if any(isinstance(entry, dict) for entry in yaml.safe_load(file.read_text())["dependencies"]):
            print(f"{file}: left out; what pip installs beside conda cannot be pinned so")
            continue
        lock = file.with_suffix(f".{PLATFORM}.pin.txt")
        records = solve_file(file, options.channels)
        lock.write_text(explicit(records))
        print(f"{lock}: {len(records)} packages")


if __name__ == "__main__":
    main()
