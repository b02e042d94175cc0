"""Which tests share a process where several run side by side (`pytest -n`): those that share something costly."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def group_of(path: Path, fixtures: list[str]) -> str:
    """Tests of one file stay together, those of the one Slurm do, and those that look at one finished run."""
    if path.is_relative_to(TESTS / "cluster"):
        return "cluster"
    if "smoke_run" in fixtures:
        return "smoke"
    return str(path.relative_to(TESTS))


# Before xdist reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(Path(item.path), getattr(item, "fixturenames", []))))
