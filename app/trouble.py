"""What the page says when something goes wrong: the library's own line, or that the page is to blame."""

import errno
import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import gradio as gr

import bertprune as bp

from . import warm
from .i18n import LANGUAGES, say
from .i18n.retelling import retold
from .limits import LimitError
from .session import Cancelled
from .spoken import SpokenError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where a disk, or one's share of it, is full."""
log = logging.getLogger("bertprune.app")


class PageError(bp.BertpruneError):
    """Something that the page itself asks of its visitor, in the visitor's language."""


class SessionOver(PageError):
    """The server let the visit go; its link loads the page again, and what the browser kept comes back."""


class FieldError(bp.BertpruneError):
    """What is said of something entered, and the field that it was entered in."""

    def __init__(self, field: str, error: bp.BertpruneError) -> None:
        """Name the field by its text's key, `wrong_…`."""
        super().__init__(str(error))
        self.field, self.error = field, error


@contextmanager
def entered(field: str) -> Iterator[None]:
    """Have errors name the field from which the trouble comes; limits and what the page asks for do already."""
    try:
        yield
    except (PageError, LimitError, FieldError):
        raise
    except bp.BertpruneError as error:
        raise FieldError(field, error) from error


def reason(language: str, error: BaseException) -> str:
    """Write an error as a visitor may see it: no path of this machine, no traceback."""
    if isinstance(error, FieldError):
        return f"{say(language, f'wrong_{error.field}')} {reason(language, error.error)}"
    if isinstance(error, SpokenError):
        return error.said(language)
    if isinstance(error, OSError) and error.errno in FULL:
        return say(language, "trouble_disk")
    if isinstance(error, bp.BertpruneError):
        return retold(language, " ".join(str(error).split()))[:600]
    return say(language, "trouble_ours")


def friendly(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what a handler raises into a message of the page; the handler's first argument is the language."""

    @functools.wraps(handler)
    def guarded(language: str, *values: Any, **more: Any) -> Any:
        language = language if language in LANGUAGES else "en"
        with told(handler, lambda error: _html(language, error)):
            return handler(language, *values, **more)

    return guarded


@contextmanager
def told(work: Callable[..., Any], write: Callable[[BaseException], str]) -> Iterator[None]:
    """Wait for the libraries; then have `write` put what the work raises, and log what is no refusal of the library."""
    try:
        warm.wait()
        yield
    except Cancelled:
        raise gr.Error("cancelled", visible=False, print_exception=False) from None
    except (gr.Error, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # also a panic of a Rust extension, which is no Exception
        if not isinstance(error, bp.BertpruneError):
            log.exception("failed: %s", getattr(work, "__name__", work))
        # the toast's title comes from the style sheet: Gradio drops one's own
        raise gr.Error(write(error), duration=20, print_exception=False) from None


def _html(language: str, error: BaseException) -> str:
    said = escape(reason(language, error))
    if isinstance(error, SessionOver):
        said += f' <a href="">{say(language, "session_again")}</a>'
    return said
