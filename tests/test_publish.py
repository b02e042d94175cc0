"""Claims computed from files, publishing, and the page of claims."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_results as synthetic

from extensive.errors import InputError
from extensive.evaluation import publish as publishing
from extensive.evaluation.claims import CLAIMS, COLUMNS, claims_table, markdown, read_claims, seeds_table, write_claims
from extensive.evaluation.predictions import model_and_set, read_predictions, source_of
from extensive.evaluation.tables import summary
from extensive.evaluation.timed_weights import said_of_weights, timed_weights
from extensive.io import read_json, write_json
from extensive.keys import TIMING_COLUMNS

ROOT = Path(__file__).resolve().parents[1]
ARGUMENTS = {
    "cnn": "cnn",
    "ednn": "ednn",
    "dimers": {"2D": "cnn-dimer-2d", "3D": "cnn-dimer-3d"},
    "ising": {8: "ednn-ising-8", 128: "ednn-ising-128"},
}


@pytest.fixture
def run(tmp_path) -> Path:
    run = synthetic.write_run(tmp_path / "results" / "made-up")
    synthetic.dimers().to_csv(run / "predictions/cnn-dimer-2d.csv", index=False)
    synthetic.ising(8).to_csv(run / "predictions/ednn-ising-8.csv", index=False)
    return run


def ours(table: pd.DataFrame, quantity: str, part: str = "") -> float:
    rows = table[(table["quantity"] == quantity) & (table["set"] == part)]
    assert len(rows) == 1, rows
    return float(rows["ours"].iloc[0])


def test_every_claim_has_a_row_also_before_anything_is_measured(tmp_path):
    table = claims_table(tmp_path, **ARGUMENTS)
    assert set(table["claim"]) == set(CLAIMS)
    assert table["ours"].isna().all()
    assert list(table["claim"]) == sorted(table["claim"], key=CLAIMS.index)


def test_accuracy_claims_come_from_the_predictions(run):
    table = claims_table(run, **ARGUMENTS)
    predictions = pd.read_csv(run / "predictions/cnn-test.csv")
    error = (predictions.energy_predicted_eV - predictions.energy_dft_eV).abs() / predictions.n_atoms * 1e3
    assert ours(table, "CNN mean absolute error", "test") == pytest.approx(error.mean())
    assert ours(table, "CNN largest error", "test") == pytest.approx(error.max())
    paper = table[(table.claim == "C1") & table.paper.notna()]
    assert list(paper["paper"]) == [0.198, 16.1]
    assert set(paper["source_file"]) == {"predictions/cnn-test.csv"}


def test_frames_of_dynamics_and_forces_have_claims_of_their_own(run):
    file = run / "predictions/ednn-test.csv"
    predictions = pd.read_csv(file)
    predictions["sampler"] = ["md" if index % 3 == 0 else "rattle" for index in range(len(predictions))]
    predictions["forces_mae_meV_per_A"] = np.arange(len(predictions), dtype=float)
    predictions.to_csv(file, index=False)
    table = claims_table(run, **ARGUMENTS)
    frames = predictions[predictions["sampler"] == "md"]
    error = (frames.energy_predicted_eV - frames.energy_dft_eV).abs() / frames.n_atoms * 1e3
    assert ours(table, "EDNN mean absolute error, frames of dynamics", "test") == pytest.approx(error.mean())
    per_atom = (predictions.forces_mae_meV_per_A * predictions.n_atoms).sum() / predictions.n_atoms.sum()
    assert ours(table, "EDNN mean absolute error, forces", "test") == pytest.approx(per_atom)


def test_an_ensemble_of_shift_averages_is_claimed_where_there_is_one(run):
    title = "EDNN, ensemble of shift averages, mean absolute error"
    assert title not in set(claims_table(run, **ARGUMENTS)["quantity"])
    file = run / "predictions/ednn-symmetric-ensemble-test.csv"
    file.write_bytes((run / "predictions/ednn-test.csv").read_bytes())
    table = claims_table(run, **ARGUMENTS)
    assert ours(table, title, "test") == ours(table, "EDNN mean absolute error", "test")


def test_further_models_stand_beside_the_papers(run):
    for name in ("test", "independent-md"):
        (run / f"predictions/cnn-forces-{name}.csv").write_bytes((run / f"predictions/ednn-{name}.csv").read_bytes())
    table = claims_table(run, **ARGUMENTS, others={"cnn-forces": "cnn-forces"})
    for name in ("test", "independent-md"):
        same = ours(table, "EDNN mean absolute error", name)
        assert ours(table, "`cnn-forces` mean absolute error", name) == same


def test_a_run_of_the_cnn_alone_claims_nothing_of_an_ednn_and_shows_its_teachers_sets(run):
    for name in ("test", "independent-md"):
        (run / f"predictions/cnn-teacher-{name}.csv").write_bytes((run / f"predictions/cnn-{name}.csv").read_bytes())
    table = claims_table(run, **{**ARGUMENTS, "ednn": "cnn"}, others={"cnn-b": "cnn"})
    accuracy = table[table["claim"].isin(["C1", "C2", "C3"])]
    assert accuracy["quantity"].str.startswith(("CNN ", "`cnn-b` ")).all()
    title = "CNN mean absolute error"
    assert ours(table, f"{title}, against its teacher", "teacher-test") == ours(table, title, "test")
    assert list(accuracy["paper"].dropna()) == [0.198, 16.1] * 3 + [6.85] * 3


def test_speed_claims_come_from_the_timings(run):
    table = claims_table(run, **ARGUMENTS)
    assert ours(table, "EDNN, 60 atoms, CPU") == pytest.approx(0.6)  # ms: 1e-5 s per atom
    assert ours(table, "EDNN, time for the sheet, CPU") == pytest.approx(4.0)  # min: 240 s
    assert ours(table, "EDNN, atoms of the sheet, CPU") == pytest.approx(35.28)
    assert ours(table, "DFT scaling exponent") == pytest.approx(2.6)


def test_speed_claims_of_further_networks_are_rows_of_their_own(run):
    networks, sheet = (pd.read_csv(run / f"timings/{name}.csv") for name in ("networks", "sheet"))
    own = networks[networks["method"] == "ednn-fused"]
    for name, gain in (("ednn-half", 2.0), ("ednn-fast", 10.0)):
        rows = own.assign(method=f"{name}-fused", seconds=own["seconds"] / gain)
        networks = pd.concat([networks, rows])
    networks.to_csv(run / "timings/networks.csv", index=False)
    fast = sheet.assign(method="ednn-fast-streamed", seconds=60.0)
    pd.concat([sheet, fast]).to_csv(run / "timings/sheet.csv", index=False)
    table = claims_table(run, **ARGUMENTS)
    assert ours(table, "EDNN, 60 atoms, CPU") == pytest.approx(0.6)  # not the fastest of all
    assert ours(table, "`ednn-fast`, 60 atoms, CPU") == pytest.approx(0.06)
    assert ours(table, "`ednn-half`, 60 atoms, CPU") == pytest.approx(0.3)
    assert ours(table, "EDNN, time for the sheet, CPU") == pytest.approx(4.0)
    assert ours(table, "`ednn-fast`, time for the sheet, CPU") == pytest.approx(1.0)


def test_a_device_that_timed_no_60_atoms_leaves_the_claim_open(run):
    table = claims_table(run, **ARGUMENTS)
    assert np.isnan(ours(table, "EDNN, 60 atoms, GPU"))


def test_model_systems_are_counted_in_their_own_units(run):
    table = claims_table(run, **ARGUMENTS)
    dimers, ising = synthetic.dimers(), synthetic.ising(8)
    energy = 1e3 * (dimers.energy_predicted_eV - dimers.energy_dft_eV).abs().mean()
    spin = ((ising.energy_predicted_eV - ising.energy_dft_eV) / 64).abs().median()
    assert ours(table, "CNN mean absolute error, 2D dimers, energy", "dimer-2d") == pytest.approx(energy)
    assert ours(table, "EDNN median absolute error, Ising 8x8", "ising-8") == pytest.approx(spin)
    assert np.isnan(ours(table, "EDNN median absolute error, Ising 128x128", "ising-128"))


def test_the_table_on_disk_has_the_fixed_columns(run):
    file = run / "tables/claims.csv"
    write_claims(file, claims_table(run, **ARGUMENTS))
    stored = read_claims(file)
    assert tuple(stored.columns) == COLUMNS
    for value in stored.loc[stored["ours"] != "", "ours"]:
        assert np.isfinite(float(value))
    assert (stored["ours"] == "").any()


def test_a_file_that_is_no_claims_table_is_named(tmp_path):
    file = tmp_path / "claims.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"claims\.csv: columns a, b; expected claim"):
        read_claims(file)


@pytest.fixture
def finished(run) -> tuple[Path, Path, Path]:
    """A run with its table, an empty place to publish to, and the page of claims."""
    write_claims(run / "tables/claims.csv", claims_table(run, **ARGUMENTS))
    (run / "models/ednn.pt").write_bytes(b"weights")
    (run / "figures/data").mkdir(parents=True)
    (run / "figures/scaling.png").write_bytes(b"picture")
    (run / "figures/data/inputs.npz").write_bytes(b"not for the public")
    (run / "checkpoints").mkdir()
    (run / "checkpoints/ednn.ckpt").write_bytes(b"not for the public either")
    page = run.parent / "claims.md"
    page.write_text("old\n")
    return run, run.parent / "published", page


def test_publishing_copies_what_is_published_and_nothing_else(finished):
    run, published, page = finished
    written = publishing.publish(run, published, page)
    found = {str(file.relative_to(published)) for file in published.rglob("*") if file.is_file()}
    assert found == {str(file.relative_to(published)) for file in written}
    expected = {
        "models/ednn.pt",
        "models/ednn.json",
        "figures/scaling.png",
        "tables/claims.csv",
        "timings/dft.csv",
    }
    assert expected <= found
    assert not any("data" in name or "checkpoint" in name for name in found)
    assert (published / "figures/scaling.png").read_bytes() == b"picture"


def test_neither_other_trainings_nor_large_weights_are_published(finished):
    run, published, page = finished
    for name in ("models/ednn-context-c4-seed0.pt", "predictions/ednn-context-c4-seed0-test.csv"):
        (run / name).write_bytes((run / "predictions/ednn-test.csv").read_bytes())
    (run / "models/cnn.pt").write_bytes(bytes(6_000_000))
    publishing.publish(run, published, page, left_out=["ednn-context-c4-seed0"])
    assert not list(published.rglob("*context*"))
    assert not (published / "models/cnn.pt").exists()
    assert (published / "predictions/ednn.csv").is_file()


def test_sets_of_a_model_are_published_as_one_table_and_read_back_as_they_were(finished):
    run, published, page = finished
    publishing.publish(run, published, page)
    names = {file.name for file in (published / "predictions").iterdir()}
    assert names == {"cnn.csv", "ednn.csv", "cnn-dimer-2d.csv", "ednn-ising.csv"}
    for name in ("cnn-test", "ednn-independent-md", "cnn-dimer-2d", "ednn-ising-8"):
        file, part = source_of(published, name)
        there = read_predictions(run / f"predictions/{name}.csv")
        pd.testing.assert_frame_equal(read_predictions(published / file, part), there, atol=2e-3, check_dtype=False)
    # What claims are computed from is what they name: the published table follows from the published files.
    again = run / "again.csv"
    write_claims(again, claims_table(published, **ARGUMENTS))
    measured = read_claims(published / "tables/claims.csv").query("ours != '' and claim != 'C10'")
    pd.testing.assert_frame_equal(read_claims(again).loc[measured.index], measured)


def test_errors_of_all_that_is_published_are_a_table(finished):
    run, published, page = finished
    publishing.publish(run, published, page)
    table = pd.read_csv(published / "tables/errors.csv")
    row = table[(table["model"] == "ednn") & (table["set"] == "test") & (table["group"] == "all")].iloc[0]
    found = summary(read_predictions(run / "predictions/ednn-test.csv"))
    assert row["mae_meV_per_atom"] == pytest.approx(found["mae_meV_per_atom"], rel=1e-4)
    assert row["count"] == found["count"]
    assert "family graphene" in set(table["group"])


def test_claims_and_errors_say_who_learned_from_labels_by_networks(finished):
    run, published, page = finished
    publishing.publish(run, published, page)
    assert "teachers" not in pd.read_csv(published / "tables/errors.csv").columns
    file = run / "models/ednn.json"
    write_json(file, read_json(file) | {"metadata": {"teachers": ["cnn 66ecd419", "ednn 5cd4b2bf"]}})
    (run / "predictions/ednn-symmetric-test.csv").write_bytes((run / "predictions/ednn-test.csv").read_bytes())
    table = claims_table(run, **ARGUMENTS)
    write_claims(run / "tables/claims.csv", table)
    said = table["quantity"].str.endswith(", learned from labels by networks")
    assert list(said) == list(table["source_file"].str.match(r"predictions/ednn-(?!ising)"))
    publishing.publish(run, published, page)
    assert "| EDNN mean absolute error, learned from labels by networks | meV/atom |" in page.read_text()
    assert "- `ednn` learned from labels that are not DFT's but by cnn 66ecd419; ednn 5cd4b2bf." in page.read_text()
    found = pd.read_csv(published / "tables/errors.csv", keep_default_na=False).groupby("model")["teachers"].unique()
    assert list(found["ednn"]) == list(found["ednn-symmetric"]) == ["cnn 66ecd419; ednn 5cd4b2bf"]
    assert list(found["cnn"]) == list(found["ednn-ising"]) == [""]


def test_timings_of_other_weights_are_not_published(finished):
    run, published, page = finished
    write_json(run / "timings/networks-hardware.json", {"weights": {"ednn": "b2" * 32}})
    with pytest.raises(
        InputError, match=r"networks-hardware\.json: networks\.csv is of weights b2b2b2b2 of ednn, and a1a1"
    ):
        publishing.publish(run, published, page)
    assert not published.exists()
    write_json(run / "timings/networks-hardware.json", {"weights": {"ednn": "a1" * 32}})
    publishing.publish(run, published, page)
    # A later run without timings of its own would leave these beside other weights.
    write_json(run / "models/ednn.json", {"weights_sha256": "c3" * 32})
    for file in (run / "timings").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="is of weights a1a1a1a1 of ednn, and c3c3c3c3 would be published"):
        publishing.publish(run, published, page)


def test_a_record_that_does_not_say_which_weights_were_timed_is_refused(finished):
    run, published, page = finished
    record = run / "timings/networks-hardware.json"
    write_json(record, {"hardware": "a machine"})
    assert said_of_weights(record) == "Which weights were timed is not recorded: earlier ones."
    with pytest.raises(InputError, match=r"does not say which weights networks\.csv is of"):
        publishing.publish(run, published, page)


@pytest.mark.parametrize("table", ["networks", "sheet"])
def test_published_timings_are_of_the_published_weights(table):
    folder = ROOT / "results/published"
    assert tuple(pd.read_csv(folder / f"timings/{table}.csv").columns[: len(TIMING_COLUMNS)]) == TIMING_COLUMNS
    timed = timed_weights(folder / f"timings/{table}-hardware.json")
    assert "ednn" in timed
    weights = {model: read_json(folder / f"models/{model}.json")["weights_sha256"] for model in timed}
    assert timed == weights


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ednn-test", ("ednn", "test")),
        ("ednn-seed1-symmetric-independent-md", ("ednn-seed1-symmetric", "independent-md")),
        ("cnn-extrapolation", ("cnn", "extrapolation")),
        ("cnn-dimer-2d", ("cnn-dimer-2d", "dimer-2d")),
        ("cnn-dimer-2d-seed2-extrapolation", ("cnn-dimer-2d-seed2", "dimer-2d-extrapolation")),
        ("ednn-ising-seed1-1024", ("ednn-ising-seed1", "ising-1024")),
        ("ednn-components", ("ednn-components", "test")),
    ],
)
def test_names_of_predictions_say_model_and_set(name, expected):
    assert model_and_set(name) == expected


def test_predictions_without_their_set_or_name_are_refused(finished):
    run, published, page = finished
    with pytest.raises(InputError, match=r"ednn\.csv: no name of predictions; expected <model>-<set>"):
        model_and_set("ednn")
    publishing.publish(run, published, page)
    with pytest.raises(InputError, match=r"ednn\.csv: no set 'train'; there are test, independent-md, supercells"):
        read_predictions(published / "predictions/ednn.csv", "train")
    with pytest.raises(InputError, match="no column 'set'"):
        read_predictions(run / "predictions/ednn-test.csv", "test")


def test_publishing_twice_changes_nothing(finished):
    publishing.publish(*finished)
    before = {file: file.read_bytes() for file in finished[1].rglob("*") if file.is_file()}
    text = finished[2].read_text()
    publishing.publish(*finished)
    assert {file: file.read_bytes() for file in finished[1].rglob("*") if file.is_file()} == before
    assert finished[2].read_text() == text


def test_a_folder_of_its_own_leaves_the_page_of_claims_alone(finished):
    run, published, page = finished
    claims = run / "tables/claims.csv"
    read_claims(claims).query("claim != 'C9'").to_csv(claims, index=False)
    written = publishing.publish(run, published / "other-run")
    assert written
    assert all(file.is_relative_to(published / "other-run") for file in written)
    assert page.read_text() == "old\n"


def test_labels_and_earlier_results_outlive_a_publication(finished):
    label = finished[1] / "labels/graphene-rattle.extxyz.gz"
    label.parent.mkdir(parents=True)
    label.write_bytes(b"label")
    publishing.publish(*finished)
    assert label.read_bytes() == b"label"


def test_the_page_of_claims_has_the_published_table(finished):
    run, published, page = finished
    publishing.publish(run, published, page)
    text = page.read_text()
    assert text.startswith("# ")
    assert "old" not in text
    assert markdown(read_claims(published / "tables/claims.csv")) in text
    assert "| C5 | EDNN, 60 atoms, CPU | ms | 57 | 0.6 |" in text


def test_the_page_shows_what_other_seeds_gave(finished):
    run, published, page = finished
    other = pd.read_csv(run / "predictions/ednn-test.csv")
    other["energy_predicted_eV"] = other["energy_dft_eV"] + 2e-3 * other["n_atoms"]
    other.to_csv(run / "predictions/ednn-seed1-test.csv", index=False)
    names = {"cnn": "cnn-seed1", "ednn": "ednn-seed1", "dimers": {"2D": "none"}, "ising": {}}
    table = seeds_table([{"run": run, **ARGUMENTS}, {"run": run, **names}])
    first, second = table[(table["quantity"] == "EDNN mean absolute error") & (table["set"] == "test")]["ours"]
    assert second == pytest.approx(2.0)
    assert not table["quantity"].str.contains("exponent|atoms, CPU").any()
    table.to_csv(run / "tables/claims-seeds.csv", index=False)
    publishing.publish(run, published, page)
    rows = [line.split(" | ") for line in page.read_text().splitlines() if line.startswith("| ")]
    assert rows[0][5] == "seeds"
    shown = {(row[1], row[6].removesuffix(" |")): row[5] for row in rows[1:]}
    low, high = sorted((first, second))
    assert shown.pop(("EDNN mean absolute error", "test")) == f"{low:.3g} to {high:.3g} (2)"
    within = [key for key, value in shown.items() if value]
    assert within == [("EDNN within 43.36 meV of DFT per 60 atoms", "test")]


def test_nothing_is_written_for_an_unfinished_run(finished):
    run, published, page = finished
    (run / "tables/claims.csv").unlink()
    with pytest.raises(InputError, match="finish the run before publishing"):
        publishing.publish(run, published, page)
    assert not published.exists()


def test_the_page_of_claims_agrees_with_the_published_tables():
    page, claims = ROOT / "docs/claims.md", ROOT / "results/published/tables/claims.csv"
    assert publishing.claims_page(claims) == page.read_text()
