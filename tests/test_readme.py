"""The README holds no number that a file does not hold: each is looked up, and is that number rounded."""

import re
from collections.abc import Sequence

import pytest
from readme_numbers import NAMES, NUMBER, PUBLISHED, README, TIED, abouts, filled, pattern, rounded, written_anew


def test_a_number_is_held_to_the_digits_that_it_shows():
    assert rounded("0.47", 0.4715)
    assert not rounded("0.48", 0.4715)
    assert rounded("1.8e-4", 0.0001831)
    assert rounded("20,000", 20000)
    assert not rounded("92", 91.11)
    assert rounded("7,000", 6963, about=True)
    assert not rounded("8,000", 6963, about=True)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("0.47", 0.4715, "0.47"),
        ("0.47", 1.8049, "1.8"),
        ("91", 124.4, "124"),
        ("91", 3.21, "3.2"),
        ("4.7", 12.34, "12"),
        ("1.8e-4", 0.00023456, "2.3e-4"),
        ("20,000", 18250, "18,250"),
        ("100", 98.2, "98"),
        ("1.02", 0.996, "0.996"),
    ],
)
def test_a_number_is_written_anew_in_the_style_of_the_old_one(text: str, value: float, expected: str):
    assert written_anew(text, value) == expected
    assert rounded(expected, value)


def test_filling_a_readme_whose_numbers_hold_changes_nothing():
    assert filled(README) == README


@pytest.mark.parametrize(("words", "values"), TIED, ids=[words[:40] for words, _ in TIED])
def test_each_number_is_a_rounding_of_one_in_a_file(words: str, values: Sequence[float]):
    found = pattern(words).findall(README)
    assert len(found) == 1, f"README.md: {words!r} is there {len(found)} times"
    texts = [found[0]] if isinstance(found[0], str) else list(found[0])
    for text, value, about in zip(texts, values, abouts(words), strict=True):
        assert rounded(text, value, about), f"README.md: {words!r} has {text} for {value}"


def test_no_number_of_the_readme_is_left_unchecked():
    text = README
    for words, _ in TIED:
        text = pattern(words).sub(" ", text)
    text = re.sub(r"^```.*?^```$", " ", text, flags=re.M | re.S)  # commands; their minutes are tied above
    text = re.sub(r"`[^`]*`|\]\([^)]*\)", " ", text)  # names of files, links
    for name in NAMES:
        text = re.sub(name, " ", text)
    assert not re.findall(rf"[^\n]*{NUMBER}[^\n]*", text)


def test_files_that_the_readme_names_as_sources_are_there():
    for name in re.findall(r"`((?:papers-scale/)?(?:predictions|timings|models|tables)/[^`]+)`", README):
        assert (PUBLISHED / name).is_file(), name
