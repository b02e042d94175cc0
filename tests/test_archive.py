"""Archive, chunks, audit and cost, without GPAW."""

import gzip
import json
import multiprocessing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spring_labels import MD, PRODUCTION, VERSION, StandIn, dataset, run_md, spring_label

from extensive import keys
from extensive.errors import InputError
from extensive.io import read_structures, write_structures
from extensive.reference import audit, dynamics
from extensive.reference.archive import Archive, add_labels, adopt, candidate_digests, locked, read_labels
from extensive.reference.chunks import (
    Store,
    chunk_count,
    chunk_members,
    failure_row,
    gather,
    label_chunk,
    read_failures,
    write_failures,
)
from extensive.reference.cost import cost_table, labels_table
from extensive.reference.settings import DFTSettings, label_digest

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


def test_an_archive_may_be_read_for_some_data_sets_alone(archive):
    for names, count in ((["graphene-rattle"], 3), (["hbn-rattle"], 0), (None, 3)):
        found = Archive(archive, names)
        found.refresh()
        assert len(found.by_digest()) == count


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


def test_what_the_archive_lacks_is_left_out_where_that_is_asked_for(archive, tmp_path):
    wanted = [*dataset(), *dataset(name="hbn-rattle", family="hbn")]
    known = Store(tmp_path / "store", read(archive), PRODUCTION, ["26.7"], StandIn(), leave_out=True)
    labelled, failures = label_chunk(list(enumerate(wanted)), known)
    assert [atoms.info[keys.STRUCTURE_ID] for atoms in labelled] == [a.info[keys.STRUCTURE_ID] for a in dataset()]
    assert (known.computed, known._labeller.count, failures) == (0, 0, [])
    write_structures(tmp_path / "chunk.extxyz", labelled)
    write_failures(tmp_path / "failed.csv", failures)
    joined = ([tmp_path / "chunk.extxyz"], [tmp_path / "failed.csv"], tmp_path / "all.extxyz", tmp_path / "all.csv")
    gather(*joined, expected=len(wanted), leave_out=True)
    assert len(read_structures(tmp_path / "all.extxyz")) == len(labelled)
    with pytest.raises(InputError, match="no failure says why"):
        gather(*joined, expected=len(wanted))


def test_a_structure_that_another_machine_rounds_otherwise_is_still_found(archive, tmp_path):
    """A relaxation's last digit depends on the number of threads; its label must not be computed again."""
    apart = {1e-6: True, 1e-5: False}
    for distance, found in apart.items():
        atoms = dataset()[1]
        atoms.positions[3, 1] += distance
        label = store(tmp_path / "store", read(archive)).find(atoms)
        assert (label is not None) == found
        if found:  # with the positions that the label is of
            write_structures(tmp_path / "twin.extxyz", [label])
            assert read_labels(tmp_path / "twin.extxyz")[0].info[keys.STRUCTURE_ID] == atoms.info[keys.STRUCTURE_ID]
            other = DFTSettings(**{**vars(PRODUCTION), "vacuum_A": 4.0})
            assert Store(tmp_path / "store", read(archive), other, []).find(atoms) is None
            assert Store(tmp_path / "store", read(archive), PRODUCTION, []).find(atoms) is not None


def test_a_trajectory_resumes_from_its_last_frame(tmp_path):
    members = list(enumerate(dataset("graphene-md", sampler="md", count=1)))
    label_chunk(members, store(tmp_path), dynamics.Dynamics((300.0,), 2.0, 0.05, 4, 1), 7)
    again = store(tmp_path)
    frames, _ = label_chunk(members, again, dynamics.Dynamics((300.0,), 2.0, 0.05, 6, 1), 7)
    assert again.computed == 2
    assert [frame.info[dynamics.FRAME] for frame in frames] == list(range(6))
    whole = run_md(members[0][1], md=dynamics.Dynamics((300.0,), 2.0, 0.05, 6, 1))
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
    # Another mixer, or more iterations, may find what one did not.
    patient = store(tmp_path)
    patient.settings = replace(PRODUCTION, max_iterations=10 * PRODUCTION.max_iterations)
    assert label_chunk(members, patient)[1] == []


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
    reasons = [str(tmp_path / "0.failed.csv")]
    write_failures(reasons[0], [failure_row(dataset()[1], "sha256:0", "did not converge")])
    with pytest.raises(InputError, match=r"1 calculations failed, the first is graphene-rattle-00001 \(did not conv"):
        gather(files, reasons, str(tmp_path / "all.extxyz"), str(tmp_path / "failed.csv"), 4)
    gather(files, reasons, str(tmp_path / "all.extxyz"), str(tmp_path / "failed.csv"), 4, may_fail=1)
    assert [row["reason"] for row in read_failures(tmp_path / "failed.csv")] == ["did not converge"]


@given(st.integers(0, 60), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_chunks_hold_every_structure_once(count, size):
    structures = list(range(count))
    chunks = range(chunk_count({"count": count, "sampler": "rattle"}, size))
    members = [member for chunk in chunks for member in chunk_members(structures, "rattle", chunk, size)]
    assert members == list(enumerate(structures))


# --- make labels


# --- audit, cost


def test_the_audit_draws_the_same_labels_and_finds_a_wrong_one(archive):
    found = read(archive)
    drawn = audit.draw(found, PRODUCTION, 2, 60, seed=1)
    assert [atoms.info[keys.STRUCTURE_ID] for atoms in drawn] == [
        atoms.info[keys.STRUCTURE_ID] for atoms in audit.draw(read(archive), PRODUCTION, 2, 60, seed=1)
    ]
    rows = audit.compare(drawn, spring_label)
    audit.check(rows, 0.1)
    assert [tuple(row) for row in rows] == [audit.AUDIT_COLUMNS] * 2
    assert not any(row["own_sums"] for row in rows)

    def off(atoms):
        label = spring_label(atoms)
        label.info[keys.REF_ENERGY] += 0.11e-3 * len(atoms)
        return label

    with pytest.raises(InputError, match="audit: 2 of 2 archived labels differ"):
        audit.check(audit.compare(drawn, off), 0.1)


def test_cost_counts_every_label_once():
    labels = labels_table([spring_label(atoms) for atoms in dataset(count=3)])
    assert labels["structure_id"].is_unique
    table = cost_table(labels)
    assert table["labels"].sum() == len(labels) == 3
    assert table["core_hours"].sum() == pytest.approx(3 * 2.0 / 3600)
