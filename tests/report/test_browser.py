"""The page in headless Chromium: sorting, filters, search, dark, narrow, accessible, silent."""

import shutil

import pytest
from click.testing import CliRunner

from harness.cli import main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def address(tmp_path_factory, root):
    from harness.runner import make_plan, run_here

    folder = tmp_path_factory.mktemp("browser")
    (folder / "models").symlink_to(root / "models")
    adapters = ", ".join(f"{{name: a{k}, config: {{r: {k}}}}}" for k in range(2, 12))
    (folder / "s.yaml").write_text(
        f"name: s\nmatrix:\n  model: [tiny-qwen2]\n  adapter: [{adapters}]\n"
        "  dataset: [{name: ru-calculations, train: 60, test: 40}]\n"
    )
    run_here(make_plan(folder / "s.yaml", folder / "out"), backend="testing")
    CliRunner().invoke(main, ["report", str(folder / "out"), "-o", str(folder / "r")])
    return (folder / "r" / "leaderboard.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser, address):
    made = browser.new_page(viewport={"width": 1280, "height": 900})
    made.noise = []
    made.on("console", lambda message: made.noise.append(message.text))
    made.on("pageerror", lambda error: made.noise.append(str(error)))
    made.on(
        "request",
        lambda request: made.noise.append(request.url) if request.url != address else None,
    )
    made.goto(address)
    yield made
    assert made.noise == []
    made.close()


TABLE = "table[id^=leaderboard]"


def column(page, number):
    return page.locator(f"{TABLE} tbody tr:visible td:nth-child({number})").all_inner_texts()


def sorted_by(page, number, press=None):
    header = page.locator(f"{TABLE} th").nth(number - 1)
    header.press(press) if press else header.click()
    page.wait_for_timeout(50)  # the library sorts a moment later
    return column(page, number)


def test_a_click_on_a_header_sorts_by_it(page):
    before = column(page, 3)
    falling, rising = sorted_by(page, 3), sorted_by(page, 3)
    assert falling == rising[::-1] != before
    assert page.locator(f"{TABLE} th[aria-sort]").count() == 1


def test_numbers_with_intervals_sort_as_numbers_and_the_keyboard_does_it_too(page):
    values = [float(text.split()[0]) for text in sorted_by(page, 5, press="Enter")]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) > 1


def test_filters_work_after_sorting(page):
    sorted_by(page, 3)
    page.locator("input[data-filter^=leaderboard]").fill("a7")
    assert set(column(page, 3)) == {"a7"}


def test_rows_are_filtered_and_columns_chosen(page):
    page.locator("input[data-filter^=leaderboard]").fill("a7")
    assert set(column(page, 3)) == {"a7"}
    page.locator("section[id^=leaderboard] summary").click()
    page.locator("input[data-table^=leaderboard][data-column='3']").uncheck()
    assert page.locator(f"{TABLE} th:visible").count() == page.locator(f"{TABLE} th").count() - 1


def test_examples_are_searched_filtered_and_linked(page):
    total = page.locator("article.sample").count()
    assert total > 10
    page.locator("#sample-kind").select_option("broken")
    assert {a.get_attribute("data-kind") for a in page.locator("article.sample:visible").all()} == {
        "broken"
    }
    page.locator("#sample-search").fill("no such words anywhere")
    assert page.locator("#sample-count").inner_text() == f"0 of {total}"
    page.locator("#sample-search").fill("")
    link = page.locator("article.sample:visible h3 a").first
    link.click()
    assert page.evaluate("document.querySelector(':target').className") == "sample"


def test_nothing_overflows_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_dark_mode_changes_the_colours(page):
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(colour) != light


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(browser, address, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    # axe's own script is what the page's policy keeps out; the policy is tested without it
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(address)
    found = [
        v for v in axe.run(page).response["violations"] if v["impact"] in ("serious", "critical")
    ]
    assert found == [], [(v["id"], v["nodes"][0]["html"]) for v in found]
    context.close()
