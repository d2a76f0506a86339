"""Take the pictures of the real run's page that the docs show: desktop, phone, dark, print.

Run it after `reports/regenerate.py`, from the repository's root; it needs Playwright for Python,
Chromium and, for the printed page, pdftoppm (Debian: poppler-utils)::

    python docs/images/make.py
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
PAGE = (HERE.parent.parent / "reports" / "real" / "leaderboard.html").resolve()
SCREEN = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def pinned(page: Page) -> None:
    """A variant pinned and a card of 0.7 GiB, seen where both show."""
    page.locator(".picture:visible .pt.tied").first.click()
    page.locator(".picture:visible .limit input[type=number]").fill("0.75")
    page.mouse.move(0, 0)


def main() -> None:
    """Write the pictures beside this file."""
    command = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=command, args=["--no-sandbox"])
        for name, size, scheme, do in (
            ("page", SCREEN, "light", None),
            ("page-dark", SCREEN, "dark", None),
            ("page-pinned", SCREEN, "light", pinned),
            ("page-phone", PHONE, "light", None),
        ):
            page = browser.new_page(viewport=size, color_scheme=scheme)
            page.goto(PAGE.as_uri())
            if do:
                do(page)
            page.screenshot(path=HERE / f"{name}.png")
            page.close()
        answers = browser.new_page(viewport=SCREEN)
        answers.goto(PAGE.as_uri())
        answers.locator("#answers").scroll_into_view_if_needed()
        answers.evaluate("document.getElementById('answers').scrollIntoView()")
        answers.screenshot(path=HERE / "page-answers.png")
        with tempfile.TemporaryDirectory() as folder:
            summary = Path(folder) / "summary.pdf"
            answers.pdf(path=summary, format="A4", print_background=True, prefer_css_page_size=True)
            subprocess.run(
                ["pdftoppm", "-r", "60", "-png", str(summary), str(HERE / "print")], check=True
            )
        browser.close()


if __name__ == "__main__":
    main()
