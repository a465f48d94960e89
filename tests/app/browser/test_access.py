"""Everybody can use every panel: axe finds nothing serious, light or dark, in English or Korean."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from browsing import dismiss, press, prune, toast, view

from app.i18n import say
from app.page import PANELS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

SETTLED = """document.getAnimations().filter((one) => !one.effect.target?.closest('.timer')).every(
  (one) => one.playState !== 'running' || one.effect.getComputedTiming().endTime === Infinity)"""
"""Nothing fades any more, and no toast flies in: every colour is its last. A toast's own clock runs on."""

REPEATED = ["tbody tr:nth-of-type(n+5)", "[role=treeitem]:nth-of-type(n+9)"]
"""Rows and cells that look like those before them."""


def findings(page: Any, within: str) -> list[str]:
    """Return what axe, which its package carries, finds in a part of the page, minor findings left out."""
    from axe_playwright_python.sync_playwright import Axe

    where = {"include": [within], "exclude": REPEATED}
    found = Axe().run(page, where, {"resultTypes": ["violations"], "preload": False}).response["violations"]
    nodes = [(one, node["html"]) for one in found if one["impact"] != "minor" for node in one["nodes"]]
    return [f"{one['id']} ({one['impact']}): {html[:200]}" for one, html in nodes if not is_gradios(one["id"], html)]


def is_gradios(rule: str, html: str) -> bool:
    """Return whether it is Gradio's own: its toast has a button to close it inside one to fold it."""
    return rule == "nested-interactive" and html.startswith('<div class="toast-header')


def fill(page: Any) -> None:
    """Put something on every view."""
    from playwright.sync_api import expect

    page.locator("#start [data-do=preset][data-name=global]").click()
    page.locator("#cards .bp-card-open").first.click()
    prune(page)
    expect(page.locator("#pictures img")).to_have_count(2)
    view(page, "cost")
    expect(page.locator("#quality table").first).to_be_visible()
    page.locator("#answers textarea").first.fill("배우들 연기가 아까운 영화")
    press(page, "answers", "ask")
    expect(page.locator("#answers table")).to_be_visible()
    view(page, "runs")
    for button in page.locator("#runs [data-do=pair]").all():
        button.click()
    expect(page.locator("#pair table").first).to_be_visible()
    view(page, "export")
    press(page, "forms", "build", form="baked")
    expect(page.locator("#forms [data-do=download]")).to_be_visible()


def fail(page: Any, language: str) -> None:
    """Have the page show an error."""
    dismiss(page)
    view(page, "cost")
    page.locator("#answers textarea").first.fill(" ")
    press(page, "answers", "ask")
    toast(page).get_by_text(say(language, "ask_empty")).wait_for()


def test_axe_finds_nothing_in_any_view(visit: Callable[..., Any]) -> None:
    page = visit()
    fill(page)
    found: dict[tuple[str, str], list[str]] = {}
    # names go with the language, contrast with the scheme: two passes see to all of both
    for language, scheme in (("en", "light"), ("ko", "dark")):
        page.locator("select[name=language]").select_option(language)
        page.locator("#answers caption").get_by_text(say(language, "ask_classes")).wait_for(state="attached")
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"document.body.classList.contains('dark') === {json.dumps(scheme == 'dark')}")
        fail(page, language)
        for panel in PANELS:
            view(page, panel)
            page.locator("details:not([open]):visible > summary").evaluate_all(
                "all => all.forEach((one) => one.click())"
            )
            page.wait_for_function(SETTLED)
            found[scheme, panel] = findings(page, "html" if panel == PANELS[0] else f"#panel-{panel}")
    assert not any(found.values()), "\n".join(f"{where}: {what}" for where, what in found.items() if what)
