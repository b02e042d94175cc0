"""Figure `scaling`: every timing is drawn, and what is said of DFT is what its fit determines."""

import re

import numpy as np
import pandas as pd
import pytest
import synthetic_results as synthetic

from extensive.figures import scaling


@pytest.fixture(scope="module")
def drawing():
    dft, nets, sheet, exponents = synthetic.timings()
    return scaling.draw(pd.concat([dft, nets]), exponents["fits"], sheet)


def test_every_timing_and_the_papers_points_are_drawn(drawing):
    axes = drawing.figure.axes[0]
    drawn = [line.get_xydata() for line in axes.lines if line.get_marker() not in ("None", None, "")]
    assert sum(map(len, drawn)) + 1 == len(drawing.table)  # the sheet is a star of its own
    stars = np.concatenate([points.get_offsets() for points in axes.collections])
    for cells, seconds in ((1, 0.057), (35.2e6 / 60, 1500), (588_000, 240)):
        assert np.isclose(stars, (cells, seconds)).all(axis=1).any()


def test_dft_is_extrapolated_along_its_fit(drawing):
    axes = drawing.figure.axes[0]
    line = next(line for line in axes.lines if line.get_label() == "DFT, extrapolated")
    x, y = line.get_data()
    assert np.polyfit(np.log(x), np.log(y), 1)[0] == pytest.approx(2.6)
    assert y[0] == pytest.approx(60 * 6**2.6)
    assert line.get_linestyle() == "--"


def test_gain_of_fusing_is_of_sizes_that_both_were_timed_at():
    rows = [("ednn-tiled", 1, 9.0), ("ednn-tiled", 10, 30.0), ("ednn-tiled", 20, 50.0), ("ednn-fused", 1, 1.0)]
    rows += [("ednn-fused", 10, 10.0), ("ednn-fused", 20, 10.0), ("ednn-fused", 1000, 1.0)]
    table = pd.DataFrame(rows, columns=["method", "n_cells", "seconds"]).assign(device="cpu")
    assert scaling.fusing_gain(table) == 4.0
    assert scaling.fusing_gain(table[table["n_cells"] != 10].replace("ednn-fused", "cnn")) is None


@pytest.mark.parametrize(("streamed", "shown", "left_out"), [(["c"], "c", "b"), (["b", "c"], "b", "c"), ([], "b", "c")])
def test_of_further_networks_one_is_drawn_by_its_name(streamed, shown, left_out):
    """The one that the large sheet is of, so that line and star are one network; else the fastest."""
    dft, nets, sheet, exponents = synthetic.timings()
    own = nets[(nets["method"] == "ednn-fused") & (nets["device"] == "cpu")]
    others = [own.assign(method=f"{name}-fused", seconds=own["seconds"] / gain) for name, gain in (("b", 4), ("c", 2))]
    stars = [sheet.assign(method=f"{name}-streamed", seconds=60.0) for name in streamed]
    drawing = scaling.draw(pd.concat([dft, nets, *others]), exponents["fits"], pd.concat([sheet, *stars]))
    labels = drawing.figure.axes[0].get_legend_handles_labels()[1]
    assert any(label.startswith(f"{shown} fused, 2 CPU cores") for label in labels)
    assert not any(label.startswith(f"{left_out} fused") for label in labels)
    assert {f"{name} streamed sheet, 2 CPU cores" for name in streamed} <= set(labels)
    assert set(drawing.table["method"]) >= {"b-fused", "c-fused"}  # the table has all


def test_the_caption_says_what_dft_would_need(drawing):
    numbers = drawing.numbers
    assert re.fullmatch(r"[\d,e+]+ years", numbers["dft_extrapolated"])
    assert numbers["dft_extrapolated_years"] == pytest.approx(60 * (35.2e6 / 60) ** 2.6 / 3.156e7)
    assert numbers["fits"]["EDNN fused, cpu"] == "1.00 ± 0.10"


def test_no_years_are_said_of_an_exponent_that_the_sizes_do_not_determine():
    dft, nets, sheet, exponents = synthetic.timings()
    fits = [dict(fit, exponent_low=-0.2, exponent_high=3.3) for fit in exponents["fits"]]
    assert scaling.draw(pd.concat([dft, nets]), fits, sheet).numbers["dft_extrapolated_years"] is None
