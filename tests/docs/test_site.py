"""The built site: its links, its pages in a real browser, and the way to an answer.

Build it with `python -m sphinx -W --keep-going docs site`. `KERAS_TIED_SITE` names
another folder; `KERAS_TIED_PAGES=all` opens every page in the browser, at three widths,
instead of one of each kind at two.
"""

import functools
import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from tests.marks import for_each, slow
from tests.processes import serve_folder

from .questions import QUESTIONS

ROOT = Path(__file__).parents[2]
SITE = Path(os.environ.get("KERAS_TIED_SITE", ROOT / "site"))
ALL = os.environ.get("KERAS_TIED_PAGES") == "all"
LIVE = "clients.html"  # the report in its frame, which tests/report tests
KINDS = """
index.html
search.html
tutorials/index.html
gallery/index.html
gallery/plot_donuts.html
tutorials/plot_01_payments.html
howto/fill-csv.html
guide/command.html
benchmarks.html
reference/index.html
reference/tables.html
reference/generated/tied_tables.estimator.TiedAutoencoder.html
changelog.html
""".split()
WIDTHS = (390, 768, 1440) if ALL else (390, 1440)

pytestmark = [
    slow,
    pytest.mark.skipif(not SITE.exists(), reason="the site is not built"),
]


PATHS = sorted(path.relative_to(SITE) for path in SITE.rglob("*.html"))
PAGES = [
    path.as_posix()
    for path in PATHS
    if path.name != LIVE and path.parts[0] != "_static"
]
OPENED = PAGES if ALL else KINDS


class Links(HTMLParser):
    """The addresses that a page names, and the places in it that can be named."""

    def __init__(self, page):
        super().__init__()
        self.addresses = set()
        self.places = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src") and value and tag != "base":
                self.addresses.add(value)
            elif name in ("id", "name") and value:
                self.places.add(value)


@functools.cache
def read_links(page):
    return Links(page)


def find_broken(page):
    """The addresses within the site that lead nowhere."""
    broken = []
    for address in read_links(SITE / page).addresses:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = (
            (SITE / page).parent / unquote(parts.path) if parts.path else SITE / page
        )
        is_page = target.suffix == ".html" and target.name != LIVE
        if not target.is_file() or (
            parts.fragment
            and is_page
            and unquote(parts.fragment) not in read_links(target).places
        ):
            broken.append(address)
    return broken


def test_links_within_the_site_lead_somewhere():
    broken = {page: addresses for page in PAGES if (addresses := find_broken(page))}
    assert not broken


@pytest.fixture(scope="module")
def address():
    """Where a server on loopback serves the site."""
    with serve_folder(SITE) as place:
        yield f"http://{place}"


@pytest.fixture(scope="module", params=["light", "dark"])
def tab(chromium, request):
    page = chromium.new_page(color_scheme=request.param)
    page.route(
        f"**/{LIVE}", lambda route: route.fulfill(body="<html lang=en><title>x</title>")
    )
    yield page
    page.close()


@pytest.mark.parametrize("page", OPENED)
def test_page_is_accessible_and_no_wider_than_the_window(page, tab, address):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 900})
        tab.goto(f"{address}/{page}")
        inside = tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert inside, f"at {width} pixels the page scrolls sideways"
        violations = axe.run(tab, options={"iframes": False}).response["violations"]
        texts = [
            f"{each['id']}: {node['html'][:200]}"
            f" {node['any'][0]['message'] if node['any'] else ''}"
            for each in violations
            for node in each["nodes"]
        ]
        assert not texts, f"at {width} pixels"


def test_start_page_is_smaller_than_a_megabyte(chromium, address):
    sizes = {}
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    page.on(
        "response", lambda response: sizes.update({response.url: len(response.body())})
    )
    page.route(f"**/{LIVE}", lambda route: route.abort())
    page.goto(f"{address}/index.html", wait_until="networkidle")
    page.close()
    assert sum(sizes.values()) < 1e6, sizes


@pytest.fixture(scope="module")
def search_tab(chromium):
    page = chromium.new_page()
    yield page
    page.close()


@for_each(QUESTIONS, "answer")
def test_answer_is_two_clicks_from_the_start_page(answer):
    clicks = {"index.html"}
    for _ in range(2):
        clicks |= {
            os.path.normpath(os.path.join(os.path.dirname(page), urlsplit(link).path))
            for page in clicks & set(PAGES)
            for link in read_links(SITE / page).addresses
            if not urlsplit(link).scheme
        }
    assert answer in clicks


@pytest.mark.parametrize("words", QUESTIONS)
def test_search_finds_the_answer(words, search_tab, address):
    search_tab.goto(f"{address}/search.html?q={words.replace(' ', '+')}")
    search_tab.wait_for_function(
        "/found|match/.test(document.querySelector('#search-results p')?.textContent)"
    )
    results = search_tab.locator("#search-results > ul.search > li > a").evaluate_all(
        "all => all.map(each => each.pathname.slice(1))"
    )
    assert QUESTIONS[words] in results[:5]
