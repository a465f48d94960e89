"""What the page says when something goes wrong: the library's own line, or that the page is to blame."""

import functools
import logging
from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr

import bertprune as bp

from . import warm
from .i18n import LANGUAGES, say
from .session import Cancelled

log = logging.getLogger("bertprune.app")


class PageError(bp.BertpruneError):
    """Something that the page itself asks of its visitor, in the visitor's language."""


def reason(language: str, error: Exception) -> str:
    """Write an error as a visitor may see it: no path of this machine, no traceback."""
    if isinstance(error, bp.BertpruneError):
        return " ".join(str(error).split())[:600]
    return say(language, "trouble_ours")


def friendly(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what a handler raises into a message of the page; the handler's first argument is the language."""

    @functools.wraps(handler)
    def guarded(language: str, *values: Any, **more: Any) -> Any:
        language = language if language in LANGUAGES else "en"
        try:
            warm.wait()
            return handler(language, *values, **more)
        except Cancelled:
            gr.Info(say(language, "cancelled"), title=say(language, "cancelled_title"))
            raise gr.Error("cancelled", visible=False, print_exception=False) from None
        except gr.Error:
            raise
        except Exception as error:
            if not isinstance(error, bp.BertpruneError):
                log.exception("a handler failed: %s", getattr(handler, "__name__", handler))
            # the toast's title comes from the style sheet: Gradio drops an error's own
            raise gr.Error(escape(reason(language, error)), duration=20, print_exception=False) from None

    return guarded
