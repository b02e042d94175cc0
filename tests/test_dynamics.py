"""Molecular dynamics without GPAW: resumed to the bit, thermostatted, in the plane."""

from dataclasses import replace

import numpy as np
import pytest
from ase import units
from spring_labels import MD, dataset, run_md, sheet

from extensive import keys
from extensive.io import read_structures, write_structures
from extensive.reference import dynamics


def test_a_resumed_trajectory_equals_the_unbroken_one(tmp_path):
    (start,) = dataset("graphene-md", sampler="md", count=1)
    whole = run_md(start)
    write_structures(tmp_path / "first.extxyz", whole[:5])
    resumed = run_md(start, read_structures(tmp_path / "first.extxyz"))
    assert len(resumed) == 7
    for one, other in zip(whole[5:], resumed, strict=True):
        assert np.array_equal(one.positions, other.positions)
        assert np.array_equal(one.arrays[dynamics.VELOCITIES], other.arrays[dynamics.VELOCITIES])
        assert one.info[keys.STRUCTURE_ID] == other.info[keys.STRUCTURE_ID]


def test_frames_know_their_parent_time_and_temperature_and_stay_in_the_plane():
    (start,) = dataset("graphene-md", sampler="md", count=1)
    frames = run_md(start, md=dynamics.Dynamics((450.0,), 2.0, 0.05, 4, 3))
    assert [frame.info[dynamics.TIME_FS] for frame in frames] == [6.0, 12.0, 18.0, 24.0]
    assert {frame.info[keys.PARENT] for frame in frames} == {"graphene-md-00000"}
    assert {frame.info[dynamics.TEMPERATURE_K] for frame in frames} == {450.0}
    assert all(np.array_equal(frame.positions[:, 2], start.positions[:, 2]) for frame in frames)
    assert len({frame.info[keys.STRUCTURE_ID] for frame in frames}) == 4


@pytest.mark.parametrize("free", [False, True], ids=["plane", "space"])
def test_the_thermostat_gives_the_right_potential_and_kinetic_energy(free):
    """Equipartition on springs: kT / 2 in each of 2 N or 3 N degrees of freedom, less the centre of mass at rest."""
    start = sheet(5, 5)
    start.positions[:, :2] = np.round(start.positions[:, :2] / 0.5) * 0.5
    start.info |= {keys.DATASET: "springs", keys.STRUCTURE_ID: "springs-00000"}
    frames = run_md(start, md=dynamics.Dynamics((300.0,), 2.0, 0.05, 400, 1, free))[100:]
    quantum = units.kB * 300.0
    masses = start.get_masses()[:, None]
    kinetic = [0.5 * (masses * (frame.arrays[dynamics.VELOCITIES] / dynamics.A_PER_PS) ** 2).sum() for frame in frames]
    potential = [frame.info[keys.REF_ENERGY] for frame in frames]
    degrees = (3 if free else 2) * (len(start) - 1)
    assert np.mean(kinetic) == pytest.approx(0.5 * degrees * quantum, rel=0.05)
    assert np.mean(potential) == pytest.approx(0.5 * degrees * quantum, rel=0.05)


def test_another_seed_start_or_temperature_is_another_trajectory():
    names = {
        dynamics.trajectory_digest(start, md, index, seed)
        for start in ("sha256:a", "sha256:b")
        for md in (MD, dynamics.Dynamics((450.0,), 2.0, 0.05, 12, 1))
        for index in (0, 1)
        for seed in (7, 8)
    }
    assert len(names) == 16
    assert dynamics.trajectory_digest("sha256:a", replace(MD, out_of_plane=True), 0, 7) not in names
    longer = dynamics.Dynamics((300.0,), 2.0, 0.05, 500, 1)
    assert dynamics.trajectory_digest("sha256:a", longer, 0, 7) in names
