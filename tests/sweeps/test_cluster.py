"""A sweep on a Dask cluster, a worker of which is killed in the middle."""

import os
import signal

import pytest

import bertprune as bp

from .conftest import REVIEWS

distributed = pytest.importorskip("distributed")

GRID = bp.grid(method=["magnitude", "random"], granularity="neuron", fraction=[0.25, 0.5])


@pytest.mark.filterwarnings("default")
def test_a_worker_that_is_killed_changes_nothing(tiny_folder, executor, tmp_path):
    folder, killed = tiny_folder(), []
    expected = bp.sweep(folder, GRID, REVIEWS, executor=executor)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):

        def kill(share, words):
            """Kill the worker that is at work, once the first recipe is done."""
            if 0 < share < 1 and not killed:
                busy = [worker for worker, tasks in client.processing().items() if tasks]
                pids = client.run(os.getpid, workers=busy[:1])
                killed.extend(pids.values())
                os.kill(killed[0], signal.SIGKILL)

        found = bp.sweep(folder, GRID, REVIEWS, out=tmp_path / "out", executor=client.get_executor(), progress=kill)
        assert killed
    assert found.to_dict() == expected.to_dict()
    assert len(list((tmp_path / "out").iterdir())) == 5
