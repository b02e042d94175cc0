"""Invented results for tests of figures, claims and publishing; never results of this project."""

from pathlib import Path

import numpy as np
import pandas as pd

from extensive.io import write_json
from extensive.keys import PREDICTION_COLUMNS, TIMING_COLUMNS

FAMILIES = (
    "graphene",
    "hbn",
    "heterostructure",
    "graphene-vacancy",
    "graphene-substitution",
    "hbn-vacancy",
    "hbn-antisite",
    "hbn-substitution",
    "stone-wales",
    "porous",
)
BASE_EV = {"graphene": -9.2, "hbn": -8.8, "heterostructure": -8.95}


def predictions(
    name: str,
    families=FAMILIES,
    per_family: int = 12,
    error_meV_per_atom: float = 1.0,
    atoms=(60,),
    seed: int = 0,
) -> pd.DataFrame:
    rng = np.random.default_rng([seed, len(name)])
    rows = []
    for family in families:
        for n_atoms in atoms:
            for _ in range(per_family):
                removed = {"graphene-vacancy": 1, "hbn-vacancy": 1, "porous": 12}.get(family, 0) * n_atoms // 60
                n = n_atoms - removed
                energy = n * (BASE_EV.get(family, -9.0) + rng.uniform(0, 0.25))
                error = 1e-3 * error_meV_per_atom * rng.normal() * np.sqrt(60 * n)
                rows.append((f"{family}-rattle-{len(rows):05d}", family, "rattle", n, energy, energy + error))
    columns = list(PREDICTION_COLUMNS)
    return pd.DataFrame(rows, columns=columns)


def dimers(seed: int = 1, count: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    r = rng.uniform(3.3, 7.0, count)
    energy = 4 * 0.0103 * ((3.4 / r) ** 12 - (3.4 / r) ** 6)
    return pd.DataFrame(
        {
            "structure_id": [f"dimer-2d-{i:05d}" for i in range(count)],
            "family": "dimer",
            "sampler": "pristine",
            "n_atoms": 2,
            "energy_dft_eV": energy,
            "energy_predicted_eV": energy + rng.normal(scale=2e-4, size=count),
            "separation_true_A": r,
            "separation_predicted_A": r + rng.normal(scale=0.02, size=count),
        }
    )


def ising(side: int, count: int = 60, error: float = 1e-3) -> pd.DataFrame:
    rng = np.random.default_rng(side)
    per_spin = rng.uniform(-2, 0.5, count)
    return pd.DataFrame(
        {
            "structure_id": [f"ising-{side}-{i:05d}" for i in range(count)],
            "family": "ising",
            "sampler": "md",
            "n_atoms": side * side,
            "energy_dft_eV": per_spin * side * side,
            "energy_predicted_eV": (per_spin + rng.normal(scale=error, size=count)) * side * side,
        }
    )


def timings() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict]:
    """DFT, networks, sheet, exponents, exactly on their power laws."""
    laws = {
        ("gpaw", "cpu", 1): (60 / 60**2.6, 2.6, (60, 120, 240, 360)),
        ("cnn", "cpu", 2): (0.004, 0.0, (60,)),
        ("ednn-tiled", "cpu", 2): (2e-4, 1.0, (60, 600, 6000, 60000)),
        ("ednn-fused", "cpu", 2): (1e-5, 1.0, (60, 600, 6000, 60000, 600000)),
        ("ednn-fused", "cuda", 1): (1e-7, 1.0, (6000, 60000, 600000, 6000000)),
    }
    rows, fits = [], []
    for (method, device, cores), (prefactor, exponent, sizes) in laws.items():
        rows += [(method, device, n / 60, n, prefactor * n**exponent, 5, cores, "test machine") for n in sizes]
        if len(sizes) > 1:
            fits.append(
                {
                    "method": method,
                    "device": device,
                    "cores": cores,
                    "exponent": exponent,
                    "exponent_low": exponent - 0.1,
                    "exponent_high": exponent + 0.1,
                    "prefactor_s": prefactor,
                    "points": len(sizes),
                    "n_atoms_min": min(sizes),
                    "n_atoms_max": max(sizes),
                    "decades": 1.0,
                    "confidence": 0.95,
                }
            )
    columns = list(TIMING_COLUMNS)
    table = pd.DataFrame(rows, columns=columns)
    sheet = pd.DataFrame(
        [("ednn-streamed", "cpu", 588_000, 35_280_000, 240.0, 1, 2, "test machine", 2.5, -3.2e8)],
        columns=columns + ["peak_memory_GiB", "energy_eV"],
    )
    dft = table[table.method == "gpaw"]
    return dft, table[table.method != "gpaw"], sheet, {"linear_from_atoms": 600, "fits": fits}


def image(height: int = 64, width: int = 60, cell=(12.3, 12.78), seed: int = 3, atoms: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.arange(height) * cell[1] / height, np.arange(width) * cell[0] / width, indexing="ij")
    total = np.zeros((height, width))
    for px, py, charge in zip(
        rng.uniform(0, cell[0], atoms), rng.uniform(0, cell[1], atoms), rng.choice([5, 6, 7], atoms)
    ):
        dx = (x - px + cell[0] / 2) % cell[0] - cell[0] / 2
        dy = (y - py + cell[1] / 2) % cell[1] - cell[1] / 2
        total += charge * np.exp(-(dx**2 + dy**2) / (2 * 0.2**2))
    return total


def networks() -> list[dict]:
    def layer(kind, channels, height, kernel=1, stride=1, parameters=0):
        return {
            "kind": kind,
            "channels": channels,
            "height": height,
            "width": height,
            "kernel": kernel,
            "stride": stride,
            "dilation": 1,
            "parameters": parameters,
        }

    paper = [layer("input", 1, 64), *[layer("conv", 64, 32 // 2**k, 3, 2, 1000) for k in range(2)]]
    paper += [layer("conv", 16, 16, 4, 1, 900)] * 6 + [layer("conv", 64, 8, 3, 2, 900)]
    paper += [layer("conv", 32, 8, 3, 1, 900)] * 4 + [
        layer("dense", 1024, 1, 1, 1, 9000),
        layer("dense", 1, 1),
    ]
    small = [layer("input", 3, 32), layer("conv", 32, 14, 4, 2, 500), *[layer("conv", 64, 6, 3, 1, 500)] * 3]
    small += [layer("conv", 1, 2, 1, 1, 65), layer("sum", 1, 1)]
    return [
        {"name": "cnn", "title": "CNN", "parameters": 1_234_567, "layers": paper},
        {"name": "ednn", "title": "EDNN, one tile", "parameters": 54_321, "layers": small},
    ]


def write_run(run: Path) -> Path:
    """Predictions and timings of a small invented run, under the fixed names."""
    folder = run / "predictions"
    folder.mkdir(parents=True)
    for model, error in (("cnn", 5.0), ("ednn", 0.5)):
        for name in ("test", "independent-md"):
            predictions(f"{model}{name}", error_meV_per_atom=error).to_csv(folder / f"{model}-{name}.csv", index=False)
    predictions("cells", atoms=(120, 240), per_family=3, error_meV_per_atom=0.5).to_csv(
        folder / "ednn-supercells.csv", index=False
    )
    dft, nets, sheet, exponents = timings()
    (run / "timings").mkdir()
    dft.to_csv(run / "timings/dft.csv", index=False)
    nets.to_csv(run / "timings/networks.csv", index=False)
    sheet.to_csv(run / "timings/sheet.csv", index=False)
    write_json(run / "timings/exponents.json", exponents)
    (run / "models").mkdir()
    write_json(run / "models/ednn.json", {"weights_sha256": "a1" * 32})
    for name in ("networks", "sheet"):
        write_json(run / f"timings/{name}-hardware.json", {"weights": {"ednn": "a1" * 32}})
    return run
