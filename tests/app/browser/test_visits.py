"""Sessions in a real browser: reloaded, in two tabs, cancelled, queued, expired; nothing is lost that can be kept."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import choose, dismiss, tab, toast, upload

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

OTHER = "steps:\n" + "- {method: random_unstructured, fraction: 0.1, select: {roles: [ffn.output]}}\n" * 2


def prune(page: Any) -> None:
    from playwright.sync_api import expect

    tab(page, "2 Recipe")
    page.get_by_role("button", name="Prune", exact=True).click()
    expect(page.locator("#summary")).to_contain_text("Sparsity of the model")


def figures(page: Any) -> Any:
    """Give the figures of the summary, without what Gradio writes over them while it works."""
    return page.locator("#summary dl")


def use_yaml(page: Any, text: str) -> None:
    """Put a recipe into the field of YAML."""
    from playwright.sync_api import expect

    tab(page, "2 Recipe")
    if not page.get_by_role("button", name="Use this text").is_visible():
        page.get_by_role("button", name="Recipe as YAML").click()
    field = page.locator(".cm-content").first
    field.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(text)
    page.get_by_role("button", name="Use this text").click()
    expect(page.locator("#steps li")).to_have_count(text.count("- {"))


def test_a_reload_brings_everything_back(visit: Callable[..., Any], tiny_zip: Callable[..., Path]) -> None:
    from playwright.sync_api import expect

    page = visit()
    upload(page, tiny_zip("again"))
    prune(page)
    summary = figures(page).text_content()
    choose_preset(page, "4. By type")
    older = "These results are from an earlier run"
    expect(page.locator("#status")).to_contain_text(older)
    tab(page, "3 Before and after")
    visit.reload(page)
    expect(page.locator("#status").get_by_text("again-upload", exact=True)).to_be_visible()
    expect(page.get_by_role("tab", name="3 Before and after")).to_have_attribute("aria-selected", "true")
    expect(figures(page)).to_have_text(summary)
    expect(page.locator("#status")).to_contain_text(older)
    tab(page, "2 Recipe")
    expect(page.locator("#prune-progress")).to_contain_text(older)
    expect(page.locator("#steps li")).to_have_count(2)
    tab(page, "1 Model")
    expect(page.get_by_role("radio", name="Upload")).to_be_checked()


def test_two_tabs_of_one_browser_are_independent(visit: Callable[..., Any], tiny_zip: Callable[..., Path]) -> None:
    from playwright.sync_api import expect

    first = visit()
    tab(first, "2 Recipe")
    first.get_by_role("button", name="Add this step").click()
    expect(first.locator("#steps li")).to_have_count(1)
    second = first.context.new_page()
    second.goto(first.url)
    second.locator("#inspector h2").wait_for(state="attached")
    tab(second, "1 Model")
    upload(second, tiny_zip("other"))
    choose_preset(second, "4. By type")
    expect(second.locator("#steps li")).to_have_count(2)
    prune(second)
    expect(first.locator("#status").get_by_text("demo", exact=True)).to_be_visible()
    expect(first.locator("#steps li")).to_have_count(1)
    visit.reload(first)
    expect(first.locator("#status").get_by_text("demo", exact=True)).to_be_visible()
    expect(first.locator("#steps li")).to_have_count(1)
    prune(first)
    expect(second.locator("#status").get_by_text("other-upload", exact=True)).to_be_visible()


def choose_preset(page: Any, name: str) -> None:
    tab(page, "2 Recipe")
    choose(page, "Recipes from the tutorial", name)


def prune_by_double_click(page: Any) -> None:
    """See that it asks for nothing twice."""
    from playwright.sync_api import expect

    tab(page, "2 Recipe")
    page.get_by_role("button", name="Add this step").click()
    expect(page.locator("#steps li")).to_have_count(1)
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request.post_data_json) if "queue/join" in request.url else None)
    page.get_by_role("button", name="Prune", exact=True).dblclick()
    expect(page.locator("#mask img")).to_be_visible()  # the last thing that is drawn after pruning
    ran = [one["fn_index"] for one in asked]
    assert len(ran) == len(set(ran))
    expect(page.locator("#steps li")).to_have_count(1)


def cancel(page: Any) -> None:
    from playwright.sync_api import expect

    page.get_by_role("button", name="Cancel").first.click()
    expect(toast(page)).to_contain_text("Nothing has changed")


def start(page: Any, said: Any) -> None:
    from playwright.sync_api import expect

    tab(page, "2 Recipe")
    page.get_by_role("button", name="Prune", exact=True).click()
    expect(page.locator("#prune-progress")).to_contain_text(said)


def test_a_double_click_prunes_once_and_cancelled_and_waiting_work_changes_nothing(
    visit: Callable[..., Any], hold: Path
) -> None:
    from playwright.sync_api import expect

    page = visit()
    prune_by_double_click(page)
    summary = figures(page).text_content()
    use_yaml(page, OTHER)
    buttons = page.get_by_role("button", name="Cancel", exact=True)
    expect(buttons).to_have_count(0)  # nothing is running
    hold.touch()
    start(page, "Pruning")
    waiting = visit()
    start(waiting, re.compile(r"queue: 1/1", re.IGNORECASE))
    cancel(waiting)
    cancel(page)
    expect(buttons).to_have_count(0)
    dismiss(page)
    expect(page.locator("#prune-progress")).not_to_contain_text("Pruning")
    hold.unlink()
    expect(figures(page)).to_have_text(summary)
    expect(page.locator("#steps li")).to_have_count(2)
    page.get_by_role("button", name="Prune", exact=True).click()  # the page is free for other work
    expect(figures(page)).not_to_have_text(summary)
    tab(waiting, "4 Cost")
    waiting.locator("#ask").click()  # goes through the same queue, after what was cancelled
    expect(toast(waiting).filter(has_text="Nothing is pruned yet")).to_be_visible()
    tab(waiting, "3 Before and after")
    expect(waiting.locator("#summary")).to_contain_text("Nothing is pruned yet")  # it never ran


def test_a_session_that_is_over_says_so_and_is_restored(visit: Callable[..., Any], forget: Callable[[], None]) -> None:
    from playwright.sync_api import expect

    page = visit(locale="ko-KR")
    tab(page, "2 레시피")
    page.get_by_role("button", name="가지치기", exact=True).click()
    expect(page.locator("#summary")).to_contain_text("모델의 희소도")
    forget()
    tab(page, "2 레시피")
    page.get_by_role("button", name="이 단계 추가").click()
    expect(toast(page)).to_contain_text("서버가 이 세션을 종료했습니다")
    page.get_by_role("button", name="이 단계 추가").click()  # says it again, which is shown once
    expect(toast(page)).to_contain_text(re.compile(r"\(\d\)"))
    expect(page.locator("#steps li")).to_have_count(1)  # what is shown stays
    with visit.loading(page):
        toast(page).get_by_role("link").click()
    page.locator("#inspector h2").wait_for()
    tab(page, "2 레시피")
    expect(page.locator("#steps li")).to_have_count(1)
    tab(page, "3 전과 후")
    expect(page.locator("#summary")).to_contain_text("모델의 희소도")
    tab(page, "2 레시피")
    page.get_by_role("button", name="이 단계 추가").click()
    expect(page.locator("#steps li")).to_have_count(2)
