"""Quantities that a reader can look up: their sheets, relaxation by labels, and formulas held to counted bonds."""

import json

import numpy as np
import pytest
from spring_labels import PRODUCTION, StandIn, spring_label

from extensive import keys
from extensive.evaluation import physics as quantities
from extensive.io import read_structures, write_structures
from extensive.reference import label
from extensive.reference.archive import read_labels
from extensive.reference.calculation import LabelFailed
from extensive.reference.chunks import Store
from extensive.reference.relaxation import most_relaxed, relax
from extensive.structures import physics
from extensive.structures.lattices import LATTICE_CONSTANTS_A, bonds

SHEETS = physics.systems(LATTICE_CONSTANTS_A)
# eV for each bond, whatever its length.
BONDS = {(6, 6): -3.0, (5, 7): -2.5, (5, 6): -2.0, (6, 7): -2.2}


def bond_energy(atoms):
    i, j, _ = bonds(atoms, 1.8)
    pairs = np.sort(np.stack([atoms.numbers[i], atoms.numbers[j]]), axis=0).T
    return 0.5 * sum(BONDS[tuple(pair)] for pair in pairs.tolist())


def test_the_sheets_are_what_their_names_say():
    assert tuple(SHEETS) == physics.SYSTEMS
    formulas = {name: members[0].get_chemical_formula() for name, members in SHEETS.items() if name in physics.RELAXED}
    assert formulas == {
        "graphene-vacancy": "C59", "stone-wales": "C60", "pore": "C54", "boron-vacancy": "B29N30",
        "nitrogen-vacancy": "B30N29", "zigzag-interface": "C30B15N15",
    }  # fmt: skip
    for name, lacking in (("graphene-vacancy", 3), ("stone-wales", 0), ("pore", 6), ("zigzag-interface", 0)):
        counts = np.bincount(bonds(SHEETS[name][0], 1.8)[0])
        assert (3 - counts).sum() == lacking
    for name in physics.CRYSTALS:
        assert [len(atoms) for atoms in SHEETS[name]] == [60, 50, 56, 120, 240, 360]
    ids = [atoms.info[keys.STRUCTURE_ID] for members in SHEETS.values() for atoms in members]
    assert len(set(ids)) == len(ids)
    again = physics.systems(LATTICE_CONSTANTS_A)["pore"][0]
    np.testing.assert_array_equal(again.positions, SHEETS["pore"][0].positions)


def test_energies_of_counted_bonds_give_what_follows_from_them():
    energies = {name: [(atoms, bond_energy(atoms)) for atoms in members] for name, members in SHEETS.items()}
    # Scans with a minimum, which the energies of bonds do not have.
    for name, at in (("graphene-lattice", 0.01), ("hbn-lattice", -0.004)):
        curved = [30.0 * len(a) * (strain - at) ** 2 for strain, (a, _) in zip(physics.STRAINS, energies[name])]
        at_rest = 30.0 * 4 * at**2
        energies[name] = [(a, e + more - at_rest) for (a, e), more in zip(energies[name], curved)]
    found = quantities.quantities(energies, LATTICE_CONSTANTS_A)
    assert found["graphene-lattice"] == pytest.approx(2.46 * 1.01, abs=1e-4)
    assert found["hbn-lattice"] == pytest.approx(2.504 * 0.996, abs=1e-4)
    # 3 bonds are gone with an atom that had half of each; a ring of six loses 12 where it had 9.
    assert found["graphene-vacancy"] == pytest.approx(1.5 * 3.0)
    assert found["pore"] == pytest.approx(3 * 3.0)
    assert found["stone-wales"] == pytest.approx(0.0)
    assert found["vacancy-pair"] == pytest.approx(3 * 2.5)
    length = SHEETS["zigzag-interface"][0].cell.lengths()[0]
    lost = 5 * (-2.0 - 2.2 - 2 * 0.5 * (-3.0 - 2.5)) / (2 * length)
    assert found["zigzag-interface"] == pytest.approx(lost)
    rows = quantities.table(energies, energies, LATTICE_CONSTANTS_A)
    assert tuple(rows) == quantities.COLUMNS
    assert (rows["dft"] == rows["network"]).all()
    published = rows.dropna(subset=["published_low"])
    assert len(published)
    assert published["source"].str.len().gt(10).all()
    assert (published["published_low"] <= published["published_high"]).all()


def test_what_a_network_does_not_know_is_left_out():
    def parabola(strains):
        return [(atoms, 240.0 * (strain - 0.01) ** 2 if strain in strains else np.nan)
                for strain, atoms in zip(physics.STRAINS, SHEETS["graphene-lattice"])]  # fmt: skip

    assert quantities.lattice_constant(parabola(physics.STRAINS[1:]), 2.46) == pytest.approx(2.46 * 1.01)
    assert np.isnan(quantities.lattice_constant(parabola(physics.STRAINS[:3]), 2.46))
    energies = {name: [(atoms, bond_energy(atoms)) for atoms in members] for name, members in SHEETS.items()}
    energies["pore"] = [(SHEETS["pore"][0], np.nan)]
    found = quantities.quantities(energies, LATTICE_CONSTANTS_A)
    assert np.isnan(found.pop("pore"))
    assert np.isfinite(list(found.values())).all()


def test_one_crystal_is_compared_over_its_cells():
    labelled = {}
    for name in physics.CRYSTALS:
        labelled[name] = [(atoms.copy(), -9.0 * len(atoms)) for atoms in SHEETS[name]]
        for atoms, _ in labelled[name]:
            atoms.info[keys.REF_RECORD] = json.dumps({"kpoints_irreducible": 8})
    other = {name: [(atoms, energy + 0.001 * len(atoms) * (len(atoms) == 50)) for atoms, energy in members]
             for name, members in labelled.items()}  # fmt: skip
    few = {name: members[:4] for name, members in labelled.items()}
    assert quantities.cells_table(few, few)["n_atoms"].tolist() == [60, 50, 56, 120] * 2
    rows = quantities.cells_table(labelled, other)
    assert tuple(rows) == quantities.CELLS_COLUMNS
    assert rows["dft_meV_per_atom"].abs().max() < 1e-9
    assert rows[rows["network_meV_per_atom"] > 0.5]["cell"].tolist() == ["hexagonal 5x5"] * 2


def test_cells_that_are_too_large_are_left_out():
    few = physics.systems(LATTICE_CONSTANTS_A, most_atoms=120)
    for name in physics.CRYSTALS:
        assert [len(atoms) for atoms in few[name]] == [60, 50, 56, 120]
        assert physics.largest(name, 120) == (10, 3)
        assert physics.largest(name) == (15, 6)
    assert {name: len(few[name]) for name in physics.RELAXED} == {name: len(SHEETS[name]) for name in physics.RELAXED}


@pytest.fixture
def start():
    atoms = SHEETS["graphene-lattice"][3].copy()
    atoms.positions[:, :2] += [[0.03, 0.01], [-0.02, 0.02], [0.01, -0.03], [-0.02, 0.0]]
    return atoms


def test_a_relaxation_ends_where_forces_are_small_and_is_gone_through_again_at_no_cost(start, tmp_path):
    path = []
    for computed in (True, False):
        store = Store(tmp_path, None, PRODUCTION, [], StandIn())
        steps = relax(start, store.label, 0.05, 40)
        assert store.computed == (len(steps) if computed else 0)
        path.append(steps)
    assert len(path[0]) > 2
    for one, other in zip(*path, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
    forces = [atoms.arrays[keys.REF_FORCES] for atoms in path[0]]
    largest = [np.linalg.norm((f - f.mean(axis=0))[:, :2], axis=1).max() for f in forces]
    assert largest[-1] < 0.05 < largest[0]
    assert path[0][-1].info[keys.REF_ENERGY] < path[0][0].info[keys.REF_ENERGY]
    assert len({atoms.info[keys.STRUCTURE_ID] for atoms in path[0]}) == len(path[0])
    best = most_relaxed(path[0])
    np.testing.assert_array_equal(best.positions, path[0][int(np.argmin(largest))].positions)
    assert keys.REF_ENERGY not in best.info
    assert keys.REF_FORCES not in best.arrays
    assert len(relax(best, store.label, 0.05, 40)) == 1


def test_a_relaxation_that_takes_too_long_says_so(start):
    with pytest.raises(LabelFailed, match="after 2 steps"):
        relax(start, spring_label, 0.001, 2)


def test_labels_of_a_run_are_added_to_the_archive_by_data_set(start, tmp_path):
    labelled = spring_label(start)
    write_structures(tmp_path / "run.extxyz", [labelled])
    arguments = ["--add", str(tmp_path / "run.extxyz"), "--archive", str(tmp_path), "--locks", str(tmp_path / "locks")]
    assert label.main(arguments) == 0
    assert label.main(arguments) == 0  # the same again is the same
    (archived,) = read_labels(tmp_path / "physics.extxyz.gz")
    assert archived.info[keys.REF_DIGEST] == labelled.info[keys.REF_DIGEST]
    assert read_structures(tmp_path / "run.extxyz")[0].info[keys.DATASET] == "physics"
