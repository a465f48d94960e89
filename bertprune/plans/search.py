"""Look for an allocation that costs the answers less: measured, in the model as it would be."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from torch import Tensor

from ..parallel import Progress, part_of
from .allocation import Counts, Option, Space
from .measured import clearly_less
from .study import WAYS, Study, Way

HEAD_SHARES = (0.0, 0.25, 0.5, 0.75)
"""The shares of heads with which uniform allocations are tried."""
LEVELS = (0.0, 0.25, 0.5, 0.625, 0.75, 0.875, 1.0)
"""The shares of a part that are measured by themselves."""
_BETWEEN = 4
"""Into so many pieces the loss between two levels is divided."""
_STEP = 1 / 8
"""The share of a part by which an allocation first changes."""
_UNIFORM = "uniform"
_SWAPS = 3
"""Single swaps that are measured in a round, beside the best of all changes together."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """An allocation, in which way it prunes, and what the answers lose when it is put together."""

    name: str
    way: Way
    counts: Counts
    losses: Tensor
    """How much each answer to the texts held back loses."""
    drift: float
    """How far they drift, in the mean."""

    @property
    def loss(self) -> float:
        """The mean of the losses."""
        return float(self.losses.mean())


@dataclass(eq=False)
class Search:
    """Candidates for a budget, each measured once."""

    study: Study
    space: Space
    found: dict[tuple[Way, Counts], Candidate] = field(default_factory=dict)

    def measure(self, name: str, way: Way, counts: Counts | None) -> Candidate | None:
        """Measure an allocation; None is one that does not exist."""
        if counts is None:
            return None
        if (way, counts) not in self.found:
            answers, tries = self.study.whole(way, counts), self.study.tries
            drift = float(tries.drifts(answers).mean())
            self.found[way, counts] = Candidate(name, way, counts, tries.losses(answers), drift)
        return self.found[way, counts]

    def begin(self, progress: Progress, ways: Sequence[Way] = WAYS) -> Candidate | None:
        """Let ways compete, with the same amounts in all layers, ranked by Fisher, and ranked by norm."""
        plain = {f"{_UNIFORM}, {share:.0%} of the heads": self.space.uniform(share) for share in HEAD_SHARES}
        plain["ranked together"] = self.space.ranked(self.study.scores)
        plain["by norm"] = self.space.ranked(self.study.by_norm())
        tried = [(name, way, counts) for way in ways for name, counts in plain.items()]
        for done, (name, way, counts) in enumerate(tried):
            progress(done / len(tried), f"{way.method}: {name}")
            self.measure(name, way, counts)
        return self.best(lambda one: self.space.enough(one.counts))

    def explore(self, rounds: int, deadline: float | None, progress: Progress) -> Candidate:
        """Return the best allocation, but the best uniform one where that is not clearly behind: it risks least."""
        self.begin(part_of(progress, 0.0, 0.3))
        first = self.best()
        assert first is not None  # the caller has seen that the budget can be met
        self.by_parts(first.way, part_of(progress, 0.3, 0.6))
        changed = self.improve(self.best() or first, rounds, deadline, part_of(progress, 0.6, 1.0))
        uniform = self.best(lambda one: one.name.startswith(_UNIFORM))
        if uniform is None or uniform is changed or clearly_less(changed.losses, uniform.losses):
            return changed
        return uniform

    def best(self, only: Callable[[Candidate], bool] = lambda one: True) -> Candidate | None:
        """Return the candidate that loses least; of equal ones the first."""
        return min(filter(only, self.found.values()), key=lambda one: one.loss, default=None)

    def by_parts(self, way: Way, progress: Progress) -> Candidate | None:
        """Add the allocation whose parts lose least in sum, each pruned by itself."""
        progress(0.0, "part by part")
        empty = (0,) * len(self.space.numbers)
        offered = [sorted({min(most, round(level * most)) for level in LEVELS}) for most in self.space.most]
        self.cells = [_between(options) for options in self.study.around(way, empty, offered)]
        return self.measure("part by part", way, self.space.cheapest(self.cells))

    def improve(self, start: Candidate, rounds: int, deadline: float | None, progress: Progress) -> Candidate:
        """Swap amounts between parts, and keep what lowers the loss of the whole."""
        now, share = start, _STEP
        for number in range(rounds):
            if deadline is not None and time.monotonic() > deadline:
                break
            progress(number / rounds, f"swaps, round {number + 1}")
            offered = [self._steps(at, count, share) for at, count in enumerate(now.counts)]
            options = self.study.around(now.way, now.counts, offered)
            tried = [self.measure("swapped", now.way, counts) for counts in self._swaps(now, options)]
            better = [one for one in tried if one is not None and one.loss < now.loss]
            if better:
                now = min(better, key=lambda one: one.loss)
            else:
                share /= 2
        return now

    def _steps(self, at: int, count: int, share: float) -> list[int]:
        step = max(1, round(share * self.space.numbers[at]))
        return sorted({max(0, count - step), count, min(self.space.most[at], count + step)})

    def _swaps(self, now: Candidate, options: Sequence[Sequence[Option]]) -> Iterable[Counts]:
        """Return the allocation in which all changes together promise most, and the best swaps of two parts."""
        together = self.space.cheapest(options)
        base = next(loss for count, loss in options[0] if count == now.counts[0])
        pairs = []
        for give, fewer in enumerate(options):
            for take, more in enumerate(options):
                if give == take or fewer[0][0] >= now.counts[give] or more[-1][0] <= now.counts[take]:
                    continue
                promised = fewer[0][1] + more[-1][1] - 2 * base
                freed = (now.counts[give] - fewer[0][0]) * self.space.costs[give]
                paid = (more[-1][0] - now.counts[take]) * self.space.costs[take]
                size = min(freed, paid) / max(freed, paid)
                pairs.append((promised * size, give, fewer[0][0], take, more[-1][0]))
        found = [] if together is None else [together]
        for _, give, fewer_left, take, more_gone in sorted(pairs)[:_SWAPS]:
            counts = list(now.counts)
            counts[give], counts[take] = fewer_left, more_gone
            if (filled := self.space.filled(tuple(counts))) is not None:
                found.append(filled)
        return dict.fromkeys(found)


def _between(options: Sequence[Option]) -> list[Option]:
    """Fill in counts between those that were measured: the root of the loss grows evenly from one to the next."""
    counts, roots = [count for count, _ in options], [math.sqrt(max(0.0, loss)) for _, loss in options]
    ends = [np.linspace(low, high, _BETWEEN + 1).round() for low, high in pairwise(counts)]
    finer = np.unique(np.concatenate([[0.0], *ends]))
    return [(int(count), float(root) ** 2) for count, root in zip(finer, np.interp(finer, counts, roots), strict=True)]
