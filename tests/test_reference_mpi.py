"""Large cells on several processes: how ranks are split, and that the energy is that of one process."""

import math
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from extensive import keys
from extensive.config import load_config
from extensive.errors import InputError
from extensive.paths import repository_root
from extensive.reference.calculation import Labeller
from extensive.reference.parallel import ParallelLabeller, RanksFailed, irreducible_kpoints, split_ranks
from extensive.reference.record import record_of
from extensive.reference.settings import DFTSettings
from extensive.structures.datasets import generate_dataset
from extensive.timing.dft import time_dft_parallel
from extensive.timing.hardware import hardware_label

CONFIG = load_config(repository_root() / "config/smoke.yaml")
COARSE = replace(DFTSettings.from_config(CONFIG["reference"]["dft"]), mirror_kpoints=True)


def rattled(supercell: list[int]):
    spec = {**CONFIG["structures"]["datasets"]["graphene-rattle"], "supercell": supercell}
    return generate_dataset("graphene-rattle", spec, seed=1)[0]


@pytest.fixture
def mpi(monkeypatch) -> str:
    """The launcher, where GPAW can use it."""
    cgpaw = pytest.importorskip("gpaw.cgpaw", reason="no GPAW here")
    if not getattr(cgpaw, "have_mpi", False):
        pytest.skip("this GPAW was built without MPI: envs/setup.sh builds it with MPI where mpic++ is there")
    if not shutil.which("mpirun"):
        pytest.skip("no mpirun here")
    if os.geteuid() == 0:
        monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
        monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    # On a machine with fewer free cores than ranks, those that wait should let the others work.
    monkeypatch.setenv("OMPI_MCA_rmaps_base_oversubscribe", "1")
    monkeypatch.setenv("OMPI_MCA_mpi_yield_when_idle", "1")
    return "mpirun"


@pytest.mark.parametrize("ranks", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("kpoints", [1, 2, 4, 6])
def test_every_rank_has_work_and_kpoints_come_first(ranks, kpoints):
    split = split_ranks(ranks, kpoints)
    assert split["kpt"] * math.prod(split["domain"]) == ranks
    # As many k-points for each: none waits for another.
    assert kpoints % split["kpt"] == 0
    assert not any(kpoints % more == 0 and ranks % more == 0 for more in range(split["kpt"] + 1, ranks + 1))
    # The sheet is thin along z.
    assert split["domain"][2] == 1


@pytest.mark.parametrize(("mirrors", "expected"), [(True, [2, 1, 1]), (False, [1, 1, 1])])
def test_time_reversal_and_mirrors_leave_a_part_of_the_kpoints(mirrors, expected):
    production = DFTSettings.from_config(load_config(repository_root() / "config/config.yaml")["reference"]["dft"])
    settings = replace(production, kpoints=(2, 2), mirror_kpoints=mirrors)
    # Monkhorst-Pack 2 x 2 of the 60-atom cell, and the same states folded.
    assert [irreducible_kpoints(rattled(cells), settings) for cells in ([5, 3], [10, 3], [10, 6])] == expected


@pytest.mark.dft
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kpoint_cells", "split", "occupations"),
    [((2, 2), "domain", "fermi-dirac"), ((4, 2), "kpt", "marzari-vanderbilt")],
)
def test_two_processes_give_the_energy_and_forces_of_one(mpi, kpoint_cells, split, occupations):
    settings = replace(COARSE, kpoint_cells=kpoint_cells, kpoints=(1, 2), occupations=occupations)
    atoms = rattled([2, 2])
    kpoints = irreducible_kpoints(atoms, settings)
    assert (split_ranks(2, kpoints)["kpt"] == 2) == (split == "kpt")
    one = Labeller(settings, reuse=False).label(atoms)
    two = ParallelLabeller(settings, 2, mpi).label(atoms)
    assert record_of(one)["kpoints_irreducible"] == kpoints
    assert two.info[keys.REF_ENERGY] == pytest.approx(one.info[keys.REF_ENERGY], abs=1e-6)
    np.testing.assert_allclose(two.arrays[keys.REF_FORCES], one.arrays[keys.REF_FORCES], atol=1e-5)
    # The archive takes one for the other.
    assert two.info[keys.REF_DIGEST] == one.info[keys.REF_DIGEST]
    assert (record_of(one)["cores"], record_of(two)["cores"]) == (1, 2)


@pytest.mark.dft
@pytest.mark.slow
def test_timing_of_two_processes_says_so(mpi):
    row = time_dft_parallel([2, 1], CONFIG["reference"]["dft"], repeats=1, seed=0, ranks=2, launcher=mpi)
    assert (row.method, row.n_atoms, row.cores) == ("gpaw", 8, 2)
    assert row.seconds > 0
    assert row.hardware == hardware_label()


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ("! but MPI parallelism is disabled. !", InputError, "built without MPI"),
        ("MemoryError: no room\n-----\nmpirun detected that\n-----", RanksFailed, "2 ranks ended with 3: MemoryError"),
    ],
)
def test_the_reason_of_a_failure_is_the_programs_not_the_launchers(said, error, message, tmp_path):
    launcher = tmp_path / "mpirun"
    launcher.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\nexit 3\n")
    launcher.chmod(0o755)
    with pytest.raises(error, match=message):
        ParallelLabeller(COARSE, 2, str(launcher)).label(rattled([1, 1]))


def test_a_launcher_that_is_not_there_is_named():
    with pytest.raises(InputError, match="no-such-mpirun"):
        ParallelLabeller(COARSE, 2, "no-such-mpirun").label(rattled([1, 1]))
