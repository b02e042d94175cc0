"""Files appear whole or not at all; structures survive a round trip to the bit."""

import gzip
import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from extensive.errors import InputError
from extensive.io import atomic_path, digest, read_json, read_structures, write_structures
from extensive.memory import peak_resident_GiB
from extensive.structures.reading import read_any

FILES = Path(__file__).parent / "files"


def sheet(seed: int) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = Atoms("BNC", positions=rng.uniform(0, 5, (3, 3)).round(6), cell=[5, 6, 10], pbc=(1, 1, 0))
    atoms.info.update(structure_id=f"mixed-{seed:05d}", supercell=np.array([1, 2]), REF_energy=-1.25)
    atoms.arrays["REF_forces"] = rng.normal(size=(3, 3))
    return atoms


@pytest.mark.parametrize("name", ["a.extxyz", "a.extxyz.gz"])
def test_structures_round_trip(tmp_path, name):
    structures = [sheet(1), sheet(2)]
    write_structures(tmp_path / name, structures)
    back = read_structures(tmp_path / name)
    assert len(back) == 2
    for old, new in zip(structures, back):
        np.testing.assert_allclose(new.positions, old.positions, atol=1e-8)
        np.testing.assert_allclose(new.arrays["REF_forces"], old.arrays["REF_forces"], atol=1e-8)
        assert new.info["REF_energy"] == old.info["REF_energy"]
        assert list(new.info["supercell"]) == [1, 2]
        assert tuple(new.pbc) == (True, True, False)


def test_same_structures_give_the_same_bytes(tmp_path):
    write_structures(tmp_path / "a.extxyz.gz", [sheet(1)])
    write_structures(tmp_path / "b.extxyz.gz", [sheet(1)])
    assert (tmp_path / "a.extxyz.gz").read_bytes() == (tmp_path / "b.extxyz.gz").read_bytes()


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")

    def write_half():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.extxyz", "a.extxyz.gz"])
def test_the_file_that_a_link_means_is_written(tmp_path, name):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "blob", tmp_path / name
    target.write_text("old")
    link.symlink_to(target)
    write_structures(link, [sheet(1)])
    write_structures(tmp_path / f"plain-{name}", [sheet(1)])
    assert link.is_symlink()
    assert target.read_bytes() == (tmp_path / f"plain-{name}").read_bytes()
    assert list(target.parent.iterdir()) == [target]


def test_what_is_no_regular_file_is_written_to_and_stays(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "out.txt"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    read = []
    for path in (pipe, link):
        # A daemon, so that a pipe that nobody writes to holds up no other test.
        reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
        reader.start()
        with atomic_path(path) as temporary:
            temporary.write_text(path.name)
        assert pipe.is_fifo()
        reader.join(timeout=10)
    assert read == ["pipe", "out.txt"]
    assert link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [link, pipe]


def test_truncated_and_foreign_files_are_refused_by_name(tmp_path):
    write_structures(tmp_path / "a.extxyz.gz", [sheet(1), sheet(2)])
    whole = (tmp_path / "a.extxyz.gz").read_bytes()
    (tmp_path / "cut.extxyz.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.extxyz").write_text("hello\nworld\n")
    (tmp_path / "not.extxyz.gz").write_bytes(b"plain")
    text = gzip.decompress(whole).decode()
    (tmp_path / "short.extxyz").write_text("\n".join(text.splitlines()[:-1]))
    for name in ("cut.extxyz.gz", "text.extxyz", "not.extxyz.gz", "short.extxyz", "missing.extxyz"):
        with pytest.raises(InputError, match=name) as caught:
            read_structures(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_broken_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


def test_digest_ignores_the_order_of_keys():
    assert digest({"a": 1, "b": [1.5, None]}) == digest({"b": [1.5, None], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_memory_is_in_GiB():
    status = Path("/proc/self/status")
    if not status.is_file():
        pytest.skip("needs /proc, which Linux has")
    kib = int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])
    assert peak_resident_GiB() == pytest.approx(kib / 2**20, rel=0.1)


@pytest.mark.parametrize("name", ["hbn.data", "forces-without-energy.lammpstrj", "hexagonal-60-hbn.cif"])
def test_a_gzipped_file_is_read_as_the_file(name, tmp_path):
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress((FILES / name).read_bytes()))
    (found,), (expected,) = (read_any(folder / each)[:1] for folder, each in ((tmp_path, f"{name}.gz"), (FILES, name)))
    np.testing.assert_array_equal(found.positions, expected.positions)
    np.testing.assert_array_equal(found.numbers, expected.numbers)
