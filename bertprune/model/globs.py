"""Globs over module paths: `*` matches dots too, braces list alternatives, and limits keep every pattern fast."""

import fnmatch
import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from itertools import pairwise

import bracex

from ..errors import SelectionError, shortened
from ..selection import Selection

MAX_GLOBS = 1000
"""How many globs the braces of one selection may expand to, in all."""
MAX_BRACES = 64


class Globs:
    """The globs of a selection, expanded. Raises SelectionError where there are too many."""

    def __init__(self, globs: Iterable[str], prefix: str) -> None:
        """Expand the globs; `prefix` is the base-model prefix, which a glob may leave out."""
        self._prefix = prefix
        self._expanded: dict[str, dict[str, frozenset[str]]] = {}
        left = MAX_GLOBS
        for glob in dict.fromkeys(globs):
            self._expanded[glob] = _expand(glob)
            left -= len(self._expanded[glob])
            if left < 0:
                raise SelectionError(
                    "the braces in the globs of one selection expand to more than {most:,} globs; write fewer",
                    code="selection.too_many_globs", most=MAX_GLOBS,
                )  # fmt: skip

    def match(self, glob: str, path: str) -> bool:
        """Return whether a path matches one of the globs, with or without the base-model prefix."""
        return any(self._matches(expanded, path) for expanded in self._expanded[glob])

    def unmatched(self, glob: str, paths: Collection[str]) -> str | None:
        """Return an expanded glob with an alternative that no path needs; None where each is needed."""
        expanded = self._expanded[glob]
        needed = [used for one, used in expanded.items() if any(self._matches(one, path) for path in paths)]
        return next((one for one, used in expanded.items() if used - frozenset().union(*needed)), None)

    def _matches(self, expanded: str, path: str) -> bool:
        return any(fnmatch.fnmatchcase(one, expanded) for one in {path, path.removeprefix(self._prefix)})


def count_globs(selection: Selection) -> int:
    """Count the globs of a selection after brace expansion. Raises SelectionError where there are too many."""
    return sum(len(_expand(glob)) for glob in (*selection.include, *selection.exclude))


@lru_cache(maxsize=1024)
def _expand(glob: str) -> dict[str, frozenset[str]]:
    """Expand the braces of a glob; to each result belong the marks of the alternatives that it was made with."""
    if glob.count("{") > MAX_BRACES:
        raise SelectionError(
            "{glob!r} has more than {most} braces; write fewer",
            code="selection.too_many_braces", glob=shortened(glob), most=MAX_BRACES,
        )  # fmt: skip
    try:
        marked = _marked(_RANGE.sub(_written_out, glob))
        return {_MARKS.sub("", one): frozenset(_MARKS.findall(one)) for one in bracex.expand(marked, limit=MAX_GLOBS)}
    except bracex.ExpansionLimitException:
        raise SelectionError(
            "{glob!r}: its braces expand to more than {most:,} globs; write fewer",
            code="selection.wide_braces", glob=shortened(glob), most=MAX_GLOBS,
        ) from None  # fmt: skip


_FIRST_MARK = 0xF0000
_MARKS = re.compile("[\U000f0000-\U000ffffd]")
"""Letters for private use, which no path of a module has."""
_RANGE = re.compile(r"\{[+-]?\d+\.\.[+-]?\d+(\.\.[+-]?\d+)?\}")


def _written_out(found: re.Match[str]) -> str:
    """Write a range as a list of its items."""
    items = list(bracex.expand(found[0], limit=MAX_GLOBS))
    return found[0] if items == [found[0]] else f"{{{','.join(items)}}}"


def _marked(glob: str) -> str:
    """End every alternative of a brace with a mark of its own, by which it is found in what the glob expands to."""
    written: list[str] = []
    lists: list[bool] = []  # of the braces around the letter: whether a comma was seen
    for before, letter in pairwise("." + glob):
        if letter == "{":
            lists.append(False)
        elif lists and letter in ",}" and before != "\\":
            lists[-1] = lists[-1] or letter == ","
            written += chr(_FIRST_MARK + len(written)) if lists[-1] else ""
            del lists[len(lists) - (letter == "}") :]
        written.append(letter)
    return "".join(written)
