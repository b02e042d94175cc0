"""One reader of structures for all verbs and the workflow: any format that ASE reads, known by its content first.

A name may mislead (`.data`, `.dat`, `.txt`) and ASE then reads the wrong format, or nothing. What the first lines say
of a format comes before what the name says.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from io import BytesIO, StringIO
from pathlib import Path
from typing import BinaryIO

import ase.db
import ase.io
import numpy as np
from ase import Atoms

from extensive.errors import InputError
from extensive.io import note, read_structures

EXTENDED_XYZ = (".extxyz", ".xyz", ".extxyz.gz", ".xyz.gz")
JSON = (".json", ".json.gz")
# Enough for both lines of elements of an XDATCAR that lists thousands of atoms one by one.
HEAD_BYTES = 200_000
LAMMPS_DATA, LAMMPS_DUMP, XYZ = "lammps-data", "lammps-dump-text", "extxyz"
# Styles of LAMMPS's atoms that ASE reads, by how many columns a line has before x: id, type and so on.
LAMMPS_STYLES = {2: "atomic", 3: "charge", 4: "full"}
MAGNETIC = ("initial_magmoms", "magmoms")
# Of a frame: what files call a lone atom in a box, by which they state the energy of free atoms.
ISOLATED = "isolated"


def read_any(path: str | Path) -> list[Atoms]:
    """All structures of a file in any format that ASE reads; InputError names the file and the reason.

    Magnetic moments are dropped, with a line that says so: labels and networks know none.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected structures in a format that ASE reads")
    form = format_of(path)
    try:
        structures = _read_as(path, form)
    except InputError:
        raise
    except Exception as error:  # ASE raises many kinds for a broken file
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        known = f"as {form}" if form else "as structures"
        raise InputError(f"{path}: not readable {known} ({reason})") from error
    structures = [structures] if isinstance(structures, Atoms) else list(structures)
    if not structures or not any(map(len, structures)):
        raise InputError(f"{path}: holds no structures")
    if any(_drop_moments(atoms) for atoms in structures):
        note(f"{path}: magnetic moments are dropped; labels are not spin-polarised, and networks know no spin")
    return structures


def format_of(path: Path) -> str | None:
    """ASE's name of a file's format as its first lines tell it; None where they do not, and its name must."""
    try:
        with _opened(path) as stream:
            head = stream.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if head.startswith(b"- of Ulm"):
        return "traj"
    if head.startswith(b"SQLite format 3"):
        return "db"
    text = head.decode("utf-8-sig", errors="replace")
    lines = text.splitlines()
    if not lines or "\0" in text:
        return None
    if lines[0].startswith("ITEM: "):
        return LAMMPS_DUMP
    if re.search(r"^\s*\d+\s+atoms\s*$", text, re.M) and re.search(r"\bxlo\s+xhi\b", text):
        return LAMMPS_DATA
    if re.search(r"^_cell_length_a\b", text, re.M):
        return "cif"
    if re.search(r"^[ \t]*Direct configuration=", text, re.M):
        return "vasp-xdatcar"
    # Before XYZ, since the title may be a number; no line of an atom in XYZ is three numbers.
    if len(lines) > 6 and _numbers(lines[1]) == 1 and all(_numbers(line) == 3 for line in lines[2:5]):
        return "vasp"
    if lines[0].strip().isdigit() and len(lines) > 1:
        return XYZ
    return None


def _opened(path: Path) -> BinaryIO:
    """The file's content, which is compressed where its name says so."""
    return gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")


def _numbers(line: str) -> int:
    """How many numbers a line is made of; 0 if of anything else."""
    try:
        return len([float(word) for word in line.split()])
    except ValueError:
        return 0


def _read_as(path: Path, form: str | None) -> list[Atoms] | Atoms:
    if form == XYZ or (form is None and path.name.endswith(EXTENDED_XYZ)):
        return read_structures(path)
    if form == LAMMPS_DATA:
        return _lammps_data(path)
    if form == LAMMPS_DUMP:
        return _lammps_dump(path)
    if form == "db" or (form is None and path.name.endswith(JSON)):
        return _database(path if form else StringIO(_content(path).decode()), form or "json")
    # ASE stops at a byte-order mark that opens a CIF.
    source = BytesIO(_content(path)) if form == "cif" else path
    return ase.io.read(source, index=":", format=form, do_not_split_by_at_sign=True)


def _content(path: Path) -> bytes:
    """All of a file, without the byte-order mark that editors put first."""
    with _opened(path) as stream:
        return stream.read().removeprefix(codecs.BOM_UTF8)


def _database(source: Path | StringIO, kind: str) -> list[Atoms]:
    """All rows of an ASE database; their key-value pairs, which ASE's own reader leaves out, are in `info`."""
    structures = []
    with ase.db.connect(source, type=kind, serial=True) as database:
        for row in database.select():
            structures.append(row.toatoms())
            structures[-1].info.update(row.key_value_pairs)
    return structures


def _lammps_data(path: Path) -> Atoms:
    """A LAMMPS data file, its elements by their masses."""
    text = _content(path).decode("utf-8", errors="replace")
    reader = f"ase.io.read({path.name!r}, format='lammps-data', Z_of_type={{1: 5, 2: 7}})"
    convert = f"convert it: {reader}.write('sheet.extxyz')"
    if not re.search(r"^\s*Masses\b", text, re.M):
        raise InputError(f"{path}: LAMMPS data without Masses, so without elements; {convert}")
    section = re.search(r"^\s*Atoms\b[ \t]*(?:#[ \t]*(\S+))?[^\n]*\n\s*\n([^\n]+)", text, re.M)
    if not section:
        raise InputError(f"{path}: LAMMPS data without an Atoms section")
    style = section.group(1)
    if style is None:
        columns = len(section.group(2).split("#")[0].split())
        # Three of position, and three whole numbers of periodic images where they are.
        style = LAMMPS_STYLES.get(columns - 3, LAMMPS_STYLES.get(columns - 6, "atomic"))
    atoms = ase.io.read(path, format=LAMMPS_DATA, atom_style=style, do_not_split_by_at_sign=True)
    if "type" in atoms.arrays and not atoms.numbers.all():
        raise InputError(f"{path}: a mass that is no element's; {convert}")
    return atoms


def _lammps_dump(path: Path) -> list[Atoms]:
    """A LAMMPS dump in the units that it states (metal if none), whose energy of 0 is ASE's and no label."""
    with _opened(path) as stream:
        stated = stream.readline().strip() == b"ITEM: UNITS"
        units = stream.readline().decode(errors="replace").strip() if stated else "metal"
        columns = next((line for line in stream if line.startswith(b"ITEM: ATOMS")), b"").decode(errors="replace")
    if " element" not in columns:
        raise InputError(
            f"{path}: a LAMMPS dump without elements ({columns.strip()[:60]!r}); write it with `dump ... element` and"
            " `dump_modify ... element B N`"
        )
    structures = ase.io.read(path, index=":", format=LAMMPS_DUMP, do_not_split_by_at_sign=True, units=units)
    for atoms in structures:
        if atoms.calc is not None:
            atoms.calc.results.pop("energy", None)
    return structures


def _drop_moments(atoms: Atoms) -> bool:
    """Remove magnetic moments; whether there were any but zeros."""
    found = False
    for name in MAGNETIC:
        if name in atoms.arrays:
            found |= bool(np.any(atoms.arrays[name]))
            del atoms.arrays[name]
        if atoms.calc is not None and name in atoms.calc.results:
            found |= bool(np.any(atoms.calc.results.pop(name)))
    if atoms.calc is not None:
        atoms.calc.results.pop("magmom", None)
    return found


def is_isolated(atoms: Atoms) -> bool:
    """Whether a frame is a free atom in a box, as files state the energy of free atoms."""
    kind = str(atoms.info.get("config_type", "")).lower()
    return len(atoms) == 1 and (kind.startswith(ISOLATED) or not atoms.pbc.any())


def without_isolated(structures: list[Atoms], path: str | Path, taken: bool = False) -> list[Atoms]:
    """Structures without free atoms, with a line that says how many are left out or, `taken`, what their energies are
    for. InputError if nothing is left.
    """
    left = [atoms for atoms in structures if not is_isolated(atoms)]
    dropped = len(structures) - len(left)
    if dropped:
        count = f"{path}: {dropped} isolated atom{'s' if dropped > 1 else ''}"
        note(f"{count}, of the energies per element" if taken else f"{count} left out; energies are fitted per element")
    if not left:
        raise InputError(f"{path}: holds isolated atoms only, and no sheet")
    return left
