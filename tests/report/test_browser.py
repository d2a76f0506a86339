"""The page in headless Chromium: sorted, grouped, searched, dark, narrow, accessible, silent."""

import shutil

import pytest
from click.testing import CliRunner

from harness.cli import main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def address(tmp_path_factory, root):
    from harness.plan.plan import make_plan
    from harness.run.runner import run_here

    folder = tmp_path_factory.mktemp("browser")
    (folder / "models").symlink_to(root / "models")
    adapters = ", ".join(f"{{name: a{k}, config: {{r: {k}}}}}" for k in range(4, 10))
    (folder / "s.yaml").write_text(
        f"name: s\nmatrix:\n  model: [tiny-qwen2, tiny-llama]\n"
        f"  quantization: [none, nf4]\n  adapter: [{adapters}]\n"
        "  dataset: [{name: ru-calculations, train: 60, test: 40}]\n"
    )
    run_here(make_plan(folder / "s.yaml", folder / "out", backend="testing"))
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
        lambda request: (
            made.noise.append(request.url) if request.url.partition("#")[0] != address else None
        ),
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
    visible = page.locator(f"{TABLE} th:visible").count()
    page.locator("input[data-table^=leaderboard][data-column='3']").uncheck()
    assert page.locator(f"{TABLE} th:visible").count() == visible - 1


def heads(page):
    return page.locator(f"{TABLE} tbody.group:visible th").all_inner_texts()


def test_rows_are_grouped_by_any_axis_with_the_keyboard_too(page):
    rows = len(column(page, 3))
    select = page.locator("select[data-group^=leaderboard]")
    assert select.locator("option").all_inner_texts() == [
        "none", "model", "quantization", "adapter", "verdict",
    ]  # fmt: skip
    select.focus()
    page.keyboard.press("ArrowDown")
    assert heads(page) == [f"model: {name} ({rows // 2})" for name in ("tiny-qwen2", "tiny-llama")]
    select.select_option("quantization")
    assert heads(page) == [f"quantization: {name} ({rows // 2})" for name in ("none", "nf4")]
    assert column(page, 2) == ["none"] * (rows // 2) + ["nf4"] * (rows // 2)
    select.select_option("none")
    assert heads(page) == []
    assert len(column(page, 3)) == rows


def test_groups_stay_when_rows_are_sorted_filtered_and_columns_hidden(page):
    page.locator("select[data-group^=leaderboard]").select_option("quantization")
    sorted_by(page, 5)
    values = [float(text.split()[0]) for text in column(page, 5)]
    half = len(values) // 2
    assert values[:half] == sorted(values[:half], reverse=True)
    assert values[half:] == sorted(values[half:], reverse=True)
    assert column(page, 2) == ["none"] * half + ["nf4"] * half
    page.locator("section[id^=leaderboard] summary").click()
    page.locator("input[data-table^=leaderboard][data-column='3']").uncheck()
    page.locator("input[data-filter^=leaderboard]").fill("nf4 a7")
    assert [text.partition(" (")[0] for text in heads(page)] == ["quantization: nf4"]
    assert set(column(page, 3)) == {"a7"}


def test_intervals_are_drawn_in_their_cells_on_one_scale(page):
    cells = page.locator(f"{TABLE} tbody td:nth-child(7):has(svg.bar)")
    assert cells.count() == 24
    assert cells.locator("svg[aria-hidden=true]").count() == 24
    drawn = [path.get_attribute("d") for path in cells.locator("path").all()]
    assert len({path.partition("z")[2] for path in drawn}) == 1  # zero stands in the same place
    assert cells.first.locator("svg").bounding_box()["width"] > 60
    assert cells.first.inner_text()[0] in "+-"


def test_a_heat_map_is_chosen_by_its_axes(page):
    maps = page.locator("section[id^=charts] figure[data-choice]")
    assert [m.get_attribute("data-choice") for m in maps.all()] == [
        "model × quantization", "model × adapter", "quantization × adapter",
    ]  # fmt: skip
    select = page.locator("section[id^=charts] .choices select")
    for choice in ("quantization × adapter", "model × adapter"):
        select.select_option(choice)
        shown = [m.get_attribute("data-choice") for m in maps.all() if m.is_visible()]
        assert shown == [choice]


@pytest.mark.parametrize("chart", ["forest", "trade-off", "effects"])
def test_a_point_says_its_values_and_links_to_its_row(page, chart):
    point = page.locator(f"figure[id^={chart}] a").first
    words = point.locator("title").text_content()
    assert words.startswith("tiny-")
    assert "numeric_accuracy" in words
    target = point.get_attribute("xlink:href")
    point.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector(':target').nodeName") == "TR"
    assert page.evaluate("location.hash") == target
    assert words.partition(", ")[0] in page.locator(target).inner_text()


def test_a_point_is_reached_by_a_pointer(page):
    page.locator("figure[id^=forest] a path").first.click()
    assert page.evaluate("document.querySelector(':target').nodeName") == "TR"


def test_more_examples_come_on_demand_and_a_deep_link_shows_its_own(page, address):
    items = page.locator("article.sample")
    assert page.locator("article.sample:visible").count() == 24 < items.count()
    page.locator("#sample-more").click()
    assert page.locator("article.sample:visible").count() == min(48, items.count())
    last = items.last.get_attribute("id")
    page.locator("#sample-search").fill("no such words anywhere")
    page.goto(f"{address}#{last}")
    assert page.locator(f"#{last}").is_visible()
    variant = items.last.get_attribute("data-variant")
    page.locator("#sample-variant").select_option(variant)
    assert {
        a.get_attribute("data-variant") for a in page.locator("article.sample:visible").all()
    } == {variant}


def test_without_its_script_the_page_shows_everything(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("figure:visible").count() == page.locator("figure").count() > 5
    assert page.locator("article.sample:visible").count() == page.locator("article.sample").count()
    assert page.locator(f"{TABLE} tbody tr:visible").count() == 28
    assert page.locator(".tools:visible, .choices select:visible").count() == 0
    context.close()


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


@pytest.mark.parametrize("folder", ["finance", "published", "geometry"])
def test_no_committed_page_overflows_a_phone(browser, root, folder):
    narrow = browser.new_page(viewport={"width": 390, "height": 800})
    narrow.goto((root / "reports" / folder / "leaderboard.html").as_uri())
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 390
    narrow.close()


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
