"""The shared cache and what a visitor owns."""

import gc
import platform
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from app import runtime
from app.errors import LimitError
from app.runs import RunKey, Source
from app.settings import GIB, Settings
from app.store import Cache, Store

STEP = bp.Step(method="l1_unstructured", fraction=0.5, select=bp.Selection(roles=["attention.key"]))


def test_the_least_recently_used_is_dropped_first_and_released() -> None:
    gone: list[str] = []
    cache = Cache(100, 100)
    for name in "abc":
        cache.get(name, lambda name=name: (name, 40, lambda: gone.append(name)))
    assert gone == ["a"]
    cache.get("b", lambda: pytest.fail("b is there"))
    cache.get("d", lambda: ("d", 40, None))
    assert gone == ["a", "c"]
    assert cache.bytes == 80


def test_a_value_larger_than_the_cache_is_kept_alone() -> None:
    cache = Cache(10, 100)
    cache.get("a", lambda: ("a", 5, None))
    assert cache.get("big", lambda: ("big", 50, None)) == "big"
    assert len(cache) == 1


def test_the_number_of_entries_is_bounded() -> None:
    cache = Cache(100, 2)
    for name in "abc":
        cache.get(name, lambda: (1, 1, None))
    assert (len(cache), cache.bytes) == (2, 2)
    cache.get("b", lambda: pytest.fail("b is there"))


def together(times: int, act: Callable[[], Any], apart: float = 0.0) -> None:
    """Do the same in so many threads, each begun so many seconds after the one before."""
    threads = [threading.Thread(target=act) for _ in range(times)]
    for thread in threads:
        thread.start()
        time.sleep(apart)
    for thread in threads:
        thread.join()


def test_equal_requests_at_the_same_time_are_made_once() -> None:
    cache, made, got = Cache(100, 100), [], []

    def make() -> tuple[object, int, None]:
        made.append(1)
        time.sleep(0.05)
        return object(), 1, None

    together(8, lambda: got.append(cache.get("x", make)))
    assert len(made) == 1
    assert len(set(map(id, got))) == 1


def test_a_failure_is_not_kept() -> None:
    cache = Cache(10, 100)
    with pytest.raises(ValueError, match="once"):
        cache.get("x", lambda: (_ for _ in ()).throw(ValueError("once")))
    assert cache.get("x", lambda: (1, 1, None)) == 1


def test_a_run_is_made_again_after_the_cache_dropped_it(tiny_folder: Any) -> None:
    store = Store(Settings(cache_bytes=1))
    done = RunKey(Source(str(tiny_folder())), bp.Recipe(steps=[STEP]))
    first = store.run(done)
    store.checkpoint(done.source)  # pushes the run out
    second = store.run(done)
    assert first is not second
    assert first.report.to_dict() == second.report.to_dict()


def test_equal_runs_are_shared(tiny_folder: Any) -> None:
    store, source = Store(), Source(str(tiny_folder()))
    recipe = bp.Recipe(steps=[STEP])
    assert store.run(RunKey(source, recipe)) is store.run(RunKey(source, bp.Recipe(steps=[STEP])))
    assert store.run(RunKey(source, recipe)) is not store.run(RunKey(source, recipe, seed=1))


def test_an_upload_is_removed_with_everything_made_from_it(tmp_path: Path, tiny_folder: Any) -> None:
    home = tmp_path / "home"
    home.mkdir()
    folder = tiny_folder().rename(home / "mine")
    store, source = Store(), Source(str(folder), folder=str(home))
    store.run(RunKey(source, bp.Recipe(steps=[STEP])))
    store.tree(source)
    store.forget(source)
    assert not home.exists()
    assert store.cache.bytes == 0


def test_a_folder_that_is_not_an_upload_is_never_removed(tiny_folder: Any) -> None:
    folder = tiny_folder()
    Store().forget(Source(str(folder)))
    assert (folder / "config.json").is_file()


def test_a_model_that_is_too_large_is_refused_by_its_headers(tiny_folder: Any) -> None:
    with pytest.raises(bp.BertpruneError, match="at most 20,000 are accepted here"):
        Store(Settings(max_parameters=20_000)).checkpoint(Source(str(tiny_folder())))


def test_spaces_are_recognised_by_their_variables() -> None:
    assert not Settings.from_environment({}).hosted
    assert Settings.from_environment({"SPACE_ID": "me/page"}).hosted
    hosted = Settings.from_environment({"SYSTEM": "spaces"})
    assert hosted.max_upload < GIB < hosted.cache_bytes


def test_after_a_failure_waiting_requests_try_one_by_one() -> None:
    cache, at_once, most = Cache(10, 100), [0], [0]

    def fail() -> Any:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        time.sleep(0.02)
        at_once[0] -= 1
        raise ValueError

    def ask() -> None:
        with pytest.raises(ValueError):
            cache.get("x", fail)

    together(5, ask, apart=0.01)
    assert most == [1]
    assert not cache.turns


def test_work_that_takes_too_long_is_stopped_and_says_so(tiny_folder: Any) -> None:
    store, done = Store(Settings(max_seconds=1e-9)), RunKey(Source(str(tiny_folder())), bp.Recipe(steps=[STEP]))
    with pytest.raises(LimitError, match=r"longer than 1e-09 seconds and was stopped"):
        store.run(done)
    with pytest.raises(LimitError, match="was stopped"):
        store.timed()(0.5, "")
    assert Store(Settings(max_seconds=60)).run(done)


def test_a_model_that_cannot_fit_is_refused_before_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runtime.free_memory", lambda: 700_000_000)
    with pytest.raises(LimitError, match=r"kobert-shape needs 737\.5 MB of memory, but only 700\.0 MB are free"):
        Store().checkpoint(Source("kobert-shape"))
    monkeypatch.setattr("app.runtime.free_memory", lambda: 800_000_000)
    assert Store().checkpoint(Source("kobert-shape"))


def test_free_memory_is_plausible() -> None:
    free = runtime.free_memory()
    assert free is None or 10_000_000 < free < 2**50


def test_strangers_cannot_open_a_path(subtests: pytest.Subtests) -> None:
    for given in ["/etc", "./tests", "demo/../demo"]:
        with subtests.test(given), pytest.raises(bp.BertpruneError, match="paths are not accepted here"):
            Store(Settings.for_strangers()).checkpoint(Source(given))


HEAPS = """
import ctypes, sys, threading
from app import runtime
if sys.argv[1:]: runtime.share_heaps()
all_there = threading.Barrier(8)
def work():
    held = bytearray(9000)
    all_there.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc")
def test_threads_share_two_heaps(subtests: pytest.Subtests) -> None:
    for shared in [True, False]:
        with subtests.test(f"shared: {shared}"):
            command = [sys.executable, "-c", HEAPS, *(["share"] if shared else [])]
            printed = subprocess.run(
                command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
            ).stdout
            assert (printed.count("<heap nr=") <= 2) == shared


def test_models_are_released_after_they_were_looked_at(tiny_folder: Any) -> None:
    store = Store(Settings(cache_bytes=1))
    done = RunKey(Source(str(tiny_folder())), bp.Recipe(steps=[STEP]))
    with store.model_of(done) as run:
        store.tree(done.source)  # pushes the run and its checkpoint out of the cache
        models = [weakref.ref(run.model), weakref.ref(run.checkpoint.model())]  # the latter as an evaluation does
    gc.collect()
    assert [model() for model in models] == [None, None]
