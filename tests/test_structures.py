"""Structures: lattices, defects, domains, pores, sampling, and what is refused."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from honeycombs import coordination, minimum_distance, ring_sizes
from hypothesis import given, settings
from hypothesis import strategies as st

from extensive import keys
from extensive.config import complete_config, load_config, load_schema
from extensive.errors import InputError
from extensive.io import read_structures, write_structures
from extensive.structures import lattices, pores, sampling
from extensive.structures.cells import periodic_offset
from extensive.structures.datasets import FAMILIES, generate_dataset
from extensive.structures.frame import frame_of
from extensive.structures.lattices import bonds

ROOT = Path(__file__).resolve().parents[1]
CUTOFF_A = 1.8
SCHEMA = load_schema()


def make(family="graphene", sampler="pristine", count=1, name="x", seed=1, **changes):
    """A data set with the schema's defaults for all keys that are not given."""
    entry = {"family": family, "sampler": sampler, "count": count, **changes}
    config = complete_config({"structures": {"datasets": {name: entry}}}, SCHEMA)
    return generate_dataset(name, config["structures"]["datasets"][name], seed)


def make_ideal(family, count, **changes):
    return make(family, "pristine", count, strain=0.0, **changes)


def bond_lengths(atoms):
    return np.linalg.norm(bonds(atoms, CUTOFF_A)[2], axis=1)


def same(first, second):
    return (
        np.array_equal(first.positions, second.positions)
        and np.array_equal(first.numbers, second.numbers)
        and np.array_equal(first.cell, second.cell)
    )


def element_counts(atoms):
    return dict(Counter(atoms.get_chemical_symbols()))


# Lattices


@pytest.mark.parametrize(("family", "constant"), [("graphene", 2.46), ("hbn", 2.504)])
def test_pristine_sheet_is_a_flat_honeycomb(family, constant):
    (atoms,) = make_ideal(family, 1)
    assert len(atoms) == 60
    np.testing.assert_allclose(atoms.cell.lengths()[:2], [5 * constant, 3 * np.sqrt(3) * constant], atol=1e-6)
    np.testing.assert_allclose(bond_lengths(atoms), constant / np.sqrt(3), atol=2e-6)
    assert (coordination(atoms, CUTOFF_A) == 3).all()
    assert ring_sizes(*bonds(atoms, CUTOFF_A)) == [6] * 30
    assert np.ptp(atoms.positions[:, 2]) == 0.0
    assert atoms.pbc.tolist() == [True, True, False]


def test_hbn_has_only_boron_nitrogen_bonds():
    (atoms,) = make_ideal("hbn", 1)
    i, j, _ = bonds(atoms, CUTOFF_A)
    assert (atoms.numbers[i] + atoms.numbers[j] == 12).all()
    assert (atoms.numbers[i] != atoms.numbers[j]).all()


def test_rings_of_the_smallest_cell_are_hexagons():
    assert ring_sizes(*bonds(lattices.graphene((1, 1)), CUTOFF_A)) == [6, 6]


OTHER_SETS = ("hexagonal-cells", "chiral-cells")
OTHER_CELLS = ["hexagonal", {"chiral": [1, 1]}, {"chiral": [2, 1]}, {"chiral": [4, 1]}, {"chiral": [5, 3]}]


@pytest.mark.parametrize("cell", OTHER_CELLS, ids=str)
@pytest.mark.parametrize(("family", "constant"), [("graphene", 2.46), ("hbn", 2.504)])
def test_pristine_sheets_of_other_cells_are_the_same_honeycomb(cell, family, constant):
    (atoms,) = make_ideal(family, 1, cell=cell, supercell=[3, 2])
    n, m = (1, 0) if cell == "hexagonal" else cell["chiral"]
    length = constant * np.sqrt(n * n + n * m + m * m)
    assert len(atoms) == 12 * (n * n + n * m + m * m)
    np.testing.assert_allclose(atoms.cell.cellpar()[[0, 1, 5]], [3 * length, 2 * length, 60.0], atol=2e-5)
    assert atoms.cell[0, 1] == 0.0, "the first period lies along x"
    np.testing.assert_allclose(bond_lengths(atoms), constant / np.sqrt(3), atol=3e-6)
    assert ring_sizes(*bonds(atoms, CUTOFF_A)) == [6] * (len(atoms) // 2)
    # From the first period, n a1 + m a2, back to the zigzag row along a1.
    turn = np.degrees(np.arctan2(m * np.sqrt(3), 2 * n + m))
    off = np.degrees(frame_of(atoms).honeycomb) + turn
    assert off / 60 == pytest.approx(round(off / 60), abs=2e-5)
    if family == "hbn":
        i, j, _ = bonds(atoms, CUTOFF_A)
        assert (atoms.numbers[i] + atoms.numbers[j] == 12).all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("cell", OTHER_CELLS[1:3] + ["hexagonal"], ids=str)
def test_every_family_in_every_cell(family, cell):
    """Bonds of rattled sheets are those of the family; atoms lie in the cell to the digits that files keep."""
    supercell = [3, 3] if cell == {"chiral": [1, 1]} else [2, 2] if cell == {"chiral": [2, 1]} else [5, 5]
    for atoms in make(family, "rattle", 10, cell=cell, supercell=supercell, displacement_A=[0.02, 0.03]):
        numbers, least = coordination(atoms, CUTOFF_A), 2 if "vacancy" in family or family == "porous" else 3
        assert numbers.min() >= least
        assert numbers.max() == 3
        rings = Counter(ring_sizes(*bonds(atoms, CUTOFF_A)))
        if family == "stone-wales":
            assert (rings[5], rings[7]) == (2, 2)
        elif least == 3:
            assert set(rings) == {6}
        fractions = atoms.positions @ np.linalg.inv(atoms.cell.array)
        assert (fractions[:, :2] > -1e-6).all()
        assert (fractions[:, :2] < 1.0).all()
        np.testing.assert_array_equal(atoms.positions, np.round(atoms.positions, 6))


@pytest.mark.parametrize("shape", ["stripe-x", "stripe-y"])
def test_stripes_of_a_chiral_cell_run_along_a_period(shape):
    """All atoms at one place across the stripe are of one material; the place is the other fractional coordinate."""
    for atoms in make_ideal("heterostructure", 4, cell={"chiral": [2, 1]}, supercell=[2, 2], shapes=[shape]):
        fractions = (atoms.positions @ np.linalg.inv(atoms.cell.array))[:, 1 if shape == "stripe-x" else 0]
        carbon_at = {}
        for number, place in zip(atoms.numbers, np.round(fractions, 4) % 1.0, strict=True):
            carbon_at.setdefault(place, set()).add(number == 6)
        assert all(len(kinds) == 1 for kinds in carbon_at.values())


def test_the_nearest_image_in_an_oblique_cell():
    rng = np.random.default_rng(0)
    vectors = np.array([[9.0, 0.0], [4.0, 6.0]])
    points, centre = rng.uniform(-20, 20, size=(200, 2)), np.array([1.0, 2.0])
    images = [i * vectors[0] + j * vectors[1] for i in range(-9, 10) for j in range(-9, 10)]
    brute = np.min([np.linalg.norm(points - centre + image, axis=1) for image in images], axis=0)
    found = periodic_offset(points, centre, vectors)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), brute)
    steps = (found - (points - centre)) @ np.linalg.inv(vectors)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)


# Defects


@pytest.mark.parametrize("family", ["graphene-vacancy", "hbn-vacancy"])
def test_vacancy_leaves_three_atoms_with_two_bonds(family):
    for atoms in make_ideal(family, 6):
        assert len(atoms) == 59
        assert Counter(coordination(atoms, CUTOFF_A)) == {3: 56, 2: 3}


def test_hbn_vacancies_are_of_both_elements():
    counts = [element_counts(atoms)["B"] for atoms in make_ideal("hbn-vacancy", 12)]
    assert set(counts) == {29, 30}


def test_substitution_and_antisite_stoichiometry():
    for atoms in make_ideal("graphene-substitution", 8):
        counts = element_counts(atoms)
        assert counts["C"] == 59
        assert counts.get("B", 0) + counts.get("N", 0) == 1
    for atoms in make_ideal("hbn-substitution", 8):
        counts = element_counts(atoms)
        assert counts["C"] == 1
        assert sorted([counts["B"], counts["N"]]) == [29, 30]
    for atoms in make_ideal("hbn-antisite", 8):
        counts = element_counts(atoms)
        assert sorted(counts.values()) == [29, 31]
        i, j, _ = bonds(atoms, CUTOFF_A)
        assert (atoms.numbers[i] == atoms.numbers[j]).sum() == 6  # three like bonds, each direction


def test_number_of_defects_is_within_its_range():
    foreign = [60 - element_counts(a)["C"] for a in make_ideal("graphene-substitution", 20, defects=[2, 4])]
    assert set(foreign) == {2, 3, 4}


@pytest.mark.parametrize("supercell", [[2, 2], [3, 2], [5, 3], [10, 3]])
def test_stone_wales_has_two_fives_two_sevens_and_sound_bonds(supercell):
    for atoms in make_ideal("stone-wales", 4, supercell=supercell):
        rings = Counter(ring_sizes(*bonds(atoms, CUTOFF_A)))
        assert rings == {5: 2, 7: 2, 6: 2 * np.prod(supercell) - 4}
        assert (coordination(atoms, CUTOFF_A) == 3).all()
        assert bond_lengths(atoms).min() > 1.3
        assert bond_lengths(atoms).max() < 1.55
        if len(atoms) > 16:  # in the smallest cell the rings are squeezed against their images
            assert len(bonds(atoms, 2.0)[0]) == 3 * len(atoms), "second neighbours nearer than 2 A"


def test_stone_wales_bond_is_rotated_by_90_degrees():
    """The defect's own bond, the shortest, lies across one of the directions of a pristine sheet's bonds."""
    for atoms in make_ideal("stone-wales", 6):
        _, _, vectors = bonds(atoms, CUTOFF_A)
        shortest = vectors[np.argmin(np.linalg.norm(vectors, axis=1))]
        angle = np.degrees(np.arctan2(shortest[1], shortest[0])) % 180
        # Pristine bonds lie at 30, 90 and 150 degrees; rotated ones at 0, 60 and 120.
        # The cell is not hexagonal, which tilts the relaxed bond a little.
        assert min(abs(angle - other) for other in (0.0, 60.0, 120.0, 180.0)) < 3.0, angle


# Heterostructures


def test_heterostructures_have_both_materials_on_one_honeycomb():
    shapes = set()
    for atoms in make_ideal("heterostructure", 15):
        assert ring_sizes(*bonds(atoms, CUTOFF_A)) == [6] * 30
        counts = element_counts(atoms)
        fraction = (counts.get("B", 0) + counts.get("N", 0)) / 60
        assert 0 < fraction < 1
        # Vegard: the lattice constant is the mean weighted by composition.
        np.testing.assert_allclose(atoms.cell[0, 0] / 5, 2.46 + fraction * (2.504 - 2.46), atol=1e-6)
        i, j, _ = bonds(atoms, CUTOFF_A)
        both = np.isin(atoms.numbers[i], (5, 7)) & np.isin(atoms.numbers[j], (5, 7))
        assert (atoms.numbers[i] != atoms.numbers[j])[both].all()
        shapes.add(atoms.info["shape"])
    assert shapes == {"stripe-x", "stripe-y", "triangle", "disc", "patches"}


@pytest.mark.parametrize(("shape", "axis"), [("stripe-x", 1), ("stripe-y", 0)])
def test_stripes_run_along_their_axis(shape, axis):
    """All atoms at one place across the stripe are of one material."""
    for atoms in make_ideal("heterostructure", 5, shapes=[shape]):
        carbon_at = {}
        for number, place in zip(atoms.numbers, np.round(atoms.positions[:, axis], 4), strict=True):
            carbon_at.setdefault(place, set()).add(number == 6)
        assert all(len(kinds) == 1 for kinds in carbon_at.values())


def test_composition_follows_its_range():
    fractions = [atoms.info["hbn_fraction"] for atoms in make_ideal("heterostructure", 20, hbn_fraction=[0.4, 0.6])]
    assert 0.3 < min(fractions) < max(fractions) < 0.7


# Pores


def test_porous_sheets_are_connected_without_loose_ends():
    for atoms in make_ideal("porous", 12):
        assert len(atoms) < 60
        assert coordination(atoms, CUTOFF_A).min() >= 2
        assert len(pores.prune(atoms, CUTOFF_A)) == len(atoms)
        rings = ring_sizes(*bonds(atoms, CUTOFF_A))
        assert rings[-1] > 6
        assert set(rings[:-1]) == {6}


@pytest.mark.parametrize("shape", pores.SHAPES)
def test_pores_of_one_radius_have_the_area_of_the_circle(shape):
    grid = np.stack(np.meshgrid(*2 * [np.linspace(-6, 6, 601)]), axis=-1).reshape(-1, 2)
    for rotated in (False, True):
        area = pores.inside_pore(shape, grid, 2.0, rotated).sum() * (12 / 600) ** 2
        assert area == pytest.approx(np.pi * 2.0**2, rel=0.01)
        extent = np.ptp(grid[pores.inside_pore(shape, grid, 2.0, rotated)], axis=0).max()
        assert extent == pytest.approx(2.0 * pores.EXTENT_PER_RADIUS[shape], rel=0.02)


def test_larger_pores_remove_more_atoms():
    small = np.mean([len(a) for a in make_ideal("porous", 8, pore_radius_A=[1.5, 1.6])])
    large = np.mean([len(a) for a in make_ideal("porous", 8, pore_radius_A=[3.2, 3.3])])
    assert small > large + 5


def test_prune_drops_chains_and_islands():
    atoms = lattices.graphene((6, 4))
    # A flake that hangs free in a large hole is not part of the sheet.
    offset = atoms.positions[:, :2] - atoms.cell.lengths()[:2] / 2
    distance = np.hypot(*offset.T)
    cut = pores.prune(atoms[(distance > 5.5) | (distance < 2.9)], CUTOFF_A)
    assert np.hypot(*(cut.positions[:, :2] - atoms.cell.lengths()[:2] / 2).T).min() > 5.0


# Sampling


@pytest.mark.parametrize("family", FAMILIES)
def test_same_seed_same_structures_to_the_bit(family):
    first, second = (make(family, "rattle", 4) for _ in range(2))
    assert all(same(a, b) for a, b in zip(first, second, strict=True))
    assert not any(same(a, b) for a, b in zip(first, make(family, "rattle", 4, seed=2), strict=True))
    assert not any(same(a, b) for a, b in zip(first, make(family, "rattle", 4, name="y"), strict=True))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sampler", ["pristine", "rattle", "md"])
def test_raising_the_count_keeps_earlier_structures(family, sampler):
    few, many = make(family, sampler, 2), make(family, sampler, 5)
    assert all(same(a, b) for a, b in zip(few, many, strict=False))


@pytest.mark.parametrize("family", FAMILIES)
def test_structures_survive_the_file_unchanged(family, tmp_path):
    made = make(family, "rattle", 3)
    write_structures(tmp_path / "x.extxyz", made)
    for before, after in zip(made, read_structures(tmp_path / "x.extxyz"), strict=True):
        np.testing.assert_array_equal(np.round(before.positions, 6), np.round(after.positions, 6))
        np.testing.assert_array_equal(before.numbers, after.numbers)
        np.testing.assert_array_equal(after.info[keys.SUPERCELL], [5, 3])
        for key in (keys.STRUCTURE_ID, keys.DATASET, keys.FAMILY, keys.SAMPLER, keys.PARENT):
            assert after.info[key] == before.info[key]


def test_identity_of_structures():
    atoms = make("hbn", "rattle", 3, name="hbn-rattle")[2]
    assert atoms.info[keys.STRUCTURE_ID] == atoms.info[keys.PARENT] == "hbn-rattle-00002"
    assert atoms.info[keys.FAMILY] == "hbn"


def test_rattle_has_the_amplitude_and_strain_asked_for():
    reference = lattices.graphene((10, 6))
    for atoms in make("graphene", "rattle", 4, supercell=[10, 6], displacement_A=[0.05, 0.06], strain=0.03):
        strain = atoms.cell.lengths()[:2] / reference.cell.lengths()[:2] - 1
        assert np.abs(strain).max() <= 0.03 + 1e-6
        np.testing.assert_allclose(strain, atoms.info["strain"], atol=1e-6)
        offset = atoms.positions[:, :2] - reference.positions[:, :2] * (1 + strain)
        offset -= atoms.cell.lengths()[:2] * np.round(offset / atoms.cell.lengths()[:2])
        assert np.sqrt((offset**2).mean()) == pytest.approx(atoms.info["displacement_A"], rel=0.15)
        assert 0.05 <= atoms.info["displacement_A"] <= 0.06


def test_no_pair_is_too_near_at_large_amplitudes():
    for atoms in make("porous", "rattle", 6, displacement_A=[0.2, 0.2]):
        assert minimum_distance(atoms) >= sampling.MINIMUM_DISTANCE_A - 3e-6


def test_pristine_scan_starts_unstrained_and_fills_the_range():
    strains = np.array([atoms.info["strain"] for atoms in make("graphene", "pristine", 16, strain=0.03)])
    assert (strains[0] == 0).all()
    assert (np.histogram(strains[:, 0], bins=4, range=(-0.03, 0.03))[0] >= 3).all()


def test_strain_outside_the_middle_of_the_range():
    for sampler in ("pristine", "rattle"):
        for atoms in make("graphene", sampler, 12, strain_min=0.04, strain=0.07):
            assert 0.04 - 1e-6 <= np.abs(atoms.info["strain"]).max() <= 0.07 + 1e-6


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["graphene", "stone-wales", "porous"]))
def test_every_structure_is_wrapped_and_rounded(seed, family):
    (atoms,) = make(family, "rattle", 1, seed=seed)
    lengths = atoms.cell.lengths()[:2]
    assert (atoms.positions[:, :2] >= 0).all()
    assert (atoms.positions[:, :2] < lengths).all()
    np.testing.assert_array_equal(atoms.positions, np.round(atoms.positions, 6))
    assert minimum_distance(atoms) >= 1.05 - 3e-6


# Data sets and refusals


def test_a_list_of_families_is_cycled_through():
    made = make(["graphene", "hbn", "porous"], "rattle", 5, supercell=[10, 3])
    assert [atoms.info[keys.FAMILY] for atoms in made] == ["graphene", "hbn", "porous", "graphene", "hbn"]
    assert len(made[0]) == 120


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"family": "graphite"}, ["family", "graphite", "graphene"]),
        ({"family": "porous", "supercell": [1, 1]}, ["pore_radius_A", "[1, 1]", "at most"]),
        ({"family": "porous", "pore_radius_A": [2.0, 9.0]}, ["pore_radius_A", "9.0", "at most"]),
        ({"family": "stone-wales", "supercell": [1, 2]}, ["supercell", "[1, 2]", "[2, 2]"]),
        ({"family": "stone-wales", "cell": "hexagonal", "supercell": [1, 9]}, ["supercell", "[1, 9]", "2 lattice"]),
        ({"family": "porous", "cell": {"chiral": [2, 1]}, "supercell": [1, 1]}, ["pore_radius_A", "[1, 1]", "at most"]),
        ({"cell": {"chiral": [0, 0]}}, ["cell", "n and m"]),
        ({"displacement_A": [0.1, 0.05]}, ["displacement_A", "low <= high"]),
        ({"displacement_A": [0.1, 0.9]}, ["displacement_A", "0.9", "0.25"]),
        ({"strain": 0.5}, ["strain", "0.5", "0.2"]),
        ({"strain_min": 0.1}, ["strain", "strain_min"]),
        ({"count": 10**7}, ["count", "10000000", "1000000"]),
        ({"family": "heterostructure", "shapes": ["slit"]}, ["shapes", "slit", "stripe-x"]),
        ({"hbn_fraction": [0.5, 1.5]}, ["hbn_fraction", "1.5"]),
        ({"family": "graphene-vacancy", "defects": [1, 40]}, ["defects", "40", "15"]),
    ],
)
def test_impossible_entries_are_refused_in_one_line(changes, words):
    with pytest.raises(InputError) as caught:
        make(**{"sampler": "rattle", **changes})
    message = str(caught.value)
    assert "\n" not in message
    for word in ["structures.datasets.x", *words]:
        assert word in message


def test_incomplete_entry_is_refused():
    with pytest.raises(InputError, match="sampler is missing"):
        generate_dataset("x", {"family": "graphene", "count": 1}, 1)


@pytest.mark.parametrize("preset", ["smoke", "config", "paper"])
def test_presets_make_every_family_and_set(preset):
    config = load_config(ROOT / "config" / f"{preset}.yaml")
    families, sets = set(), set()
    for name, spec in config["structures"]["datasets"].items():
        made = generate_dataset(name, {**spec, "count": min(spec["count"], 2)}, config["seed"])
        assert made
        families |= {atoms.info[keys.FAMILY] for atoms in made}
        sets.add(spec["set"])
    assert families == set(FAMILIES)
    assert sets >= {"development", "independent-md", "supercells", "interpolation", "extrapolation"}
    assert sets - {"development"} <= set(keys.SETS)


def test_the_archive_grows_towards_the_large_cells_of_the_transfer_test():
    datasets = load_config(ROOT / "config" / "config.yaml")["structures"]["datasets"]
    other = {part: sum(s["count"] for s in datasets.values() if s["set"] == part) for part in OTHER_SETS}
    assert other == dict.fromkeys(OTHER_SETS, 12)
    sizes = {4 * np.prod(s["supercell"]): s["count"] for s in datasets.values() if s["set"] == "supercells"}
    assert sizes[120] >= 8
    assert sizes[240] >= 4
    assert sizes[360] >= 1
