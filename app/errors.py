"""What can fail, the sentence for it, and how it becomes a message of the page in its visitor's language."""

import errno
import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from markupsafe import Markup, escape

import bertprune as bp

from . import runtime
from .html import size_of
from .i18n import LocalizedError, say, translate_error
from .settings import Settings

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""The system's error numbers where a disk, or one's share of it, is full."""


class Cancelled(Exception):
    """The visitor cancelled the work."""


class SetAside(Exception):
    """Work in the background makes way for what a visitor waits for."""


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


class LimitError(LocalizedError):
    """Something is larger or longer than the page accepts; a hosted page says how to do without the limit."""

    def __init__(self, key: str, settings: Settings, **values: Any) -> None:
        """Name the limit by the key of its text, without `limit_` in front."""
        hint = LocalizedError("limit_at_home", **_commands(settings)) if settings.hosted else ""
        super().__init__(f"limit_{key}", **values, hint=hint)


def upload_limit(language: str, settings: Settings) -> str:
    """Write the line beside the upload: how much is accepted, and how to run the page without that limit."""
    limit, hint = say(language, "limit_upload", most=size_of(settings.max_upload)), _commands(settings)
    return f"{limit} {say(language, 'limit_at_home', **hint)}"


def _commands(settings: Settings) -> dict[str, str]:
    """Give the two commands that start the page on a visitor's own machine, where its memory is the only limit."""
    folder = (settings.home or "").rstrip("/").rpartition("/")[2]
    return {"clone": f"git clone {settings.home}", "start": f"make -C {folder} app"}


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


log = logging.getLogger("bertprune.app")


@contextmanager
def showing_errors(work: Callable[..., Any], write: Callable[[BaseException], str]) -> Iterator[None]:
    """Wait for the libraries; then show what the work raises as `write` puts it, and log what the library did not."""
    try:
        runtime.wait_until_warm()
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
    finally:
        runtime.end_idle_threads()


def with_errors_shown(handler: Callable[..., Any], language_of: Callable[..., str]) -> Callable[..., Any]:
    """Show what a handler raises as a message of the page, in the language of its visitor."""

    @functools.wraps(handler)
    def guarded(*values: Any, **more: Any) -> Any:
        with showing_errors(handler, lambda error: _html(language_of(*values, **more), error)):
            return handler(*values, **more)

    return guarded


def with_failure_kept(handler: Callable[..., Any], keep: Callable[[Any, BaseException], Any]) -> Callable[..., Any]:
    """Have what a handler raises kept, to be asked for: past the queue, Gradio would answer it with an HTTP 500."""

    @functools.wraps(handler)
    def guarded(event: Any, request: Any) -> Any:
        try:
            return handler(event, request)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            return keep(request, error)
        finally:
            runtime.end_idle_threads()

    return guarded


def _html(language: str, error: BaseException) -> Markup:
    text = escape(error_text(language, error))
    if not isinstance(error, SessionOverError):
        return text
    return Markup('{} <a href="">{}</a>').format(text, say(language, "session_again"))
