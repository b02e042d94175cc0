"""Files that appear whole or not at all, digests, and extended XYZ."""

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms

from extensive.errors import InputError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path`, on failure it is removed.

    The temporary name ends with the same suffixes, so that writers that go by the suffix work. Links are followed. What
    is no regular file (a device, a pipe) is not replaced: it gets the bytes.
    """
    path = Path(path)
    # Asked of the link itself: that of a pipe (/dev/stdout) resolves to no path.
    special = path.exists() and not path.is_file()
    target = path if special else Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = None if special else target.parent
    handle, name = tempfile.mkstemp(dir=folder, prefix=".tmp-", suffix="-" + path.name)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if special:
            with temporary.open("rb") as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            return
        # mkstemp makes files private; results are as readable as any other file of the user's.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Read JSON; a missing or broken file is an InputError that names it."""
    try:
        return json.loads(Path(path).read_text())
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from error


def note(text: str) -> None:
    """Say something that the user should know of and that stops nothing: one line on stderr."""
    print(f"extensive: note: {' '.join(text.split())}", file=sys.stderr)


def digest(value: Any) -> str:
    """sha256 of a JSON-able value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: str | os.PathLike) -> str:
    """sha256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_structures(path: str | os.PathLike, structures: list[Atoms]) -> None:
    """Write extended XYZ (gzipped if the name ends in .gz) atomically and reproducibly to the bit."""
    with atomic_path(path) as temporary:
        if str(path).endswith(".gz"):
            plain = temporary.with_name(temporary.name.removesuffix(".gz"))
            try:
                _write_plain(plain, structures)
                # No time stamp or file name in the header: same structures, same bytes.
                with temporary.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as stream:
                    stream.write(plain.read_bytes())
            finally:
                plain.unlink(missing_ok=True)
        else:
            _write_plain(temporary, structures)


def _write_plain(path: Path, structures: list[Atoms]) -> None:
    if not structures:
        path.write_text("")
        return
    ase.io.write(path, structures, format="extxyz", write_results=False)


def read_structures(path: str | os.PathLike) -> list[Atoms]:
    """Read all structures of an extended XYZ file (plain or .gz).

    Raises InputError naming the file when it is missing, truncated or not extended XYZ.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected structures in extended XYZ")
    try:
        opener = gzip.open if path.name.endswith(".gz") else open
        # Editors put a byte-order mark first; ASE takes a blank line for the end.
        with opener(path, "rt", encoding="utf-8-sig") as stream:
            text = stream.read().lstrip()
        if not text:
            return []
        return ase.io.read(StringIO(text), index=":", format="extxyz")
    except InputError:
        raise
    except Exception as error:  # ASE and gzip raise many kinds for a broken file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not readable as extended XYZ ({reason})") from error
