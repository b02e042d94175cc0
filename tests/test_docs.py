"""Pages link to what is there, and are written in short sentences."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "config/README.md", *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        # Figures of results are made by a run.
        if not re.match(r"[a-z]+:", target) and "results/" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """What a `#anchor` may name: headings, in small letters with hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_anchors_are_headings(page):
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)]+)\)", page.read_text()):
        there = (page.parent / target).resolve() if target else page
        assert anchor in anchors(there), f"{page.name}: {target}#{anchor}"


def test_headings_become_anchors(tmp_path):
    (tmp_path / "a.md").write_text("# What the method can do\n```\n# no heading\n```\n## A network: `src/models/`\n")
    assert anchors(tmp_path / "a.md") == {"what-the-method-can-do", "a-network-srcmodels"}


def test_every_page_of_the_documentation_is_linked_from_somewhere():
    texts = {page: page.read_text() for page in PAGES}
    for page in ROOT.glob("docs/*.md"):
        assert any(page.name in text for other, text in texts.items() if other != page), page.name


LONGEST_SENTENCE = 35  # words


def sentences(text: str) -> list[str]:
    """Sentences of a page's paragraphs, items of lists and cells of tables; commands and headings are none."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    parts: list[str] = [""]
    for line in text.splitlines():
        if line.startswith("|"):
            parts += [*line.strip("|").split("|"), ""]
        elif not line.strip() or line.startswith("#"):
            parts.append("")
        elif re.match(r"\s*(?:[-*]|\d+\.) ", line):
            parts.append(line)
        else:
            parts[-1] += f" {line}"
    # A colon or semicolon before a list of its own ends a thought as well.
    ends = r"(?<=[.!?])\s+|(?<=[:;])\s+(?=[A-Z`\"(\[])"
    return [sentence for part in parts for sentence in re.split(ends, part.strip()) if sentence]


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_sentences_are_short(page):
    long = [sentence for sentence in sentences(page.read_text()) if len(sentence.split()) > LONGEST_SENTENCE]
    assert not long


def test_a_sentence_ends_where_it_ends():
    text = "# Title\n\nOne two. Three\nfour: `Five` six\n\n- seven\n- eight\n\n"
    text += "| nine ten | eleven. Twelve |\n\n```sh\nno\n```\n"
    found = [sentence.strip(" -") for sentence in sentences(text)]
    assert found == ["One two.", "Three four:", "`Five` six", "seven", "eight", "nine ten", "eleven.", "Twelve"]
