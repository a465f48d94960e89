"""The command that pushes to the Hub."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stand_in_hub import RIGHT, StandInHub, reached


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """Give a Hub that works, with a login of one's own."""
    with reached(monkeypatch, StandInHub()) as made:
        monkeypatch.setenv("HF_TOKEN", RIGHT)
        yield made


def test_pushing_prints_what_went_where_and_what_stays_behind(
    cli: Callable[..., Any], here: Path, hub: StandInHub
) -> None:
    (here / "tiny-0" / "notes.txt").write_text("mine")
    result = cli("push tiny-0 me/tiny --private")
    files = hub.repositories["me/tiny"].model
    assert result.code == 0
    assert result.out.startswith(f"pushed {len(files)} files, {sum(map(len, files.values())):,} bytes")
    assert result.out.endswith(f"to {hub.url}/me/tiny (private)\n")
    assert result.err == "note: not part of the model, so not pushed: notes.txt\n"


def test_pushing_again_is_refused_in_one_line_unless_it_is_to_overwrite(
    cli: Callable[..., Any], here: Path, hub: StandInHub
) -> None:
    first = cli("push tiny-0 me/tiny --json").json
    assert (first["address"], first["private"]) == (f"{hub.url}/me/tiny", False)
    again = cli("push tiny-0 me/tiny")
    assert again.code == 2 and again.out == "" and again.err.count("\n") == 1 and "--overwrite" in again.err
    hub.repositories["me/tiny"].files["old.txt"] = b""
    assert "history: old.txt" in cli("push tiny-0 me/tiny --overwrite").err


def test_a_token_is_never_an_argument(cli: Callable[..., Any], here: Path, hub: StandInHub) -> None:
    assert "--token" not in cli("push --help").out
    assert cli("push tiny-0 me/tiny --token hf_x").code == 2
    assert hub.asked == []
