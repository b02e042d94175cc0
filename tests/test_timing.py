"""Timings: fits, columns, sizes, and the sheet."""

import numpy as np
import pandas as pd
import pytest
import torch
from ase import Atoms

from extensive.errors import InputError
from extensive.io import read_json, write_json
from extensive.keys import TIMING_COLUMNS
from extensive.models import ModelConfig, Potential, build_model, save_model
from extensive.timing.ceilings import measure_breakdown
from extensive.timing.collect import collect
from extensive.timing.fits import fit_exponents, fit_power_law
from extensive.timing.hardware import hardware_record
from extensive.timing.measure import (
    Timing,
    cells_of_atoms,
    median_seconds,
    supercell_of_cells,
    write_timings,
)
from extensive.timing.networks import NetworkTimingSettings, time_networks, timing_cell
from extensive.timing.precision import measure_precision
from extensive.timing.sheet import SHEET_COLUMNS, evaluate_sheet, method_of, sheet_source, write_sheet

EDNN = ModelConfig(
    "ednn", "convolutional", channels=("C",), pitch_channels=True, focus_px=8, stem=((8, 4, 2),), width=8, blocks=1,
    head=(8,), pixel_size_A=0.4, sigma_A=0.4,
)  # fmt: skip
CNN = ModelConfig("cnn", "paper", channels="Z", image_px=32, pixel_size_A=0.4)


@pytest.fixture
def models(tmp_path):
    paths = []
    for name, config in (("cnn", CNN), ("ednn", EDNN)):
        torch.manual_seed(0)
        save_model(tmp_path / name, Potential(build_model(config).eval(), {"C": -9.0}))
        paths.append(tmp_path / f"{name}.pt")
    return paths


def test_fit_recovers_the_exponent_within_its_interval():
    rng = np.random.default_rng(0)
    sizes = np.geomspace(60, 6e5, 13)
    exact = fit_power_law(sizes, 3e-6 * sizes**1.5)
    assert exact.exponent == pytest.approx(1.5, abs=1e-12)
    assert exact.prefactor_s == pytest.approx(3e-6)
    assert exact.decades == pytest.approx(4)
    covered = 0
    for _ in range(400):
        noisy = fit_power_law(sizes, 3e-6 * sizes**1.5 * np.exp(0.1 * rng.standard_normal(13)))
        covered += noisy.exponent_low < 1.5 < noisy.exponent_high
    assert 0.91 < covered / 400 < 0.99  # a 95 % interval


def test_two_points_give_an_exponent_and_no_interval():
    law = fit_power_law([60, 120], [1.0, 8.0])
    assert law.exponent == pytest.approx(3)
    assert law.exponent_low is None
    with pytest.raises(InputError, match="two different sizes"):
        fit_power_law([60, 60], [1.0, 1.1])
    with pytest.raises(InputError, match="positive"):
        fit_power_law([60, 120], [1.0, 0.0])


def test_networks_are_fitted_where_they_are_linear_and_dft_everywhere():
    sizes = np.array([60, 600, 6000, 60000])
    rows = [Timing("ednn-fused", "cpu", n / 60, n, 1e-3 + 1e-6 * n, 5, 2, "test") for n in sizes]
    rows += [Timing("gpaw", "cpu", n / 60, n, 1e-4 * n**2.5, 1, 1, "test") for n in (60, 120, 240)]
    rows += [Timing("cnn", "cpu", 1, 60, 0.01, 5, 2, "test")]
    fits = {fit["method"]: fit for fit in fit_exponents(pd.DataFrame([vars(row) for row in rows]), 6000)}
    assert set(fits) == {"ednn-fused", "gpaw"}  # the CNN has one size
    assert fits["gpaw"]["exponent"] == pytest.approx(2.5)
    assert fits["ednn-fused"]["n_atoms_min"] == 6000
    assert fits["ednn-fused"]["exponent"] == pytest.approx(1, abs=0.08)


def test_sizes_are_nearly_square_and_counted_in_60_atoms():
    assert [supercell_of_cells(n) for n in (1, 2, 10, 100, 10000)] == [(1, 1), (1, 2), (2, 5), (10, 10), (100, 100)]
    for n in (1, 2, 7, 20, 10000, 586667):
        nx, ny = supercell_of_cells(n)
        assert nx * ny == n
    assert [cells_of_atoms(n) for n in (4, 60, 240)] == [0.0667, 1, 4]
    with pytest.raises(InputError, match="n_cells"):
        supercell_of_cells(0)


def test_median_leaves_warm_up_out_and_stops_at_its_budget(monkeypatch):
    clock, calls = [0.0], []
    monkeypatch.setattr("extensive.timing.measure.time.perf_counter", lambda: clock[0])

    def call():
        calls.append(1)
        clock[0] += [9.0, 2.0, 1.0, 3.0, 5.0][len(calls) - 1]

    assert median_seconds(call, repeats=3, warmup=1) == (2.0, 3)
    calls.clear()
    assert median_seconds(call, repeats=5, warmup=0, budget_s=1.0) == (9.0, 1)


def test_timed_networks_fill_the_fixed_columns(models, tmp_path):
    settings = NetworkTimingSettings((1, 2, 121), ("float32", "bfloat16"), 1, 2, 5.0, 5.0)
    rows = time_networks(models, timing_cell((5, 3), 0), settings, "cpu")
    write_timings(tmp_path / "networks.csv", rows)
    table = pd.read_csv(tmp_path / "networks.csv")
    assert tuple(table.columns) == TIMING_COLUMNS
    sizes = table.groupby("method").n_cells.apply(list).to_dict()
    assert sizes == {
        "cnn-paper": [1],
        "ednn-tiled": [1, 2, 121],
        "ednn-fused": [1, 2, 121],
        "ednn-fused-bfloat16": [1, 2, 121],
    }
    assert (table.n_atoms == 60 * table.n_cells).all()
    assert (table.seconds > 0).all()
    assert table.hardware.notna().all()


def test_further_networks_are_timed_fused_under_their_own_names(models, tmp_path):
    torch.manual_seed(1)
    save_model(tmp_path / "ednn-fast", Potential(build_model(EDNN).eval(), {"C": -9.0}))
    settings = NetworkTimingSettings((1, 2), ("float32",), 1, 1, 5.0, 5.0)
    rows = time_networks([*models, tmp_path / "ednn-fast.pt"], timing_cell((2, 2), 0), settings, "cpu")
    methods = dict.fromkeys(row.method for row in rows)
    assert list(methods) == ["cnn-paper", "ednn-tiled", "ednn-fused", "ednn-fast-fused"]
    assert [method_of(name, "a/ednn.pt") for name in ("a/ednn.pt", "a/ednn-fast.pt")] == [
        "ednn-streamed",
        "ednn-fast-streamed",
    ]


def test_sizes_beyond_the_budget_are_left_out(models):
    settings = NetworkTimingSettings((1, 4, 1000000), ("float32",), 1, 1, 1.0, 1.0)
    rows = time_networks(models[1:], timing_cell((2, 2), 0), settings, "cpu")
    assert {row.n_cells for row in rows} == {cells_of_atoms(16), cells_of_atoms(64)}


def test_sheet_row_and_user_file(models, tmp_path):
    source = sheet_source([2, 3], 0.05, seed=1)
    result, row = evaluate_sheet(models[1], source, dtype="float32", threads=1)
    write_sheet([row], tmp_path / "sheet.csv")
    table = pd.read_csv(tmp_path / "sheet.csv")
    assert tuple(table.columns) == SHEET_COLUMNS
    assert (*TIMING_COLUMNS, "peak_memory_GiB", "energy_eV") == SHEET_COLUMNS
    assert table.n_atoms[0] == source.n_atoms == len(source.whole())
    assert table.energy_eV[0] == pytest.approx(result.energy_eV, rel=1e-15)
    assert 0 < table.peak_memory_GiB[0] < 4


def test_default_sheet_is_the_papers():
    sheet = sheet_source(None, 0.05, seed=0)
    assert sheet.n_atoms >= 35_200_000
    assert sheet.area_A2 >= 1e8


def test_precision_is_reported_per_atom(models):
    structures: list[Atoms] = [timing_cell((5, 3), seed) for seed in range(2)]
    table = measure_precision(models, structures, ["float32", "bfloat16"])
    assert set(table.model) == {"ednn"}  # the paper's CNN has one number type and one size
    by = table.set_index(["quantity", "dtype"]).mean_meV_per_atom
    assert by["dtype", "float32"] < by["dtype", "bfloat16"]
    assert by["pitch", "float64"] > 0


def test_collected_timings_and_hardware(tmp_path):
    hardware = hardware_record()
    assert hardware["cpu_model"]
    assert hardware["torch"] == torch.__version__
    parts = []
    for cells in (4, 1, 2):
        row = vars(Timing("gpaw", "cpu", cells, 60 * cells, 1e-3 * cells**2, 1, 1, "test"))
        parts.append(tmp_path / f"{cells}.json")
        write_json(parts[-1], {"row": row, "hardware": hardware_record(with_torch=False)})
    write_timings(tmp_path / "networks.csv", [])
    write_json(tmp_path / "networks-hardware.json", hardware)
    collect(
        parts, tmp_path / "networks.csv", tmp_path / "networks-hardware.json", 60,
        dft_csv=tmp_path / "dft.csv", exponents_json=tmp_path / "exponents.json",
        hardware_json=tmp_path / "hardware.json",
    )  # fmt: skip
    assert list(pd.read_csv(tmp_path / "dft.csv").n_atoms) == [60, 120, 240]
    (fit,) = read_json(tmp_path / "exponents.json")["fits"]
    assert fit["exponent"] == pytest.approx(2)
    assert set(read_json(tmp_path / "hardware.json")) == {"networks", "dft"}


@pytest.mark.dft
def test_dft_timing_is_a_row(tmp_path):
    from extensive.config import load_config
    from extensive.timing.dft import time_dft

    settings = load_config("config/smoke.yaml")["reference"]["dft"]
    row = time_dft((1, 1), settings, repeats=1, seed=0)
    assert (row.method, row.n_atoms, row.cores) == ("gpaw", 4, 1)
    assert 0 < row.seconds < 120


@pytest.mark.slow
def test_breakdown_counts_the_arithmetic_of_the_network(models):
    settings = NetworkTimingSettings((1,), ("float32",), 1, 1, 5.0, 5.0)
    found = measure_breakdown(models, settings, "cpu")
    (parts,) = found["breakdown"]["ednn"]
    assert found["ceilings"]["cpu"]["1 cores"]["float32_GFLOP_per_s"] > 1
    assert all(value >= 0 for value in parts["microseconds_per_atom"].values())
    # Per patch of 0.8 A: 4x4 from 1 to 8, 3x3 and 1x1 of 8 to 8, head 8 to 8 and 8 to 1, twice for add and multiply.
    per_patch = 2 * (16 * 8 + 9 * 64 + 64 + 64 + 8)
    atoms_per_patch = 0.64 * 0.922 * 4 / (2.46**2 * np.sqrt(3))
    assert parts["network_kFLOP_per_atom"] == pytest.approx(1e-3 * per_patch / atoms_per_patch, rel=0.05)
