"""A step that needs calibration texts, in a real browser: asked for, uploaded, run with, there again after a reload."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import choose, dismiss, raw_texts, tab, toast, upload

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_texts_are_asked_for_where_a_step_needs_them(
    visit: Callable[..., Any], tiny_zip: Callable[..., Path], tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    page = visit()
    upload(page, tiny_zip("calibrated"))
    tab(page, "2 Recipe")
    preview, box = page.locator("#preview"), page.locator("#texts")
    expect(preview).to_contain_text("6 tensors")
    expect(box).to_be_hidden()
    expect(page.locator("#granularity")).to_be_hidden()
    expect(page.get_by_label("Adjust what stays")).to_be_hidden()

    choose(page, "Method", "Second order (OBS)")
    expect(preview).to_contain_text("needs calibration texts")
    expect(box).to_contain_text("Calibration texts are missing")
    expect(page.get_by_role("radio", name="row", exact=True)).to_be_visible()
    choose(page, "Pruned together", "2:4")
    expect(page.get_by_label("Fraction in %").first).to_be_hidden()
    expect(page.get_by_role("radio", name="global", exact=True)).to_be_hidden()
    page.get_by_label("Adjust what stays").check()
    expect(preview).to_contain_text("(50.00%)")
    page.get_by_role("button", name="Prune", exact=True).click()
    expect(toast(page)).to_contain_text("Calibration texts are missing: choose a file")
    dismiss(page)

    texts = tmp_path / "mine.txt"
    texts.write_text("\n".join(f"w{number} w{number % 7}" for number in range(25)), encoding="utf-8")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a file of texts").click()
    chooser.value.set_files(str(texts))
    expect(box).to_contain_text("mine.txt: 25 texts.")
    page.get_by_label("Number of texts").fill("20")
    page.get_by_role("button", name="Prune", exact=True).click()
    summary = page.locator("#summary")
    expect(summary).to_contain_text("20, cut after 128 tokens, SHA-256")
    told = summary.locator("dl").text_content()
    tab(page, "2 Recipe")
    expect(page.locator("#steps li")).to_contain_text("2:4 · what stays is adjusted")
    expect(page.locator("#prune-progress")).to_contain_text("weights are masked")
    assert raw_texts(page) == []

    visit.reload(page)  # type: ignore[attr-defined]
    expect(box).to_contain_text("mine.txt: 25 texts.")
    expect(page.get_by_label("Number of texts")).to_have_value("20")
    tab(page, "3 Before and after")
    expect(summary.locator("dl")).to_have_text(str(told))
    expect(page.locator("#status")).not_to_contain_text("earlier run")
