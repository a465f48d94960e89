"""Results come in order; things are taken one at a time; the first failure in order is raised."""

import threading
import time

import pytest
import torch

from bertprune.parallel import WORTH, each, in_turn, shared


def test_results_come_in_the_order_of_the_things():
    assert each(lambda number: number * number, range(100)) == [number * number for number in range(100)]
    assert each(lambda number: number, []) == []


def test_things_are_taken_one_at_a_time_and_none_ahead():
    """A generator may draw from torch's, and may yield what is too much to hold at once."""
    inside, taken, done = threading.Lock(), [], []

    def things():
        for number in range(200):
            assert inside.acquire(blocking=False)
            time.sleep(0)
            taken.append(number)
            held.append(len(taken) - len(done))
            inside.release()
            yield number

    held: list[int] = []
    assert each(lambda number: done.append(number) or number, things()) == list(range(200))
    assert max(held) <= torch.get_num_threads()


def test_as_many_threads_work_as_torch_has():
    together = threading.Barrier(torch.get_num_threads(), timeout=60)
    each(lambda _: together.wait(), range(torch.get_num_threads()))


def test_the_first_failure_in_order_is_raised_and_nothing_more_is_taken():
    done = []

    def work(number):
        if number in (3, 4):
            time.sleep(0.05 if number == 3 else 0)
            raise ZeroDivisionError(number)
        done.append(number)

    with pytest.raises(ZeroDivisionError, match="3"):
        each(work, range(10_000))
    assert len(done) < 100


def test_a_failure_of_the_things_themselves_is_raised():
    def things():
        yield 1
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        each(lambda number: number, things())


def test_small_tensors_are_left_to_the_calling_thread():
    assert shared([WORTH] * 4) is each
    assert shared([WORTH, WORTH * 9, 1]) is each
    assert shared([WORTH - 1] * 4) is in_turn
    assert shared([WORTH]) is shared([]) is in_turn


def test_in_turn_takes_a_thing_when_the_last_is_done():
    done = []
    assert in_turn(lambda number: done.append(number) or number, (len(done) for _ in range(5))) == [0, 1, 2, 3, 4]
