"""What the page shows when something fails: the library's own line, or that the fault is the page's."""

import errno
import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from markupsafe import Markup, escape

import bertprune as bp

from . import warm
from .i18n import LANGUAGES, say
from .i18n.errors import LocalizedError, translate_error
from .limits import LimitError
from .session import Cancelled

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""The system's error numbers where a disk, or one's share of it, is full."""
log = logging.getLogger("bertprune.app")


class PageError(LocalizedError):
    """Something that the visitor has to do first, or to enter differently."""


class SessionOverError(PageError):
    """The server has dropped the visit; a link loads the page again, and what the browser kept comes back."""

    def __init__(self) -> None:
        """Need nothing: there is one text for it."""
        super().__init__("session_over")


class FieldError(LocalizedError):
    """What is wrong with an input, and which field it was entered in."""

    def __init__(self, field: str, error: bp.BertpruneError) -> None:
        """Name the field by the key of its text, without `wrong_` in front."""
        super().__init__(f"wrong_{field}", error=error)


@contextmanager
def naming_field(field: str) -> Iterator[None]:
    """Have errors name the field that they come from; those of limits and of the page itself need it not."""
    try:
        yield
    except (PageError, LimitError, FieldError):
        raise
    except bp.BertpruneError as error:
        raise FieldError(field, error) from error


def error_text(language: str, error: BaseException) -> str:
    """Write an error as a visitor may see it: no path of this machine, no traceback."""
    if isinstance(error, bp.BertpruneError):
        return translate_error(language, error)
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return say(language, "trouble_disk")
    return say(language, "trouble_ours")


def with_errors_shown(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Show what a handler raises as a message of the page; the handler's first argument is the language."""

    @functools.wraps(handler)
    def guarded(language: str, *values: Any, **more: Any) -> Any:
        language = language if language in LANGUAGES else "en"
        with showing_errors(handler, lambda error: _html(language, error)):
            return handler(language, *values, **more)

    return guarded


@contextmanager
def showing_errors(work: Callable[..., Any], write: Callable[[BaseException], str]) -> Iterator[None]:
    """Wait for the libraries; then show what the work raises as `write` puts it, and log what the library did not."""
    try:
        warm.wait()
        yield
    except Cancelled:
        raise gr.Error("cancelled", visible=False, print_exception=False) from None
    except (gr.Error, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # also a panic of a Rust extension, which is not an Exception
        if not isinstance(error, bp.BertpruneError):
            log.exception("failed: %s", getattr(work, "__name__", work))
        # the toast's title comes from the style sheet: Gradio drops one passed here
        raise gr.Error(write(error), duration=20, print_exception=False) from None


def _html(language: str, error: BaseException) -> Markup:
    text = escape(error_text(language, error))
    if not isinstance(error, SessionOverError):
        return text
    return Markup('{} <a href="">{}</a>').format(text, say(language, "session_again"))
