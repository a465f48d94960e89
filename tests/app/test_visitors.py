"""Whose turn it is: the messages of one visitor in their order, and the work of all."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import pytest

import bertprune as bp
from app.errors import Cancelled
from app.runs import RunKey, Source
from app.store import Store
from app.tabs import search
from app.visit import Visit
from app.visitors import Gate, Visitor
from tests.app.conftest import nothing

SWEPT = {"levels": "0.5", "granularity": "neuron", "score.magnitude": True}


def test_cancelling_stops_the_next_report_of_that_visitor_only() -> None:
    mine, other = Visitor(Visit()), Visitor(Visit())
    reported: list[float] = []

    def note(share: float, words: str) -> None:
        if share:
            reported.append(share)

    assert not mine.cancel(0)  # nothing is running
    with mine.working(note, 1) as report:
        report(0.1, "")
        assert mine.cancel(1)
        with other.working(note, 1) as others:
            others(0.2, "")
        with pytest.raises(Cancelled):
            report(0.3, "")
    with mine.working(note, 2) as again:
        again(0.4, "")  # a new piece of work begins afresh
    assert reported == [0.1, 0.2, 0.4]


def test_what_is_cancelled_before_it_arrives_or_while_it_waits_does_not_begin() -> None:
    visitor = Visitor(Visit())
    assert visitor.cancel(2)  # neither has arrived
    for number in (1, 2):
        with visitor.turn(number), pytest.raises(Cancelled), visitor.working(lambda share, words: None, number):
            pytest.fail("begun")
    assert not visitor.cancel(2)
    with visitor.turn(3), visitor.working(lambda share, words: None, 3):
        assert visitor.cancel(3)
    assert not visitor.wait_for_work(1)  # it was done nevertheless


def test_who_comes_back_after_leaving_is_served_again() -> None:
    visitor = Visitor(Visit())
    with visitor.turn(1):
        pass
    with visitor.working(lambda share, words: None, 1) as report:
        visitor.leave()
        with pytest.raises(Cancelled):
            report(0.5, "")
        with pytest.raises(Cancelled):
            visitor.check()
    with visitor.turn(2), visitor.working(lambda share, words: None, 2) as report:
        report(0.5, "")
        visitor.check()


def test_what_is_asked_is_done_in_the_order_of_the_browser_and_once() -> None:
    visitor, done = Visitor(Visit()), list[int]()

    def ask(number: int) -> None:
        with visitor.turn(number) as fresh:
            if fresh:
                done.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in (4, 3, 2)]
    for thread in threads:
        thread.start()
    assert done == []
    for number in (1, 3):
        ask(number)
    for thread in threads:
        thread.join()
    assert done == [1, 2, 3, 4]


def test_what_never_arrives_is_not_waited_for_for_ever_and_done_if_it_comes_late() -> None:
    visitor, done = Visitor(Visit(), patience=0.01), list[int]()
    for number in (1, 3, 2, 3):
        with visitor.turn(number) as fresh:
            if fresh:
                done.append(number)
    assert done == [1, 3, 2]


def test_work_in_the_background_makes_way_and_is_done_again() -> None:
    gate, seen, began = Gate(), list[str](), threading.Event()

    def measure(make_way: Callable[[], None]) -> str:
        seen.append("measuring")
        began.set()
        while len(seen) < 3 and seen[-1] != "pruned":
            time.sleep(0.001)
            make_way()
        return "measured"

    def prune() -> None:
        began.wait()
        with gate.work():
            seen.append("pruned")

    thread = threading.Thread(target=prune)
    thread.start()
    assert gate.behind(measure) == "measured"
    thread.join()
    assert seen == ["measuring", "pruned", "measuring"]


def test_what_others_wait_for_goes_first_while_a_plan_is_sought(
    store: Store, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, recipe = list[str](), bp.Recipe(steps=[bp.Step(method="magnitude", fraction=0.5)])

    def prune() -> None:
        with store.gate.work():
            store.run(RunKey(visit.source, recipe))
            order.append("pruned")

    other = threading.Thread(target=prune)

    def plan(*_: Any, progress: Callable[[float, str], None], **__: Any) -> bp.Recipe:
        order.append("planning")
        other.start()
        until = time.monotonic() + 30
        while "pruned" not in order and time.monotonic() < until:
            progress(0.5, "part by part")
        order.append("planned")
        return recipe

    monkeypatch.setattr(bp, "plan", plan)
    search.planned(store, visit.source, 0.5, None, nothing)
    other.join()
    assert order == ["planning", "pruned", "planned"]


def test_what_others_wait_for_goes_between_the_recipes_of_a_sweep(
    store: Store, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, waiting = list[str](), threading.Event()

    def prune() -> None:
        waiting.set()
        with store.gate.work():
            order.append("pruned")

    other = threading.Thread(target=prune)

    def first() -> None:
        other.start()
        waiting.wait()
        time.sleep(0.05)
        order.append("first")

    def sweep(*_: Any, executor: Executor, **__: Any) -> None:
        for done in [executor.submit(first), executor.submit(order.append, "second")]:
            done.result()

    monkeypatch.setattr(bp, "sweep", sweep)
    search.sweep(store, Visitor(replace(visit, source=Source("demo"))), SWEPT, nothing)
    other.join()
    assert order == ["first", "pruned", "second"]
