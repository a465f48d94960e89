"""A visit by phone: the tree is folded until it is opened, results start at the top, and back goes one panel back."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from browsing import open_tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_on_a_phone_the_tree_is_folded_and_results_start_at_the_top(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit(width=390, height=844)
    tree, show = page.get_by_role("tree"), page.get_by_role("button", name=re.compile("Modules of the model:"))
    expect(tree).to_have_count(0)
    expect(show).to_contain_text("attention.self.key")
    show.click()
    expect(show).to_have_attribute("aria-expanded", "true")
    tree.get_by_role("treeitem", name=re.compile("^query")).first.click()
    expect(page.locator("#inspector h2")).to_contain_text("attention.self.query")
    expect(show).to_contain_text("attention.self.query")
    show.click()
    expect(tree).to_have_count(0)

    open_tab(page, "2 Recipe")
    grid = page.get_by_role("grid").bounding_box()
    assert grid["x"] >= 0 and grid["x"] + grid["width"] <= 390
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
