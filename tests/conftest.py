"""Which tests share a process where several run side by side (`make test-fast`): a file's, and those of one run."""

import pytest

# What their tests look at takes minutes to make.
TOGETHER = {"tests/cluster/": "cluster", "tests/workflow/test_smoke": "smoke", "tests/workflow/test_report": "smoke"}


def group_of(nodeid: str) -> str:
    """Group of a test, by the name that pytest gives it."""
    for start, group in TOGETHER.items():
        if nodeid.startswith(start):
            return group
    return nodeid.split("::", 1)[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Groups in place of xdist's own marks, which pytest 9.2 does not hand to it."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Groups(config, log)
