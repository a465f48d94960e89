"""A push that fails is one line without the token; nothing is left on the Hub, or what is left is named."""

import socket
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

import bertprune as bp
from bertprune.errors import ExportError
from tests.stand_in_hub import READ_ONLY, RIGHT, Fault, Repository, StandInHub

from .pushing import NAME, codes, contents, push

REFUSED = {
    "an unknown token": ({"token": "hf_unknown"}, None, "exports.push_token_refused"),
    "a token that may only read": ({"token": READ_ONLY}, None, "exports.push_no_rights"),
    "another's namespace": ({"name": "google/tiny"}, None, "exports.push_no_rights"),
    "a repository that is hidden": ({}, ("create", Fault(409, "You already created it")), "exports.push_taken"),
    "a name that the Hub refuses": ({}, ("create", Fault(400, "Invalid name")), "exports.push_refused"),
    "no room": ({}, ("lfs", Fault(403, "Private repository storage limit reached")), "exports.push_no_room"),
    "too large": ({}, ("preupload", Fault(413, "Payload Too Large")), "exports.push_no_room"),
    "no payment": ({}, ("create", Fault(402, "Pay first")), "exports.push_no_room"),
    "metadata": ({}, ("card", Fault(400, "license is unknown")), "exports.push_refused"),
    "no more requests": (
        {},
        ("commit", Fault(429, "Too many", {"ratelimit": '"api";r=0;t=55'})),
        "exports.push_too_often",
    ),
    "a Hub with trouble of its own": ({}, ("preupload", Fault(503, "Down for maintenance")), "exports.push_cut_off"),
    "a storage that refuses": ({}, ("put", Fault(403, "Forbidden")), "exports.push_no_rights"),
    "a token that ran out meanwhile": ({}, ("commit", Fault(401, "expired")), "exports.push_token_refused"),
    "a repository that is gone meanwhile": ({}, ("commit", Fault(404, "gone")), "exports.push_refused"),
    "a connection that is cut at the creation": ({}, ("look", Fault()), "exports.push_cut_off"),
    "a connection that is cut half-way": ({}, ("put", Fault()), "exports.push_cut_off"),
    "a connection that is cut before the commit": ({}, ("commit", Fault()), "exports.push_cut_off"),
}


def test_each_trouble_is_one_line_and_leaves_nothing(
    hub: StandInHub, exported: Callable[..., Path], subtests: pytest.Subtests, caplog: pytest.LogCaptureFixture
) -> None:
    folder = exported()
    for case, (options, fault, code) in REFUSED.items():
        with subtests.test(case):
            hub.faults = dict([fault]) if fault else {}
            hub.blobs.clear()
            hub.repositories.clear()
            with pytest.raises(ExportError) as caught:
                push(folder, **options)
            assert caught.value.code == code
            assert hub.repositories == {}
            assert_one_line_without(caught.value, options.get("token", RIGHT), caplog.text)


def assert_one_line_without(error: Exception, token: str, log: str) -> None:
    said = [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error)), log]
    assert not any(token in text for text in said)
    assert "\n" not in str(error) and len(str(error)) < 500


def test_what_the_hub_says_is_passed_on_without_the_token(hub: StandInHub, exported: Callable[..., Path]) -> None:
    hub.faults = {"commit": Fault(403, f"{RIGHT} may not"), "delete": Fault(403, f"{RIGHT} may not delete")}
    with pytest.raises(ExportError) as caught:
        push(exported())
    assert "(… may not)" in str(caught.value) and "(… may not delete)" in str(caught.value)
    assert_one_line_without(caught.value, RIGHT, "")


def test_a_rate_limit_says_when_to_come_back(hub: StandInHub, exported: Callable[..., Path]) -> None:
    hub.faults = {"create": Fault(429, "", {"retry-after": "77"})}
    with pytest.raises(ExportError, match="try again in 77 seconds; nothing was changed there"):
        push(exported())


def test_what_could_not_be_deleted_again_is_named(hub: StandInHub, exported: Callable[..., Path]) -> None:
    hub.faults = {"put": Fault(), "delete": Fault()}
    with pytest.raises(ExportError, match=f"could not be deleted again .* look at {hub.url}/{NAME}") as caught:
        push(exported())
    assert codes(caught.value) == ("exports.push_cut_off", "there") and NAME in hub.repositories


def test_an_answer_that_is_lost_is_asked_for_again(hub: StandInHub, exported: Callable[..., Path]) -> None:
    folder = exported()
    hub.faults = {"commit": Fault(after=True)}
    assert push(folder).commit == hub.repositories[NAME].sha
    assert hub.repositories[NAME].model == contents(folder)


def test_what_cannot_be_known_is_said(hub: StandInHub, exported: Callable[..., Path]) -> None:
    folder = exported()
    hub.faults = {"create": Fault(after=True)}
    with pytest.raises(ExportError) as caught:
        push(folder)
    assert codes(caught.value) == ("exports.push_cut_off", "unknown") and NAME in hub.repositories
    hub.faults = {"commit": Fault()}
    with pytest.raises(ExportError) as caught:
        push(folder, overwrite=True)
    assert codes(caught.value) == ("exports.push_cut_off", "unknown")


def test_a_file_that_vanishes_meanwhile_is_named(hub: StandInHub, exported: Callable[..., Path]) -> None:
    folder = exported()

    def remove(share: float, words: str) -> None:
        if words.startswith("uploading"):
            (folder / "model.safetensors").unlink()

    with pytest.raises(ExportError, match=r"the push failed \(model.safetensors can no longer be read\)") as caught:
        push(folder, progress=remove)
    assert codes(caught.value) == ("exports.push_refused", "deleted") and hub.repositories == {}


class Enough(Exception):
    """What cancels a push."""


def test_cancelling_anywhere_leaves_nothing(
    hub: StandInHub, tiny_folder: Callable[..., Path], subtests: pytest.Subtests
) -> None:
    folder = tiny_folder(vocab_size=9000)
    said: list[str] = []
    push(folder, "me/whole", progress=lambda share, words: said.append(words))
    for at, words in enumerate(said[:-1]):
        with subtests.test(words):

            def stop(share: float, now: str) -> None:
                if now.replace(NAME, "me/whole") == words:
                    raise Enough

            with pytest.raises(Enough):
                push(folder, progress=stop)
            assert NAME not in hub.repositories, at
    hub.faults = {"delete": Fault(403, "no")}

    def stop_late(share: float, now: str) -> None:
        if share > 0.9:
            raise Enough

    with pytest.raises(ExportError) as caught:
        push(folder, progress=stop_late)
    assert codes(caught.value) == ("exports.push_stopped", "there")


def test_a_change_at_the_same_time_is_not_lost(hub: StandInHub, tiny_folder: Callable[..., Path]) -> None:
    hub.repositories[NAME] = there = Repository()

    def commit_too(step: str) -> None:
        if step == "preupload" and not there.commits:
            there.commits.append({})

    hub.during = commit_too
    with pytest.raises(ExportError) as caught:
        push(tiny_folder(), overwrite=True)
    assert codes(caught.value) == ("exports.push_changed", "nothing") and there.model == {}


def test_pushes_at_the_same_time_keep_their_tokens_apart(hub: StandInHub, tiny_folder: Callable[..., Path]) -> None:
    folder, refused = tiny_folder(), []

    def push_as(name: str, token: str) -> None:
        try:
            push(folder, name, token=token)
        except ExportError as error:
            refused.append((name, error.code))

    names = {f"me/{number}": READ_ONLY if number % 2 else RIGHT for number in range(6)}
    threads = [threading.Thread(target=push_as, args=one) for one in names.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: hub.tokens[name] for name in names} == {name: {token} for name, token in names.items()}
    assert sorted(refused) == [(name, "exports.push_no_rights") for name in ("me/1", "me/3", "me/5")]
    assert hub.tokens[""] >= {""}  # what is sent to the storage has no token


def test_the_users_own_login_is_used(
    hub: StandInHub, tiny_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_folder()
    with pytest.raises(ExportError) as caught:
        bp.push(folder, NAME)
    assert caught.value.code == "exports.push_not_logged_in" and hub.asked == []
    monkeypatch.setenv("HF_TOKEN", RIGHT)
    bp.push(folder, NAME)
    assert hub.tokens[NAME] == {RIGHT}


def test_offline_mode_is_respected(
    hub: StandInHub, tiny_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ExportError) as caught:
        push(tiny_folder())
    assert codes(caught.value) == ("exports.push_cut_off", "nothing") and hub.asked == []
    assert caught.value.values["reason"].code == "checkpoint.offline"


def test_a_hub_that_cannot_be_reached_is_said_in_words(
    hub: StandInHub, tiny_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
    with pytest.raises(ExportError) as caught:
        push(tiny_folder())
    assert codes(caught.value) == ("exports.push_cut_off", "nothing") and "Errno" not in str(caught.value)
    assert caught.value.values["reason"].code == "checkpoint.no_connection"


def test_wrong_input_is_refused_before_anything_is_asked(
    hub: StandInHub, exported: Callable[..., Path], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    good, empty, cut, linked = exported(), tmp_path / "empty", tmp_path / "cut", tmp_path / "linked"
    empty.mkdir()
    for folder in (cut, linked):
        folder.mkdir()
        for file, data in contents(good).items():
            (folder / file).write_bytes(data)
    (cut / "model.safetensors").unlink()
    (linked / "README.md").unlink()
    (linked / "README.md").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("secret")
    cases: list[tuple[Any, Any, str, str]] = [
        (3, NAME, RIGHT, "exports.push_path"),
        ("no/such", NAME, RIGHT, "exports.push_no_folder"),
        (good / "config.json", NAME, RIGHT, "exports.push_no_folder"),
        ("x" * 5000, NAME, RIGHT, "exports.push_no_folder"),
        (empty, NAME, RIGHT, "exports.push_no_model"),
        (cut, NAME, RIGHT, "exports.push_not_whole"),
        (linked, NAME, RIGHT, "exports.push_outside"),
        *(
            (good, name, RIGHT, "exports.push_name")
            for name in ("tiny", "me/", "a/b/c", "me/a..b", "me/한", "", None, 3)
        ),
        *((good, NAME, token, "exports.push_not_a_token") for token in ("", "hf_a b", "hf_a\nX: y", 3, "hf_한")),
    ]
    for folder, name, token, code in cases:
        with subtests.test(f"{code} {name!r} {token!r}"):
            with pytest.raises(ExportError) as caught:
                push(folder, name, token=token)
            assert caught.value.code == code and "\n" not in str(caught.value) and len(str(caught.value)) < 500
            assert not (isinstance(token, str) and token and token in str(caught.value))
    assert hub.asked == []
