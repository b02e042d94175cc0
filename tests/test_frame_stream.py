"""Sheets of any cell in the engine: whole, cut into strips and from files, against the potential's own energies."""

import numpy as np
import pytest
import torch
from own_models import rattled, write_model
from test_frame import honeycomb, rotation_about, turned_whole

from extensive.errors import InputError
from extensive.images.oblique import torus_of
from extensive.inference import AtomsSource, Engine, FileSource, stream_energy
from extensive.io import write_structures
from extensive.models import load_model
from extensive.structures.bonds import summary
from extensive.structures.frame import frame_of
from extensive.timing import sheet as sheets
from extensive.timing.sheet import evaluate_sheet, file_source

LARGE_HEXAGONAL = [[8, 0], [0, 8]], 4  # 2,048 atoms
LARGE_CHIRAL = [[7, 2], [-3, 8]], 4  # 1,984 atoms


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "upright", exchange=False)


@pytest.fixture(scope="module")
def potential(path):
    return load_model(path).to(torch.float64)


def large(cells, times):
    return turned_whole(honeycomb(cells).repeat((times, times, 1)), rotation_about((0, 0, 1), 33.0))


@pytest.mark.parametrize("cells", [[[4, 0], [0, 4]], [[3, 1], [-1, 4]], [[2, 1], [-1, 3]]])
def test_the_engine_takes_any_cell(potential, cells):
    """Cells drawn as rectangles and on sheared pixels; the potential's raster cuts Gaussians off sooner."""
    sheet = turned_whole(honeycomb(cells), rotation_about((1, 2, 3), 25.0))
    energies, forces = potential.energies_and_forces([sheet])
    engine = Engine(potential, "float64")
    assert engine.energy(sheet) == pytest.approx(energies[0], abs=1e-4)
    energy, found = engine.energy_and_forces(sheet)
    assert energy == pytest.approx(engine.energy(sheet), abs=1e-9)
    np.testing.assert_allclose(found, forces[0], atol=1e-4)


@pytest.mark.medium
@pytest.mark.parametrize(("cells", "times"), [LARGE_HEXAGONAL, LARGE_CHIRAL])
def test_strips_of_a_twisted_image_add_up(potential, cells, times):
    sheet = large(cells, times)
    placed = potential.lay(sheet)
    assert placed.copies == 1
    engine, blocks = Engine(potential, "float64", block_px=1024), Engine(potential, "float64", block_px=32)
    whole, forces = engine.energy_and_forces(placed)
    if (cells, times) == LARGE_HEXAGONAL:
        assert torus_of(placed.periods).twist
        assert not blocks.grid_of(AtomsSource(placed)).whole
    assert stream_energy(blocks, AtomsSource(placed)).energy_eV == pytest.approx(whole, abs=1e-8)
    energy, found = blocks.energy_and_forces(placed)
    assert energy == pytest.approx(whole, abs=1e-8)
    np.testing.assert_allclose(found, forces, atol=1e-9)
    assert potential.energies([placed])[0] == pytest.approx(whole, abs=1e-3)


@pytest.mark.parametrize(("cells", "times"), [LARGE_HEXAGONAL, LARGE_CHIRAL])
def test_a_file_of_any_cell_is_streamed(potential, cells, times, tmp_path):
    sheet = large(cells, times)
    sheet.wrap()
    sheet.positions[:, 2] += 7.5  # onto the boundary
    sheet.wrap()
    write_structures(tmp_path / "sheet.extxyz", [sheet])
    source = FileSource(
        tmp_path / "sheet.extxyz", band_A=5.0, chunk_atoms=1000, grid_of=lambda frame, numbers: potential.grid_of(frame)
    )
    engine = Engine(potential, "float64", block_px=32)
    found = stream_energy(engine, source)
    assert found.n_atoms == len(sheet)
    # Half of the sheet may show another of three equal directions; and extended XYZ keeps 8 decimals.
    assert found.energy_eV / len(sheet) == pytest.approx(engine.energy(sheet) / len(sheet), abs=1e-3)
    source.close()


@pytest.mark.parametrize("sheet", [large(*LARGE_HEXAGONAL), large(*LARGE_CHIRAL), rattled((30, 40)), rattled((2, 1))])
def test_bonds_of_a_streamed_file_are_those_of_the_sheet(potential, sheet, tmp_path):
    """Atoms in any order, in blocks, over every boundary."""
    sheet = sheet[np.random.default_rng(0).permutation(len(sheet))]
    sheet.wrap()
    write_structures(tmp_path / "sheet.extxyz", [sheet])
    source = FileSource(
        tmp_path / "sheet.extxyz", band_A=5.0, chunk_atoms=len(sheet), grid_of=lambda frame, _: potential.grid_of(frame)
    )
    frame = frame_of(sheet)
    expected = summary(frame.bonds, potential.grid_of(frame).angle)
    # The rounding of a grid to whole pixels rotates it by a little.
    assert source.bonds() == pytest.approx(tuple(expected), abs=5e-3)
    source.close()


def test_what_lies_behind_the_first_million_atoms_is_checked(path, monkeypatch, tmp_path):
    monkeypatch.setattr(sheets, "ATOMS_IN_MEMORY", 1000)
    monkeypatch.setattr(FileSource.__init__, "__defaults__", (20.0, 2000, None))
    sheet = rattled((60, 40))
    sheet.positions[-1] = sheet.positions[-2] + [0.3, 0.0, 0.0]
    write_structures(tmp_path / "sheet.extxyz", [sheet])
    with pytest.raises(InputError, match=r"two atoms are 0\.300 A apart"):
        file_source(tmp_path / "sheet.extxyz", path)


@pytest.mark.parametrize("cells", [LARGE_HEXAGONAL[0], LARGE_CHIRAL[0]])
def test_the_order_of_atoms_in_a_file_is_of_no_consequence(path, cells, monkeypatch, tmp_path):
    """Sorted by element, the first chunks hold one sublattice, whose neighbours are second ones."""
    monkeypatch.setattr(sheets, "ATOMS_IN_MEMORY", 1000)
    monkeypatch.setattr(FileSource.__init__, "__defaults__", (20.0, 500, None))
    sheet = turned_whole(honeycomb(cells, symbols=("B", "N")).repeat((4, 4, 1)), rotation_about((0, 0, 1), 33.0))
    rows = np.argsort(np.round(sheet.positions[:, 1], 1), kind="stable")
    orders = rows, np.argsort(sheet.numbers, kind="stable"), np.random.default_rng(0).permutation(len(sheet))
    engine = Engine(load_model(path), "float64", block_px=64)
    energies = []
    for order in orders:
        write_structures(tmp_path / "sheet.extxyz", [sheet[order]])
        source = file_source(tmp_path / "sheet.extxyz", path)
        energies.append(stream_energy(engine, source).energy_eV)
        source.close()
    whole = Engine(load_model(path), "float64").energy(sheet)
    np.testing.assert_allclose(energies, energies[0], rtol=1e-12)
    assert energies[0] == pytest.approx(whole, abs=1e-5 * len(sheet))


def test_an_unknown_element_behind_the_first_million_atoms_is_refused(path, monkeypatch, tmp_path):
    monkeypatch.setattr(sheets, "ATOMS_IN_MEMORY", 100)
    monkeypatch.setattr(FileSource.__init__, "__defaults__", (20.0, 100, None))
    sheet = rattled((6, 8))
    sheet.symbols[-1] = "Si"
    write_structures(tmp_path / "sheet.extxyz", [sheet])
    with pytest.raises(InputError, match="element Si is unknown to the model"):
        file_source(tmp_path / "sheet.extxyz", path)


def test_sheet_file_checks_what_predict_checks(path, tmp_path):
    stretched = rattled()
    stretched.set_cell(stretched.cell.array * 1.2, scale_atoms=True)
    write_structures(tmp_path / "stretched.extxyz", [stretched])
    with pytest.raises(InputError, match="the mean bond is"):
        file_source(tmp_path / "stretched.extxyz", path)
    file_source(tmp_path / "stretched.extxyz", path, extrapolate=True)
    rippled = rattled((30, 60))
    rippled.positions[-1, 2] += 0.3
    write_structures(tmp_path / "rippled.extxyz", [rippled])
    with pytest.raises(InputError, match="flat sheets only"):
        FileSource(tmp_path / "rippled.extxyz", chunk_atoms=1000)


def test_a_small_file_of_any_format_has_its_own_energy(path, tmp_path):
    sheet = honeycomb([[3, 1], [-1, 4]])
    sheet.write(tmp_path / "sheet.cif")
    found, row = evaluate_sheet(path, file_source(tmp_path / "sheet.cif", path), dtype="float64")
    assert found.n_atoms == row.n_atoms == len(sheet)
    assert found.energy_eV == pytest.approx(load_model(path).energies([sheet])[0], abs=2e-3)
