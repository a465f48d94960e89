"""Errors as visitors see them: one friendly line, in their language, and nothing of the server."""

import logging

import gradio as gr
import pytest

import bertprune as bp
from app.i18n import say
from app.session import Cancelled
from app.trouble import SessionOver, friendly


def raising(error: BaseException) -> object:
    def handler(language: str) -> None:
        raise error

    return friendly(handler)


def shown(error: BaseException, language: str = "en") -> gr.Error:
    with pytest.raises(gr.Error) as caught:
        raising(error)(language)  # type: ignore[operator]
    return caught.value


def test_the_librarys_line_is_passed_on_as_text() -> None:
    error = shown(bp.BertpruneError("no module is named '<img src=x>'"), "ko")
    assert error.message == "no module is named &#x27;&lt;img src=x&gt;&#x27;"


def test_anything_else_is_logged_and_says_nothing_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        error = shown(RuntimeError("/home/someone/secret.bin is broken"))
    assert "secret" not in error.message
    assert "our side" in error.message
    assert "secret.bin" in caplog.text


def test_cancelling_is_no_error_to_be_shown() -> None:
    assert not shown(Cancelled()).visible


def test_a_visit_that_is_over_offers_to_load_the_page_again() -> None:
    message = shown(SessionOver(say("ko", "session_over")), "ko").message
    assert "서버가 이 방문을 끝냈습니다" in message
    assert '<a href="">' in message


def test_an_unknown_language_is_english() -> None:
    assert "our side" in shown(RuntimeError(), "xx").message
