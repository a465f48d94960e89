"""Another language, method or panel: typed values stay, and what is shown follows."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from browsing import choose, tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_typed_options_survive_a_change_of_language_and_method(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit()
    tab(page, "2 Recipe")
    choose(page, "Method", "ln_structured")
    page.get_by_label("dim", exact=True).fill("0")
    page.get_by_role("textbox", name=re.compile("^n ")).fill("inf")
    expect(page.locator("#preview")).to_contain_text("87,552 would be pruned")
    choose(page, "Language", "한국어")
    expect(page.get_by_role("textbox", name=re.compile("^n 노름의 차수"))).to_have_value("inf")
    choose(page, "방법", "l1_unstructured")
    expect(page.get_by_label("dim", exact=True)).to_have_count(0)
    choose(page, "방법", "ln_structured")
    expect(page.get_by_label("dim", exact=True)).to_have_value("0")
    page.get_by_role("button", name="이 단계 추가").click()
    expect(page.locator("#steps li")).to_contain_text("dim=0, n=inf")
