"""Tables of the page in headless Chromium: sorted, grouped, filtered; dark, narrow, accessible."""

import pytest

TABLE = "table[id^=leaderboard-ru]"


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
    page.locator("input[data-filter^=leaderboard-ru]").fill("a7")
    assert set(column(page, 3)) == {"a7"}


def test_rows_are_filtered_and_columns_chosen(page):
    page.locator("input[data-filter^=leaderboard-ru]").fill("a7")
    assert set(column(page, 3)) == {"a7"}
    page.locator("section[id^=leaderboard-ru] summary").click()
    visible = page.locator(f"{TABLE} th:visible").count()
    page.locator("input[data-table^=leaderboard-ru][data-column='3']").uncheck()
    assert page.locator(f"{TABLE} th:visible").count() == visible - 1


def heads(page):
    return page.locator(f"{TABLE} tbody.group:visible th").all_inner_texts()


def test_rows_are_grouped_by_any_axis_with_the_keyboard_too(page):
    rows = len(column(page, 3))
    select = page.locator("select[data-group^=leaderboard-ru]")
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
    page.locator("select[data-group^=leaderboard-ru]").select_option("quantization")
    sorted_by(page, 5)
    values = [float(text.split()[0]) for text in column(page, 5)]
    half = len(values) // 2
    assert values[:half] == sorted(values[:half], reverse=True)
    assert values[half:] == sorted(values[half:], reverse=True)
    assert column(page, 2) == ["none"] * half + ["nf4"] * half
    page.locator("section[id^=leaderboard-ru] summary").click()
    page.locator("input[data-table^=leaderboard-ru][data-column='3']").uncheck()
    page.locator("input[data-filter^=leaderboard-ru]").fill("nf4 a7")
    assert [text.partition(" (")[0] for text in heads(page)] == ["quantization: nf4"]
    assert set(column(page, 3)) == {"a7"}


def test_intervals_are_drawn_in_their_cells_on_one_scale(page):
    cells = page.locator(f"{TABLE} tbody td:nth-child(7):has(svg.bar)")
    assert cells.count() == 8
    assert cells.locator("svg[aria-hidden=true]").count() == 8
    drawn = [path.get_attribute("d") for path in cells.locator("path").all()]
    assert len({path.partition("z")[2] for path in drawn}) == 1  # zero stands in the same place
    assert cells.first.locator("svg").bounding_box()["width"] > 60
    assert cells.first.inner_text()[0] in "+-"


def test_a_heat_map_is_chosen_by_its_axes(page):
    part = page.locator("details[id^=charts-by-axis-ru]")
    part.locator("summary").click()
    maps = part.locator("figure[data-choice]")
    assert [m.get_attribute("data-choice") for m in maps.all()] == [
        "model × quantization", "model × adapter", "quantization × adapter",
    ]  # fmt: skip
    select = part.locator(".choices select")
    for choice in ("quantization × adapter", "model × adapter"):
        select.select_option(choice)
        shown = [m.get_attribute("data-choice") for m in maps.all() if m.is_visible()]
        assert shown == [choice]


def test_without_its_script_the_page_shows_everything(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator(f"{TABLE} tbody tr:visible").count() == 12
    assert page.locator("table[id^=leaderboard-fin] tbody tr:visible").count() == 12
    assert page.locator(".picture:visible").count() == 2
    assert page.locator(".lines:visible").count() > 4
    assert page.locator("article.sample:visible").count() == page.locator("article.sample").count()
    assert page.locator(".tools:visible, .controls:visible, .choices select:visible").count() == 0
    point = page.locator(".pt").first
    point.click()
    assert page.evaluate("document.querySelector(':target').nodeName") == "TR"
    context.close()


@pytest.mark.parametrize("width", [360, 390, 768, 900, 1100])
def test_nothing_overflows_a_screen(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("#sets button", has_text="all").click()
    for part in page.locator("details").all():
        part.evaluate("box => { box.open = true; }")
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth", timeout=5000)


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
    page.locator("#sets button", has_text="all").click()
    page.locator(".pt").first.click()
    found = axe.run(page).response["violations"]
    assert found == [], [(v["id"], v["nodes"][0]["html"]) for v in found]
    context.close()
