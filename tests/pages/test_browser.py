"""The page in a real browser, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.delivery.samples import SOURCE, Test, fault, proposal
from tests.pages.browser import Browser, find_browser, running
from tests.pages.scenes import benchmark, benchmark_results, many, one_of_each, shown, source

PROGRAM = find_browser()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium")

UNFOLD = "document.querySelectorAll('details').forEach(each => each.open = true)"
FOCUSED = "document.activeElement"
# Of what is seen of a kind.
SEEN = "[...document.querySelectorAll('{}')].filter(each => each.checkVisibility()).length"
# Texts whose contrast with what is behind them is less than WCAG's level AA asks for.
PALE = """(() => {
  const channel = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
      if (colour[3] !== 0) throw new Error('half transparent');
    }
    throw new Error('nothing is behind it');
  };
  const pale = new Set(), seen = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    const paint = element instanceof SVGElement ? 'fill' : 'color';
    const [one, other] = [light(parts(getComputedStyle(element)[paint])), light(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const name = element.getAttribute('class') ?? element.tagName;
    seen.add(name);
    if (contrast < 4.5) pale.add(`${element.tagName}.${name} ${contrast.toFixed(2)}`);
  }
  return {pale: [...pale], seen: [...seen]};
})()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running(str(PROGRAM), tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with everything that a page can have."""
    page = tmp_path_factory.mktemp("small") / "report.html"
    page.write_text(shown(one_of_each(), source()), encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("large") / "report.html"
    page.write_text(shown(many()), encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a benchmark."""
    page = tmp_path_factory.mktemp("compared") / "report.html"
    page.write_text(benchmark(benchmark_results()), encoding="utf-8")
    return page


def tab_to(browser: Browser, condition: str, most: int = 60) -> None:
    """Press Tab until something is true of what has the focus."""
    for _ in range(most):
        browser.press("Tab")
        if browser.ask(f"{FOCUSED}.{condition}"):
            return
    pytest.fail(f"nothing with {condition} gets the focus")


def test_a_page_asks_for_nothing_and_complains_of_nothing(browser, small, large, compared):
    for page in (small, large, compared):
        browser.open(page)
        assert browser.complaints() == []
        assert browser.ask("document.compatMode") == "CSS1Compat"
        assert browser.ask("document.styleSheets.length") == 1


def test_a_complaint_would_be_noticed(browser, tmp_path, small):
    page = tmp_path / "bad.html"
    bad = '<p style="color: red">x</p><script>1</script><img src="https://example.org/x.png" alt=""></body>'
    page.write_text(small.read_text(encoding="utf-8").replace("</body>", bad), encoding="utf-8")
    browser.open(page)
    complained = str(browser.complaints())
    assert all(directive in complained for directive in ("style-src", "script-src", "img-src"))


def test_the_keyboard_opens_a_verdict_and_the_focus_is_seen(browser, small):
    browser.open(small)
    browser.press("Tab")
    assert browser.ask(f"{FOCUSED}.className") == "skip"
    assert browser.ask(f"{FOCUSED}.getBoundingClientRect().top >= 0")
    tab_to(browser, "closest('.verdict:not([open])') !== null")
    assert browser.ask(f"{FOCUSED}.tagName") == "SUMMARY"
    assert browser.ask(f"parseFloat(getComputedStyle({FOCUSED}).outlineWidth) >= 2")
    browser.press("Enter")
    assert browser.ask(
        f"{FOCUSED}.parentElement.open && {FOCUSED}.parentElement.querySelector('pre').checkVisibility()"
    )
    browser.press("Enter")
    assert browser.ask(f"{FOCUSED}.parentElement.open") is False


def test_the_filter_works_by_keyboard(browser, large):
    browser.open(large)
    assert browser.ask(SEEN.format(".verdict")) == 300
    tab_to(browser, "id === 'show-all'")
    shown_by_outcome = {}
    for _ in range(9):
        browser.press("ArrowRight")
        outcome = browser.ask(f"{FOCUSED}.id").removeprefix("show-")
        shown_by_outcome[outcome] = browser.ask(SEEN.format(".verdict"))
        assert shown_by_outcome[outcome] == browser.ask(SEEN.format(f".is-{outcome}"))
        told = browser.ask(f"{FOCUSED}.closest('label').querySelector('.count').textContent")
        assert int(told) == shown_by_outcome[outcome]
    assert len(shown_by_outcome) == 9
    assert sum(shown_by_outcome.values()) == 300
    browser.press("ArrowRight")
    assert browser.ask(SEEN.format(".verdict")) == 300


def test_a_method_without_a_test_of_the_outcome_is_hidden(browser, tmp_path):
    page = tmp_path / "report.html"
    page.write_text(shown(many(9, methods=9)), encoding="utf-8")
    browser.open(page)
    browser.ask("document.querySelector('#show-flaky').click()")
    assert browser.ask(SEEN.format(".method")) == 1


def test_a_line_leads_to_its_test_even_where_that_is_filtered_out(browser, tmp_path):
    page = tmp_path / "report.html"
    tests = [
        Test(name=f"test_{number}", lines=(3, 4, 5), gained={SOURCE: (line,)})
        for number, line in enumerate((3, 4, 4, 5))
    ]
    page.write_text(shown(proposal([*tests, Test(name="test_no", outcome="failing", lines=(3, 4, 5))]), source()))
    browser.open(page)
    assert browser.ask(SEEN.format("#v1")) == 0
    browser.ask("document.querySelector('#show-failing').click()")
    assert browser.ask(SEEN.format(".verdict")) == 1
    browser.ask("document.querySelector('.by a[href=\"#v1\"]').click()")
    browser.wait("document.querySelector('#v1').checkVisibility()")
    assert browser.ask(SEEN.format(".verdict")) == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser, small, tmp_path, scheme):
    page = tmp_path / "report.html"
    # Each state of a line, and code with everything that has a colour.
    text = "@cache\ndef total(prices, rate=0):\n    '''x'''  # y\n    return f'{prices}'\n    a = 1\n    b = 2\n    c = '\u202e'\n"
    accepted = Test(lines=(2, 4, 5, 6, 7), gained={SOURCE: (4,)}, killed=(fault(line=5),), code=text)
    made = proposal([accepted, Test(name="test_no", lines=accepted.lines, outcome="vacuous")])
    vain = made.verdicts[1].model_copy(update={"gained": {SOURCE: (6,)}})
    made = made.model_copy(update={"verdicts": (made.verdicts[0], vain)})
    page.write_text(shown(made, source(text)), encoding="utf-8")
    seen = set()
    for each in (small, page):
        browser.open(each, scheme=scheme)
        browser.ask(UNFOLD)
        found = browser.ask(PALE)
        assert found["pale"] == []
        seen.update(found["seen"])
    assert {"k", "s", "n", "c", "f", "d", "u", "badge", "warning", "facts", "note", "value", "amount", "mark"} <= {
        name for names in seen for name in names.split()
    } | {"mark"}
    tones = browser.ask("[...document.querySelectorAll('.listing tr[class]')].map(each => each.className)")
    assert {"line-before", "line-gained", "line-missing", "line-untold"} <= set(tones)


def test_light_and_dark_are_what_the_reader_prefers(browser, small):
    behind = "getComputedStyle(document.documentElement).backgroundColor"
    browser.open(small, scheme="light")
    assert browser.ask(behind) == "rgb(255, 255, 255)"
    browser.show(scheme="dark")
    assert browser.ask(behind) == "rgb(15, 20, 25)"


@pytest.mark.parametrize("width", [320, 640, 1200])
def test_nothing_is_wider_than_the_screen(browser, small, compared, width):
    for page in (small, compared):
        browser.open(page, width=width)
        browser.ask(UNFOLD)
        assert browser.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_on_paper_accepted_tests_and_sources_are_unfolded(browser, small):
    browser.open(small)
    browser.ask("document.querySelectorAll('details').forEach(each => each.open = false)")
    browser.show(media="print")
    assert browser.ask(SEEN.format(".is-accepted pre, .listing")) == 2
    assert browser.ask(SEEN.format(".is-failing pre")) == 0
    assert browser.ask(SEEN.format("nav, .filter")) == 0


def test_on_paper_cases_are_unfolded(browser, compared):
    browser.open(compared)
    assert browser.ask(SEEN.format(".case .body")) == 0
    browser.show(media="print")
    assert browser.ask(SEEN.format(".case .body")) == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_of_a_benchmark_can_be_read(browser, compared, scheme):
    browser.open(compared, scheme=scheme)
    browser.ask(UNFOLD)
    found = browser.ask(PALE)
    assert found["pale"] == []
    seen = {name for names in found["seen"] for name in names.split()}
    assert {"facts", "amount", "value", "note", "numeric", "text", "CAPTION"} <= seen


def test_whiskers_are_drawn_where_the_interval_is(browser, compared):
    browser.open(compared)
    drawn = browser.ask(
        """(() => {
          const svg = document.querySelector('#gained .drawn svg:has(.whisker)'), all = svg.getBoundingClientRect();
          const [bar, line] = ['.tone-gained', '.whisker'].map(each => svg.querySelector(each).getBoundingClientRect());
          return [bar.right, line.left, line.right].map(each => Math.round(100 * (each - all.left) / all.width));
        })()"""
    )
    assert drawn == [75, 75, 75]


def test_the_order_of_the_cases_is_chosen_by_keyboard(browser, compared):
    browser.open(compared)
    tab_to(browser, "id === 'order-name'")
    for key in ("name", "changed", "missing", "gained", "behind"):
        assert browser.ask(f"{FOCUSED}.id") == f"order-{key}"
        assert browser.ask(SEEN.format(".ordered")) == browser.ask(SEEN.format(f".by-{key}")) == 1
        browser.press("ArrowRight")


def test_an_overview_leads_to_its_case_and_unfolds_it(browser, compared):
    browser.open(compared)
    assert browser.ask(SEEN.format("#c1")) == 0
    tab_to(browser, "hash === '#c1'", most=80)
    browser.press("Enter")
    browser.wait("document.querySelector('#c1').checkVisibility()")
    assert browser.ask("document.querySelectorAll('.case[open]').length") == 1


def test_a_table_that_is_wider_than_the_screen_moves_by_keyboard(browser, compared):
    browser.open(compared, width=320)
    tab_to(browser, "scrollWidth > document.activeElement.clientWidth")
    assert browser.ask(f"{FOCUSED}.getAttribute('aria-label')")
    browser.press("ArrowRight", times=3)
    browser.wait(f"{FOCUSED}.scrollLeft > 0")
    first = f"{FOCUSED}.querySelector('tbody th').getBoundingClientRect().left"
    assert browser.ask(f"Math.abs({first} - {FOCUSED}.getBoundingClientRect().left) < 1")
