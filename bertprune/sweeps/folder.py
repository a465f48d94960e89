"""The folder of a sweep: a file for each result, so that a sweep that was stopped goes on where it was."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import BertpruneError, Note, kind_of
from ..files import check_regular, from_home, name_of, reason_of, write_whole
from .measure import Measured

_MARK = "bertprune_sweep"


def key_of(identity: Mapping[str, Any]) -> str:
    """Return the name of a result: a hash of everything that it depends on."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


class Results:
    """The results that a folder keeps, by what they depend on; without a folder, none are kept.

    Each is written beside its file and renamed, so that it is there whole or not at all. Files of any other name are
    left alone.
    """

    def __init__(self, out: Any) -> None:
        """Make the folder. Raises BertpruneError where nothing can be written there."""
        self.notes: list[Note] = []
        self._folder = None if out is None else _made(out)

    def find(self, identity: Mapping[str, Any]) -> Measured | None:
        """Read a result; None where there is none yet, or where its file is damaged, which a note then says."""
        path = self._path(identity)
        if path is None or not os.path.lexists(path):
            return None
        check_regular(path, BertpruneError)
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            if read["identity"] == identity and read[_MARK] == 1:
                return Measured.model_validate(read["measured"])
        except (OSError, ValueError, LookupError, TypeError, RecursionError, BertpruneError):
            pass
        self.notes.append(
            Note("{file} is damaged, so its recipe was measured again", code="sweep.damaged", file=path.name)
        )
        return None

    def keep(self, identity: Mapping[str, Any], measured: Measured) -> None:
        """Write a result. Raises BertpruneError."""
        if (path := self._path(identity)) is None:
            return
        content = {_MARK: 1, "identity": identity, "measured": measured.model_dump(mode="json")}
        write_whole(path, json.dumps(content, indent=1, sort_keys=True) + "\n", BertpruneError)

    def _path(self, identity: Mapping[str, Any]) -> Path | None:
        return None if self._folder is None else self._folder / f"{key_of(identity)}.json"


def _made(out: Any) -> Path:
    if not isinstance(out, str | Path):
        raise BertpruneError(
            "the folder for the results is given as a path, not {kind}", code="sweep.folder_kind", kind=kind_of(out)
        )
    folder = from_home(out, BertpruneError)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, ValueError) as error:
        raise BertpruneError(
            "{folder}: no results can be kept there ({reason})",
            code="sweep.not_writable", folder=name_of(folder), reason=reason_of(error),
        ) from None  # fmt: skip
