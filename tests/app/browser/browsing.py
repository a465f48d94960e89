"""What a visitor does in the browser, by the roles and labels of the page."""

import re
from pathlib import Path
from typing import Any

TABS = ("1 Model", "2 Recipe", "3 Before and after", "4 Cost", "5 Export")
TABS_KO = ("1 모델", "2 레시피", "3 전과 후", "4 비용", "5 내보내기")


def upload(page: Any, archive: Path, name: str = "Upload", choose: str = "Choose files") -> None:
    page.get_by_role("radio", name=name).check()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=choose).click()
    chooser.value.set_files(str(archive))
    page.locator("#status").get_by_text(archive.stem, exact=True).wait_for()


def choose(page: Any, field: str, option: str) -> None:
    page.get_by_label(field, exact=True).click()
    page.get_by_role("option", name=option).click()


def tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def toast(page: Any) -> Any:
    return page.get_by_test_id("toast-body")


def dismiss(page: Any) -> None:
    for button in page.get_by_test_id("toast-close").all():
        button.click()


def fetched(page: Any, button: str, folder: Path) -> Path:
    return _saved(
        page, page.get_by_role("link", name=button).or_(page.get_by_role("button", name=button)).first, folder
    )


def fetched_after(page: Any, button: str, folder: Path) -> Path:
    return _saved(page, page.get_by_role("button", name=button), folder)


def _saved(page: Any, control: Any, folder: Path) -> Path:
    with page.expect_download() as download:
        control.click()
    target = folder / download.value.suggested_filename
    download.value.save_as(target)
    return target


def raw_texts(page: Any) -> list[str]:
    """Find keys that are shown instead of what they stand for."""
    text = page.locator("body").inner_text()
    return re.findall(r"\bbp_[a-z_]+|__i18n__|\[object Object\]|\bcommon\.[a-z_]+", text)


def open_tab(page: Any, name: str) -> None:
    """Choose a tab, which on a phone may be within the menu of the rest."""
    there = page.get_by_role("tab", name=name, exact=True)
    if not there.first.is_visible():
        page.locator("#tabs .overflow-menu > button").click()
        page.locator("#tabs .overflow-dropdown").get_by_role("button", name=name).click()
        return
    there.first.click()


NAMELESS = """() => [...document.querySelectorAll('button, input, select, textarea, [role=treeitem]')]
  .filter((e) => e.checkVisibility({visibilityProperty: true}) && e.type !== 'file' && !e.closest('[aria-hidden=true]'))
  .filter((e) => !(e.innerText?.trim() || e.getAttribute('aria-label') || e.title || e.getAttribute('aria-labelledby')
    || (e.labels && [...e.labels].some((l) => l.innerText.trim())) || e.closest('.cm-editor')))
  .map((e) => e.outerHTML.slice(0, 200))"""
