"""Reference stage without GPAW: digests, k-points, grids, dynamics, the archive, audit, Lennard-Jones, convergence."""

import gzip
import json
import multiprocessing
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms, units
from hypothesis import given, settings
from hypothesis import strategies as st

from extensive import keys
from extensive.config import complete_config
from extensive.errors import InputError
from extensive.io import read_structures, write_structures
from extensive.reference import audit, convergence, dynamics
from extensive.reference.archive import Archive, add_labels, adopt, candidate_digests, locked, read_labels
from extensive.reference.calculation import LabelFailed, with_label
from extensive.reference.chunks import Store, chunk_count, chunk_members, gather, label_chunk, read_failures
from extensive.reference.cost import cost_table
from extensive.reference.label import Grower
from extensive.reference.lennard_jones import label_dimer
from extensive.reference.prediction import combination_weights
from extensive.reference.settings import (
    DFTSettings,
    check_sheet,
    grid_shape,
    kpoint_list,
    label_digest,
    with_vacuum,
)
from extensive.structures import generate_dataset

CONFIG = complete_config({"run": "test", "seed": 7})
PRODUCTION = DFTSettings.from_config(CONFIG["reference"]["dft"])
EVERY_KPOINT = replace(PRODUCTION, mirror_kpoints=True)
VERSION = "26.7.0"


def dataset(name="graphene-rattle", **spec):
    spec = {"family": "graphene", "sampler": "rattle", "count": 3, "supercell": [1, 1], **spec}
    full = complete_config({"run": "test", "structures": {"datasets": {name: spec}}})
    return generate_dataset(name, full["structures"]["datasets"][name], 7)


def sheet(nx, ny, height=10.0):
    (atoms,) = dataset(count=1, supercell=[nx, ny], sampler="pristine", strain=0.0)
    atoms.cell[2, 2] = height
    return atoms


def spring_label(atoms, dft=PRODUCTION, version=VERSION):
    """A stand-in for GPAW: each atom on a spring of 20 eV/A^2 to where the ideal crystal has it."""
    home = np.round(atoms.positions[:, :2] / 0.5) * 0.5
    pull = atoms.positions[:, :2] - home
    forces = np.zeros((len(atoms), 3))
    forces[:, :2] = -20.0 * pull
    energy = float(10.0 * (pull**2).sum())
    record = {"iterations": 9, "seconds": 2.0, "cores": 1, "converged": True, "attempts": 1, "reused": False}
    record |= {"settings": dft.physical(), "versions": {"gpaw": version}}
    return with_label(atoms, energy, forces, {"kinetic": energy, "xc": 0.0}, record)


# --- what a label is


@given(st.floats(-4e-7, 4e-7), st.floats(5.0, 60.0))
@settings(max_examples=30, deadline=None)
def test_digest_ignores_noise_and_the_structures_own_vacuum(noise, height):
    atoms = dataset()[0]
    other = atoms.copy()
    other.positions += noise * np.array([1, -1, 0]) / 2
    other.cell[2, 2] = height
    other.positions[:, 2] = height / 3
    assert label_digest(other, PRODUCTION.physical(), VERSION) == label_digest(atoms, PRODUCTION.physical(), VERSION)


def test_digest_tells_structures_settings_and_gpaw_versions_apart():
    atoms = dataset()[0]
    moved, swapped, stretched = atoms.copy(), atoms.copy(), atoms.copy()
    moved.positions[0, 0] += 2e-6
    swapped.numbers[0] = 7
    stretched.cell[0, 0] += 2e-6
    physical = PRODUCTION.physical()
    digests = [label_digest(each, physical, VERSION) for each in (atoms, moved, swapped, stretched)]
    digests += [label_digest(atoms, {**physical, key: "other"}, VERSION) for key in physical]
    digests += [label_digest(atoms, physical, version) for version in ("25.7.0", "27.1.0")]
    assert len(set(digests)) == len(digests)
    # A patch release, and how the solution is found, are no other level of theory.
    assert label_digest(atoms, physical, "26.7.3") == digests[0]
    assert "mixer" not in physical


def test_digest_survives_the_file(tmp_path):
    atoms = dataset()
    write_structures(tmp_path / "a.extxyz", atoms)
    for before, after in zip(atoms, read_structures(tmp_path / "a.extxyz"), strict=True):
        assert label_digest(after, PRODUCTION.physical(), VERSION) == label_digest(
            before, PRODUCTION.physical(), VERSION
        )


# --- equal sampling of cells of all sizes


@pytest.mark.parametrize(
    ("cells", "along_x", "along_y"),
    [
        ((5, 3), {0.25, -0.25}, {0.25, -0.25}),
        ((10, 3), {0.5}, {0.25, -0.25}),
        ((5, 6), {0.25, -0.25}, {0.5}),
        ((10, 6), {0.5}, {0.5}),
        ((15, 6), {0.25, -0.25}, {0.5}),
        ((20, 12), {0.0}, {0.0}),
    ],
)
def test_kpoints_of_supercells_are_folded(cells, along_x, along_y):
    kpoints = kpoint_list(sheet(*cells), EVERY_KPOINT)
    assert set(kpoints[:, 0]) == along_x
    assert set(kpoints[:, 1]) == along_y
    assert len(kpoints) == len(along_x) * len(along_y)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ((5, 3), {(0.25, 0.25)}),  # time reversal adds (-1/4, -1/4); the other two are their mirror images
        ((10, 3), {(0.5, 0.25), (0.5, -0.25)}),  # points that are their own images, all kept
        ((10, 6), {(0.5, 0.5)}),
    ],
)
def test_one_kpoint_stands_for_its_mirror_images(cells, expected):
    points = kpoint_list(sheet(*cells), PRODUCTION)
    assert {(x, y) for x, y, _ in points.tolist()} == expected


@pytest.mark.parametrize("cells", [(1, 1), (2, 2), (4, 3), (5, 3), (7, 4), (15, 6)])
def test_mirror_images_of_the_kept_points_are_the_whole_set(cells):
    """What is left out is exactly what the two mirrors and time reversal bring back, each as often."""
    everything = kpoint_list(sheet(*cells), EVERY_KPOINT)[:, :2]
    kept = kpoint_list(sheet(*cells), PRODUCTION)[:, :2]
    if len(kept) == len(everything):
        np.testing.assert_array_equal(kept, everything)
    else:
        images = np.concatenate([kept * signs for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1))])
        np.testing.assert_allclose(np.sort(images, axis=0), np.sort(everything, axis=0))
        assert len(np.unique(images.round(9), axis=0)) == len(everything)


@pytest.mark.parametrize("cells", [(1, 1), (2, 2), (4, 3), (5, 3), (10, 3), (10, 6), (15, 6), (20, 12)])
def test_folded_points_are_the_unit_cells_own(cells):
    """Every point of the supercell comes from as many points of the 4-atom cell: the same states are sampled."""
    unit = kpoint_list(sheet(1, 1), EVERY_KPOINT)
    assert len(unit) == 10 * 6
    folded = (unit[:, :2] * cells) % 1.0
    points = kpoint_list(sheet(*cells), EVERY_KPOINT)[:, :2] % 1.0
    distance = np.abs(folded[:, None] - points[None])
    nearest = np.minimum(distance, 1 - distance).max(axis=2)
    assert (nearest.min(axis=1) < 1e-9).all()
    counts = (nearest < 1e-9).sum(axis=0)
    assert (counts == len(unit) // len(points)).all()


def test_cells_without_exact_folding_keep_an_even_density():
    for nx, ny in ((7, 4), (3, 5), (9, 7)):
        kpoints = kpoint_list(sheet(nx, ny), EVERY_KPOINT)
        counts = [len(set(kpoints[:, axis])) for axis in (0, 1)]
        assert abs(counts[0] - 10 / nx) <= 2
        assert abs(counts[1] - 6 / ny) <= 2


def test_grid_is_proportional_and_unchanged_by_strain():
    assert grid_shape(sheet(5, 3), PRODUCTION) == (100, 100, 32)
    assert grid_shape(sheet(10, 6), PRODUCTION) == (200, 200, 32)
    strained = sheet(5, 3)
    strained.set_cell(strained.cell.array * [[1.03], [0.97], [1.0]], scale_atoms=True)
    assert grid_shape(strained, PRODUCTION) == (100, 100, 32)
    own = sheet(5, 3)
    del own.info[keys.SUPERCELL]
    assert grid_shape(own, PRODUCTION) == (100, 100, 32)
    assert len(kpoint_list(own, PRODUCTION)) == 1


def test_the_sheet_is_centred_in_the_settings_vacuum():
    prepared = with_vacuum(sheet(1, 1, height=30.0), PRODUCTION)
    assert prepared.cell[2, 2] == pytest.approx(6.4)
    assert np.allclose(prepared.positions[:, 2], 3.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda atoms: atoms.set_pbc(True), "pbc"),
        (lambda atoms: atoms.set_cell([[3, 1, 0], [0, 4, 0], [0, 0, 9]]), "orthogonal"),
        (lambda atoms: atoms.positions.__setitem__((0, 0), np.nan), "not numbers"),
        (lambda atoms: atoms.__delitem__(slice(None)), "no atoms"),
    ],
)
def test_what_is_not_a_sheet_is_refused_by_name(change, message):
    atoms = sheet(1, 1)
    change(atoms)
    with pytest.raises(InputError, match=f"graphene-rattle-00000.*{message}"):
        check_sheet(atoms)


# --- molecular dynamics on springs

MD = dynamics.Dynamics((300.0,), 2.0, 0.05, 12, 1)


def run(start, done=(), md=MD, seed=7):
    return list(dynamics.run_trajectory(start, md, 0, seed, "md:x", list(done), spring_label))


def test_a_resumed_trajectory_equals_the_unbroken_one(tmp_path):
    (start,) = dataset("graphene-md", sampler="md", count=1)
    whole = run(start)
    write_structures(tmp_path / "first.extxyz", whole[:5])
    resumed = run(start, read_structures(tmp_path / "first.extxyz"))
    assert len(resumed) == 7
    for one, other in zip(whole[5:], resumed, strict=True):
        assert np.array_equal(one.positions, other.positions)
        assert np.array_equal(one.arrays[dynamics.VELOCITIES], other.arrays[dynamics.VELOCITIES])
        assert one.info[keys.STRUCTURE_ID] == other.info[keys.STRUCTURE_ID]


def test_frames_know_their_parent_time_and_temperature_and_stay_in_the_plane():
    (start,) = dataset("graphene-md", sampler="md", count=1)
    frames = run(start, md=dynamics.Dynamics((450.0,), 2.0, 0.05, 4, 3))
    assert [frame.info[dynamics.TIME_FS] for frame in frames] == [6.0, 12.0, 18.0, 24.0]
    assert {frame.info[keys.PARENT] for frame in frames} == {"graphene-md-00000"}
    assert {frame.info[dynamics.TEMPERATURE_K] for frame in frames} == {450.0}
    assert all(np.array_equal(frame.positions[:, 2], start.positions[:, 2]) for frame in frames)
    assert len({frame.info[keys.STRUCTURE_ID] for frame in frames}) == 4


def test_the_thermostat_gives_the_right_potential_and_kinetic_energy():
    """Equipartition on springs: kT / 2 in each of the 2 N degrees of freedom, less the centre of mass at rest."""
    start = sheet(5, 5)
    start.positions[:, :2] = np.round(start.positions[:, :2] / 0.5) * 0.5
    start.info |= {keys.DATASET: "springs", keys.STRUCTURE_ID: "springs-00000"}
    frames = run(start, md=dynamics.Dynamics((300.0,), 2.0, 0.05, 400, 1))[100:]
    quantum = units.kB * 300.0
    masses = start.get_masses()[:, None]
    kinetic = [0.5 * (masses * (frame.arrays[dynamics.VELOCITIES] / dynamics.A_PER_PS) ** 2).sum() for frame in frames]
    potential = [frame.info[keys.REF_ENERGY] for frame in frames]
    degrees = 2 * len(start) - 2
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
    longer = dynamics.Dynamics((300.0,), 2.0, 0.05, 500, 1)
    assert dynamics.trajectory_digest("sha256:a", longer, 0, 7) in names


def test_the_predicted_start_combines_the_structures_that_come_nearest():
    random = np.random.default_rng(1)
    known = random.normal(0, 0.05, (3, 60, 2))
    new = 1.5 * known[0] - 0.8 * known[1] + 0.3 * known[2]
    weights = combination_weights(known - new)
    assert weights == pytest.approx([1.5, -0.8, 0.3], abs=0.02)
    assert weights.sum() == pytest.approx(1.0)
    # One that is nearly the same outweighs the others.
    assert combination_weights(known - known[1] + 1e-4)[1] == pytest.approx(1.0, abs=0.01)


# --- the archive


@pytest.fixture
def archive(tmp_path):
    labels = [spring_label(atoms) for atoms in dataset()]
    add_labels(tmp_path / "labels", "graphene-rattle", labels, tmp_path / "locks")
    return tmp_path / "labels"


def read(folder):
    found = Archive(folder)
    found.refresh()
    return found


def test_labels_come_back_exactly(archive):
    for before, after in zip(
        [spring_label(atoms) for atoms in dataset()], read_labels(archive / "graphene-rattle.extxyz.gz"), strict=True
    ):
        assert after.info[keys.REF_ENERGY] == before.info[keys.REF_ENERGY]
        assert np.array_equal(after.arrays[keys.REF_FORCES], before.arrays[keys.REF_FORCES])
        assert json.loads(after.info[keys.REF_RECORD]) == json.loads(before.info[keys.REF_RECORD])


def test_lookup_goes_by_content_and_not_by_name(archive):
    found = read(archive).by_digest()
    renamed = dataset()[1]
    renamed.info |= {keys.STRUCTURE_ID: "mine-00042", keys.DATASET: "mine"}
    hits = [digest for digest in candidate_digests(renamed, PRODUCTION, ["26.7"]) if digest in found]
    label = adopt(renamed, found[hits[0]])
    assert label.info[keys.STRUCTURE_ID] == "mine-00042"
    assert label.info[keys.REF_ENERGY] == found[hits[0]].info[keys.REF_ENERGY]
    assert not set(candidate_digests(renamed, DFTSettings(**{**vars(PRODUCTION), "vacuum_A": 4.0}), [])) & set(found)


def rewrite(path, change):
    labels = read_structures(path)
    change(labels)
    write_structures(path, labels)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        flip,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(gzip.compress(b"not structures at all\n")),
        lambda path: rewrite(path, lambda labels: labels[1].info.update({keys.REF_ENERGY: 0.5})),
        lambda path: rewrite(path, lambda labels: labels[1].arrays[keys.REF_FORCES].__imul__(1.01)),
        lambda path: rewrite(path, lambda labels: labels[1].positions.__iadd__([[0.001, 0, 0]])),
        lambda path: rewrite(path, lambda labels: labels[1].info.pop(keys.REF_DIGEST)),
        lambda path: rewrite(path, lambda labels: labels[1].info.update({keys.REF_RECORD: "{}"})),
    ],
    ids=["truncated", "flipped", "empty", "foreign", "energy", "forces", "positions", "digest", "record"],
)
def test_a_damaged_file_is_refused_in_one_line_that_names_it(archive, damage):
    path = archive / "graphene-rattle.extxyz.gz"
    damage(path)
    with pytest.raises(InputError, match=r"graphene-rattle\.extxyz\.gz") as refusal:
        read(archive)
    assert "\n" not in str(refusal.value)


def test_an_added_label_is_seen_and_replaces_its_equal(archive, tmp_path):
    found = read(archive)
    extra = [spring_label(atoms) for atoms in dataset(count=5)[2:]]
    add_labels(archive, "graphene-rattle", extra, tmp_path / "locks")
    found.refresh()
    ids = [atoms.info[keys.STRUCTURE_ID] for atoms in found.dataset("graphene-rattle")]
    assert ids == [f"graphene-rattle-{index:05d}" for index in range(5)]


def _add_one(arguments):
    folder, index = arguments
    add_labels(folder / "labels", "graphene-rattle", [spring_label(dataset(count=8)[index])], folder / "locks")


def test_workers_do_not_lose_each_others_labels(tmp_path):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(_add_one, [(tmp_path, index) for index in range(8)])
    assert len(read_labels(tmp_path / "labels" / "graphene-rattle.extxyz.gz")) == 8


def test_a_claim_excludes_others_and_ends_with_its_holder(tmp_path):
    with locked(tmp_path / "a.claim") as first, locked(tmp_path / "a.claim", wait=False) as second:
        assert first
        assert not second
    with locked(tmp_path / "a.claim", wait=False) as third:
        assert third


# --- chunks


class StandIn:
    """Labels by springs; refuses structures by id and counts."""

    def __init__(self, refuse=()):
        self.refuse, self.count = refuse, 0

    def label(self, atoms):
        if atoms.info[keys.STRUCTURE_ID] in self.refuse:
            raise LabelFailed("mixer (0.05, 5, 50.0): did not converge")
        self.count += 1
        return spring_label(atoms)


def store(folder, archive=None, refuse=()):
    made = Store(folder, archive, PRODUCTION, ["26.7"])
    made._labeller = StandIn(refuse)
    return made


def test_a_chunk_resumes_without_computing_anything_again(tmp_path):
    members = list(enumerate(dataset()))
    first = store(tmp_path)
    label_chunk(members[:2], first)
    second = store(tmp_path)
    labelled, failures = label_chunk(members, second)
    assert (first.computed, second.computed) == (2, 1)
    assert len(labelled) == 3
    assert not failures


def test_a_trajectory_resumes_from_its_last_frame(tmp_path):
    members = list(enumerate(dataset("graphene-md", sampler="md", count=1)))
    label_chunk(members, store(tmp_path), dynamics.Dynamics((300.0,), 2.0, 0.05, 4, 1), 7)
    again = store(tmp_path)
    frames, _ = label_chunk(members, again, dynamics.Dynamics((300.0,), 2.0, 0.05, 6, 1), 7)
    assert again.computed == 2
    assert [frame.info[dynamics.FRAME] for frame in frames] == list(range(6))
    whole = run(members[0][1], md=dynamics.Dynamics((300.0,), 2.0, 0.05, 6, 1))
    assert np.array_equal(frames[-1].positions, whole[-1].positions)


def test_the_archive_is_used_where_it_fits(archive, tmp_path):
    made = store(tmp_path / "store", Archive(archive))
    labelled, _ = label_chunk(list(enumerate(dataset(count=4))), made)
    assert len(labelled) == 4
    assert made.computed == 1


def test_archived_frames_are_continued(tmp_path):
    (start,) = dataset("graphene-md", sampler="md", count=1)
    digest = label_digest(start, PRODUCTION.physical(), VERSION)
    name = dynamics.trajectory_digest(digest, MD, 0, 7)
    frames = list(dynamics.run_trajectory(start, MD, 0, 7, name, [], spring_label))
    add_labels(tmp_path / "labels", "graphene-md", frames[:9], tmp_path)
    made = store(tmp_path / "store", Archive(tmp_path / "labels"))
    found, _ = label_chunk([(0, start)], made, MD, 7)
    assert made.computed == 3
    assert np.array_equal(found[-1].positions, frames[-1].positions)


def test_failures_are_listed_with_their_reason_and_never_used(tmp_path):
    members = list(enumerate(dataset()))
    labelled, failures = label_chunk(members, store(tmp_path, refuse=["graphene-rattle-00001"]))
    assert [atoms.info[keys.STRUCTURE_ID] for atoms in labelled] == ["graphene-rattle-00000", "graphene-rattle-00002"]
    assert failures[0]["structure_id"] == "graphene-rattle-00001"
    assert "did not converge" in failures[0]["reason"]
    # A failure is remembered as such: a restart does not spend hours on it again.
    again = store(tmp_path)
    assert len(label_chunk(members, again)[1]) == 1
    assert again.computed == 0


def test_gather_joins_chunks_and_misses_nothing_silently(tmp_path):
    labelled = [spring_label(atoms) for atoms in dataset()]
    write_structures(tmp_path / "0.extxyz", labelled[:2])
    write_structures(tmp_path / "1.extxyz", labelled[2:])
    files = [str(tmp_path / f"{index}.extxyz") for index in (0, 1)]
    gather(files, [], str(tmp_path / "all.extxyz"), str(tmp_path / "failed.csv"), 3)
    assert len(read_structures(tmp_path / "all.extxyz")) == 3
    assert read_failures(tmp_path / "failed.csv") == []
    with pytest.raises(InputError, match="3 labels where 4"):
        gather(files, [], str(tmp_path / "all.extxyz"), str(tmp_path / "failed.csv"), 4)


@given(st.integers(0, 60), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_chunks_hold_every_structure_once(count, size):
    structures = list(range(count))
    chunks = range(chunk_count({"count": count, "sampler": "rattle"}, size))
    members = [member for chunk in chunks for member in chunk_members(structures, "rattle", chunk, size)]
    assert members == list(enumerate(structures))


# --- make labels


def test_workers_share_the_work_and_balance_the_kinds(tmp_path):
    datasets = {
        "graphene-rattle": {"family": "graphene", "sampler": "rattle", "count": 4, "supercell": [1, 1]},
        "hbn-rattle": {"family": "hbn", "sampler": "rattle", "count": 4, "supercell": [1, 1]},
        "graphene-md": {
            "family": "graphene", "sampler": "md", "count": 1, "supercell": [1, 1], "md": {"frames": 9}
        },
        "supercells-8": {
            "family": "graphene", "sampler": "rattle", "count": 1, "supercell": [2, 1], "set": "supercells"
        },
    }  # fmt: skip
    labels = {"grow": {"structures": 5, "frames": 9}}
    config = complete_config(
        {"run": "t", "seed": 7, "structures": {"datasets": datasets}, "reference": {"labels": labels}}
    )
    grower = Grower(config, tmp_path / "labels", tmp_path / "locks")
    grower.labeller = StandIn()
    grower.labeller.settings = PRODUCTION
    for _ in range(6):
        assert grower.run_one()
    early = grower.status()
    assert min(early.values()) >= 1, "every kind has labels early"
    assert abs(early["graphene-rattle"] - early["hbn-rattle"]) <= 1
    while grower.run_one():
        pass
    assert grower.status() == {"graphene-rattle": 5, "hbn-rattle": 5, "graphene-md": 9, "supercells-8": 1}


# --- audit, cost


def test_the_audit_draws_the_same_labels_and_finds_a_wrong_one(archive):
    found = read(archive)
    drawn = audit.draw(found, PRODUCTION, 2, 60, seed=1)
    assert [atoms.info[keys.STRUCTURE_ID] for atoms in drawn] == [
        atoms.info[keys.STRUCTURE_ID] for atoms in audit.draw(read(archive), PRODUCTION, 2, 60, seed=1)
    ]
    audit.check(audit.compare(drawn, spring_label), 0.1)

    def off(atoms):
        label = spring_label(atoms)
        label.info[keys.REF_ENERGY] += 0.11e-3 * len(atoms)
        return label

    with pytest.raises(InputError, match="audit: 2 of 2 archived labels differ"):
        audit.check(audit.compare(drawn, off), 0.1)


def test_cost_counts_every_label_once():
    table = cost_table([spring_label(atoms) for atoms in dataset(count=3)])
    assert table["labels"].sum() == 3
    assert table["core_hours"].sum() == pytest.approx(3 * 2.0 / 3600)


# --- Lennard-Jones


def test_lennard_jones_forces_are_the_gradient_and_the_minimum_is_where_it_should_be():
    atoms = Atoms("Ar2", [[2, 3, 4], [4.6, 5.2, 4.9]], cell=[12] * 3, pbc=True)
    step = 1e-5
    forces = label_dimer(atoms, 0.0104, 3.4).arrays[keys.REF_FORCES]
    for axis in range(3):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[1, axis] += sign * step
            energies.append(label_dimer(moved, 0.0104, 3.4).info[keys.REF_ENERGY])
        assert forces[1, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=1e-8)
    assert np.allclose(forces.sum(axis=0), 0)
    atoms.positions[1] = atoms.positions[0] + [2 ** (1 / 6) * 3.4, 0, 0]
    bottom = label_dimer(atoms, 0.0104, 3.4)
    assert bottom.info[keys.REF_ENERGY] == pytest.approx(-0.0104)
    assert np.abs(bottom.arrays[keys.REF_FORCES]).max() < 1e-12


# --- convergence study


def test_difference_error_ignores_a_constant_offset():
    best = np.array([1.0, 2.0, 4.0])
    assert convergence.difference_error(best + 0.3, best) == pytest.approx(0.0, abs=1e-12)
    assert convergence.difference_error(np.array([1.0, 2.2]), best[:2]) == pytest.approx(0.2)


def test_the_study_holds_the_production_setting_and_its_table_marks_it():
    study = CONFIG["reference"]["convergence"]
    points = convergence.points(study, PRODUCTION)
    structures = dataset(count=2)
    results = []
    for point in points:
        labels = [
            spring_label(convergence.as_member(name, atoms), point.settings)
            for name, atoms in convergence.jobs(point, structures)
        ]
        results.append(convergence.by_dataset(labels))
    table = convergence.table(points, results)
    coarse = {point.settings.grid_points for point in points if point.study not in convergence.GRID_STUDIES}
    assert coarse == {tuple(study["coarse_grid_points"])}
    assert table.groupby("study")["chosen"].sum().eq(1).all()
    # Nothing but the egg-box shifts changes the energy on springs.
    assert table.loc[table["study"] != "egg-box", "error_meV_per_atom"].max() < 1e-9
    assert table.loc[table["study"] == "egg-box", "error_meV_per_atom"].min() > 0
    with pytest.raises(InputError, match="vacuum study has 4, 5 but not the production value"):
        convergence.points({**study, "vacuum_A": [4.0, 5.0]}, PRODUCTION)
