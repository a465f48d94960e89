"""What a visitor does in the browser, by the roles and labels of the page."""

import re
from pathlib import Path
from typing import Any


def view(page: Any, panel: str) -> None:
    """Go to a view."""
    page.locator(f'.bp-nav a[data-panel="{panel}"]').click()
    page.locator(f"#panel-{panel}").wait_for()


def upload(page: Any, archive: Path) -> None:
    """Open an upload."""
    view(page, "model")
    page.locator("#upload input[type=file]").set_input_files(str(archive))
    page.locator("#bar").get_by_text(archive.stem, exact=True).wait_for()


def press(page: Any, part: str, do: str, **data: str) -> None:
    """Press the button of a part that asks for something."""
    chosen = "".join(f'[data-{key}="{value}"]' for key, value in {"do": do, **data}.items())
    page.locator(f"#{part} button{chosen}").first.click()


def prune(page: Any) -> None:
    """Prune by the cards, and wait for the run."""
    press(page, "bar", "prune")
    page.locator("#panel-result").wait_for()


def toast(page: Any) -> Any:
    return page.get_by_test_id("toast-body")


def dismiss(page: Any) -> None:
    for button in page.get_by_test_id("toast-close").all():
        button.click()


def saved(page: Any, control: Any, folder: Path) -> Path:
    """Press what downloads a file, and keep that."""
    with page.expect_download() as download:
        control.click()
    target = folder / download.value.suggested_filename
    download.value.save_as(target)
    return target


def raw_texts(page: Any) -> list[str]:
    """Find keys that are shown instead of what they stand for."""
    text = page.locator("body").inner_text()
    return re.findall(r"\bbp_[a-z_]+|__i18n__|\[object Object\]|\bcommon\.[a-z_]+", text)


NAMELESS = """() => [...document.querySelectorAll('button, input, select, textarea, [role=treeitem]')]
  .filter((e) => e.checkVisibility({visibilityProperty: true}) && e.type !== 'file' && !e.closest('[aria-hidden=true]'))
  .filter((e) => !(e.innerText?.trim() || e.getAttribute('aria-label') || e.title || e.getAttribute('aria-labelledby')
    || (e.labels && [...e.labels].some((l) => l.innerText.trim()))))
  .map((e) => e.outerHTML.slice(0, 200))"""
