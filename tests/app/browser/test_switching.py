"""Another language, method or panel: typed values stay, and what is shown follows."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from browsing import choose, open_tab, tab

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


def test_gradios_own_labels_are_translated(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit(locale="ko-KR")
    tab(page, "2 레시피")
    expect(page.get_by_role("slider", name="슬라이더: 비율(%)")).to_be_visible()
    expect(page.get_by_role("button", name="처음 값으로")).to_have_count(1)
    page.get_by_role("button", name="YAML 레시피").click()
    expect(page.get_by_title("복사", exact=True).first).to_be_visible()
    choose(page, "언어", "English")
    expect(page.get_by_role("slider", name="range slider for Fraction in %")).to_be_visible()
    expect(page.get_by_title("Copy", exact=True).first).to_be_visible()


def test_on_a_phone_results_start_at_the_top_and_back_returns_to_the_recipe(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit(width=390, height=844)
    tab(page, "2 Recipe")
    button = page.get_by_role("button", name="Prune", exact=True)
    button.scroll_into_view_if_needed()
    assert page.evaluate("scrollY") > 0
    button.click()
    expect(page.locator("#heatmap img")).to_be_visible()
    assert page.evaluate("scrollY") == 0
    open_tab(page, "5 Export")
    expect(page.locator("#estimate")).to_be_visible()
    page.go_back()
    expect(page.locator("#heatmap img")).to_be_visible()
    page.go_back()
    expect(button).to_be_visible()
