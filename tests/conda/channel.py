"""Writes channels.yaml out as a channel on disk: tiny packages that a real solver and installer accept."""

import hashlib
import io
import json
import re
import sys
import tarfile
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
# The stand-in for Python is the interpreter that runs the tests, less what the environment does not name.
PYTHON = """#!/bin/sh
prefix=$(cd "$(dirname "$0")/.." && pwd)
PYTHONPATH="$prefix/lib/stand-in${{PYTHONPATH:+:$PYTHONPATH}}" exec {python} "$@"
"""


def write_channels(folder: Path, recorded: dict | None = None) -> Path:
    """Make file:// channels under `folder`; returns it."""
    recorded = recorded or yaml.safe_load((HERE / "channels.yaml").read_text())
    for channel, records in recorded.items():
        platform = folder / channel / "linux-64"
        platform.mkdir(parents=True)
        index = {}
        for line, depends in records.items():
            name, version, build = line.split()
            file = f"{name}-{version}-{build}.tar.bz2"
            number = int(re.search(r"^\d+|\d+$", build)[0])
            entry = {
                "name": name,
                "version": version,
                "build": build,
                "build_number": number,
                "depends": depends,
            }
            content = package(entry)
            (platform / file).write_bytes(content)
            hashes = {kind: hashlib.new(kind, content).hexdigest() for kind in ("md5", "sha256")}
            index[file] = {**entry, **hashes, "size": len(content), "subdir": "linux-64"}
        repodata = {
            "info": {"subdir": "linux-64"},
            "packages": index,
            "packages.conda": {},
            "repodata_version": 1,
        }
        (platform / "repodata.json").write_text(json.dumps(repodata))
        (folder / channel / "noarch").mkdir()
        empty = {**repodata, "info": {"subdir": "noarch"}, "packages": {}}
        (folder / channel / "noarch" / "repodata.json").write_text(json.dumps(empty))
    return folder


def package(entry: dict) -> bytes:
    """A package that says what it is and, for Python, holds the stand-in."""
    files = {f"share/stand-in/{entry['name']}": (f"{entry['version']}\n".encode(), 0o644)}
    if entry["name"] == "python":
        files["bin/python"] = (PYTHON.format(python=sys.executable).encode(), 0o755)
        files["lib/stand-in/sitecustomize.py"] = ((HERE / "only_named_packages.py").read_bytes(), 0o644)
    paths = [
        {
            "_path": name,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_in_bytes": len(content),
        }
        for name, (content, _) in files.items()
    ]
    files["info/index.json"] = (json.dumps({**entry, "subdir": "linux-64"}).encode(), 0o644)
    files["info/paths.json"] = (json.dumps({"paths": paths, "paths_version": 1}).encode(), 0o644)
    files["info/files"] = ("\n".join(path["_path"] for path in paths).encode(), 0o644)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2") as archive:
        for name, (content, mode) in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
