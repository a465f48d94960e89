"""A push from the page goes to the visitor's repository with the visitor's token, or says in one line what is left."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

import bertprune as bp
from app import runtime
from app.errors import Cancelled, error_text
from app.events import Events
from app.offers import preset
from app.runs import Source
from app.settings import Settings
from app.store import Store
from app.tabs.model import opened
from app.visit import Visit
from tests.app.conftest import nothing, pruned
from tests.stand_in_hub import READ_ONLY, RIGHT, Fault, Repository, StandInHub, reached

NAME = "me/small"
REQUEST = SimpleNamespace(session_hash="tab", headers={})


class Tab:
    """A tab in which a tiny checkpoint was pruned and exported."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.store = Store(settings)
        self.events, self.number = Events(self.store), 0
        source = Source(str(folder), folder=str(folder), shown="tiny")
        visit = pruned(self.store, opened(self.store, Visit(), source), preset("random"))
        self.visitor = self.store.visitors.begin("tab", visit)
        self.ask(self.events.work, do="build", form="baked")

    def ask(self, event: Any, progress: Any = nothing, given: Any = {}, **asked: Any) -> list[Any]:  # noqa: B006
        self.number += 1
        asked = {**asked, "n": self.number}
        return list(event(SimpleNamespace(_data=asked), REQUEST, progress=progress, **given))

    def push(self, token: str | None = RIGHT, progress: Any = nothing, **asked: Any) -> list[Any]:
        """Press Push, as a visitor who has signed in with a token or who has not."""
        signed_in = None if token is None else gr.OAuthToken(token, "write-repos manage-repos", 0)
        form = {"do": "push", "repository": NAME, "which": "baked ", "private": True, **asked}
        return self.ask(self.events.open, progress, {"token": signed_in}, **form)

    def refused(self, **asked: Any) -> bp.BertpruneError:
        """Push, and return why that was refused."""
        with pytest.raises(bp.BertpruneError) as caught:
            self.push(**asked)
        return caught.value


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """Give a Hub that works."""
    with reached(monkeypatch, StandInHub()) as made:
        yield made


@pytest.fixture
def tab(tiny_folder: Callable[..., Path]) -> Tab:
    """Give a tab of a hosted page."""
    return Tab(tiny_folder(), Settings.for_strangers("somebody/bertprune"))


def code_of(error: Any) -> str:
    """Return the code of what went wrong, without the field that it is of."""
    return str(getattr(error.values.get("error"), "code", error.code))


def assert_one_line_without(error: bp.BertpruneError, token: str) -> None:
    for language in ("en", "ko"):
        text = error_text(language, error)
        assert "\n" not in text and len(text) < 500
        assert any("가" <= letter <= "힣" for letter in text) == (language == "ko"), text
        assert token not in text


def test_what_was_built_arrives_with_what_was_measured(tab: Tab, hub: StandInHub) -> None:
    tab.ask(tab.events.work, do="speed")
    shares: list[float] = []
    answer = tab.push(progress=lambda share, **more: shares.append(share))
    there = hub.repositories[NAME]
    assert there.private and len(there.commits) == 1
    run = tab.visitor.visit.shown
    assert there.model.keys() == run.exports[-1].files.keys()
    card = there.model["README.md"].decode()
    assert card.startswith("---\n") and "## Measured" in card and "| latency, 1 ×" in card
    assert run.pushed == (f"{hub.url}/{NAME}",)
    assert f'<a href="{hub.url}/{NAME}"' in " ".join(part for part in answer[1:] if isinstance(part, str))
    assert shares == sorted(shares) and len(shares) > 3


def test_the_token_is_the_visitors_and_is_kept_nowhere(
    tab: Tab, hub: StandInHub, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_TOKEN", READ_ONLY)  # the server's own login must not be used
    caplog.set_level("DEBUG")
    answer = tab.push()
    assert hub.tokens[NAME] == {RIGHT}
    hub.faults = {"commit": Fault(403, f"{RIGHT} may not")}
    error = tab.refused(repository="me/other")
    assert_one_line_without(error, RIGHT)
    out, err = capfd.readouterr()
    places = [
        repr(answer), repr(vars(tab.visitor)), repr(vars(tab.store.cache)), out, err,
        *(path.read_bytes().decode("latin-1") for path in runtime.place().rglob("*") if path.is_file()),
        *(record.getMessage() for record in caplog.records if record.name.startswith(("bertprune", "gradio"))),
    ]  # fmt: skip
    assert not [place[:200] for place in places if RIGHT in place]


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Fault], str]] = {
    "an unknown token": ({"token": "hf_unknown"}, {}, "exports.push_token_refused"),
    "a token that may only read": ({"token": READ_ONLY}, {}, "exports.push_no_rights"),
    "another's name": ({"repository": "google/small"}, {}, "exports.push_no_rights"),
    "a name that is taken, and hidden": ({}, {"create": Fault(409, "You already created it")}, "exports.push_taken"),
    "too large": ({}, {"preupload": Fault(413, "Payload Too Large")}, "exports.push_no_room"),
    "no room": ({}, {"lfs": Fault(403, "Private repository storage limit reached")}, "exports.push_no_room"),
    "cut off half-way": ({}, {"put": Fault()}, "exports.push_cut_off"),
    "cut off before the commit": ({}, {"commit": Fault()}, "exports.push_cut_off"),
    "a Hub with trouble of its own": ({}, {"preupload": Fault(503, "Down")}, "exports.push_cut_off"),
    "signed out": ({"token": None}, {}, "page.push_login"),
    "no name": ({"repository": ""}, {}, "page.push_bad_name"),
    "a name without an owner": ({"repository": "small"}, {}, "page.push_bad_name"),
    "a name with a blank": ({"repository": "me/my small"}, {}, "page.push_bad_name"),
    "what was not built": ({"which": "onnx "}, {}, "page.take_gone"),
}


def test_each_trouble_is_one_line_and_leaves_nothing(tab: Tab, hub: StandInHub, subtests: pytest.Subtests) -> None:
    before = tab.visitor.visit
    for case, (asked, faults, code) in REFUSED.items():
        with subtests.test(case):
            hub.faults, hub.asked = faults, []
            hub.blobs.clear()
            error = tab.refused(**asked)
            assert code_of(error) == code
            assert_one_line_without(error, asked.get("token") or RIGHT)
            assert hub.repositories == {} and tab.visitor.visit == before
            assert not (code.startswith("page.") and hub.asked)
    hub.faults = {}
    tab.push()
    assert NAME in hub.repositories


def test_a_name_that_is_taken_is_refused_and_what_is_there_stays(tab: Tab, hub: StandInHub) -> None:
    hub.repositories[NAME] = there = Repository()
    error = tab.refused()
    assert code_of(error) == "exports.push_taken"
    assert "overwrite=True" not in error_text("en", error)  # which only the library has
    assert there.commits == []
    tab.push(overwrite=True, private=False)
    assert "model.safetensors" in there.model and not there.private


def test_what_is_left_half_made_is_named(tab: Tab, hub: StandInHub) -> None:
    hub.faults = {"put": Fault(), "delete": Fault()}
    error = tab.refused()
    assert NAME in hub.repositories
    for language in ("en", "ko"):
        assert f"{hub.url}/{NAME}" in error_text(language, error)


def test_a_local_page_uses_the_login_of_its_user(
    tiny_folder: Callable[..., Path], hub: StandInHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = Tab(tiny_folder(), Settings())
    error = tab.refused(token=None)
    assert code_of(error) == "exports.push_not_logged_in" and hub.asked == []
    assert "HF_TOKEN" not in error_text("en", error)  # which a visitor of a page cannot set
    monkeypatch.setenv("HF_TOKEN", RIGHT)
    tab.push(token=None)
    assert hub.tokens[NAME] == {RIGHT}


def test_a_cancelled_push_leaves_nothing(tab: Tab, hub: StandInHub) -> None:
    hub.during = cancelling(tab)
    with pytest.raises(Cancelled):
        tab.push()
    assert hub.repositories == {} and "delete" in hub.asked
    tab.events.stop(SimpleNamespace(_data={"before": tab.number}), REQUEST)  # and there is nothing to be said


def test_what_a_cancelled_push_leaves_is_named_too(tab: Tab, hub: StandInHub) -> None:
    said: list[BaseException] = []

    def stop() -> None:
        try:
            tab.events.stop(SimpleNamespace(_data={"before": tab.number}), REQUEST)
        except bp.BertpruneError as error:
            said.append(error)

    def during(step: str) -> None:
        if step == "preupload":
            tab.visitor.cancel(tab.number)
            stopping.start()
            time.sleep(0.05)  # until it waits for the push to end

    stopping = threading.Thread(target=stop)
    hub.during, hub.faults = during, {"delete": Fault(403, "no")}
    assert code_of(tab.refused()) == "exports.push_stopped"  # in an answer that Gradio drops
    stopping.join()
    assert [code_of(error) for error in said] == ["exports.push_stopped"]
    assert f"look at {hub.url}/{NAME}" in error_text("en", said[0])


def cancelling(tab: Tab) -> Callable[[str], None]:
    """Cancel while the small files are on their way."""

    def during(step: str) -> None:
        if step == "preupload":
            tab.visitor.cancel(tab.number)

    return during


def test_figures_beside_the_export_are_the_reports_of_its_run(tab: Tab, hub: StandInHub, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("text,label\nthe film was good,1\nbad plot,0\n")
    tab.events.data(tab.number + 1, str(table), REQUEST)
    tab.number += 1
    tab.ask(tab.events.work, do="measure")
    tab.push()
    pushed = hub.repositories[NAME].model
    score = tab.visitor.visit.shown.quality.scores["accuracy"]
    assert f"| accuracy | {score.before.value:.4f} | {score.after.value:.4f} |" in pushed["README.md"].decode()
    assert "quality.json" not in pushed  # it holds the texts
    assert "the film was good" not in json.dumps({name: data.decode("latin-1") for name, data in pushed.items()})
