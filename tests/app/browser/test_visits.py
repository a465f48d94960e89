"""Visits in a real browser: at a slow line, in two tabs, cancelled, queued, expired; nothing is lost or mixed up."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import dismiss, press, prune, toast, view

from app.i18n import texts
from app.page import PANELS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
LATENCY = 400
"""By how many milliseconds a slow line delays every request."""


def slow(page: Any) -> None:
    """Have every request take longer."""
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    line.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": LATENCY, "downloadThroughput": -1, "uploadThroughput": -1},
    )


def test_a_random_walk_at_a_slow_line_mixes_nothing_up(visit: Callable[..., Any]) -> None:
    page = visit()
    slow(page)
    draw, deeds = random.Random(1), []
    for _ in range(40):
        deed = draw.choice(list(DEEDS))
        deeds.append(deed)
        DEEDS[deed](page, draw)
        page.wait_for_timeout(draw.choice((0, 50, 400)))
    settle(page)
    before, version = shown(page), None
    while version != page.evaluate("window.bertprune.version"):  # what was measured meanwhile may have landed
        before, version = shown(page), page.evaluate("window.bertprune.version")
        page.evaluate("window.bertprune.send('act', {do: 'redraw'})")
        settle(page)
    assert shown(page) == before, deeds  # what was drawn step by step is what the visit is


def settle(page: Any) -> None:
    """Wait until what was asked for is answered and drawn."""
    page.wait_for_timeout(4 * LATENCY)
    page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")
    page.wait_for_timeout(3 * LATENCY)


def shown(page: Any) -> dict[str, str]:
    parts = ("bar", "facts", "cards", "runs", "run", "quality", "forms", "inspector", "changes")
    return {part: page.locator(f"#{part}").evaluate("one => one.textContent.replace(/\\s+/g, ' ')") for part in parts}


def _press(page: Any, draw: random.Random, selector: str) -> None:
    buttons = page.locator(selector)
    if count := buttons.count():
        buttons.nth(draw.randrange(count)).evaluate("one => one.click()")


DEEDS: dict[str, Callable[[Any, random.Random], None]] = {
    "view": lambda page, draw: view(page, draw.choice(PANELS)),
    "preset": lambda page, draw: _press(page, draw, "#start [data-do=preset]"),
    "open": lambda page, draw: _press(page, draw, "#open [data-given^=demo]"),
    "add": lambda page, draw: _press(page, draw, "#cards [data-do=add]"),
    "card": lambda page, draw: _press(page, draw, "#cards .bp-card-open"),
    "switch": lambda page, draw: _press(page, draw, "#cards .bp-switch"),
    "move": lambda page, draw: _press(page, draw, "#cards .bp-step-buttons [data-do]"),
    "undo": lambda page, draw: _press(page, draw, "#cards [data-do=undo]"),
    "prune": lambda page, draw: _press(page, draw, "#bar [data-do=prune]"),
    "module": lambda page, draw: _press(page, draw, "#module-tree [role=treeitem]"),
    "run": lambda page, draw: _press(page, draw, "#runs [data-do]"),
    "language": lambda page, draw: page.locator("select[name=language]").select_option(draw.choice(("en", "ko"))),
}


def test_two_tabs_of_one_browser_are_independent(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    first = visit()
    view(first, "recipe")
    press(first, "cards", "add")
    expect(first.locator("#cards .bp-step")).to_have_count(1)
    second = first.context.new_page()
    second.goto(first.url.partition("#")[0])
    second.locator("#inspector h2").wait_for(state="attached")
    second.locator("#start [data-do=preset][data-name=types]").click()
    expect(second.locator("#cards .bp-step")).to_have_count(2)
    expect(first.locator("#cards .bp-step")).to_have_count(1)
    visit.reload(first)
    expect(first.locator("#cards .bp-step")).to_have_count(1)


def test_work_is_cancelled_waits_and_lands_under_its_own_name(visit: Callable[..., Any], hold: Path) -> None:
    from playwright.sync_api import expect

    page = visit()
    page.locator("#start [data-do=preset][data-name=random]").click()
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    expect(cancel).to_have_count(0)  # nothing is running
    hold.touch()
    press(page, "bar", "prune")
    expect(page.locator("#progress")).to_contain_text("Pruning")
    cancel.click()
    expect(toast(page)).to_contain_text("Nothing has changed")
    dismiss(page)
    expect(page.locator("#runs tbody tr")).to_have_count(1)
    press(page, "bar", "prune")
    expect(page.locator("#progress")).to_contain_text("Pruning")
    view(page, "model")
    page.locator("#open [data-given=demo-mlm]").click()
    expect(page.locator("#bar").get_by_text("demo-mlm", exact=True)).to_be_visible()
    hold.unlink()
    expect(page.locator("#runs tbody tr")).to_have_count(3)
    landed = page.locator("#runs tbody tr").nth(1).locator("td")
    assert [landed.nth(at).text_content() for at in (0, 1)] == ["1", "demo"]
    expect(page.locator("#panel-model")).to_be_visible()  # and it does not take the visitor away
    expect(page.locator("#run h2")).to_have_text("demo-mlm, as it was opened")


def test_who_went_to_another_view_is_not_taken_to_the_run_that_ends_meanwhile(
    visit: Callable[..., Any], hold: Path
) -> None:
    from playwright.sync_api import expect

    page = visit()
    page.locator("#start [data-do=preset][data-name=random]").click()
    page.locator("#cards .bp-step").wait_for()
    hold.touch()
    press(page, "bar", "prune")
    expect(page.locator("#progress")).to_contain_text("Pruning")
    view(page, "cost")
    hold.unlink()
    waiting = page.locator("#bar").get_by_role("button", name="Run 1 is ready")
    expect(waiting).to_be_visible()
    expect(page.locator("#panel-cost")).to_be_visible()
    expect(page.locator("#quality h2").first).to_have_text("demo, as it was opened")
    waiting.click()
    expect(page.locator("#panel-result")).to_be_visible()
    expect(page.locator("#run h2")).to_contain_text("1. demo")
    expect(waiting).to_have_count(0)


def test_what_is_cancelled_before_it_arrives_is_not_done(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit()
    page.locator("#start [data-do=preset][data-name=random]").click()
    page.locator("#cards .bp-step").wait_for()
    slow(page)
    page.evaluate("""() => {
      const page = window.bertprune;
      page.trigger('stop', { before: page.number + 1 });  // it overtakes what is cancelled
      page.send('work', { do: 'prune' });
      page.send('stop');
    }""")
    expect(toast(page)).to_contain_text("Nothing has changed")
    settle(page)
    expect(page.locator("#runs tbody tr")).to_have_count(1)


def test_an_answer_that_is_older_than_what_is_shown_has_all_drawn_anew(visit: Callable[..., Any]) -> None:
    page = visit()
    sent = page.evaluate("""() => {
      const page = window.bertprune, { trigger } = page, sent = [];
      page.trigger = (via, asked) => sent.push([via, asked.do]);
      for (const from of [null, page.version]) {
        page.answered({ from, to: page.version - 1, language: document.documentElement.lang });
      }
      page.trigger = trigger;
      return sent;
    }""")
    assert sent == [["act", "redraw"]] * 2


def test_a_visit_that_is_over_says_so_and_is_restored(visit: Callable[..., Any], forget: Callable[[], None]) -> None:
    from playwright.sync_api import expect

    page = visit(locale="ko-KR")
    page.locator("#start [data-do=preset][data-name=random]").click()
    prune(page)
    expect(page.locator("#run")).to_contain_text("마스킹")
    forget()
    view(page, "recipe")
    press(page, "cards", "add")
    expect(toast(page)).to_contain_text("서버가 이 세션을 종료했습니다")
    expect(page.locator("#cards .bp-step")).to_have_count(1)  # what is shown stays
    with visit.loading(page):
        toast(page).get_by_role("link").click()
    page.locator("#inspector h2").wait_for(state="attached")
    expect(page.locator("#cards .bp-step")).to_have_count(1)
    expect(page.locator("#runs tbody tr")).to_have_count(2)
    view(page, "result")
    expect(page.locator("#changes h2").first).to_be_visible()


SEEN = """() => {
  const seen = window.seen = new Set();
  const look = (node) => {
    if (node.nodeType === Node.TEXT_NODE && node.parentElement.closest('[data-testid=status-tracker]')) {
      seen.add(node.data);
    }
    for (const one of node.querySelectorAll?.('[aria-label], [title]') ?? []) {
      seen.add(one.getAttribute('aria-label')).add(one.title);
    }
    node.childNodes.forEach(look);
  };
  new MutationObserver(() => look(document.body)).observe(document, {
    subtree: true, childList: true, characterData: true, attributes: true,
  });
}"""
"""Gather what Gradio names, and says of work that is under way."""


def test_every_text_that_is_kept_for_gradio_is_one_that_it_shows(visit: Callable[..., Any], hold: Path) -> None:
    pages = [visit(), visit()]
    for page in pages:
        page.evaluate(f"({SEEN})()")
        page.locator("#start [data-do=preset][data-name=random]").click()
        page.locator("#cards .bp-step").wait_for()
    hold.touch()
    press(pages[0], "bar", "prune")
    pages[0].locator("#progress").get_by_text("Pruning").wait_for()
    press(pages[1], "bar", "prune")
    pages[1].locator("#progress").get_by_text("queue").wait_for()
    hold.unlink()
    for page in pages:
        page.locator("#panel-result").wait_for()
    view(pages[0], "recipe")
    pages[0].locator("#yaml summary").click()
    pages[0].locator("#yaml textarea").fill(" ")
    press(pages[0], "yaml", "yaml")
    toast(pages[0]).wait_for()
    seen = {text for page in pages for text in page.evaluate("[...window.seen]") if text}
    kept = {key: text for key, text in texts("en").items() if key.startswith("theirs_")}
    shown = {key for key, text in kept.items() if any(one.startswith(text) for one in seen)}
    assert kept.keys() - shown == {"theirs_sign_in", "theirs_sign_out"}  # which only a Space shows


def test_every_refusal_is_said_also_one_right_after_another(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit()
    view(page, "recipe")
    page.locator("#yaml summary").click()
    for text, said in ((" ", "The YAML field is empty."), ("a: [", "not valid YAML"), ("words", "This YAML is not")):
        page.locator("#yaml textarea").fill(text)
        press(page, "yaml", "yaml")
        expect(toast(page)).to_contain_text(said)
        dismiss(page)
        expect(toast(page)).to_have_count(0)
    view(page, "model")
    page.locator("#open input[name=given]").fill("no model!")
    press(page, "open", "open", given="demo-mlm")
    expect(page.locator("#bar")).to_contain_text("demo-mlm")
    page.locator("#open .bp-form .bp-button").click()
    expect(toast(page)).to_contain_text("is not a Hub id")
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)  # nothing is running


def test_on_a_phone_nothing_is_hidden_without_a_sign(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit(width=390, height=844)
    tree, show = page.get_by_role("tree"), page.get_by_role("button", name=re.compile("Modules of the model:"))
    expect(tree).to_have_count(0)
    show.click()
    tree.get_by_role("treeitem", name=re.compile("^query")).first.click()
    expect(show).to_contain_text("attention.self.query")
    show.click()
    for panel in PANELS:
        view(page, panel)
    page.go_back()
    expect(page.locator("#panel-cost")).to_be_visible()
    expect(page.locator("#bar [aria-disabled=true]").first).to_be_visible()


def test_on_a_phone_no_word_of_a_korean_table_is_broken(visit: Callable[..., Any]) -> None:
    page = visit(locale="ko-KR", width=390, height=844)
    page.locator("#start [data-do=preset][data-name=random]").click()
    prune(page)
    view(page, "runs")
    model = page.locator("#runs tbody td").nth(1)
    model.get_by_text("demo", exact=True).wait_for()
    assert model.evaluate("cell => { const all = document.createRange(); all.selectNodeContents(cell);"
                          " return all.getClientRects().length; }") == 1  # fmt: skip
