"""What a script depends on is read off its imports: all of it, and nothing beside."""

import subprocess
import sys
from pathlib import Path

import pytest

from extensive.config.provenance import code_of

ROOT = Path(__file__).parents[1]
# Rooms of these have an `__init__` that imports nothing, so that Python loads exactly what is used.
PLAINLY_IMPORTED = [
    "reference-label",
    "reference-audit",
    "claims",
    "publish",
    "splits",
    "timing_exponents",
    "peer-mace",
]


def files(folder: Path, **texts: str) -> Path:
    """A package `p` and scripts beside it, from names (`p__a__b` is p/a/b.py) and texts."""
    for name, text in texts.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for parent in path.relative_to(folder).parents[:-1]:
            if not (folder / parent / "__init__.py").exists():
                (folder / parent / "__init__.py").touch()
    return folder


def found(folder: Path, *modules: str) -> set[str]:
    code = code_of(folder / "script.py", folder, "p", *modules)
    return {str(file.relative_to(folder).with_suffix("")) for file in code}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("import p.a", {"p/a", "p/b"}),
        ("from p import a", {"p/a", "p/b"}),
        ("from p.a import anything as other", {"p/a", "p/b"}),
        ("def late():\n    from p.a import anything", {"p/a", "p/b"}),
        ("if True:\n    import numpy, p.b", {"p/b"}),
        ("run('-m', 'p.c')", {"p/c"}),
        ("print('p.cats', 'p.', 'p', 'c', 'beside')", set()),
        ("import beside", {"beside", "p/c"}),
        ("import json", set()),
    ],
)
def test_an_import_counts_wherever_it_stands(tmp_path, script, expected):
    files(tmp_path, script=script, beside="import p.c", p__a="from p.b import x", p__b="", p__c="", p__d="import p.a")
    assert found(tmp_path) == expected


def test_of_what_a_package_passes_on_only_the_name_that_is_used_is_followed(tmp_path):
    passes_on = "from p.room.a import first\nfrom p.room.b import second as other\nOWN = 1"
    files(tmp_path, p__room__a="", p__room__b="import p.c", p__c="", script="from p.room import first")
    (tmp_path / "p/room/__init__.py").write_text(passes_on)
    assert found(tmp_path) == {"p/room/__init__", "p/room/a"}
    for script, used in (
        ("from p.room import other", {"p/room/__init__", "p/room/b", "p/c"}),
        ("from p.room import a", {"p/room/a"}),
        ("import p.room.a", {"p/room/a"}),
        ("from p.room import OWN", {"p/room/__init__", "p/room/a", "p/room/b", "p/c"}),
        ("import p.room", {"p/room/__init__", "p/room/a", "p/room/b", "p/c"}),
    ):
        (tmp_path / f"{len(used)}{len(script)}").mkdir()
        other = files(
            tmp_path / f"{len(used)}{len(script)}", p__room__a="", p__room__b="import p.c", p__c="", script=script
        )
        (other / "p/room/__init__.py").write_text(passes_on)
        assert found(other) == used, script


def test_a_module_that_is_imported_by_a_computed_name_is_told(tmp_path):
    files(tmp_path, script="import_module(f'p.{name}')", p__a="import p.b", p__b="")
    assert found(tmp_path) == set()
    assert found(tmp_path, "p.a") == {"p/a", "p/b"}
    with pytest.raises(ValueError, match=r"imports p\.none, which does not exist"):
        found(tmp_path, "p.none")


@pytest.mark.parametrize(("text", "message"), [("from . import a", "relative"), ("import p.none", "does not exist")])
def test_what_cannot_be_followed_is_refused(tmp_path, text, message):
    files(tmp_path, script="import p.a", p__a=text)
    with pytest.raises(ValueError, match=message):
        found(tmp_path)


def test_modules_that_import_each_other_end(tmp_path):
    files(tmp_path, script="import p.a", p__a="import p.b", p__b="import p.a")
    assert found(tmp_path) == {"p/a", "p/b"}


@pytest.mark.medium
@pytest.mark.parametrize("name", PLAINLY_IMPORTED)
def test_python_loads_the_same_modules(name):
    """Only the imports of the real script are run, in a process of its own, and what they loaded is compared."""
    script = ROOT / "workflow" / "scripts" / f"{name}.py"
    program = f"""
import ast, sys
tree = ast.parse(open({str(script)!r}).read())
tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
sys.path.append({str(script.parent)!r})
exec(compile(tree, "imports", "exec"))
files = [getattr(module, "__file__", None) for module in sys.modules.values()]
print(*[file for file in files if file and file.startswith({str(ROOT / "src")!r})], sep="\\n")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {Path(line) for line in done.stdout.split() if not line.endswith("__init__.py")}
    followed = {file for file in code_of(script, ROOT / "src", "extensive") if file.is_relative_to(ROOT / "src")}
    assert loaded
    assert followed == loaded
