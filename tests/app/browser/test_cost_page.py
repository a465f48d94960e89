"""The cost tab in a browser: a sentence, a blank to fill in, the quality in the status line; in Korean."""

from collections.abc import Callable
from typing import Any

import pytest
from browsing import dismiss, tab, toast

import bertprune as bp
from app.i18n import say

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_a_sentence_and_a_blank_are_tried_on_both_models(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit(locale="ko-KR")

    def words(key: str) -> str:
        return say("ko", key)

    def ask(text: str) -> None:
        page.get_by_role("textbox", name=words("ask_text")).first.fill(text)
        page.get_by_role("button", name=words("ask")).click()

    def prune() -> None:
        tab(page, words("tab_recipe"))
        page.get_by_role("button", name=words("prune"), exact=True).click()
        expect(page.locator("#summary")).to_contain_text(words("result_model"))
        tab(page, words("tab_cost"))

    tab(page, words("tab_cost"))
    ask("good")
    expect(toast(page)).to_contain_text(words("result_none"))
    dismiss(page)
    prune()
    ask("   ")
    expect(toast(page)).to_contain_text(words("ask_empty"))
    dismiss(page)
    ask("배우들 연기가 아까운 영화")
    expect(page.locator("#answers")).to_contain_text("positive")
    expect(page.locator("#answers caption")).to_have_text(words("ask_classes"))
    page.locator("#measure").click()
    expect(page.locator("#status")).to_contain_text(words("figure_accuracy"))
    expect(page.locator("#answers caption")).to_have_count(1)  # the sentence stays

    tab(page, words("tab_model"))
    page.get_by_role("radio", name="demo-mlm").check()
    expect(page.locator("#status").get_by_text("demo-mlm", exact=True)).to_be_visible()
    expect(page.locator("#status")).not_to_contain_text(words("figure_accuracy"))
    prune()
    ask("no blank here")
    expect(toast(page)).to_contain_text("[MASK]")
    dismiss(page)
    ask("이 영화 정말 [MASK]!")
    expect(page.locator("#answers caption")).to_contain_text("1")
    best = bp.try_text("demo-mlm", "이 영화 정말 [MASK]!").answers[0].after[0].name
    expect(page.locator("#answers tbody tr").first).to_contain_text(best)
