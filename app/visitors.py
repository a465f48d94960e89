"""The visits, kept by the server, each changed in the order in which its browser asked; and whose turn is to work."""

from __future__ import annotations

import secrets
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import bertprune as bp

from .errors import Cancelled, SessionOverError, SetAside
from .visit import Visit

MOST = 500
"""Visits that are kept; the one that did nothing for longest goes first."""
PATIENCE = 3.0
"""Seconds to wait for something that the browser asked earlier, and that has not arrived."""
_REMEMBERED = 1_000
"""Numbers of what was asked that are remembered, so that nothing is done twice."""
Progress = Callable[[float, str], None]


class Visitor:
    """One tab of a browser: its visit, whose turn it is to change it, and the work that runs for it."""

    def __init__(self, visit: Visit, patience: float = PATIENCE) -> None:
        """Begin with a visit."""
        self.visit = visit
        self._patience = patience
        self.ticket = secrets.token_urlsafe()
        """The secret by which a reloaded page finds the visit again."""
        self._turn = threading.Condition()
        self._next = 1
        self._done: deque[int] = deque(maxlen=_REMEMBERED)
        self._works = 0
        self._choices: dict[str, int] = {}
        self._cancelled = 0
        self._done_anyway = False
        self._left = False
        self.failure: BaseException | None = None
        """What went wrong last, until it is shown."""

    @contextmanager
    def turn(self, asked: object = None) -> Iterator[bool]:
        """Wait until everything that was asked before this number is done, and hold the visit; False where it was done.

        What never arrives is waited for only for a while; if it comes later, it is done then.
        """
        number = _number(asked)
        with self._turn:
            self._left = False
            if number is not None:
                self._turn.wait_for(lambda: number <= self._next, self._patience)
            try:
                yield number is None or number not in self._done
            finally:
                if number is not None:
                    self._done.append(number)
                    self._next = max(self._next, number + 1)
                    self._turn.notify_all()

    def put(self, visit: Visit) -> bool:
        """Replace the visit, within a turn; return whether that changed it."""
        if replace(visit, version=self.visit.version) == self.visit:
            return False
        self.visit = replace(visit, version=self.visit.version + 1)
        return True

    def choose(self, what: str) -> Callable[[], bool]:
        """Begin a choice of which the last one counts; return a function that says whether it still is the last."""
        with self._turn:
            mine = self._choices[what] = self._choices.get(what, 0) + 1
        return lambda: self._choices[what] == mine

    def cancel(self, number: int) -> bool:
        """Have the work that was asked for up to a number stop at its next report; return whether there was some.

        Work that waits, or has not arrived yet, does not begin.
        """
        with self._turn:
            self._cancelled, self._done_anyway = max(self._cancelled, number), False
            return self._works > 0 or number >= self._next

    def leave(self) -> None:
        """Have all work stop, in the background too, until something is asked again."""
        self._left = True
        self.cancel(self._next - 1)

    @contextmanager
    def working(self, report: Progress, asked: object = None) -> Iterator[Progress]:
        """Do work that stops once the visitor cancels its number; it is given what to report its progress to."""
        number = _number(asked) or sys.maxsize

        def watched(share: float, words: str) -> None:
            if number <= self._cancelled:
                raise Cancelled
            report(share, words)

        watched(0.0, "")
        with self._turn:
            self._works += 1
        try:
            yield watched
            self._done_anyway |= number <= self._cancelled
        except bp.BertpruneError as error:
            if number <= self._cancelled:  # something is left that no answer tells of
                self.failure = error
            raise
        finally:
            with self._turn:
                self._works -= 1
                self._turn.notify_all()

    def wait_for_work(self, seconds: float) -> bool:
        """Wait until the work has ended that was cancelled; return whether none of it was done in time to land."""
        with self._turn:
            self._turn.wait_for(lambda: not self._works, seconds)
            return not self._done_anyway

    def check(self) -> None:
        """Stop work in the background where the visitor has left. Raises Cancelled."""
        if self._left:
            raise Cancelled


def _number(asked: object) -> int | None:
    """Read the number of what was asked; None where it has none."""
    return asked if type(asked) is int and asked > 0 else None


class Visitors:
    """All visits, by the session of Gradio that each belongs to."""

    def __init__(self, patience: float = PATIENCE) -> None:
        """Begin with nobody."""
        self._patience = patience
        self._known: OrderedDict[str, Visitor] = OrderedDict()
        self._guard = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def begin(self, session: str, visit: Visit) -> Visitor:
        """Begin a visit in a new session."""
        visitor = Visitor(visit, self._patience)
        with self._guard:
            self._known[session] = visitor
            while len(self._known) > MOST:
                self._known.popitem(last=False)[1].leave()
        return visitor

    def of(self, session: str) -> Visitor:
        """Return the visitor of a session. Raises SessionOverError."""
        with self._guard:
            if session not in self._known:
                raise SessionOverError
            self._known.move_to_end(session)
            return self._known[session]

    def again(self, ticket: object) -> Visit | None:
        """Return the visit of an earlier session by its ticket, as it was last; a copy, as both may go on."""
        with self._guard:
            known = list(self._known.values())
        if not isinstance(ticket, str):
            return None
        return next((one.visit for one in known if secrets.compare_digest(one.ticket.encode(), ticket.encode())), None)

    def forget(self) -> None:
        """End every visit, as hours of inactivity would."""
        with self._guard:
            self._known.clear()


T = TypeVar("T")
_WORK, _SEARCH, _BEHIND = range(3)
"""Who goes first."""


class Gate:
    """Lets in one piece of work at a time: what a visitor waits for first, then searches, then what runs behind.

    Two at once would need twice the memory, and be no faster.
    """

    def __init__(self) -> None:
        """Start open."""
        self._free = threading.Condition()
        self._busy = False
        self._waiting = [0, 0, 0]

    @contextmanager
    def work(self) -> Iterator[None]:
        """Do work that a visitor waits for."""
        self._enter(_WORK)
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def search(self) -> Iterator[Callable[[], None]]:
        """Do work that takes long: it is given what to call now and then, which lets others go first meanwhile.

        Nothing that others need may be held then.
        """
        self._enter(_SEARCH)
        try:
            yield self._let_others_go_first
        finally:
            self._leave()

    def behind(self, do: Callable[[Callable[[], None]], T]) -> T:
        """Do work in the background: it is given what to call now and then, which sets it aside for other work."""
        while True:
            self._enter(_BEHIND)
            try:
                return do(self._make_way)
            except SetAside:
                continue
            finally:
                self._leave()

    def _let_others_go_first(self) -> None:
        if self._waiting[_WORK]:
            self._leave()
            self._enter(_SEARCH)

    def _make_way(self) -> None:
        if any(self._waiting[:_BEHIND]):
            raise SetAside

    def _enter(self, rank: int) -> None:
        with self._free:
            self._waiting[rank] += 1
            self._free.wait_for(lambda: not self._busy and not any(self._waiting[:rank]))
            self._waiting[rank] -= 1
            self._busy = True

    def _leave(self) -> None:
        with self._free:
            self._busy = False
            self._free.notify_all()
