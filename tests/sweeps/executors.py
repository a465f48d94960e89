"""Executors of this process, recipes of every kind, and what a sweep keeps of them."""

from concurrent.futures import Executor, Future

import bertprune as bp
from tests.calibration_texts import HEADS, NEURONS

HALF = bp.Step(method="magnitude", fraction=0.5, select=bp.Selection(roles="ffn.output"))
MIXED = {
    "entries": HALF,
    "neurons and heads": [NEURONS, HEADS],
    "layer": bp.Step(granularity="layer", fraction=1.0, select=bp.Selection(layers=[1])),
}


class Immediate(Executor):
    """Do each task at once, after something else."""

    def __init__(self, before=lambda: None):
        self.before, self.done = before, 0

    def submit(self, function, /, *given, **named):
        self.before()
        self.done += 1
        future = Future()
        future.set_result(function(*given, **named))
        return future


class Ending(Immediate):
    """Do the first tasks, and end the others in another way."""

    def __init__(self, end, first=1):
        super().__init__()
        self.end, self.first = end, first

    def submit(self, function, /, *given, **named):
        if self.done < self.first:
            return super().submit(function, *given, **named)
        future = Future()
        self.end(future)
        return future


def contents(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}
