"""What the reader chooses on the page: pinned variant, memory limit, data set, order, answers."""

import shutil

import pytest
from click.testing import CliRunner

from harness.analysis.leaderboard import build_leaderboard
from harness.cli import main
from harness.results.run import load_run

TABLE = "table[id^=leaderboard-ru]"
POINTS = ".picture[data-set='0'] .pt"


def names(page, selector=f"{TABLE} tbody tr:visible"):
    rows = page.locator(selector).all()
    return [", ".join(row.locator("td").all_inner_texts()[:3]) for row in rows]


def pinned(page, selector):
    found = page.locator(f"{selector} .pinned, {selector}.pinned")
    return [element.get_attribute("data-v") for element in found.all() if element.is_visible()]


@pytest.fixture(scope="module")
def table(browser_run):
    return build_leaderboard(load_run(browser_run)).tables[0]


def test_a_card_says_what_to_do_for_each_data_set(page):
    cards = page.locator(".card")
    assert [card.locator("h2").inner_text().split()[0] for card in cards.all()] == [
        "ru-calculations", "finance-labels",
    ]  # fmt: skip
    assert all(card.locator("b").inner_text().endswith((".", ":")) for card in cards.all())


@pytest.mark.parametrize("where", [POINTS, ".lines li[data-v]", f"{TABLE} tbody tr"])
def test_a_click_pins_a_variant_everywhere_and_a_second_lets_go(page, where):
    target = page.locator(f"{where}:visible").nth(5)
    number = target.get_attribute("data-v")
    target.click(position={"x": 8, "y": 8})
    assert page.locator("#pin").input_value() == number
    for place in (POINTS, "table[id^=leaderboard-ru] tr", ".lines li"):
        assert set(pinned(page, place)) == {number}, place
    assert "pin=" in page.evaluate("location.hash")
    target.click(position={"x": 8, "y": 8})
    assert page.locator("#pin").input_value() == ""
    assert page.locator(".pinned").count() == 0


def test_the_keyboard_goes_from_point_to_point_and_pins(page):
    first = page.locator(f"{POINTS}[tabindex='0']")
    before = first.get_attribute("data-v")
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    number = page.evaluate("document.activeElement.dataset.v")
    assert page.locator("#pin").input_value() == number
    assert number != before


def test_what_got_worse_is_said_of_the_pinned_variant_too(page):
    box = page.locator("#worse-pinned")
    assert box.is_hidden()
    own = page.locator('[data-card="0"] [data-pin]').get_attribute("data-pin")
    fell = page.evaluate("known.fell[0]")
    other = next(v for v in fell if v != own)
    page.locator("#pin").select_option(other)
    name = page.locator(f'#pin option[value="{other}"]').inner_text()
    assert name in box.inner_text()
    assert box.locator("li").all_inner_texts() == fell[other]
    page.locator("#pin").select_option(own)
    assert box.is_hidden(), "the card's variant is listed already"


COVERED = """
(texts) => [...document.querySelectorAll(`.picture:not([hidden]) ${texts}`)].map((name) => {
  const at = name.getBoundingClientRect();
  const dots = [...name.closest(".plot").querySelectorAll(".pt:not([hidden]) b")];
  return dots.filter((dot) => {
    const b = dot.getBoundingClientRect();
    return b.left < at.right && b.right > at.left && b.top < at.bottom && b.bottom > at.top;
  }).length;
})
"""
"""How many points each text in the picture lies on."""


@pytest.mark.parametrize("width", [1280, 360])
def test_names_in_the_picture_cover_no_point(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    for place in (0, 3):
        page.locator(".picture:not([hidden]) .pt").nth(place).click(force=True)
        covered = page.evaluate(COVERED, ".name")
        assert covered
        assert not any(covered)


TO_THE_RIGHT_END = """
(point) => {
  const line = document.querySelector(".picture:not([hidden]) .level-line");
  point.dataset.x = JSON.stringify({ memory: 96, latency: 96 });
  point.style.bottom = `calc(${line.style.bottom} + 8px)`;
}
"""
"""Move a point onto the text of a level line, where that is by default."""


@pytest.mark.parametrize("width", [1280, 360])
def test_texts_of_level_lines_cover_no_point(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    figure = page.locator(".picture:not([hidden])")
    for point in figure.locator(".pt").all()[:2]:
        point.evaluate(TO_THE_RIGHT_END)
    figure.locator("[data-cost]").select_option("latency")
    figure.locator("[data-cost]").select_option("memory")
    covered = page.evaluate(COVERED, ".level-line span")
    assert covered
    assert not any(covered)


def test_hover_and_focus_show_values_with_n(page):
    point = page.locator(POINTS).nth(3)
    point.hover()
    tip = page.locator("#tip")
    assert tip.is_visible()
    assert tip.inner_text() == point.get_attribute("aria-label")
    assert "n = " in tip.inner_text()
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    page.locator(f"{TABLE} th.term", has_text="verdict").focus()
    assert "undecided" in tip.inner_text()


def test_the_limit_greys_points_filters_tables_and_names_the_best_that_fits(page, table):
    box = page.locator(".picture[data-set='0'] .limit")
    box.locator("input[type=number]").fill("4")
    fitting = {row.name for row in table.rows if row.mean("infer_peak_vram_mib") <= 4096}
    assert 0 < len(fitting) < len(table.rows)
    assert set(names(page)) == fitting
    greyed = page.locator(f"{POINTS}.over").count()
    assert greyed == len(table.rows) - len(fitting)
    best = max((row for row in table.rows if row.name in fitting),
               key=lambda row: row.mean(table.primary_metric))  # fmt: skip
    text = box.locator("output").inner_text()
    assert text.startswith(f"Within 4 GiB: {len(fitting)} of {len(table.rows)} variants.")
    value = f"{best.mean(table.primary_metric):.3g}"
    assert value in text
    assert f"{len(fitting)} of" in page.locator("#shown").inner_text()
    box.locator("input[type=range]").fill("100")
    assert len(names(page)) == len(table.rows)


def test_a_value_of_an_axis_is_left_out_everywhere_and_comes_back(page, table):
    page.locator("#chips summary").click()
    page.locator("#chips button", has_text="nf4").click()
    assert all(", none, " in name for name in names(page))
    assert page.locator(f"{POINTS}:visible").count() == len(table.rows) // 2
    page.locator("#reset").click()
    assert len(names(page)) == len(table.rows)


def test_rows_go_best_first_and_back_to_the_order_of_the_suite(page, table):
    before = names(page)
    page.locator("#order").select_option("best")
    quality = {row.name: row.mean(table.primary_metric) for row in table.rows}
    found = [quality[name] for name in names(page)]
    assert found == sorted(found, reverse=True)
    page.locator("#order").select_option("suite")
    assert names(page) == before


def test_the_picture_is_drawn_against_another_cost(page):
    figure = page.locator(".picture[data-set='0']")
    point = figure.locator(".pt").first
    before = point.evaluate("point => point.style.left")
    figure.locator("[data-cost]").select_option("latency")
    ticks = figure.locator(".at:visible").all_inner_texts()
    assert ticks
    assert all(text.endswith(("ms", " s")) for text in ticks)
    assert point.evaluate("point => point.style.left") is not None
    figure.locator("[data-cost]").select_option("memory")
    assert point.evaluate("point => point.style.left") == before


def test_one_data_set_is_shown_at_a_time_or_all(page):
    assert page.locator("section[id^=leaderboard]:visible").count() == 1
    page.locator("#sets button", has_text="finance-labels").click()
    assert page.locator("section[id^=leaderboard-fin]").is_visible()
    page.locator("#sets button", has_text="all").click()
    assert page.locator("section[id^=leaderboard]:visible").count() == 2


def test_a_link_restores_what_was_chosen(page, address, browser):
    page.locator("#sets button", has_text="finance-labels").click()
    page.locator(".picture[data-set='1'] .pt").nth(2).click()
    page.locator("#order").select_option("best")
    link, pin = page.url, page.locator("#pin").input_value()
    other = browser.new_page()
    other.goto(link)
    assert other.locator("section[id^=leaderboard-fin]").is_visible()
    assert other.locator("#pin").input_value() == pin
    assert other.locator("#order").input_value() == "best"
    other.close()


def test_a_listed_flip_leads_to_the_whole_answer(page):
    links = page.locator("#worse a").all()
    assert links
    for link in links:
        page.locator("#sets button", has_text="all").click()
        prompt = link.inner_text().rstrip("…")
        link.click()
        page.wait_for_selector(".sample.linked")
        shown = page.locator(".sample.linked").inner_text()
        assert " ".join(prompt.split())[:60] in " ".join(shown.split())
        assert page.locator(".sample.linked .lost").count() == 1


def test_answers_are_those_of_the_pinned_pair_searched_and_by_outcome(page):
    row = page.locator(f"{TABLE} tbody tr", has_text="a7").first
    row.click(position={"x": 8, "y": 8})
    note = page.locator("#answer-note")
    assert " · a7 against its baseline" in note.inner_text()
    for outcome in ("lost", "won", "equal"):
        page.locator("#answer-view").select_option(outcome)
        kinds = page.locator(f".sample h4 > span:not(.{outcome})").count()
        assert kinds == 0
    page.locator("#answer-view").select_option("all")
    shown = page.locator(".sample").count()
    page.locator("#answer-more").click()
    assert page.locator(".sample").count() > shown
    page.locator("#answer-search").fill("no such words anywhere")
    assert page.locator("#answer-count").inner_text() == "0 of 0 shown"


def test_the_number_that_was_read_is_framed_in_the_text(page):
    page.locator(f"{TABLE} tbody tr", has_text="a7").first.click(position={"x": 8, "y": 8})
    framed = page.locator(".sample .read")
    assert framed.count() > 0
    assert any(char.isdigit() for char in framed.first.inner_text())


def test_print_shows_the_summary_alone(page):
    page.emulate_media(media="print")
    assert page.locator("#decide").is_visible()
    assert page.locator(".picture:visible").count() == 2
    assert page.locator("#q-choice .lines:visible").count() == 2
    assert page.locator("table:visible, #terms:visible, .controls:visible").count() == 0


OVERLAPPING = """
() => [...document.querySelectorAll(".picture")].flatMap((figure) => {
  const texts = [...figure.querySelectorAll(".plot span, .plot .name, .plot .at, .key li")]
    .filter((text) => text.checkVisibility() && text.textContent)
    .map((text) => [text.textContent, text.getBoundingClientRect()]);
  return texts.flatMap(([one, a], k) => texts.slice(k + 1)
    .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1
      && b.top < a.bottom - 1)
    .map(([two]) => `${one} | ${two}`));
})
"""
"""Pairs of texts of a picture that lie on each other."""


@pytest.mark.parametrize("way", ["paper", "no script"])
def test_texts_of_the_picture_never_overlap_where_no_script_places_them(
    page, browser, address, way
):
    made = page if way == "paper" else browser.new_page(java_script_enabled=False)
    if way == "paper":
        page.set_viewport_size({"width": 718, "height": 900})  # A4 less its margins
        page.emulate_media(media="print")
    else:
        made.goto(address)
    levels = made.locator(".picture .levels li")
    assert levels.count() >= 2
    assert all(each.is_visible() for each in levels.all())
    assert made.locator(".level-line span:visible").count() == 0
    assert made.evaluate(OVERLAPPING) == []


def test_a_phone_answers_the_questions_within_two_screens(page):
    page.set_viewport_size({"width": 390, "height": 844})
    for part in (".card", ".picture:not([hidden])", ".doubts", "#worse", "#q-choice .lead"):
        box = page.locator(part).first.bounding_box()
        assert box["y"] + min(box["height"], 60) < 2 * 844, part


def test_eight_data_sets_are_answered_within_two_screens_too(browser, root, tmp_path):
    """Those of the published suites: every card, and seven reasons for grave doubt."""
    packed = map(str, sorted((root / "reports/published").glob("*.tar.xz")))
    CliRunner().invoke(main, ["report", *packed, "-o", str(tmp_path)])
    made = browser.new_page(viewport={"width": 390, "height": 844})
    made.goto((tmp_path / "leaderboard.html").as_uri())
    assert made.locator(".card").count() == 8
    for part in (".card", ".picture:not([hidden])", ".doubts", "#worse", "#q-choice .lead"):
        box = made.locator(part).first.bounding_box()
        assert box["y"] + min(box["height"], 60) < 2 * 844, part
    assert made.evaluate("document.documentElement.scrollWidth") == 390
    made.close()


def test_a_doubt_is_short_on_a_phone_and_whole_when_tapped(page):
    page.set_viewport_size({"width": 390, "height": 844})
    doubt = page.locator(".beside .doubt-list li:has(.brief)").first
    assert doubt.locator(".whole").is_hidden()
    doubt.click()
    assert doubt.locator(".whole").is_visible()
    assert doubt.locator(".brief").is_hidden()


def test_several_runs_of_one_suite_show_what_changed_between_them(browser, browser_run, tmp_path):
    later = shutil.copytree(browser_run, tmp_path / "later")
    result = CliRunner().invoke(
        main, ["report", str(browser_run), str(later), "-o", str(tmp_path / "r")]
    )
    assert result.exit_code == 0, result.output
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto((tmp_path / "r" / "leaderboard.html").as_uri())
    part = page.locator("#q-time")
    assert part.locator("table").count() == 2
    assert part.locator("figure svg").count() > 0
    page.locator("header nav a", has_text="Runs").click()
    assert part.is_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    tops = [page.locator(f"{where}:visible").first.bounding_box()["y"]
            for where in (".card", ".picture", "#q-choice", "#q-time")]  # fmt: skip
    assert tops == sorted(tops), "on a phone the decision comes before the history"
    page.close()
