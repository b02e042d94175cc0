"""`make labels`: workers that share what is to be done, start anew when they have grown, and end when they are told."""

from spring_labels import PRODUCTION, StandIn

from extensive.config import complete_config
from extensive.reference import label
from extensive.reference.label import Grower


def test_workers_share_the_work_and_balance_the_kinds(tmp_path):
    datasets = {
        "graphene-rattle": {"family": "graphene", "sampler": "rattle", "count": 5, "supercell": [1, 1]},
        "hbn-rattle": {"family": "hbn", "sampler": "rattle", "count": 5, "supercell": [1, 1]},
        "graphene-md": {
            "family": "graphene", "sampler": "md", "count": 1, "supercell": [1, 1], "md": {"frames": 9}
        },
        "supercells-8": {
            "family": "graphene", "sampler": "rattle", "count": 1, "supercell": [2, 1], "set": "supercells"
        },
    }  # fmt: skip
    config = complete_config({"run": "t", "seed": 7, "structures": {"datasets": datasets}})
    grower = Grower(config, tmp_path / "labels", tmp_path / "locks")
    grower.labeller = StandIn()
    grower.labeller.settings = PRODUCTION
    for _ in range(6):
        assert grower.run_one()
    early = grower.status()
    assert min(early.values()) >= 1, "every kind has labels early"
    assert abs(early["graphene-rattle"] - early["hbn-rattle"]) <= 1
    while grower.run_one():
        pass
    assert grower.status() == {"graphene-rattle": 5, "hbn-rattle": 5, "graphene-md": 9, "supercells-8": 1}


def test_every_worker_is_started_with_one_thread(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(label.subprocess, "Popen", lambda command, env, **_: started.append(env) or Ended(0))
    monkeypatch.setattr(label.signal, "signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)  # `main` changes it
    for workers, threads in ((1, None), (2, None), (2, "4")):
        started.clear()
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if threads:
            monkeypatch.setenv("OMP_NUM_THREADS", threads)
        assert label.main(["--workers", str(workers)]) == 0
        assert [env["OMP_NUM_THREADS"] for env in started] == ["1"] * workers


def test_a_worker_whose_memory_has_grown_is_started_again_for_the_time_that_is_left(monkeypatch, tmp_path):
    started, codes = [], [label.GROWN, 0, label.GROWN, 0]

    def popen(command, env, **_):
        started.append((command, label.SUPERVISED in env))
        return Ended(codes[len(started) - 1])

    monkeypatch.setattr(label.subprocess, "Popen", popen)
    monkeypatch.setattr(label.signal, "signal", lambda *_: None)
    monkeypatch.setattr(label, "POLL_S", 0.0)
    monkeypatch.chdir(tmp_path)
    assert label.main(["--workers", "2", "--hours", "2"]) == 0
    assert len(started) == 4
    for command, supervised in started:
        assert supervised
        assert command[-2] == "--hours"
        assert 1.9 < float(command[-1]) <= 2.0
    monkeypatch.setattr(label, "LARGEST_GIB", 0.0)
    monkeypatch.setattr(label.Grower, "run_one", lambda *_: True)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv(label.SUPERVISED, "1")
    assert label.main(["--archive", str(tmp_path / "labels"), "--locks", str(tmp_path / "locks")]) == label.GROWN


class Ended:
    """A process that is over."""

    def __init__(self, code: int | None) -> None:
        self.code = code

    def poll(self) -> int | None:
        return self.code


def test_workers_that_are_told_to_end_are_not_started_again(monkeypatch, tmp_path):
    """Not even one that ended because it had grown as the signal came."""
    started, handlers = [], {}

    def popen(command, env, **_):
        started.append(command)
        assert len(started) <= 2
        worker = Ended(None)
        worker.terminate = lambda: setattr(worker, "code", label.GROWN)
        return worker

    monkeypatch.setattr(label.subprocess, "Popen", popen)
    monkeypatch.setattr(label.signal, "signal", lambda number, handler: handlers.update({number: handler}))
    monkeypatch.setattr(label.time, "sleep", lambda _: handlers[label.signal.SIGTERM]())
    monkeypatch.chdir(tmp_path)
    assert label.main(["--workers", "2"]) == 0
    assert len(started) == 2
