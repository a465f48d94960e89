"""Errors as visitors see them: one line, in their language, and nothing of the server."""

import logging

import gradio as gr
import pytest

import bertprune as bp
from app.errors import Cancelled, SessionOverError, with_errors_shown


def shown(error: BaseException, language: str = "en") -> gr.Error:
    def handler() -> None:
        raise error

    with pytest.raises(gr.Error) as caught:
        with_errors_shown(handler, lambda: language)()
    return caught.value


def test_an_error_of_the_library_is_shown_as_text_and_not_as_markup() -> None:
    error = shown(bp.BertpruneError("no module is named '<img src=x>'"), "ko")
    assert "&lt;img src=x&gt;" in error.message
    assert "<" not in error.message


def test_anything_else_is_logged_and_says_nothing_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        error = shown(RuntimeError("/home/someone/secret.bin is broken"))
    assert "secret" not in error.message
    assert "our side" in error.message
    assert "secret.bin" in caplog.text


def test_cancelling_is_not_an_error_to_show() -> None:
    assert not shown(Cancelled()).visible


def test_a_session_that_is_over_offers_to_load_the_page_again() -> None:
    message = shown(SessionOverError(), "ko").message
    assert "서버가 이 세션을 종료했습니다" in message
    assert '<a href="">' in message
