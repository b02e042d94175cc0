"""Figures: what is drawn is what the tables hold, axes carry units, and no torch is needed."""

import json
import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
import synthetic_results as synthetic
from matplotlib.colors import to_hex

from extensive import keys
from extensive.errors import InputError
from extensive.evaluation.tables import summary, with_errors
from extensive.figures import (
    calibration,
    cnn_accuracy,
    components,
    convergence,
    dimers,
    ednn_accuracy,
    inputs,
    interpolation,
    ising,
    kernel,
    learning_curves,
    networks,
    scaling,
    style,
    tiles,
)

CELL = np.array([12.3, 12.78])


def kernel_arguments() -> dict:
    image, weights, bias, stride = synthetic.image(), np.arange(9.0).reshape(3, 3) / 10 - 0.35, 0.05, 2
    padded = np.pad(image, 1, mode="wrap")
    output = sum(weights[i, j] * padded[i : i + 64 : 2, j : j + 60 : 2] for i in range(3) for j in range(3)) + bias
    row, column = 5, 7
    window = padded[row * 2 : row * 2 + 3, column * 2 : column * 2 + 3]
    corner = np.array([row * 2 - 1, column * 2 - 1])
    return {
        "image": image, "kernel": weights, "output": output, "cell": CELL, "window": window, "bias": bias,
        "rest": 0.0, "stride": stride, "row": row, "column": column, "corner": corner, "filter": 3,
    }  # fmt: skip


def draw_all() -> dict[str, style.Drawing]:
    sets = {name: with_errors(synthetic.predictions(name)) for name in ("test", "independent-md")}
    larger = with_errors(synthetic.predictions("cells", atoms=(120, 240), per_family=2))
    dft, nets, sheet, exponents = synthetic.timings()
    pairs = {
        (model, name): with_errors(synthetic.predictions(model + name))
        for model in ("cnn", "ednn")
        for name in ("test", "interpolation", "extrapolation")
    }
    curves = pd.DataFrame(
        [(m, n, s, "test", n**-0.5 * (s + 1)) for m in ("cnn", "ednn") for n in (50, 100) for s in range(3)],
        columns=list(learning_curves.COLUMNS),
    )
    study = pd.DataFrame(
        [
            ("k-points", k, system, 10.0 / k, 20.0 / k, 9.0 / k, k == 2)
            for k in (1, 2, 3)
            for system in ("hbn", keys.ALL_FAMILIES)
        ],
        columns=list(convergence.COLUMNS),
    )
    parts = pd.concat([synthetic.predictions(p).assign(component=p) for p in ("kinetic", "electrostatic")])
    panels = {name: (synthetic.image(seed=k), CELL, f"{name}-0") for k, name in enumerate(inputs.TITLES)}
    return {
        "cnn-accuracy": cnn_accuracy.draw(sets),
        "ednn-accuracy": ednn_accuracy.draw({**sets, "supercells": larger}),
        "scaling": scaling.draw(pd.concat([dft, nets]), exponents["fits"], sheet),
        "dimers": dimers.draw({"2D": synthetic.dimers(), "3D": synthetic.dimers(2)}),
        "ising": ising.draw({side: synthetic.ising(side) for side in (8, 16, 128)}),
        "inputs": inputs.draw(panels),
        "kernel": kernel.draw(**kernel_arguments()),
        "tiles": tiles.draw(synthetic.image(), CELL, 4, 8, np.random.default_rng(0).normal(size=(16, 15)), "p"),
        "networks": networks.draw(synthetic.networks()),
        "interpolation": interpolation.draw(pairs),
        "learning-curves": learning_curves.draw(curves, 0.2, (120, {"test": 0.05})),
        "convergence": convergence.draw(study),
        "components": components.draw(parts),
    }


@pytest.fixture(scope="module")
def drawings() -> dict[str, style.Drawing]:
    return draw_all()


UNITLESS = (
    "number of",
    "labels (",
    "atoms in the cell",
    "k-points",
    "column",
    "row",
    "set of",
    "lattice side",
)


def visible_axes(drawing: style.Drawing) -> list:
    found = []
    for axes in drawing.figure.axes:
        found += [axes, *axes.child_axes]
    return [axes for axes in found if axes.axison]


def test_every_axis_is_labelled_with_its_unit(drawings):
    for name, drawing in drawings.items():
        labels = [label for axes in visible_axes(drawing) for label in (axes.get_xlabel(), axes.get_ylabel())]
        labels = [label for label in labels if label]
        assert labels or name == "networks", name
        for label in labels:
            assert "(" in label or label.startswith(UNITLESS) or label == "count", (name, label)


def test_no_panel_is_empty(drawings):
    for name, drawing in drawings.items():
        for axes in visible_axes(drawing):
            secondary = type(axes).__name__ == "SecondaryAxis"
            assert secondary or axes.has_data() or axes.images or axes.collections, (name, axes.get_title())


def test_text_is_legible_and_figures_fit_a_page(drawings):
    for name, drawing in drawings.items():
        width, height = drawing.figure.get_size_inches()
        assert width in (style.COLUMN_IN, style.DOUBLE_IN, 2 * style.COLUMN_IN), name
        assert height < 9, name
        texts = drawing.figure.findobj(matplotlib.text.Text)
        sizes = [text.get_fontsize() for text in texts if text.get_text().strip() and text.get_visible()]
        assert min(sizes) >= 7, name


def test_everything_is_inside_the_page(drawings):
    """Nothing is cut off: the tight bounding box stays within the figure, to a point."""
    for name, drawing in drawings.items():
        box = drawing.figure.get_tightbbox()
        width, height = drawing.figure.get_size_inches()
        point = 1 / 72
        assert box.x0 > -point and box.y0 > -point, (name, box)  # noqa: PT018
        assert box.x1 < width + point and box.y1 < height + point, (name, box)  # noqa: PT018


def marks(axes) -> np.ndarray:
    return np.concatenate([np.asarray(collection.get_offsets()) for collection in axes.collections])


def test_parity_marks_are_the_tables_rows(drawings):
    drawing = drawings["cnn-accuracy"]
    for axes, (_, part) in zip(drawing.figure.axes, drawing.table.groupby("set", sort=False)):
        drawn = marks(axes)
        wanted = part[["energy_dft_eV", "energy_predicted_eV"]].to_numpy() / part[["n_atoms"]].to_numpy()
        np.testing.assert_allclose(drawn[np.lexsort(drawn.T)], wanted[np.lexsort(wanted.T)])
        mae = 1e3 * np.abs(wanted[:, 1] - wanted[:, 0]).mean()
        assert f"MAE {style.quote(mae)} meV/atom" in axes.texts[-1].get_text() + axes.texts[0].get_text()


def test_the_histogram_counts_every_structure(drawings):
    drawing = drawings["cnn-accuracy"]
    for axes, (_, part) in zip(drawing.figure.axes, drawing.table.groupby("set", sort=False)):
        assert sum(bar.get_height() for bar in axes.child_axes[0].patches) == len(part)


def test_the_band_is_chemical_accuracy(drawings):
    axes = drawings["ednn-accuracy"].figure.axes[0]
    band = next(patch for patch in axes.patches if patch.get_label().startswith("chemical"))
    vertices = band.get_extents().transformed(axes.transData.inverted())
    assert (vertices.y0, vertices.y1) == pytest.approx((-43.36, 43.36))


def test_larger_cells_are_drawn_at_their_size(drawings):
    drawing = drawings["ednn-accuracy"]
    drawn = marks(drawing.figure.axes[2])
    assert set(drawn[:, 0]) == set(drawing.table["n_atoms"])
    assert len(drawn) == len(drawing.table)


def test_errors_far_outside_the_band_leave_it_visible():
    bad = with_errors(synthetic.predictions("t", error_meV_per_atom=100))
    axes = ednn_accuracy.draw({"test": bad}).figure.axes[0]
    low, high = axes.transData.transform([(0, -43.36), (0, 43.36)])[:, 1]
    assert (high - low) / axes.bbox.height > 0.05


def test_summary_states_errors_per_atom_and_per_cell():
    table = pd.DataFrame({"n_atoms": [60, 120], "energy_dft_eV": [-500.0, -1000.0]})
    table["energy_predicted_eV"] = table["energy_dft_eV"] + [0.03, 0.06]
    numbers = summary(with_errors(table))
    assert numbers["mae_meV_per_atom"] == pytest.approx(0.5)
    assert numbers["max_meV"] == pytest.approx(60)
    assert numbers["within_percent"] == 50
    assert numbers["within_per_cell_percent"] == 100


def test_methods_differ_in_colour_and_families_in_marker():
    for palette in (scaling.METHODS.values(), [("", *pair) for pair in style.FAMILIES.values()]):
        pairs = [(to_hex(colour), marker) for _, colour, marker in palette]
        assert len(set(pairs)) == len(pairs)
    assert len({marker for _, marker in style.FAMILIES.values()}) == len(style.FAMILIES)


def test_ising_medians_are_per_spin(drawings):
    table = synthetic.ising(128)
    error = (table.energy_predicted_eV - table.energy_dft_eV).abs() / 128**2
    assert drawings["ising"].numbers["128"]["median_per_spin_J"] == pytest.approx(error.median())


def test_dimers_without_separations_draw_energies_alone():
    drawing = dimers.draw({"2D": synthetic.dimers().drop(columns=["separation_true_A", "separation_predicted_A"])})
    assert len(drawing.figure.axes) == 1


def test_the_kernels_numbers_add_up(drawings):
    drawing, arguments = drawings["kernel"], kernel_arguments()
    total = drawing.table["product"].sum() + arguments["bias"]
    assert total == pytest.approx(arguments["output"][arguments["row"], arguments["column"]])
    assert drawing.numbers["output"] == pytest.approx(total)


def test_tiles_add_up_and_lie_on_the_sheet(drawings):
    drawing = drawings["tiles"]
    assert drawing.numbers["sum_eV"] == pytest.approx(drawing.table["tile_energy_eV"].sum())
    assert drawing.table["x_A"].between(0, CELL[0]).all()
    assert drawing.numbers["focus_A"] == pytest.approx(4 * (12.3 / 60 + 12.78 / 64) / 2)
    extent = drawing.figure.axes[2].images[0].get_extent()
    assert extent[1] - extent[0] == pytest.approx(CELL[0])


def test_shown_tiles_are_those_of_least_and_most_energy_and_one_with_its_context_in_view():
    energies = np.zeros((12, 10))
    energies[3, 4], energies[9, 1] = -2.0, 3.0
    assert tiles._shown_tiles(energies, 8, 25) == [(3, 4), (6, 5), (9, 1)]


def test_calibration_has_curves_of_sets_that_are_large_enough():
    sets = {name: synthetic.predictions(name) for name in ("test", "few")}
    sets = {name: table.assign(energy_std_eV=0.05) for name, table in sets.items()}
    sets["few"] = sets["few"].head(9)
    drawing = calibration.draw(sets, 3)
    against, shares = drawing.figure.axes
    (curve,) = [line for line in shares.lines if line.get_label().startswith("test")]
    assert not any(line.get_label().startswith("few") for line in shares.lines)
    ratio = (drawing.table["error_meV_per_atom"].abs() / drawing.table["std_meV_per_atom"])[drawing.table.set == "test"]
    assert np.allclose(curve.get_xdata()[1:], np.sort(ratio))
    assert np.allclose(curve.get_ydata(), np.linspace(0, 1, len(ratio) + 1))
    assert {line.get_label() for line in against.collections} >= {"few (9)"}


def test_networks_list_every_layer(drawings):
    assert len(drawings["networks"].table) == sum(len(network["layers"]) for network in synthetic.networks())
    texts = " ".join(text.get_text() for text in drawings["networks"].figure.axes[0].texts)
    assert "6× conv\n4×4" in texts
    assert "4× conv\n3×3" in texts


def test_inputs_table_is_the_images(drawings):
    table = drawings["inputs"].table
    for k, name in enumerate(inputs.TITLES):
        values = table.loc[table.panel == name, [f"px{column}" for column in range(60)]].to_numpy()
        drawn = drawings["inputs"].figure.axes[k].images[0].get_array()
        np.testing.assert_array_equal(drawn, synthetic.image(seed=k))
        np.testing.assert_allclose(values, drawn, atol=5.1e-4)


@pytest.mark.medium
def test_saved_files_are_whole_and_the_same_every_time(tmp_path):
    written = []
    for turn in range(2):
        drawing = dimers.draw({"2D": synthetic.dimers()})
        files = [tmp_path / f"{turn}.{suffix}" for suffix in ("pdf", "png", "csv", "json")]
        style.save(drawing, *files)
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1]
    table = pd.read_csv(tmp_path / "0.csv")
    np.testing.assert_allclose(table["energy_predicted_eV"], synthetic.dimers()["energy_predicted_eV"], rtol=1e-8)
    assert json.loads((tmp_path / "0.json").read_text())["2D"]["count"] == 80
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        f"{turn}.{suffix}" for turn in range(2) for suffix in ("pdf", "png", "csv", "json")
    )


def test_learning_curves_have_a_line_for_each_variant_and_say_how_many_labels_would_do(tmp_path):
    rows = [
        (variant, 10 * n**power, n, seed, "test", f"{variant}-labels{n}-seed{seed}")
        for variant, power in (("cnn", -0.5), ("ednn", 0.0))
        for n in (50, 100, 200)
        for seed in range(3)
    ]
    table = pd.DataFrame(rows, columns=["variant", "mae_meV_per_atom", "n_labels", "seed", "set", "model"])
    table.to_csv(tmp_path / "curves.csv", index=False)
    (tmp_path / "ednn.json").write_text('{"metadata": {"n_train": 250}}')
    synthetic.predictions("test").to_csv(tmp_path / "test.csv", index=False)
    study = pd.DataFrame([("egg-box", 0.3 / k, k == 2) for k in (1, 2)], columns=list(learning_curves.NOISE_COLUMNS))
    study.to_csv(tmp_path / "convergence.csv", index=False)
    files = {"curves": "curves.csv", "description": "ednn.json", "convergence": "convergence.csv", "test": "test.csv"}
    drawing = learning_curves.from_files(**{name: str(tmp_path / file) for name, file in files.items()})
    _, labels = drawing.figure.axes[0].get_legend_handles_labels()
    assert labels == ["cnn", "ednn", "published training", "label noise, at most 0.15 meV/atom", "papers' CNN"]
    fits = drawing.numbers["fits"]
    assert fits["cnn test"]["exponent"] == pytest.approx(-0.5)
    assert fits["cnn test"]["labels_for_goal"] == pytest.approx(100)
    assert "labels_for_goal" not in fits["ednn test"]


def test_sets_by_a_teacher_are_panels_that_say_so(tmp_path):
    file = tmp_path / "cnn.csv"
    synthetic.predictions("t").to_csv(file, index=False)
    sets = ("teacher_test", "teacher_independent_md", "independent_md", "test")
    figure = cnn_accuracy.from_files(**dict.fromkeys(sets, str(file))).figure
    by_teacher = ["teacher" in axes.get_title(loc="left") for axes in figure.axes]
    assert by_teacher == [False, False, True, True]
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == ["DFT energy (eV/atom)"] * 2 + ["teacher's energy (eV/atom)"] * 2


@pytest.mark.parametrize(
    "draw",
    [
        lambda: cnn_accuracy.draw({"test": with_errors(synthetic.predictions("t"))}),
        lambda: kernel.draw(**kernel_arguments()),
    ],
    ids=["with a legend", "without"],
)
def test_what_must_not_be_missed_lies_on_nothing_else(draw):
    drawing = draw()
    style.said_below(drawing, "Learned from labels by trained networks")
    figure = drawing.figure
    figure.canvas.draw()
    texts = [*figure.texts, *(legend.get_title() for legend in figure.legends)]
    (said,) = [text for text in texts if text.get_text().startswith("Learned from")]
    box = said.get_window_extent()
    others = [text for legend in figure.legends for text in legend.get_texts()] + [
        axes.xaxis.label for axes in figure.axes
    ]
    assert not any(box.overlaps(other.get_window_extent()) for other in others if other.get_text())


def test_a_missing_column_is_named(tmp_path):
    file = tmp_path / "cnn-test.csv"
    synthetic.predictions("t").drop(columns="energy_dft_eV").to_csv(file, index=False)
    with pytest.raises(InputError, match=r"cnn-test\.csv: column 'energy_dft_eV' is missing"):
        cnn_accuracy.from_files(test=str(file))


def test_styles_leave_the_callers_settings_alone():
    before = dict(matplotlib.rcParams)
    dimers.draw({"2D": synthetic.dimers()})
    assert dict(matplotlib.rcParams) == before


@pytest.mark.medium
def test_figures_and_claims_need_no_torch():
    modules = "cnn_accuracy ednn_accuracy scaling dimers ising inputs kernel tiles networks interpolation "
    modules += "learning_curves convergence components"
    imports = "; ".join(f"import extensive.figures.{name}" for name in modules.split())
    code = f"import sys; {imports}; from extensive.evaluation import claims, publish; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
