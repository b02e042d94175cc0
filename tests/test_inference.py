"""The engine gives the model's own energies, wherever it cuts the sheet."""

import copy
import itertools
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from ase import Atoms

from extensive.errors import InputError
from extensive.images.raster import rasterize
from extensive.inference import AtomsSource, Engine, FileSource, RepeatedSource, stream_energy, strips
from extensive.inference.stream import added, energy_of_sums
from extensive.inference.strips import even_parts
from extensive.inference.windows import scatter_open, scatter_periodic
from extensive.io import write_structures
from extensive.models import ModelConfig, Potential, build_model, save_model
from extensive.structures.sheet import PorousSheet

CHANNELS = ("B", "C", "N")
REFERENCES = {"B": -1.0, "C": -2.0, "N": -3.0}
SEVERAL = "holds several structures; the first alone is evaluated"
EQUILIBRATED = {"readout": "charge-equilibration"}


def potential(seed: int = 0, **changes) -> Potential:
    """A network of random weights that are large enough for every atom and every pitch to matter."""
    settings = {
        "network": "ednn", "form": "convolutional", "channels": CHANNELS, "pitch_channels": True, "focus_px": 8,
        "stem": ((8, 4, 2), (12, 4, 2)), "width": 12, "blocks": 2, "head": (8,),
    }  # fmt: skip
    torch.manual_seed(seed)
    network = build_model(ModelConfig(**{**settings, **changes}))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        network.standardize.mean.fill_(0.07)
        network.standardize.std.fill_(0.2)
    return Potential(network.eval(), REFERENCES, energy_scale_eV=0.5)


def in_double(model: Potential) -> Potential:
    model = copy.deepcopy(model)
    model.network.double()
    return model


def sheet(nx: int, ny: int, seed: int = 0) -> Atoms:
    """A rattled, strained honeycomb of three elements; its cell is no whole number of pixels."""
    rng = np.random.default_rng(seed)
    basis = np.array([[0, 1 / 6], [0.5, 1 / 3], [0.5, 2 / 3], [0, 5 / 6]])
    corner = np.stack(np.meshgrid(np.arange(nx), np.arange(ny)), axis=-1).reshape(-1, 1, 2)
    cell = np.array([2.46 * 1.01, 2.46 * np.sqrt(3) * 0.99])
    plane = (corner + basis).reshape(-1, 2) * cell + 0.1 * rng.standard_normal((4 * nx * ny, 2))
    positions = np.column_stack([plane, np.full(len(plane), 5.0)])
    return Atoms(rng.choice([5, 6, 7], len(plane)), positions, cell=[*(cell * (nx, ny)), 10], pbc=(1, 1, 0))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"readout": "density"},
        EQUILIBRATED,
        {"dilations": (1, 3), "inner_widths": (12, 4)},
        {"gated": True},
        {"symmetry": "mirrors"},
    ],
)
@pytest.mark.parametrize("cells", [(1, 1), (2, 1), (5, 3), (23, 9)])
def test_direct_streamed_and_model_agree_in_float64(changes, cells):
    model = in_double(potential(**changes))
    atoms = sheet(*cells)
    expected = model.energies([atoms])[0]
    engine = Engine(model, "float64", threads=2, block_px=32)
    direct = engine.direct_energy(atoms)
    streamed = stream_energy(engine, AtomsSource(atoms)).energy_eV
    assert streamed == pytest.approx(direct, rel=1e-10)
    # The model's own raster cuts the Gaussians at 5.5 sigma in every number type.
    assert direct == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("block_px", "threads"), [(16, 1), (32, 2), (48, 3), (4096, 2)])
def test_energy_does_not_depend_on_where_the_sheet_is_cut(block_px, threads):
    model, atoms = potential(), sheet(23, 9)
    direct = Engine(model, "float32").direct_energy(atoms)
    engine = Engine(model, "float32", threads=threads, block_px=block_px)
    assert stream_energy(engine, AtomsSource(atoms)).energy_eV == pytest.approx(direct, rel=1e-6)
    assert direct == pytest.approx(model.energies([atoms])[0], rel=1e-6)


def test_one_channel_weighted_by_the_atomic_number():
    model, atoms = potential(channels="Z", pitch_channels=False), sheet(5, 3)
    expected = model.energies([atoms])[0]
    assert Engine(model).energy(atoms) == pytest.approx(expected, rel=1e-6)
    streamed = stream_energy(Engine(model, block_px=16), AtomsSource(atoms))
    assert streamed.energy_eV == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("changes", [{}, EQUILIBRATED])
def test_n_copies_have_n_times_the_energy(changes):
    # 12 x 12 Angstrom: a whole number of pixels, so that the copies have the pitch of the one.
    atoms = sheet(5, 3)
    atoms.set_cell([12.0, 12.8, 10.0], scale_atoms=True)
    engine = Engine(in_double(potential(**changes)), "float64", block_px=32)
    one = engine.energy(atoms)
    assert stream_energy(engine, RepeatedSource(atoms, 3, 4)).energy_eV == pytest.approx(12 * one, rel=1e-10)
    assert engine.energy(atoms.repeat((3, 4, 1))) == pytest.approx(12 * one, rel=1e-10)


def test_copies_keep_atoms_that_rounding_left_below_a_period():
    atoms = sheet(5, 3)
    for axis, rows in ((1, slice(0, 5)), (0, slice(5, 8))):
        atoms.positions[rows, axis] = -1.8e-15
    source = RepeatedSource(atoms, 4, 7)
    edges = np.linspace(0.0, source.cell[1], 12)
    found = np.concatenate([source.atoms_between(low, high)[0] for low, high in itertools.pairwise(edges)])
    assert len(found) == 28 * len(atoms)
    assert (found >= 0).all()
    assert (found < source.cell).all()


def test_sheets_that_differ_in_little_have_other_fingerprints():
    """A checkpoint of one is none of the other."""
    atoms = sheet(5, 3)
    exchanged, moved, longer = atoms.copy(), atoms.copy(), atoms.copy()
    first, second = np.argmin(atoms.numbers), np.argmax(atoms.numbers)
    exchanged.numbers[[first, second]] = atoms.numbers[[second, first]]
    moved.positions[[0, 1], 0] += (0.01, -0.01)
    longer.cell[0, 0] += 0.1
    sheets = [atoms, exchanged, moved, longer]
    assert len({AtomsSource(each).fingerprint for each in sheets}) == len(sheets)
    assert AtomsSource(atoms.copy()).fingerprint == AtomsSource(atoms).fingerprint


def test_bfloat16_costs_little_beside_the_spread_of_energies():
    model = potential()
    structures = [sheet(5, 3, seed) for seed in range(6)]
    network = lambda engine: np.array([engine.energy(a) - engine.reference_eV(a.numbers) for a in structures])  # noqa: E731
    exact, rounded = network(Engine(model, "float64")), network(Engine(model, "bfloat16"))
    assert 0 < np.abs(rounded - exact).max() < 0.02 * np.abs(exact).max()


@pytest.mark.medium
@pytest.mark.parametrize("changes", [{}, EQUILIBRATED])
@pytest.mark.parametrize("cells", [(2, 1), (9, 5)])
def test_forces_are_the_models_and_the_gradient_of_the_energy(cells, changes):
    model = in_double(potential(**changes))
    atoms = sheet(*cells)
    engine = Engine(model, "float64", block_px=32)
    alone = engine.energy(atoms)
    energy, forces = engine.energy_and_forces(atoms)
    assert energy == pytest.approx(alone, rel=1e-12)
    np.testing.assert_allclose(forces, model.energies_and_forces([atoms])[1][0], atol=1e-5)
    step, atom = 1e-4, 7
    for axis in (0, 1):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            ends.append(engine.energy(moved))
        assert forces[atom, axis] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_windows_are_the_image_of_the_raster(dtype):
    atoms = sheet(4, 3)
    shape, sigma = (64, 44), 0.2
    cell = np.diag(atoms.cell)[:2].copy()
    pitch = (cell[1] / shape[0], cell[0] / shape[1])
    positions, numbers = torch.from_numpy(atoms.positions[:, :2]), torch.from_numpy(atoms.numbers)
    exact = rasterize(positions, numbers, torch.from_numpy(cell), shape, CHANNELS, sigma, exact=True)
    channel = numbers - 5
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    periodic = scatter_periodic(positions, channel, None, shape, pitch, sigma, 3, dtype)
    torch.testing.assert_close(periodic.permute(2, 0, 1).double(), exact, atol=tolerance, rtol=0)
    # An open window sees the atoms given to it, those outside included as far as they reach in.
    images = [positions + torch.tensor([i, j]) * torch.from_numpy(cell) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    opened = scatter_open(torch.cat(images), channel.repeat(9), None, shape, pitch, sigma, 3, dtype)
    torch.testing.assert_close(opened.permute(2, 0, 1).double(), exact, atol=tolerance, rtol=0)


def test_porous_sheet_streams_to_the_energy_of_all_its_atoms():
    source = PorousSheet((3, 4), seed=1, displacement_A=0.05)
    engine = Engine(in_double(potential()), "float64", threads=2, block_px=64)
    result = stream_energy(engine, source)
    assert result.n_atoms == source.n_atoms
    assert result.energy_eV == pytest.approx(engine.direct_energy(source.whole()), rel=1e-10)


def test_file_is_streamed_in_small_chunks(tmp_path):
    atoms = sheet(9, 7)
    atoms.positions[::5, 0] += atoms.cell[0, 0]  # files may hold atoms outside their cell
    atoms.write(tmp_path / "sheet.xyz", format="extxyz")
    source = FileSource(tmp_path / "sheet.xyz", band_A=3.0, chunk_atoms=50)
    engine = Engine(potential(), "float64", block_px=32)
    # Extended XYZ keeps 8 decimals.
    assert stream_energy(engine, source).energy_eV == pytest.approx(engine.direct_energy(atoms), rel=1e-8)
    source.close()


@pytest.mark.parametrize("chunk_atoms", [35, 50, 252, 1000])
def test_of_several_structures_the_first_is_streamed_with_a_line(tmp_path, capsys, chunk_atoms):
    atoms, other = sheet(9, 7), sheet(3, 2)
    write_structures(tmp_path / "one.xyz", [atoms])
    write_structures(tmp_path / "two.xyz", [atoms, other])
    one, two = (FileSource(tmp_path / name, chunk_atoms=chunk_atoms) for name in ("one.xyz", "two.xyz"))
    assert capsys.readouterr().err == f"extensive: note: {tmp_path}/two.xyz: {SEVERAL}\n"
    for found, expected in zip(two.atoms_between(0, 99), one.atoms_between(0, 99), strict=True):
        np.testing.assert_array_equal(found, expected)
    one.close()
    two.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not a number\n\n", "number of atoms"),
        ("2\nno cell\nC 0 0 0\nC 1 0 0\n", "Lattice"),
        ('2\nLattice="9 0 0 0 9 0 0 0 9"\nC 0 0 0\n', "truncated"),
        ('2\nLattice="9 0 0 0 9 0 0 0 9"\n', "0 atoms found, 2 announced"),
        ('1\nLattice="9 0 0 0 9 0 0 0 9"\nC 0 0\n', "line 3 has fewer than 4 columns"),
        ('2\nLattice="9 0 0 0 9 0 0 0 9" Properties=pos:R:3:species:S:1\n0 0 0 C\n1 0 0\n', "symbol .* is missing"),
        ('1\nLattice="9 0 0 0 9 0 0 0 9" Properties=species:S:pos\nC 0 0 0\n', "no list of name:type:columns"),
        ('1\nLattice="9 0 0 0 9 0 0 0 9"\nXx 0 0 0\n', "'Xx' is not a chemical symbol"),
        ('1\nLattice="9 0 0 0 9 0 0 0 9"\nC 0 nan 0\n', "not a finite number"),
        ('1\nLattice="9 1 0 0 9 0 0 0 9"\nC 0 0 0\n', "not orthogonal"),
    ],
)
def test_broken_file_gets_one_line_that_names_it(tmp_path, content, message):
    path = tmp_path / "broken.xyz"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        FileSource(path)
    assert "broken.xyz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_engine_cannot_do_is_said():
    with pytest.raises(InputError, match="cannot be streamed"):
        Engine(potential(form="paper", context_px=8, stem=((8, 4, 2),), width=8))
    with pytest.raises(InputError, match="float16"):
        Engine(potential(), "float16")
    atoms = sheet(2, 2)
    atoms.numbers[0] = 14
    with pytest.raises(InputError, match="atomic number 14"):
        Engine(potential()).energy(atoms)
    with pytest.raises(InputError, match="atomic number 14"):
        stream_energy(Engine(potential()), AtomsSource(atoms))


def test_strips_cover_every_row_once_whatever_the_number_of_ranks():
    whole = strips(1000, 96)
    assert [whole[0].first, whole[-1].last] == [0, 1000]
    assert all(a.last == b.first for a, b in itertools.pairwise(whole))
    for n_ranks in (1, 2, 3, 7, 20):
        assert [s for rank in range(n_ranks) for s in strips(1000, 96, 1, n_ranks, rank)] == whole


def test_parts_are_even_and_whole_strides():
    for length, wanted in [(444, 384), (1000, 96), (40, 384), (8, 8), (576, 384), (580, 384)]:
        parts = even_parts(length, wanted, 4)
        sizes = [last - first for first, last in parts]
        assert sum(sizes) == length
        assert parts[0][0] == 0
        assert all(size % 4 == 0 for size in sizes)
        assert max(sizes) - min(sizes) <= 4
        assert max(sizes) <= max(1.5 * wanted + 4, 8)


@pytest.mark.parametrize("changes", [{}, EQUILIBRATED])
def test_ranks_add_up_to_the_whole(changes):
    engine, source = Engine(potential(**changes), block_px=16), AtomsSource(sheet(9, 7))
    parts = [stream_energy(engine, source, n_ranks=3, rank=rank) for rank in range(3)]
    whole = stream_energy(engine, source)
    assert energy_of_sums(added(part.sums_eV for part in parts)) == pytest.approx(whole.energy_eV, rel=1e-13)
    assert sum(part.n_atoms for part in parts) == whole.n_atoms
    # Only a sum over tiles has parts whose energies add up.
    missing = whole.energy_eV - sum(part.energy_eV for part in parts)
    assert (abs(missing) > 1e-9 * abs(whole.energy_eV)) == bool(changes)


class Stop(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("changes", [{}, EQUILIBRATED])
def test_stopped_evaluation_goes_on_where_it_was(tmp_path, changes):
    engine, source = Engine(potential(**changes), block_px=16), AtomsSource(sheet(9, 9))
    expected = stream_energy(engine, source)
    checkpoint, seen = tmp_path / "sums.json", []

    def stop(strip, sums):
        seen.append(strip.index)
        if len(seen) == 3:
            raise Stop

    with pytest.raises(Stop):
        stream_energy(engine, source, checkpoint, on_strip=stop)
    again = stream_energy(engine, source, checkpoint, on_strip=lambda strip, _: seen.append(strip.index))
    assert seen == list(range(expected.strips))  # none twice
    assert again.resumed_strips == 3
    assert again.energy_eV == expected.energy_eV
    # Partial sums of another model, number type or sheet are not used.
    other = Engine(potential(seed=1), block_px=16)
    assert stream_energy(other, source, checkpoint).energy_eV == stream_energy(other, source).energy_eV
    checkpoint.write_text('{"key": ')
    assert stream_energy(engine, source, checkpoint).energy_eV == expected.energy_eV


@pytest.mark.medium
def test_killed_process_is_resumed(tmp_path):
    save_model(tmp_path / "model", potential())
    checkpoint = tmp_path / "sums.json"
    code = f"""
        import os, signal
        from pathlib import Path
        from extensive.inference import Engine, stream_energy
        from extensive.models import load_model
        from extensive.structures.sheet import PorousSheet
        checkpoint = Path({str(checkpoint)!r})
        def be_killed(*_):
            if checkpoint.is_file():
                os.kill(os.getpid(), signal.SIGKILL)
        engine = Engine(load_model({str(tmp_path / "model")!r}), threads=1, block_px=32)
        stream_energy(engine, PorousSheet((2, 6)), checkpoint, on_strip=be_killed)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], timeout=600)
    assert ended.returncode == -signal.SIGKILL
    engine, source = Engine(potential(), threads=1, block_px=32), PorousSheet((2, 6))
    result = stream_energy(engine, source, checkpoint)
    assert 0 < result.resumed_strips < result.strips
    assert result.energy_eV == stream_energy(engine, source).energy_eV
