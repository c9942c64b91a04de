"""The page in a real browser, as people use it: by hand, by keys alone, by ear, on a phone, and with thousands of results."""

from __future__ import annotations

import base64
import contextlib
import csv
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import lmr
from tests import test_web
from tests.conftest import Cli, forget
from tests.test_web import base, ids_on

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, and a Chromium of the system")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium of the system"),
]
home, page, c = test_web.home, test_web.page, test_web.c  # the page with hostile names
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 760}
MOST_TABS = 250
DROPPED = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0)), given = new DataTransfer();
  given.items.add(new File([bytes], "one.jpg", { type: "image/jpeg" }));
  const about = { bubbles: true, cancelable: true };
  document.querySelector("main").dispatchEvent(name === "drop"
    ? new DragEvent("drop", { ...about, dataTransfer: given })
    : new ClipboardEvent("paste", { ...about, clipboardData: given }));
}"""
FOCUS = """() => {  // what has the focus: its name, and whether one sees that it has
  const one = document.activeElement, style = getComputedStyle(one), circle = one.querySelector("circle");
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const drawn = circle && parseFloat(getComputedStyle(circle).strokeWidth) >= 4;
  const edge = one.getBoundingClientRect(), label = one.labels?.[0]?.innerText;
  return { name: (label || one.getAttribute("aria-label") || one.innerText || one.textContent || one.querySelector("img")?.alt || "").trim(),
           tag: one.tagName, seen: Boolean(ring || drawn || one.closest(".camera")), inside: edge.right > 0 && edge.bottom > 0 && edge.left < innerWidth };
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium) -> Iterator[Callable[..., Any]]:
    """Opens a page that is served in a tab of its own; at the end: nothing was blocked, ran, or left this machine."""
    contexts, faults, asked, ours = [], [], set(), set()

    def open_(served: Any, **options: Any) -> Any:
        contexts.append(chromium.new_context(**{"viewport": WIDE, **options}))
        tab = contexts[-1].new_page()
        ours.add(urlsplit(served.address).netloc)
        tab.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("dialog", lambda dialog: faults.append(f"a script ran: {dialog.message}"))
        tab.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        enter(tab, served, served.address)
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert asked <= ours and not faults


def enter(tab: Any, served: Any, address: str) -> None:
    """Open a page by its address with a token, which goes on to the page without one by itself."""
    tab.goto(address)
    tab.wait_for_url(f"{base(served)}/")


def until(tab: Any, expression: str) -> None:
    """Wait until an expression is true; Playwright's own way is refused by what pages let run."""
    for _ in range(600):
        with contextlib.suppress(playwright.Error):  # another page is just coming
            if tab.evaluate(f"Boolean({expression})"):
                return
        tab.wait_for_timeout(50)
    raise AssertionError(f"never on {tab.url}: {expression}")


WIDER = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > innerWidth).map((one) => one.outerHTML.slice(0, 200))"""


def test_photos_are_picked_dropped_pasted_and_taken(page, c: lmr.Collection, home: Path, opened) -> None:
    wanted = [hit.image.id for hit in c.search(home / "one.jpg", top=60)]
    data = base64.b64encode((home / "one.jpg").read_bytes()).decode()
    tab = opened(page)
    assert not tab.is_visible(".camera")
    for give in (
        lambda: tab.set_input_files("#photo", home / "one.jpg"),
        lambda: tab.evaluate(DROPPED, ["drop", data]),
        lambda: tab.evaluate(DROPPED, ["paste", data]),
    ):
        tab.goto(f"{base(page)}/")
        give()
        tab.wait_for_url("**/search**")
        assert ids_on(tab.content()) == wanted
    phone = opened(page, viewport=PHONE, has_touch=True, is_mobile=True)
    assert phone.is_visible("text=Take a photo")
    phone.set_input_files(".camera input", home / "one.jpg")
    phone.wait_for_url("**/search**")
    assert ids_on(phone.content()) == wanted


def test_several_photos_a_part_and_filters_by_hand(page, home: Path, opened) -> None:
    tab = opened(page, viewport=PHONE)
    tab.set_input_files("#photo", [home / "one.jpg", home / "photos" / "bank-0.jpg"])
    tab.wait_for_url("**/search**")
    assert tab.locator(".chips li").count() == 2
    tab.click("text=Add to the question >> nth=0")
    until(tab, "document.querySelectorAll('.chips li').length === 3")
    tab.click(".away >> nth=0")
    until(tab, "document.querySelectorAll('.chips li').length === 2")
    tab.click("text=Add photos of the same place")
    tab.set_input_files("#photo", home / "photos" / "bank-4.jpg")
    until(tab, "document.querySelectorAll('.chips li').length === 3")
    tab.goto(f"{base(page)}/")
    tab.set_input_files("#photo", home / "one.jpg")
    tab.wait_for_url("**/search**")
    edge = tab.locator(".draw img").bounding_box()
    tab.mouse.move(edge["x"] + 20, edge["y"] + 15)
    tab.mouse.down()
    tab.mouse.move(edge["x"] + edge["width"] - 5, edge["y"] + edge["height"] - 5)
    tab.mouse.up()
    tab.wait_for_url("**box=**")
    assert "Searched with a part of it" in tab.inner_text("main") and tab.is_visible(".draw div")
    tab.click("text=With the whole photo")
    tab.click("summary:has-text('Filters')")
    tab.click("text=verified only")
    tab.wait_for_url("**verified_only=1**")
    shared, cards = tab.url, ids_on(tab.content())
    assert tab.is_visible("text=only >> nth=0") and cards
    other = opened(page)
    other.goto(shared)
    assert ids_on(other.content()) == cards, "a filter is a link that can be sent"


# ------------------------------------------------------------ by keys alone


def reach(tab: Any, name: str, key: str | None = "Enter", tag: str = "") -> None:
    """Go on by Tab until what has that name has the focus, and press a key there. All on the way is seen to have it."""
    for _ in range(MOST_TABS):
        tab.keyboard.press("Tab")
        at = tab.evaluate(FOCUS)
        if at["tag"] != "BODY":
            assert at["seen"] and at["inside"], at
        if name in at["name"] and tag in at["tag"]:
            break
    else:
        raise AssertionError(f"{name} is not reached by keys on {tab.url}")
    if key is not None:
        tab.keyboard.press(key)


def test_search_and_why_by_keys_alone(page, c: lmr.Collection, opened) -> None:
    tab = opened(page)
    reach(tab, "To the content", tag="A")
    reach(tab, "pick the files", None)
    assert tab.evaluate("document.activeElement.type") == "file"
    reach(tab, ".jpg", tag="A")
    tab.wait_for_url("**/search?of=**")
    reach(tab, "Filters")
    reach(tab, "verified only")
    tab.wait_for_url("**verified_only=1**")
    assert tab.locator("[aria-current=true]").inner_text() == "verified only"
    reach(tab, "Why?")
    tab.wait_for_url("**/why?**")
    reach(tab, "Lay one over the other")
    tab.wait_for_selector(".stack img >> nth=1")
    reach(tab, "from the one to the other", "End")
    assert tab.evaluate("document.querySelector('.stack img + img').style.opacity") == "1"
    reach(tab, "Blink", "Space")
    assert tab.get_attribute(".over button", "aria-pressed") == "true"
    until(tab, "document.querySelector('.stack img + img').style.opacity === '0'")
    tab.keyboard.press("Space")
    for key in "ynlub":  # keys of other pages mean nothing here
        tab.keyboard.press(key)
    reach(tab, "reason", None)
    tab.keyboard.type("by no means")
    reach(tab, "No, another place")
    tab.wait_for_selector(".said")
    assert "rejected: by no means" in tab.inner_text(".said") and c.rulings()[0].verdict == "rejected"
    reach(tab, "Undo")
    tab.wait_for_selector(".said", state="detached")
    assert c.rulings() == []


def test_graph_places_map_and_collection_by_keys_alone(page, c: lmr.Collection, opened) -> None:
    tab, place = opened(page), c.clusters()[0]
    tab.goto(f"{base(page)}/photos/{place.central}")
    tab.wait_for_selector("#graph a")
    reach(tab, "", None, tag="a")
    there = tab.evaluate("document.activeElement.getAttribute('href')")
    with tab.expect_navigation():  # it may be the photo in the middle
        tab.keyboard.press("Enter")
    assert tab.url.endswith(there)
    tab.goto(f"{base(page)}/places")
    reach(tab, "most central photo")
    tab.wait_for_url("**/places/*")
    former = c.labels
    reach(tab, "name", None, tag="INPUT")
    tab.keyboard.type("Old place")
    reach(tab, "Name all of them")
    tab.wait_for_selector("h1:has-text('Old place')")
    reach(tab, "Undo: ")
    tab.wait_for_selector("h1:has-text('Old place')", state="detached")
    assert c.labels == former
    tab.goto(f"{base(page)}/map")
    reach(tab, "photo", None, tag="a")
    there = tab.evaluate("document.activeElement.getAttribute('href')")
    with tab.expect_navigation():
        tab.keyboard.press("Enter")
    assert tab.url.endswith(there)
    tab.goto(f"{base(page)}/collection")
    before = tab.locator("[data-job]").count()
    reach(tab, "Find places")
    until(tab, f"document.querySelectorAll('[data-job]').length > {before}")
    until(tab, "document.querySelector('[data-part=state]').textContent === 'done'")


# ------------------------------------------------------------ by ear, in both colours, on a phone


def paths(c: lmr.Collection) -> list[str]:
    """A page of each kind."""
    first, other = c.clusters()[0].central, c.search(lmr.ImageId(c.clusters()[0].central)).hits[0].image.id
    return [
        "/", f"/search?of={first}", f"/search?of={first}&verified_only=1&near=0,0", f"/search?of={first},{other}",
        f"/why?of={first}&goal={other}", f"/photos/{first}?hidden=1", f"/pair/{first}/{other}", "/places",
        f"/places?with={c.clusters()[0].id}", f"/places/{c.clusters()[0].id}", "/map", "/review", "/collection", "/search",
    ]  # fmt: skip


@pytest.mark.parametrize(("scheme", "viewport"), [("light", WIDE), ("dark", WIDE), ("light", PHONE), ("dark", PHONE)])
def test_all_pages_can_be_read_by_all(
    page, c: lmr.Collection, home: Path, chromium, scheme: str, viewport: dict
) -> None:
    """By axe: contrast, names of images, links and fields, landmarks, the order of headings, what can be hit; and fits."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    context = chromium.new_context(viewport=viewport, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(page.address)
    tab.wait_for_url(f"{base(page)}/")
    tab.set_input_files("#photo", home / "one.jpg")
    tab.wait_for_url("**/search**")
    own = tab.url.removeprefix(base(page))
    for path in (
        *paths(c),
        own,
        own.replace("/search", "/why") + f"&goal={c.search(home / 'one.jpg').hits[0].image.id}",
    ):
        tab.goto(base(page) + path)
        tab.wait_for_load_state("load" if path == "/collection" else "networkidle")
        tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        told = axe.run(tab, options={"rules": {"target-size": {"enabled": True}}}).response
        faults = [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in told["violations"]]
        assert not faults and len(told["passes"]) > 15, (path, faults)
        assert tab.evaluate(WIDER) == [], path
    context.close()


def test_what_happens_is_said(page, opened) -> None:
    """Where no new page tells it: that a search goes on, and how a job ends."""
    tab = opened(page)
    tab.evaluate("document.querySelector('form.drop').addEventListener('submit', (event) => event.preventDefault())")
    tab.set_input_files("#photo", {"name": "x.jpg", "mimeType": "image/jpeg", "buffer": b"x"})
    assert tab.inner_text(".drop [role=status]") == "Searching …"
    tab.goto(f"{base(page)}/collection")
    job = page._site.jobs.ask("link", "a long job", lambda c: None)
    page._site.jobs.finished(job, 60)
    tab.wait_for_selector(f"[data-job='{job.id}']")
    assert "done" in tab.inner_text(f"[data-job='{job.id}']")


# ------------------------------------------------------------ thousands of results

MANY = 3_000


def bare(running: Any, folder: Path, edges: list[tuple[int, int, int]]) -> Any:
    """The page of a collection of matches (a, b, inliers) between images without photos."""
    forget(running)
    graph, milvus = running
    where = {"neo4j_uri": graph.access.uri, "neo4j_password": graph.access.password, "milvus_uri": milvus}
    with (folder / "edges.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("a", "b", "inliers"), *((f"{a}.jpg", f"{b}.jpg", n) for a, b, n in edges)])
    with lmr.open(folder / "lmr", workers=1, **where) as c:
        c.import_edges(folder / "edges.csv", bare=True)
        c.link()
    return lmr.serve(folder / "lmr", port=0, workers=1, **where)


@pytest.fixture(scope="module")
def many(running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Thousands, all of which each leads to."""
    rng = random.Random(0)
    edges = [(k, rng.randrange(k), rng.randint(20, 400)) for k in range(1, MANY)]
    with bare(running, tmp_path_factory.mktemp("many"), edges) as served:
        yield served


def test_thousands_of_results_do_not_freeze_the_page(many, opened) -> None:
    """The last of them cost as little as the first, whatever else the machine is busy with."""
    tab = opened(many)
    meter = tab.context.new_cdp_session(tab)
    meter.send("Performance.enable")

    def spent() -> float:
        told = {one["name"]: one["value"] for one in meter.send("Performance.getMetrics")["metrics"]}
        return told["LayoutDuration"] + told["RecalcStyleDuration"]

    tab.goto(f"{base(many)}/search?of={many._site.c.image_ids(limit=1)[0]}")
    costs, before = [], spent()
    while tab.locator("li.more").count():
        count = tab.locator("li.card").count()
        tab.evaluate("document.querySelector('li.more')?.scrollIntoView()")
        until(tab, f"document.querySelectorAll('li.card').length > {count} || !document.querySelector('li.more')")
        costs.append(spent() - before)
        before += costs[-1]
    assert tab.locator("li.card").count() == MANY - 1 and len(costs) == (MANY - 1) // 60
    part = len(costs) // 4
    assert sum(costs[-part:]) < 2.5 * sum(costs[:part]), costs
    assert tab.inner_text("#told") == f"{MANY - 1} are shown"


def test_what_loads_keeps_the_focus(many, opened) -> None:
    tab = opened(many)
    tab.goto(f"{base(many)}/search?of={many._site.c.image_ids(limit=1)[0]}")
    for _ in range(2 * MOST_TABS):
        tab.keyboard.press("Tab")
        if tab.locator("li.card").count() >= 120:
            break
    assert tab.locator("li.card").count() >= 120
    assert tab.evaluate("document.activeElement.closest('.card') !== null")


def test_the_review_by_keys_alone(running, tmp_path: Path, opened) -> None:
    """Three groups, held together by a match each."""
    inside = [(a, b, 200) for k in (0, 4, 8) for a in range(k, k + 4) for b in range(k, a)]
    with bare(running, tmp_path, [*inside, (0, 4, 20), (4, 8, 25)]) as served:
        c = served._site.c
        first, second = c.review(50)
        tab = opened(served)
        tab.goto(f"{base(served)}/review")
        assert "2 left. " in tab.inner_text("main")
        tab.keyboard.press("l")
        tab.wait_for_url("**/review?later=**")
        assert "1 left, 1 put off" in tab.inner_text("main")
        reach(tab, "reason", None)
        tab.keyboard.type("any")  # letters, where one types
        assert tab.input_value("input[name=why]") == "any" and c.rulings() == []
        tab.keyboard.press("Tab")
        tab.keyboard.press("y")
        tab.wait_for_selector("text=What was said last")
        (said,) = c.rulings()
        assert (said.verdict, {said.a, said.b}, said.why) == ("confirmed", {second.a, second.b}, "any")
        tab.keyboard.press("u")
        tab.wait_for_selector("text=What was said last", state="detached")
        assert c.rulings() == [] and "1 left, 1 put off" in tab.inner_text("main")
        tab.keyboard.press("n")
        tab.wait_for_selector("text=What was said last")
        assert [(one.verdict, {one.a, one.b}) for one in c.rulings()] == [("rejected", {second.a, second.b})]
        assert "Nothing is left to look at but what was put off" in tab.inner_text("main")
        tab.click("text=go through it again")
        assert first.names[0] in tab.inner_text("main")


# ------------------------------------------------------------ beyond the page


def test_neo4j_browser_opens_with_the_query(demo: Cli, chromium) -> None:
    """For the owner alone."""
    with lmr.serve(demo.home, port=0) as served:
        context = chromium.new_context(viewport=WIDE)
        tab = context.new_page()
        id = served._site.c.image_ids(limit=1)[0]
        enter(tab, served, served.addresses["look"])
        tab.goto(f"{base(served)}/photos/{id}")
        assert not tab.locator("text=Show this in Neo4j Browser").count() and "lmr browse" in tab.content()
        enter(tab, served, served.address)
        tab.goto(f"{base(served)}/photos/{id}")
        with context.expect_page() as shown:
            tab.click("text=Show this in Neo4j Browser")
        shown.value.wait_for_selector(f"text={id}", timeout=60_000)
        shown.value.wait_for_selector("input[type=password]")
        context.close()
