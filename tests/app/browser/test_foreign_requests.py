"""A hosted page as a visitor's browser loads it: it asks nobody but its own server for anything."""

from typing import Any

import pytest
from browsing import press, prune, view

from app.page import PANELS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
PATIENCE = 120_000  # milliseconds, as of the other visitors


def test_a_hosted_page_asks_no_other_host(browser: Any, hosted: str) -> None:
    context = browser.new_context(locale="ko-KR", reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    asked: list[str] = []

    def decide(route: Any) -> None:
        """Let only what goes to the page's own server pass, as on a machine without other network."""
        asked.append(route.request.url)
        if route.request.url.startswith((hosted, "data:", "blob:")):
            route.continue_()
        else:
            route.abort()

    context.route("**/*", decide)
    page = context.new_page()
    page.goto(hosted)
    page.locator("#inspector h2").wait_for(state="attached")
    press(page, "start", "preset")
    prune(page)
    for panel in PANELS:
        view(page, panel)
    page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")
    context.close()
    assert asked and not [url for url in asked if not url.startswith((hosted, "data:", "blob:"))]


def test_the_sign_in_speaks_the_language_of_the_page(browser: Any, hosted: str) -> None:
    from playwright.sync_api import expect

    page = browser.new_context(locale="ko-KR").new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(hosted)
    page.locator("#inspector h2").wait_for(state="attached")
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<button id=sign-in>Sign in with Hugging Face</button>')"
    )
    button = page.locator("#sign-in")
    expect(button).to_have_text("Hugging Face로 로그인")
    button.evaluate("one => { one.firstChild.data = 'Logout (me)'; }")  # as Gradio writes it after the sign-in
    expect(button).to_have_text("로그아웃 (me)")
    page.context.close()
