"""Figures of errors where sets are missing or empty: drawn from the others, or refused in one line."""

import pytest
import synthetic_results as synthetic

from extensive.errors import InputError
from extensive.figures import cnn_accuracy, ednn_accuracy, interpolation

FIGURES = {
    "cnn-accuracy": (cnn_accuracy.from_files, "test", "independent_md"),
    "ednn-accuracy": (ednn_accuracy.from_files, "test", "supercells"),
    "interpolation": (interpolation.from_files, "ednn_test", "ednn_extrapolation"),
}


@pytest.fixture
def files(tmp_path):
    """Predictions of a set without structures, and of one with some."""
    table = synthetic.predictions("x", per_family=2)
    paths = [tmp_path / "none.csv", tmp_path / "some.csv"]
    for path, part in zip(paths, (table.head(0), table), strict=True):
        part.to_csv(path, index=False)
    return [str(path) for path in paths]


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_without_predictions_is_refused_by_its_name(name, files):
    draw, *sets = FIGURES[name]
    for given in ({}, dict.fromkeys(sets, files[0])):
        with pytest.raises(InputError, match=f"figure {name}: no predictions to draw") as caught:
            draw(**given)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("missing", [False, True])
def test_sets_that_are_there_are_drawn_without_the_others(name, missing, files):
    draw, first, second = FIGURES[name]
    given = {second: files[1]} | ({} if missing else {first: files[0]})
    drawing = draw(**given)
    assert len(drawing.table) == len(synthetic.predictions("x", per_family=2))
    assert set(drawing.table["set"]) == {second.removeprefix("ednn_").replace("_", "-")}
