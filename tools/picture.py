"""Take the README's screenshot of the page: the demo, pruned by the tutorial's last recipe, in headless Chromium."""

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "images" / "page.png"


def main(chromium: str | None) -> None:
    """Serve the page, prune as a visitor would, and save a screenshot."""
    from playwright.sync_api import expect, sync_playwright

    from app.main import main as serve
    from tools.space import free_port

    address = serve("127.0.0.1", free_port(), open_browser=False, block=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 860}, locale="en-US", reduced_motion="reduce")
        page.set_default_timeout(300_000)
        expect.set_options(timeout=300_000)
        page.goto(address)
        page.locator("#inspector h2").wait_for()
        page.locator("#start [data-do=preset][data-name=global]").click()
        expect(page.locator("#cards li").first).to_contain_text("global")
        page.get_by_role("button", name="Prune", exact=True).click()
        expect(page.locator("#pictures img")).to_have_count(2)
        page.mouse.move(0, 0)  # so that nothing is outlined under the pointer
        page.wait_for_timeout(1500)
        page.screenshot(path=str(TARGET))
        browser.close()


if __name__ == "__main__":
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    main(os.environ.get("BERTPRUNE_CHROMIUM") or next(filter(None, map(shutil.which, names)), None))
