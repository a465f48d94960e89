"""What the page refuses, it says in the reader's language, and keeps what was typed."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import TABS_KO, dismiss, tab, toast

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_the_page_says_it_in_korean_and_keeps_what_was_typed(visit: Callable[..., Any], tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = visit(locale="ko-KR")
    page.get_by_role("radio", name="Hub에서").check()
    page.get_by_label("Hub id").fill("no/such-model")
    page.get_by_label("리비전(선택)").fill("v1")
    page.get_by_role("button", name="열기", exact=True).click()
    expect(toast(page)).to_contain_text("Hub id와 리비전을 확인하세요")
    dismiss(page)
    expect(page.get_by_label("Hub id")).to_have_value("no/such-model")
    expect(page.get_by_label("리비전(선택)")).to_have_value("v1")
    evil = tmp_path / "evil.zip"
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("../<b>config</b>.json", "{}")
    page.get_by_role("radio", name="업로드").check()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="파일 고르기").click()
    chooser.value.set_files(str(evil))
    expect(toast(page)).to_contain_text("../<b>config</b>.json")  # shown as text
    dismiss(page)
    expect(page.locator("#status")).to_contain_text("demo")

    tab(page, TABS_KO[1])
    page.get_by_role("radio", name="패턴").check()
    page.get_by_role("textbox", name=re.compile("^포함")).fill("encoder.layer.0.atention.*")
    expect(page.locator("#preview .bp-refused")).to_contain_text("atention")
    page.get_by_role("radio", name="역할과 레이어").check()
    page.get_by_label("비율(%)").first.fill("0")
    expect(page.locator("#preview .bp-refused")).to_contain_text("비율은 0보다 크고 100% 이하여야 합니다")
    page.get_by_label("비율(%)").first.fill("")
    page.get_by_label("비율(%)").first.fill("35")
    expect(page.locator("#preview")).to_contain_text("35.00%")
    page.get_by_role("radio", name="개수").check()
    page.get_by_label("개수", exact=True).and_(page.get_by_role("spinbutton")).fill("1.5")
    expect(page.locator("#preview .bp-refused")).to_contain_text("개수는 1 이상의 정수여야 합니다")
    page.get_by_label("시드").fill("-3")
    page.locator("#prune").click()
    expect(toast(page)).to_contain_text("개수는 1 이상의 정수여야 합니다")
    dismiss(page)
    page.get_by_role("button", name="YAML 레시피").click()
    page.locator(".cm-content").first.click()
    page.keyboard.type("a: [")
    page.get_by_role("button", name="이 내용 적용").click()
    expect(toast(page)).to_contain_text("이 YAML은 레시피로 쓸 수 없습니다")
    dismiss(page)
    expect(page.locator(".cm-content").first).to_contain_text("a: [")
    expect(page.get_by_label("시드")).to_have_value("-3")
