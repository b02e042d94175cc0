"""The order of the package's rooms, read off its imports: nothing reaches up, nothing goes round."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "extensive"
SHARED = {"errors", "keys", "io", "memory", "paths"}
# From the lowest: a room uses those before it.
ROOMS = [
    "config",
    "structures",
    "reference",
    "images",
    "models",
    "training",
    "inference",
    "teaching",
    "evaluation",
    "timing",
    "figures",
    "peers",
    "cli",
]
# Rooms of networks run beside any labels, and in an environment without GPAW.
WITHOUT_REFERENCE = ["images", "models", "training", "inference", "peers"]
# The one module of figures that asks networks; what draws reads its files.
ASKS_NETWORKS = "extensive.figures.network_data"

MODULES = {
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}


def imports(path: Path) -> set[str]:
    """All that a module imports by name, anywhere in it; `from a import b` is a.b where that is a module, else a."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return found


IMPORTS = {name: imports(path) for name, path in MODULES.items()}
WITHIN = {name: {other for other in found if other in MODULES} for name, found in IMPORTS.items()}


def room(module: str) -> str:
    """Name of a module's room, of a shared module, or '' for the package."""
    return (module.split(".") + [""])[1]


def reached(module: str) -> set[str]:
    """All modules and libraries that a module imports, and those that these import; with the packages around them."""
    seen, left = set(), [module]
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        parts = name.split(".")
        left += [".".join(parts[:count]) for count in range(2, len(parts)) if name in MODULES]
        left += IMPORTS.get(name, ())
    return seen


def libraries(module: str) -> set[str]:
    return {name.split(".")[0] for name in reached(module)}


def modules_of(name: str) -> list[str]:
    found = [module for module in MODULES if room(module) == name]
    assert found
    return found


def test_every_module_has_a_room_or_is_shared_by_all():
    assert {room(module) for module in MODULES} == {"", *SHARED, *ROOMS}


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_says_what_it_is(name):
    text = ast.get_docstring(ast.parse((SOURCE / name / "__init__.py").read_text()))
    assert text
    assert len(text.split()) > 15


@pytest.mark.parametrize("name", [*sorted(SHARED), *ROOMS])
def test_a_room_uses_only_those_before_it(name):
    allowed = {"", *SHARED} if name in SHARED else {"", *SHARED, *ROOMS[: ROOMS.index(name) + 1]}
    upward = {
        f"{module} imports {other}"
        for module in modules_of(name)
        for other in WITHIN[module]
        if room(other) not in allowed
    }
    assert not upward


def test_no_import_goes_round():
    left = dict(WITHIN)
    while True:
        ready = {name for name, found in left.items() if not found & set(left)}
        if not ready:
            break
        left = {name: found for name, found in left.items() if name not in ready}
    assert not left


def test_the_package_itself_imports_none_of_its_rooms():
    assert WITHIN["extensive"] == set()


def test_structures_and_configuration_know_neither_networks_nor_gpaw():
    for module in [*modules_of("structures"), *modules_of("config")]:
        assert not libraries(module) & {"torch", "gpaw", "matplotlib"}, module


def test_figures_are_drawn_without_networks():
    for module in modules_of("figures"):
        assert ("torch" in libraries(module)) == (module == ASKS_NETWORKS), module


def test_gpaw_is_named_in_reference_alone_and_only_when_a_calculation_starts():
    users = {module for module, found in IMPORTS.items() if any(name.split(".")[0] == "gpaw" for name in found)}
    assert users
    assert {room(module) for module in users} == {"reference"}
    for module in users:
        at_once = [node for node in ast.parse(MODULES[module].read_text()).body if isinstance(node, ast.ImportFrom)]
        assert not any(node.module.split(".")[0] == "gpaw" for node in at_once), module


def test_networks_need_no_labels_code_and_no_workflow():
    for name in WITHOUT_REFERENCE:
        for module in modules_of(name):
            assert "reference" not in {room(other) for other in WITHIN[module]}, module
    for module in MODULES:
        assert "snakemake" not in libraries(module), module


def test_imports_within_functions_keep_libraries_away_and_hide_nothing():
    """Of the package's own modules, only the command line's verbs import any when they run: it must start at once."""
    for module, path in MODULES.items():
        tree = ast.parse(path.read_text())
        inside = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node not in tree.body]
        own = [node.module for node in inside if node.module.split(".")[0] == "extensive"]
        assert not own or room(module) == "cli", f"{module}: {own}"
