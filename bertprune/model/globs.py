"""Globs over module paths: `*` matches dots too, braces list alternatives, and limits keep every pattern fast."""

import fnmatch
from collections.abc import Iterable
from functools import lru_cache

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
        self._expanded: dict[str, tuple[str, ...]] = {}
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
        paths = {path, path.removeprefix(self._prefix)}
        return any(fnmatch.fnmatchcase(one, expanded) for one in paths for expanded in self._expanded[glob])


def count_globs(selection: Selection) -> int:
    """Count the globs of a selection after brace expansion. Raises SelectionError where there are too many."""
    return sum(len(_expand(glob)) for glob in (*selection.include, *selection.exclude))


@lru_cache(maxsize=1024)
def _expand(glob: str) -> tuple[str, ...]:
    if glob.count("{") > MAX_BRACES:
        raise SelectionError(
            "{glob!r} has more than {most} braces; write fewer",
            code="selection.too_many_braces", glob=shortened(glob), most=MAX_BRACES,
        )  # fmt: skip
    try:
        return tuple(bracex.expand(glob, limit=MAX_GLOBS))
    except bracex.ExpansionLimitException:
        raise SelectionError(
            "{glob!r}: its braces expand to more than {most:,} globs; write fewer",
            code="selection.wide_braces", glob=shortened(glob), most=MAX_GLOBS,
        ) from None  # fmt: skip
