"""Results come in order; items are fetched one at a time; the first failure in order is raised."""

import functools
import threading
import time

import pytest
import torch

from bertprune.errors import BertpruneError
from bertprune.parallel import THREAD_SIZE, check_progress, choose_map, map_serially, map_threaded


def test_results_come_in_the_order_of_the_items():
    assert map_threaded(lambda number: number * number, range(100)) == [number * number for number in range(100)]
    assert map_threaded(lambda number: number, []) == []


def test_items_are_fetched_one_at_a_time_and_none_ahead():
    """A generator may use torch's random state, and its items may not fit into memory together."""
    inside, fetched, done = threading.Lock(), [], []

    def items():
        for number in range(200):
            assert inside.acquire(blocking=False)
            time.sleep(0)
            fetched.append(number)
            held.append(len(fetched) - len(done))
            inside.release()
            yield number

    held: list[int] = []
    assert map_threaded(lambda number: done.append(number) or number, items()) == list(range(200))
    assert max(held) <= torch.get_num_threads()


def test_as_many_threads_work_as_torch_has():
    together = threading.Barrier(torch.get_num_threads(), timeout=60)
    map_threaded(lambda _: together.wait(), range(torch.get_num_threads()))


def test_the_first_failure_in_order_is_raised_and_no_more_items_are_fetched():
    done = []

    def work(number):
        if number in (3, 4):
            time.sleep(0.05 if number == 3 else 0)
            raise ZeroDivisionError(number)
        done.append(number)

    with pytest.raises(ZeroDivisionError, match="3"):
        map_threaded(work, range(10_000))
    assert len(done) < 100


def test_a_failure_of_the_items_themselves_is_raised():
    def items():
        yield 1
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        map_threaded(lambda number: number, items())


def test_small_tensors_are_left_to_the_calling_thread():
    assert choose_map([THREAD_SIZE] * 4) is map_threaded
    assert choose_map([THREAD_SIZE, THREAD_SIZE * 9, 1]) is map_threaded
    assert choose_map([THREAD_SIZE - 1] * 4) is map_serially
    assert choose_map([THREAD_SIZE]) is choose_map([]) is map_serially


def test_the_serial_map_fetches_an_item_when_the_last_is_done():
    done = []
    assert map_serially(lambda number: done.append(number) or number, (len(done) for _ in range(5))) == [0, 1, 2, 3, 4]


def test_progress_is_a_function_of_two_values():
    for progress in (print, lambda share, words: None, [].insert, functools.partial(print, end="")):
        check_progress(progress)
    for progress in (None, 3, "bar", [], dict, lambda share: None, lambda: None, len, lambda one, two, three: None):
        with pytest.raises(BertpruneError, match=r"^progress takes a function of the share done and a few words"):
            check_progress(progress)
