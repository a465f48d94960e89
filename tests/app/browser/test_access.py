"""Everybody can use every panel: axe finds nothing serious, light or dark, in English or Korean."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from browsing import choose, dismiss, tab, toast

from app.i18n import LANGUAGES, say

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PANELS = ("tab_model", "tab_recipe", "tab_result", "tab_cost", "tab_take")
SETTLED = """document.getAnimations().filter((one) => !one.effect.target?.closest('.timer')).every(
  (one) => one.playState !== 'running' || one.effect.getComputedTiming().endTime === Infinity)"""
"""Nothing fades any more, and no toast flies in: every colour is its last. A toast's own clock runs on."""

REPEATED = ["tbody tr:nth-of-type(n+5)", ".bp-map-cell:nth-of-type(n+9)", "[role=treeitem]:nth-of-type(n+9)"]
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
    """Put something on every panel."""
    from playwright.sync_api import expect

    tab(page, say("en", "tab_recipe"))
    choose(page, say("en", "preset"), say("en", "preset_global"))
    expect(page.locator("#steps li")).to_have_count(1)
    page.locator("#prune").click()
    expect(page.locator("#mask img")).to_be_visible()
    tab(page, say("en", "tab_cost"))
    page.locator("#measure").click()
    expect(page.locator("#quality table").first).to_be_visible()
    page.locator("#sentence textarea").fill("배우들 연기가 아까운 영화")
    page.locator("#ask").click()
    expect(page.locator("#answers table")).to_be_visible()
    tab(page, say("en", "tab_take"))
    page.locator("#build").click()
    expect(page.locator("#download")).to_be_visible()


def unfold(page: Any) -> None:
    """Open every accordion of the panel."""
    page.locator("button.label-wrap:not(.open):visible").evaluate_all("all => all.forEach((one) => one.click())")


def fail(page: Any, language: str) -> None:
    """Have the page show an error."""
    dismiss(page)
    tab(page, say(language, "tab_cost"))
    page.locator("#sentence textarea").fill(" ")
    page.locator("#ask").click()
    toast(page).get_by_text(say(language, "ask_empty")).wait_for()


def test_axe_finds_nothing_in_any_panel(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit()
    fill(page)
    found: dict[tuple[str, str], list[str]] = {}
    # names go with the language, contrast with the scheme: two passes see to all of both
    for language, scheme in (("en", "light"), ("ko", "dark")):
        choose(page, page.locator(".bp-language input").get_attribute("aria-label"), LANGUAGES[language])
        expect(page.locator("#answers caption")).to_have_text(say(language, "ask_classes"))
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"document.body.classList.contains('dark') === {json.dumps(scheme == 'dark')}")
        fail(page, language)
        for panel in PANELS:
            tab(page, say(language, panel))
            unfold(page)
            page.wait_for_function(SETTLED)
            found[scheme, panel] = findings(page, "html" if panel == PANELS[0] else "#tabs")  # the rest stays the same
    assert not any(found.values()), "\n".join(f"{where}: {what}" for where, what in found.items() if what)
