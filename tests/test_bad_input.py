"""Wrong input gives one clear line, never a traceback; docs/bad-input.md says which."""

from pathlib import Path

import pytest
from bad_input_cases import CASES, page
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extensive.config import complete_config, load_schema
from extensive.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = load_schema()


@pytest.mark.parametrize("entry", CASES, ids=lambda entry: f"{entry.group}: {entry.wrong}")
def test_one_clear_line(entry, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    try:
        status = entry.run(tmp_path)
    except InputError as error:
        said = str(error)
    else:
        assert status == 2, "nothing was refused"
        said = capsys.readouterr().err.strip()
        assert said.startswith("extensive: error: ")
    assert "\n" not in said
    assert "Traceback" not in said
    assert entry.says in said
    left = [path for path in set(tmp_path.rglob("*")) - before if path.name.startswith(".tmp-")]
    assert not left, "a temporary file was left behind"
    assert not (tmp_path / "hostile-code-ran").exists()


def test_there_are_enough_cases_and_none_twice():
    assert len(CASES) >= 40
    assert len({(entry.group, entry.wrong) for entry in CASES}) == len(CASES)


def test_the_page_is_what_the_tests_prove():
    assert (ROOT / "docs/bad-input.md").read_text() == page(), "python tests/bad_input_cases.py > docs/bad-input.md"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(key=st.sampled_from(sorted(SCHEMA["properties"])), value=VALUES)
@example(key="figures", value={"\n": None})
def test_any_value_of_any_section_is_taken_or_refused_in_one_line(key, value):
    said = ""
    try:
        complete_config({key: value}, SCHEMA)
    except InputError as error:
        said = str(error)
    assert "\n" not in said
