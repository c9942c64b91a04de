"""The page and the interface for programs, served on a small collection whose names and labels are hostile."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import hashlib
import html
import io
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import httpx
import pytest

import lmr
from lmr.library.result import found_of
from lmr.method.evaluation.protocols import GroundTruth, Query
from lmr.plain import plain
from lmr.web import takeaway
from lmr.web.api import CALLS
from lmr.web.asked import TOGETHER
from lmr.web.calls import PREFIX
from lmr.web.crew import Crew, CrewBusy
from lmr.web.guard import Access
from lmr.web.jobs import NOTES, Jobs
from lmr.web.kept import Kept, PhotosInHand
from lmr.web.lately import Lately
from lmr.web.mapped import View, gathered
from lmr.web.measured import MEASURED
from lmr.web.outline import FILE, land
from tests.conftest import ROOT, forget, that_hears_interrupts
from tests.photos.tagged import xmp

PLACES = {"bank": 6, "mill": 4}
NAMES = {
    "bank-1.jpg": '"><img src=x onerror=alert(1)>.jpg',
    "bank-2.jpg": "bank'2' onload='alert(2)' {{7*7}} &amp;.jpg",
    "bank-3.jpg": "line\nbreak \u202egpj.jpg",
}
PLACED = {
    "bank-0": ((52.5, 13.4), "1905"),
    "bank-4": ((52.501, 13.401), "2004"),
    "mill-corner-4": ((-33.9, 18.4), "2004-07-14"),
}
LABELS = {"bank": "</a><script>alert(3)</script>", "mill": "javascript:alert(4)\"'&"}


@pytest.fixture(scope="module")
def home(little: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web")
    photos = folder / "photos"
    photos.mkdir()
    rows = [("image", "landmark", "split")]
    for place, count in PLACES.items():
        for path in sorted(little.glob(f"{place}-*.jpg"))[:count]:
            name = NAMES.get(path.name, path.name)
            shutil.copy(path, photos / name)
            if path.stem in PLACED:
                at, when = PLACED[path.stem]
                values = f'exif:GPSLatitude="{at[0]}" exif:GPSLongitude="{at[1]}" photoshop:DateCreated="{when}"'
                (photos / f"{path.stem}.xmp").write_bytes(xmp(attributes=values))
            rows.append((name, LABELS[place], "index"))
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    shutil.copy(little / "mill-query.jpg", folder / "one.jpg")
    return folder


@pytest.fixture(scope="module")
def page(home: Path, running) -> Iterator[object]:
    forget(running)
    graph, milvus = running
    where = {"neo4j_uri": graph.access.uri, "neo4j_password": graph.access.password, "milvus_uri": milvus}
    with lmr.open(home / "lmr", workers=1, **where) as c:
        c.ingest(home / "photos", labels=home / "labels.csv")
        c.link()
        c.cluster()
    with lmr.serve(home / "lmr", port=0, photos=[home / "photos"], workers=1, **where) as served:
        served.where = where
        yield served


@pytest.fixture(scope="module")
def c(page, home: Path) -> Iterator[lmr.Collection]:
    """The same collection in Python."""
    with lmr.open(home / "lmr", create=False, workers=1, **page.where) as collection:
        yield collection


def base(page) -> str:
    return page.address.split("/?")[0]


@pytest.fixture(scope="module")
def browser(page) -> Iterator[httpx.Client]:
    """A client that came by the printed address, and says where its forms are as browsers do."""
    with httpx.Client(base_url=base(page), timeout=120) as client:
        entry = client.get(page.address)
        assert entry.status_code == 200 and "0;url=/" in entry.text
        cookie = entry.headers["set-cookie"]
        assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower() and page.token not in cookie
        client.headers["origin"] = base(page)
        yield client


@pytest.fixture(scope="module")
def program(page) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {page.token}"}
    with httpx.Client(base_url=base(page) + PREFIX, headers=headers, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def bank(c: lmr.Collection) -> lmr.ImageId:
    return next(image.id for image in c.images() if image.landmark == LABELS["bank"])


# ------------------------------------------------------------ who is let in


def test_only_those_with_the_token_from_our_own_pages_are_answered(page, browser: httpx.Client) -> None:
    port = urlsplit(page.address).port
    with httpx.Client(base_url=base(page)) as stranger:
        for path in ("/", "/search?of=abc", "/static/page.css", f"{PREFIX}/status", "/?token=wrong", "/jobs/events"):
            refused = stranger.get(path)
            assert refused.status_code == 401 and "lmr serve" in refused.text, path
        for header in ("Bearer wrong", "Bearer", f"Basic {page.token}", "Bearer \xff"):
            assert (
                stranger.get(f"{PREFIX}/status", headers={"authorization": header.encode("latin1")}).status_code == 401
            )
        stranger.cookies.set(f"lmr-{port}", page.token)
        assert stranger.get("/").status_code == 401, "the token is no cookie"
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1:1", f"user@127.0.0.1:{port}", "[::1", ""):
        assert browser.get("/", headers={"host": host}).status_code == 421, host
    for host in (f"localhost:{port}", f"[::1]:{port}"):
        assert browser.get("/static/page.css", headers={"host": host}).status_code == 200, host
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{port + 1}", f"http://localhost:{port}"):
        assert browser.post("/jobs", data={"kind": "link"}, headers={"origin": origin}).status_code == 403, origin
    without = httpx.Client(base_url=base(page), cookies=browser.cookies)
    assert without.post("/jobs", data={"kind": "link"}).status_code == 403, "a cookie without an origin"


def test_roles_look_rule_and_manage(page, home: Path, bank: lmr.ImageId) -> None:
    """What each address is for, by its token and by the cookie that it becomes."""
    data = (home / "one.jpg").read_bytes()
    changes = (
        ("look", "/photos", {"files": {"photo": ("one.jpg", data)}}),
        ("look", f"{PREFIX}/search", {"content": data}),
        ("rule", "/rule", {"data": {"a": bank, "b": bank, "verdict": "reject"}}),
        ("rule", f"{PREFIX}/rulings", {"json": {"a": bank, "b": bank, "verdict": "reject"}}),
        ("rule", "/name", {"data": {"place": bank, "which": "undo"}}),
        ("rule", f"{PREFIX}/labels", {"json": {"images": [bank], "label": " "}}),
        ("manage", "/jobs", {"data": {"cancel": "none"}}),
        ("manage", f"{PREFIX}/jobs", {"json": {"kind": "none"}}),
    )
    roles = ("look", "rule", "manage")
    for rank, role in enumerate(roles):
        token = page.addresses[role].partition("token=")[2]
        with httpx.Client(base_url=base(page), timeout=60, headers={"origin": base(page)}) as client:
            client.get(page.addresses[role])
            shown = client.get("/collection").text, client.get(f"/pair/{bank}/{bank}").text
            assert ('action="/jobs"' in shown[0], 'action="/rule"' in shown[1]) == (rank == 2, rank >= 1)
            for needed, path, body in changes:
                allowed = rank >= roles.index(needed)
                assert (client.post(path, **body).status_code != 403) == allowed, (role, path)
                bearer = httpx.post(base(page) + path, headers={"authorization": f"Bearer {token}"}, timeout=60, **body)
                assert (bearer.status_code != 403) == allowed, (role, path)
            deleted = client.delete(f"{PREFIX}/jobs/none").status_code
            assert deleted == (404 if rank == 2 else 403)


def test_hosts_beyond_loopback() -> None:
    listening = Access(8765, ("photos.example",), numbers=True)
    for host in ("photos.example", "photos.example:443", "192.168.1.7:8765", "[fe80::1]:8765", "localhost:8765"):
        assert listening.is_host(host), host
    for host in ("192.168.1.7", "192.168.1.7:80", "other.example:8765", "photos.example@evil.example", "", "a/b"):
        assert not listening.is_host(host), host
    assert not Access(8765).is_host("192.168.1.7:8765")


# ------------------------------------------------------------ pages with hostile names


class Seen(HTMLParser):
    """The elements of a page: where they lead, and what could run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.faults: list[str] = []
        self._in_label, self._labelled = False, set[str | None]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("iframe", "object", "embed", "style", "base", "math") or any(
            name.startswith("on") or name in ("style", "srcdoc") for name in values
        ):
            self.faults.append(self.get_starttag_text() or tag)
        if tag == "script" and not (values.get("src") or "").startswith("/static/"):
            self.faults.append(self.get_starttag_text() or tag)
        if tag == "img" and values.get("alt") is None:
            self.faults.append(f"no alt: {self.get_starttag_text()}")
        if tag == "label":
            self._in_label = True
            self._labelled.add(values.get("for"))
        if tag == "input" and values.get("type") != "hidden" and not self._in_label:
            if values.get("id") not in self._labelled:
                self.faults.append(f"no label: {self.get_starttag_text()}")
        for name in ("href", "src", "data-source"):
            if values.get(name):
                self.links.append(values[name] or "")

    def handle_endtag(self, tag: str) -> None:
        self._in_label = self._in_label and tag != "label"


def test_all_pages_with_hostile_names_are_inert(page, browser: httpx.Client, home: Path, bank: lmr.ImageId) -> None:
    """From page to page by every link: nothing runs, nothing leaves, nothing fails."""
    sent = browser.post("/photos", files={"photo": ("</h1><script>x</script>.jpg", (home / "one.jpg").read_bytes())})
    waiting = ["/", sent.headers["location"], f"/photos/{bank}?hidden=1"]
    seen: set[str] = set()
    kinds: Counter[str] = Counter()
    while waiting:
        path = waiting.pop()
        shape = re.sub(r"[0-9a-f]{64}|photo-[\w-]+", "ID", path.split("?")[0])
        if path in seen or "check=1" in path or path == "/jobs/events" or kinds[shape] == 8:  # filters combine
            continue
        seen.add(path)
        kinds[shape] += 1
        answer = browser.get(path)
        assert answer.status_code == 200, (path, answer.text)
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        found = Seen(answer.text)
        assert not found.faults, (path, found.faults)
        assert "\u202e" not in answer.text, path
        for link in found.links:
            target = urlsplit(urljoin(base(page) + path, link))
            assert target.netloc == urlsplit(base(page)).netloc and target.scheme == "http", (path, link)
            waiting.append(target.path + (f"?{target.query}" if target.query else ""))
    text = browser.get("/").text
    for hostile in (*NAMES.values(), *LABELS.values()):
        assert hostile not in text
    assert html.escape(LABELS["bank"], quote=False) in html.unescape(text).replace("<", "&lt;").replace(">", "&gt;")
    assert {
        "/places",
        "/review",
        "/photos/ID",
        "/why",
        "/why/picture",
        "/pair/ID/ID",
        "/places/ID",
        "/photos/ID/small",
    } <= kinds.keys()


def test_what_is_not_there(browser: httpx.Client, bank: lmr.ImageId) -> None:
    for path in (
        "/search?of=../../etc/passwd", "/search?of=photo-unknown", f"/photos/{'0' * 64}", "/photos/..%2f..%2fetc/small",
        f"/photos/{bank}/huge", "/static/..%2fapp.py", "/static/app.py", f"/places/{'0' * 64}", "/nothing",
        f"/why/picture?of={bank}&goal={bank}&hop=7", f"/matches/{bank}/{bank}", "/search",
    ):  # fmt: skip
        answer = browser.get(path)
        assert answer.status_code == 404 and "<h1>" in answer.text, (path, answer.status_code)
    for path in ("max_depth=0", "max_depth=1e3", "min_weight=nan", "min_weight=-1", "near=1000,0", "box=1,2,3",
                 "verified_only=perhaps", "from=soon", "box=0,0,4,4", "start=x"):  # fmt: skip
        assert browser.get(f"/search?of={bank}&{path}").status_code == 400, path
    assert browser.get("/rule").status_code == 405


def test_nothing_that_is_asked_breaks_the_server(program: httpx.Client, page, bank: lmr.ImageId) -> None:
    """Whatever stands in an address: an answer, or a word about what is wrong with it."""
    rng = random.Random(7)
    values = ["", "0", "-1", "1e400", "nan", "9" * 30, "\x00", "../../etc/passwd", "<b>\"'", "\u202e", "😀" * 50, "a" * 4000,
              "1,2,3,4", "-1e308,0,1e308,1", "true", "[]", bank, bank[:6], "0" * 64, "photo-x", "٣", "1990-13", "91,0"]  # fmt: skip
    names = ["start", "part", "max_depth", "min_weight", "verified_only", "label", "near", "within", "from", "to", "box",
             "hop", "later", "hidden", "most", "after", "limit", "top", "view", "a", "b", "wait", "name", "goal"]  # fmt: skip
    paths = ["/", "/search", "/why", "/why/picture", "/places", "/map", "/review", "/collection", "/photos/{}", "/graph/{}",
             "/photos/{}/small", "/places/{}", "/pair/{}/{}", "/matches/{}/{}", "/matches/{}/{}/over"]  # fmt: skip
    paths += [PREFIX + call.path for call in CALLS if call.method == "GET"]
    for _ in range(200):
        path = re.sub(r"\{\w*\}", lambda _: quote(rng.choice([bank, *values]), safe=""), rng.choice(paths))
        asked = {name: rng.choice(values) for name in rng.sample(names, rng.randint(0, 3))} | {"of": bank}
        answer = program.get(base(page) + path, params=asked)
        assert answer.status_code < 500, (path, asked, answer.text)


# ------------------------------------------------------------ searching


def ids_on(text: str) -> list[str]:
    return re.findall(r'<a href="/search\?of=([0-9a-f]{64})"', text)


def test_a_photo_that_is_dropped_finds_what_the_library_finds(
    browser: httpx.Client, c: lmr.Collection, home: Path
) -> None:
    sent = browser.post("/photos", files={"photo": ("one.jpg", (home / "one.jpg").read_bytes(), "image/jpeg")})
    assert sent.status_code == 303
    address = sent.headers["location"]
    wanted = c.search(home / "one.jpg", top=60)
    shown = browser.get(address).text
    assert ids_on(shown) == [hit.image.id for hit in wanted]
    assert f"matches directly: {wanted[0].inliers} inliers" in shown
    assert wanted[0].image.landmark == LABELS["mill"]
    verified = [hit.image.id for hit in wanted if hit.reached == "verified"]
    for query, ids in (
        ("&verified_only=1", verified),
        ("&min_weight=1e9&verified_only=1", []),
        ("&near=48.85,2.29", []),
        (f"&start={len(wanted) - 2}", [hit.image.id for hit in wanted][-2:]),
    ):
        assert ids_on(browser.get(address + query).text) == ids, query
    labelled = [link for link in re.findall(r'href="([^"]*label=[^"]*)"', shown) if "javascript" in link]
    assert set(ids_on(browser.get(html.unescape(labelled[0])).text)) == {
        hit.image.id for hit in wanted if hit.image.landmark == LABELS["mill"]
    }
    part = browser.get(f"{address}&box=40,30,360,270").text
    assert ids_on(part)[0] == c.search(home / "one.jpg", box=(40, 30, 360, 270))[0].image.id
    why = html.unescape(re.findall(r'href="(/why[^"]*)"', part)[0])
    shown = browser.get(why).text
    drawn = html.unescape(re.findall(r'src="(/why/picture[^"]*)"', shown)[0])
    assert browser.get(drawn).headers["content-type"] == "image/jpeg"
    assert "<nav" not in browser.get(f"{address}&part=1").text, "what scrolling loads is cards alone"


def results_on(text: str) -> list[str]:
    return ids_on(text.split('class="gallery"')[1])


def test_several_photos_are_one_question(
    browser: httpx.Client, c: lmr.Collection, home: Path, bank: lmr.ImageId
) -> None:
    """Dropped together, added from a result, and taken away again; every link has all of them."""
    one, hostile = (home / "one.jpg").read_bytes(), "<i>two'\".jpg"
    two = c.thumbnail(bank, 400)  # as good as another photo of the bank
    sent = browser.post("/photos", files=[("photo", ("one.jpg", one)), ("photo", (hostile, two))])
    address = sent.headers["location"]
    assert sent.status_code == 303 and address.count("photo-") == 2
    wanted = c.search([one, two], top=60)
    shown = browser.get(address).text
    assert results_on(shown) == [hit.image.id for hit in wanted] and "2 photos of one place" in shown
    assert (
        html.escape(hostile) in html.unescape(shown).replace("<", "&lt;").replace(">", "&gt;")
        or "&lt;i&gt;two" in shown
    )
    assert {hit.image.landmark for hit in wanted if hit.reached == "verified"} == set(LABELS.values())
    why = html.unescape(re.findall(r'href="(/why\?[^"]*)"', shown)[-1])
    far = browser.get(why).text
    assert why.count("photo-") == 2 and far.count("<section") >= 1
    assert browser.get(html.unescape(re.findall(r'src="(/why/picture[^"]*)"', far)[0])).content[:2] == b"\xff\xd8"
    added = next(link for link in links_on(shown, "/search") if link.endswith(f",{wanted[0].image.id}"))
    three = browser.get(added).text
    assert wanted[0].image.id not in results_on(three) and "3 photos of one place" in three
    away = [html.unescape(link) for link in re.findall(r'class="away" href="([^"]*)"', three)]
    assert address in away and len(away) == 3
    dropped = browser.post("/photos", data={"of": f"{bank}", "label": "x"}, files={"photo": ("one.jpg", one)})
    assert (
        dropped.headers["location"].startswith(f"/search?of={bank},photo-") and "label=x" in dropped.headers["location"]
    )
    full = ",".join(c.image_ids(limit=TOGETHER))
    assert browser.get(f"/search?of={full},{'0' * 64}").status_code in (400, 404)
    assert browser.get(f"/search?of={bank},photo-unknown").status_code == 404
    assert browser.get(f"/search?of={full}&box=0,0,40,40").status_code == 400


def links_on(text: str, path: str) -> list[str]:
    return [html.unescape(link) for link in re.findall(r'href="([^"]*)"', text) if link.startswith(path)]


def test_what_no_photo_reaches_follows_by_the_best_likeness(c: lmr.Collection, home: Path) -> None:
    """By their descriptors, each with those of the images that it reached: compared with plain sums."""
    stored = [image.id for image in c.images()]
    asked = [home / "one.jpg", *stored[:2]]
    found = c.search(asked, top=None, min_weight=40)
    assert not set(stored[:2]) & {hit.image.id for hit in found}
    starts, vectors = found_of(found).starts, c._stores.vectors.fetch(stored)
    verified = [hit for hit in found if hit.reached == "verified"]
    like = [start.descriptor for start in starts]
    for hit in verified[:30]:
        begins = c.explain(asked, hit.image.id).begins
        way = found.path(hit)
        assert way[0].a == (None if begins == 0 else starts[begins].id) and way[-1].b == hit.image.id
        assert len(way) == hit.hops and min(hop.inliers for hop in way) == hit.inliers
        like.append((starts[begins].descriptor + vectors[hit.image.id]) / 2)
    rest = set(stored) - {hit.image.id for hit in verified} - set(stored[:2])
    plainly = {id: max(float(one @ vectors[id]) for one in like) for id in rest}
    similar = {hit.image.id: hit.similarity for hit in found if hit.reached == "similarity"}
    assert similar == pytest.approx(plainly, abs=1e-5)
    assert list(similar.values()) == sorted(similar.values(), reverse=True)
    alone = c.search(asked[0], top=None)
    assert c.search([asked[0]], top=None).to_dict()["results"] == alone.to_dict()["results"]
    with pytest.raises(lmr.UsageError, match="no photo"):
        c.search([])
    with pytest.raises(lmr.UsageError, match="one photo"):
        c.search(asked, box=(0, 0, 40, 40))


def test_photos_that_are_no_photos_or_too_large_are_refused(page, browser: httpx.Client) -> None:
    sent = browser.post("/photos", files={"photo": ("x.jpg", b"no photo")})
    told = browser.get(sent.headers["location"])
    assert told.status_code == 422 and "not an image in a known format" in told.text
    assert browser.post("/photos", data={"photo": "text"}).status_code == 422
    assert browser.post("/photos", files={"photo": ("x.jpg", b"")}).status_code == 422
    many = [("photo", (f"{k}.jpg", b"x")) for k in range(TOGETHER + 1)]
    assert browser.post("/photos", files=many).status_code == 400

    def chunks() -> Iterator[bytes]:
        for _ in range(70):
            yield b"x" * 2**20

    refused = browser.post("/photos", content=chunks(), headers={"content-type": "multipart/form-data; boundary=b"})
    assert refused.status_code in (400, 413)
    port = urlsplit(page.address).port
    token = f"Authorization: Bearer {page.token}\r\n"
    with contextlib.closing(_connected(port)) as told_first:
        head = f"POST {PREFIX}/search HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{token}Content-Length: 99999999999\r\n\r\n"
        told_first.sendall(head.encode())
        assert b" 413 " in told_first.recv(200), "before anything is read"
    assert browser.post("/rule", data={"why": "x" * 2**17}).status_code == 413


def _connected(port: int | None):
    import socket

    return socket.create_connection(("127.0.0.1", port or 0), timeout=30)


# ------------------------------------------------------------ why, and what people say


def test_a_way_is_shown_judged_and_taken_back(browser: httpx.Client, c: lmr.Collection, home: Path) -> None:
    sent = browser.post("/photos", files={"photo": ("one.jpg", (home / "one.jpg").read_bytes())})
    result = c.search(home / "one.jpg", top=60)
    far = next(hit for hit in result if (hit.hops or 0) > 1)
    links = re.findall(r'href="(/why\?[^"]*)"', browser.get(sent.headers["location"]).text)
    why = html.unescape(next(link for link in links if far.image.id in link))
    shown = browser.get(why).text
    way = result.path(far)
    assert shown.count("<section") == len(way) and "The photo is not stored" in shown
    for picture in re.findall(r'src="(/why/picture[^"]*)"', shown):
        drawn = browser.get(html.unescape(picture))
        assert drawn.headers["content-type"] == "image/jpeg" and drawn.content[:2] == b"\xff\xd8"
    a, b = sorted((way[1].a or "", way[1].b))
    assert f"{way[1].inliers} of" in shown and "chance alone" in shown
    query = {name: values[0] for name, values in parse_qs(urlsplit(why).query).items()}

    said = browser.post("/rule", data={**query, "a": a, "b": b, "verdict": "reject", "why": "<b>a try"})
    assert said.status_code == 303 and said.headers["location"].startswith("/why?")
    try:
        assert c.match(a_id := lmr.ImageId(a), b_id := lmr.ImageId(b)).why == "<b>a try"
        again = browser.get(said.headers["location"]).text
        assert again != shown
        pair = browser.get(f"/pair/{a}/{b}").text
        assert "A person rejected it: &lt;b&gt;a try" in pair and "Take back: rejected" in pair
        assert ("Other matches still join the two" in pair) == c.explain(a_id, b_id).joined
        assert browser.get("/review").text.count("Undo") == 1
    finally:
        undone = browser.post("/rule", data={"a": a, "b": b, "verdict": "withdraw"})
    assert undone.headers["location"] == f"/pair/{a}/{b}"
    assert c.match(a_id, b_id).takes_part and c.rulings() == []
    assert browser.get(why).text == shown
    for wrong in ({"a": a, "b": a, "verdict": "reject"}, {"a": a, "b": b, "verdict": "burn"}):
        assert browser.post("/rule", data=wrong).status_code == 400
    assert browser.post("/rule", data={"a": "../x", "b": b, "verdict": "reject"}).status_code == 404


def test_the_review_goes_on_by_keys(browser: httpx.Client, c: lmr.Collection) -> None:
    """What the keys do is in the page: forms and links with the key that clicks them."""
    whole = c.review(50)
    first = browser.get("/review").text
    if not whole:
        assert "Nothing is left" in first
        return
    assert f"/matches/{whole[0].a}/{whole[0].b}" in first and f"<b>{len(whole)}</b> left" in first
    assert {'data-key="y"', 'data-key="n"', 'data-key="l"'} <= set(re.findall(r'data-key="\w"', first))
    seen = 1
    text = first
    while link := re.search(r'href="(/review\?later=[^"]*)" data-key="l"', text):
        text = browser.get(html.unescape(link[1])).text
        seen += f"<b>{len(whole) - seen}</b> left" in text
    assert seen == len(whole) and "what was put off" in text


# ------------------------------------------------------------ places


def test_a_place_is_named_and_that_is_taken_back(
    browser: httpx.Client, c: lmr.Collection, program: httpx.Client, page
) -> None:
    place = c.clusters()[0]
    photos = [lmr.ImageId(row["id"]) for row in c.cypher("cluster-images", cluster=place.id, limit=1000)]
    before, hostile = {id: c.image(id).landmark for id in photos}, "=1+1</a><script>alert(5)</script> '\"&"
    bare = photos[0]
    c.label({bare: None}, replace=True)
    address = f"/places/{place.id}"
    result = browser.get(f"/search?of={photos[1]}").text
    assert "alert(5)" not in result
    try:
        said = browser.post("/name", data={"place": place.id, "label": f"  {hostile} ", "which": "rest"})
        assert said.status_code == 303 and said.headers["location"] == address
        assert {id: c.image(id).landmark for id in photos} == {**before, bare: hostile}
        shown = browser.get(address).text
        assert "Undo: 1 labels" in shown and "&lt;script&gt;alert(5)" in shown and not Seen(shown).faults
        assert "alert(5)" in browser.get(f"/search?of={photos[1]}").text, "what was found before tells it too"
        assert browser.post("/name", data={"place": place.id, "which": "undo"}).status_code == 303
        assert c.image(bare).landmark is None
        browser.post("/name", data={"place": place.id, "label": hostile, "which": "all"})
        assert {c.image(id).landmark for id in photos} == {hostile}
        assert c.clusters()[0].landmarks == {hostile: 1.0}
        assert c.search(photos[0], label=hostile, verified_only=True).hits
        table = browser.get(f"{address}/photos.csv")
        assert (
            table.headers["content-type"].startswith("text/csv")
            and "attachment" in table.headers["content-disposition"]
        )
        rows = list(csv.DictReader(table.text.splitlines(True)))
        assert [row["id"] for row in rows] == photos and {row["landmark"] for row in rows} == {f"'{hostile}"}
        assert {row["latitude"] for row in rows} >= {""}
        browser.post("/name", data={"place": place.id, "which": "undo"})
    finally:
        c.label(before, replace=True)
    assert c.clusters()[0].landmarks == place.landmarks and c.check()[0] == []
    answer = program.post("/labels", json={"images": photos[:1], "label": "x"}).json()
    assert answer["state"] == "done" and answer["labelled"] == 0, "it has a label"
    for code, wrong in (
        (404, {"place": "../x", "label": "x", "which": "all"}),
        (404, {"place": "0" * 64, "label": "x", "which": "all"}),
        (400, {"place": place.id, "label": " ", "which": "all"}),
        (400, {"place": place.id, "label": "x" * 201, "which": "all"}),
    ):
        assert browser.post("/name", data=wrong).status_code == code, wrong
    assert program.post("/labels", json={"images": "x", "label": "x"}).status_code == 400
    assert program.post("/labels", json={"images": photos[:1], "label": 7}).status_code == 400


def test_what_was_found_before_tells_labels_that_others_have_given_since(
    browser: httpx.Client, c: lmr.Collection, home: Path, bank: lmr.ImageId, tmp_path: Path
) -> None:
    """By `lmr ingest --labels` elsewhere, which leaves forest and descriptors as they are."""
    other = next(image.id for image in c.images() if image.landmark == LABELS["bank"] and image.id != bank)
    address, before = f"/search?of={bank}", c.labels
    listed, state = f"{address}&label=Kept+Hall", c.snapshot().name
    assert "Kept Hall" not in browser.get(address).text and other not in browser.get(listed).text
    labels = tmp_path / "labels.csv"
    try:
        with labels.open("w", newline="") as file:
            csv.writer(file).writerows([("image", "landmark"), (Path(c.image(other).paths[0]).name, "Kept Hall")])
        c.ingest(home / "photos", labels=labels)
        assert c.image(other).landmark == "Kept Hall" and c.snapshot().name == state
        assert "Kept Hall" in browser.get(address).text and other in browser.get(listed).text
    finally:
        c.label({id: before.get(id) for id in (image.id for image in c.images())}, replace=True)
    assert "Kept Hall" not in browser.get(address).text and c.labels == before


def test_a_place_is_taken_away_as_a_zip(
    browser: httpx.Client, c: lmr.Collection, program: httpx.Client, page, home: Path
) -> None:
    """Photos as they are for the owner, as new pictures for others; names are plain, and nothing else is in it."""
    place = c.clusters()[0]
    ids = [row["id"] for row in c.cypher("cluster-images", cluster=place.id, limit=1000)]
    address = f"/places/{place.id}/photos.zip"
    assert address in links_on(browser.get(f"/places/{place.id}").text, "/places")
    answer = browser.get(address)
    assert answer.headers["content-type"] == "application/zip" and "attachment" in answer.headers["content-disposition"]
    assert program.get(f"/clusters/{place.id}/photos").content == answer.content
    for role in ("manage", "rule", "look"):
        token = page.addresses[role].partition("token=")[2]
        told = httpx.get(base(page) + address, headers={"authorization": f"Bearer {token}"}, timeout=60).content
        packed = zipfile.ZipFile(io.BytesIO(told))
        assert packed.testzip() is None and len(packed.namelist()) == len(set(packed.namelist())) == len(ids) + 1
        rows = list(csv.DictReader(packed.read("photos.csv").decode().splitlines(True)))
        assert list(rows[0]) == ["order", "name", "id", "label"] and [row["id"] for row in rows] == ids
        assert [row["order"] for row in rows] == [str(k) for k in range(1, len(ids) + 1)]
        for row in rows:
            image, data = c.image(lmr.ImageId(row["id"])), packed.read(row["name"])
            assert re.fullmatch(r"\d{6}(-[\w-]+)?\.jpg", row["name"]) and row["label"] == (image.landmark or "")
            assert (data == Path(image.paths[0]).read_bytes()) == (role == "manage")
            assert role == "manage" or data == c.thumbnail(image.id, 1200)
        assert all(entry.date_time == (1980, 1, 1, 0, 0, 0) and not entry.extra for entry in packed.infolist())
    for code, wrong in (
        (404, f"{address}?start={len(ids)}"),
        (400, f"{address}?start=-1"),
        (404, "/places/abc/photos.zip"),
    ):
        assert browser.get(wrong).status_code == code, wrong
    later = zipfile.ZipFile(io.BytesIO(browser.get(f"{address}?start=2").content))
    assert later.namelist()[0].startswith("000003") and len(later.namelist()) == len(ids) - 1
    assert browser.head(address).content == b"" and page._site.taken_away == 0


def test_what_took_the_place_of_a_photo_is_not_given_away(
    browser: httpx.Client, c: lmr.Collection, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page
) -> None:
    place = c.clusters()[0]
    image = c.image(lmr.ImageId(place.central))
    path, secret = Path(image.paths[0]), tmp_path / "secret"
    secret.write_bytes(b"secret" * 1000)
    kept, address = path.read_bytes(), f"/places/{place.id}/photos.zip"

    def told() -> tuple[list[dict[str, str]], bytes]:
        answer = browser.get(address).content
        packed = zipfile.ZipFile(io.BytesIO(answer))
        return list(csv.DictReader(packed.read("photos.csv").decode().splitlines(True))), answer

    try:
        for put in (lambda: path.symlink_to(secret), lambda: path.symlink_to("/dev/zero"), lambda: os.mkfifo(path)):
            path.unlink()
            put()
            rows, data = told()
            assert {row["name"] for row in rows if row["id"] == image.id} == {""} and b"secret" not in data
            assert sum(bool(row["name"]) for row in rows) == len(rows) - 1
    finally:
        path.unlink()
        path.write_bytes(kept)
    monkeypatch.setattr(takeaway, "_MOST_BYTES", len(kept))
    assert sum(bool(row["name"]) for row in told()[0]) == 1, "no more than may be in it"
    monkeypatch.setattr(takeaway, "_AT_ONCE", 0)
    assert browser.get(address).status_code == 429


def test_a_place_is_packed_photo_by_photo_and_given_up_when_nobody_reads(
    page, browser: httpx.Client, c: lmr.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, asked = c.clusters()[0], []
    data = os.urandom(takeaway._MOST_PHOTO // 4)
    monkeypatch.setattr(type(c), "original", lambda self, id, most: asked.append(id) or ("x.jpg", data))
    monkeypatch.setattr(takeaway, "_LONGEST", 1.5)
    with browser.stream("GET", f"/places/{place.id}/photos.zip") as answer:
        assert answer.status_code == 200
        until = time.monotonic() + 20
        while page._site.taken_away and time.monotonic() < until:
            time.sleep(0.05)
        assert not page._site.taken_away and len(asked) <= 2, "it waits for its reader, and not for ever"


def test_places_are_split_and_joined_by_ruling(browser: httpx.Client, c: lmr.Collection) -> None:
    """Links lead to the match that is to be rejected, or to the two photos that are to be confirmed."""
    places = c.clusters()
    assert len(places) >= 2
    one, other = places[:2]
    shown = browser.get(f"/places/{one.id}").text
    weakest = c.cypher("weakest-in-cluster", cluster=one.id, limit=1)[0]
    assert f'href="/pair/{weakest["a"]}/{weakest["b"]}"' in shown
    compared = browser.get(next(link for link in links_on(shown, "/places?with="))).text
    pair = f"/pair/{one.central}/{other.central}"
    assert pair in links_on(compared, "/pair/") and 'value="confirm"' in browser.get(pair).text
    try:
        browser.post("/rule", data={"a": one.central, "b": other.central, "verdict": "confirm"})
        assert c.match(*map(lmr.ImageId, (one.central, other.central))).verdict == "confirmed"
        near = c.cypher("nearest-clusters", cluster=one.id, limit=5)
        assert near[0]["cluster"] == other.id and near[0]["excluded"] is None
        assert f'href="/places/{other.id}"' in browser.get(f"/places/{one.id}").text
        assert other.central in [hit.image.id for hit in c.search(lmr.ImageId(one.central), verified_only=True)]
    finally:
        browser.post("/rule", data={"a": one.central, "b": other.central, "verdict": "withdraw"})


# ------------------------------------------------------------ where photos were taken


def test_the_map_shows_where_and_when(browser: httpx.Client, c: lmr.Collection) -> None:
    placed = c.positions()
    assert sorted(place[0] for place in placed.values()) == [-33.9, 52.5, 52.501]
    shown = browser.get("/map").text
    assert "3 of 3 photos" in shown and shown.count("<circle") == 2
    assert set(ids_on(shown)) == set(placed) and 'class="land"' in shown
    nearer = next(link for link in re.findall(r'href="(/map\?view=[^"]*)"', shown) if "52.5" in link)
    text = browser.get(html.unescape(nearer)).text
    assert "2 of 3 photos" in text and text.count("<circle") == 2 and len(ids_on(text)) == 2
    assert "1 of 1 photos" in browser.get("/map?from=1900&to=1910").text
    assert "0 of 0 photos" in browser.get("/map?label=nothing").text
    for wrong in ("1,2,3", "9,9,1,1", "nan,0,1,1", "-181,0,0,1", "a,b,c,d"):
        assert browser.get(f"/map?view={wrong}").status_code == 400, wrong
    alone = next(image for image in c.images() if image.location is None and c.locate(image.id)[0].place)
    assert "By the photos that it matches it was taken near" in browser.get(f"/photos/{alone.id}").text

    without = next(link for link in links_on(shown, "/map?") if "suggested=1" in link)
    text = browser.get(without).text
    guesses = {row["id"] for row in c.cypher("unlocated", limit=100)}
    assert alone.id in guesses and guesses <= set(ids_on(browser.get("/map?suggested=1&view=-180,-90,180,90").text))
    assert 'class="guess"' in text and "probably near" in text and "(confidence 0." in text
    assert "suggested=1" in next(iter(links_on(text, "/map?view=")))  # the next view has them too
    assert 'class="guess"' not in browser.get("/map?suggested=1&label=nothing").text


def test_circles_hold_every_photo_and_lead_nearer() -> None:
    rng = random.Random(0)
    places = {lmr.ImageId(str(k)): (rng.gauss(48, 0.5), rng.gauss(2, 0.5)) for k in range(500)}
    view = View.around(places.values())
    circles = gathered(places, view)
    assert sum(circle.count for circle in circles) == 500 and len(circles) < 500
    nearer = View.read({"view": circles[0].view})
    assert sum(map(nearer.holds, places.values())) >= circles[0].count
    assert nearer.size < view.size
    assert View.around([]) == View()


def test_the_outline_of_the_world_is_what_the_notice_says() -> None:
    digest = hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert digest in (ROOT / "NOTICE").read_text()
    lines = [[tuple(map(float, place.split(","))) for place in line.split(" ")] for line in land()[1:-1].split("Z M")]
    steps = [abs(x - before) for line in lines for (before, _), (x, y) in itertools.pairwise(line) if y < 90]
    assert max(steps) < 30, "nothing is drawn across the world"
    assert -84 < min(y for line in lines for _, y in line) < -80


# ------------------------------------------------------------ the interface for programs


def test_the_interface_gives_what_the_library_gives(
    program: httpx.Client, c: lmr.Collection, home: Path, bank: lmr.ImageId
) -> None:
    def same(ours: object, theirs: httpx.Response) -> None:
        assert theirs.status_code == 200, theirs.text
        told = theirs.json()
        ours = json.loads(json.dumps(plain(ours)))
        for document in (told, ours):
            if isinstance(document, dict):
                document.pop("seconds", None)
        assert told == ours

    data = (home / "one.jpg").read_bytes()
    found = c.search(data, top=5, max_depth=3).to_dict()
    found["query"]["path"] = "photo"
    same(found, program.post("/search", params={"top": 5, "max_depth": 3}, content=data))
    same(c.search(bank, verified_only=True).to_dict(), program.get(f"/images/{bank}/search?verified_only=true"))
    boxed = c.search(bank, box=(0, 0, 300, 200)).to_dict()
    same(boxed, program.get(f"/images/{bank}/search?box=0,0,300,200"))
    other = c.search(bank).hits[0].image.id
    kept = program.post("/photos?name=photo", content=data).json()["photo"]
    for asked, answer in (
        ([bank, data], program.get(f"/images/{bank}/search?with={kept}")),
        ([data, bank], program.post(f"/search?with={bank}", content=data)),
    ):
        both = c.search(asked).to_dict()
        both["queries"][asked.index(data)]["path"] = "photo"
        same(both, answer)
    way = c.explain([bank, data], other)
    same(
        {"joined": True, "path": way.path, "begins": 0},
        program.get("/explain", params={"a": bank, "b": other, "with": kept}),
    )
    way = c.explain(bank, other)
    same({"joined": True, "path": way.path}, program.get("/explain", params={"a": bank, "b": other}))
    way = c.explain(data, other)
    same({"joined": way.joined, "path": way.path}, program.post("/explain", params={"b": other}, content=data))
    same(c.image(bank), program.get(f"/images/{bank[:12]}"))
    same(c.clusters(), program.get("/clusters"))
    same(c.review().to_dict(), program.get("/review"))
    same(c.status(), program.get("/status"))
    same(c.cypher("strongest-bridges", limit=3), program.get("/queries/strongest-bridges?limit=3"))
    match = c.match(bank, other)
    same({**plain(match), "words": match.words()}, program.get(f"/matches/{bank}/{other}"))
    listed = program.get("/images?limit=4").json()
    assert [one["id"] for one in listed["images"]] == c.image_ids(limit=4) and listed["after"] == c.image_ids(limit=4)[
        -1
    ]
    for path in (f"/images/{bank}/picture/small", f"/matches/{bank}/{other}/picture"):
        assert program.get(path).content[:2] == b"\xff\xd8"


def test_programs_are_told_what_is_wrong(program: httpx.Client, bank: lmr.ImageId) -> None:
    for code, answer in (
        (422, program.post("/search", content=b"no photo")),
        (400, program.get(f"/images/{bank}/search?near=x")),
        (404, program.get("/images/zzz")),
        (404, program.get(f"/images/{bank}/search?with=photo-x")),
        (400, program.get(f"/images/{bank}/search?with={','.join(map(str, range(20)))}")),
        (422, program.post("/photos", content=b"")),
        (404, program.get("/queries/write/clear")),
        (404, program.get("/queries/nothing")),
        (400, program.get("/queries/path?a=1")),
        (400, program.get("/queries/near?latitude=1&longitude=2&metres=3&limit=1&id=') DETACH DELETE n //")),
        (400, program.post("/rulings", content=b"no json")),
        (400, program.post("/rulings", content=b"[" * 50_000)),
        (400, program.post("/rulings", json=[1])),
        (400, program.post("/jobs", json={"kind": "format"})),
        (404, program.post("/jobs", json={"kind": "ingest", "folder": "/etc"})),
        (404, program.delete("/jobs/none")),
    ):
        assert answer.status_code == code and answer.json()["error"], (code, answer.status_code, answer.text)


def test_the_description_and_the_manual_name_every_call(program: httpx.Client) -> None:
    described = program.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    told = {(method.upper(), path) for path, calls in described["paths"].items() for method in calls}
    assert told == {(call.method, PREFIX + call.path) for call in CALLS}
    names = [call["operationId"] for calls in described["paths"].values() for call in calls.values()]
    assert len(set(names)) == len(names)
    manual = (ROOT / "docs" / "page.md").read_text()
    assert {(method, PREFIX + path) for method, path in re.findall(r"`(GET|POST|DELETE) (/[\w/{}]+)`", manual)} == told


@pytest.mark.skipif(shutil.which("curl") is None, reason="the manual's examples are run with curl")
def test_the_examples_of_the_manual_run(page, c: lmr.Collection, home: Path, bank: lmr.ImageId, tmp_path: Path) -> None:
    (block,) = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "page.md").read_text(), re.DOTALL)
    lines = [line for line in block.splitlines() if line.startswith("curl")]
    assert len(lines) >= len(CALLS)
    shutil.copy(home / "one.jpg", tmp_path)
    a, b = sorted((bank, c.search(bank).hits[0].image.id))
    environment = {**os.environ, "LMR": base(page) + PREFIX, "TOKEN": page.token, "A": a, "B": b, "JOB": _done(page)}
    environment["PLACE"] = c.clusters()[0].id
    for line in lines:
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and not done.stdout.startswith('{"error"'), (line, done.stdout, done.stderr)
    for name in ("small.jpg", "match.jpg"):
        assert (tmp_path / name).read_bytes()[:2] == b"\xff\xd8"


def _done(page) -> str:
    jobs = page._site.jobs
    return jobs.finished(jobs.ask("link", "nothing", lambda c: len(c)), 60).id


# ------------------------------------------------------------ jobs


def test_jobs_are_done_in_order_with_progress(page, browser: httpx.Client, program: httpx.Client, home: Path) -> None:
    shown = browser.get("/collection").text
    assert "broken.jpg" in shown and str(home / "photos") in shown
    assert browser.post("/jobs", data={"kind": "ingest", "folder": "0"}).status_code == 303
    asked = [program.post("/jobs", json={"kind": kind}).json() for kind in ("link", "cluster")]
    with browser.stream("GET", "/jobs/events") as told:
        assert told.headers["content-type"].startswith("text/event-stream")
        for line in told.iter_lines():
            if line.startswith("data: "):
                jobs = json.loads(line.removeprefix("data: "))
                if all(job["ended"] for job in jobs):
                    break
    done = [program.get(f"/jobs/{job['id']}?wait=30").json() for job in asked]
    assert [job["state"] for job in done] == ["done", "done"]
    assert done[0]["outcome"]["verified"] == 0 and done[1]["outcome"]["clusters"] >= 1
    listed = program.get("/jobs").json()
    assert [job["kind"] for job in listed[:3]] == ["cluster", "link", "ingest"]
    assert listed[2]["outcome"]["known"] == sum(PLACES.values())
    assert "find places (cluster)" in browser.get("/collection").text


def test_rankings_are_measured_and_the_table_is_kept(
    page, browser: httpx.Client, program: httpx.Client, c: lmr.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the labels; these photos are all of the index, so that queries have to be made of some of them."""
    import lmr.retrieval.evaluate as evaluating

    job = program.post("/jobs", json={"kind": "evaluate"}).json()
    told = program.get(f"/jobs/{job['id']}?wait=30").json()
    assert told["state"] == "failed" and "nothing to evaluate" in told["error"]
    shown = browser.get("/collection").text
    assert 'value="evaluate"' in shown and "nothing was measured yet" in shown

    by_label: dict[str, set[str]] = {}
    for id, label in c.labels.items():
        by_label.setdefault(label, set()).add(id)
    queries = [Query(min(ids), label, frozenset(ids - {min(ids)})) for label, ids in sorted(by_label.items())]
    monkeypatch.setattr(evaluating, "labels_of", lambda ledger: GroundTruth("labels", {"all": queries}))
    assert browser.post("/jobs", data={"kind": "evaluate"}).status_code == 303
    job = program.get("/jobs").json()[0]
    told = program.get(f"/jobs/{job['id']}?wait=30").json()
    assert told["state"] == "done" and told["outcome"]["queries"] == 2 and "rows" not in told["outcome"]
    whole = next(row for row in told["outcome"]["baselines"] if row["name"] == evaluating.WHOLE)
    assert whole["map"] == c.evaluate(baselines=[evaluating.WHOLE]).baselines[0].map
    with lmr.connect(page.address) as remote:
        found = remote.evaluate()
    assert found.queries == 2 and not found.rows and [one.name for one in found.baselines] == list(evaluating.BASELINES)
    assert found.matches == c.evaluate(baselines=[evaluating.WHOLE]).matches
    shown = browser.get("/collection").text
    assert (
        f"<td>{evaluating.WHOLE}</td><td>{whole['map']:.4f}</td>" in shown
        and told["ended"][:13].replace("T", " ") in shown
    )
    (c.home / MEASURED).write_text('{"baselines": 7}')
    assert "nothing was measured yet" in browser.get("/collection").text
    (c.home / MEASURED).unlink()


def test_rulings_wait_for_jobs_and_hold_nobody_up(
    page, browser: httpx.Client, program: httpx.Client, home: Path, bank: lmr.ImageId, c: lmr.Collection
) -> None:
    """Behind a long job, and where another process is writing: then they are refused, and may be asked for again."""
    held = threading.Event()
    long = page._site.jobs.ask("link", "long", lambda c: held.wait(60))
    other = c.search(bank)[0].image.id
    asked = {"verdict": "confirm", "a": bank, "b": other}
    answers: list[httpx.Response] = []
    headers = {"authorization": f"Bearer {page.token}"}
    waiting = [
        threading.Thread(target=lambda: answers.append(httpx.post(f"{program.base_url}rulings", json=asked, headers=headers, timeout=60)))
        for _ in range(8)
    ]  # fmt: skip
    for one in waiting:
        one.start()
    time.sleep(0.5)
    assert browser.get(f"/search?of={bank}").status_code == 200 and long.is_open
    held.set()
    for one in waiting:
        one.join()
    assert [answer.json()["state"] for answer in answers] == ["done"] * 8
    with c._stores.writing():
        refused = program.post("/rulings", json=asked)
        assert refused.status_code == 409 and refused.json()["error"]
    assert program.post("/rulings", json={**asked, "verdict": "withdraw"}).json()["state"] == "done"


def test_a_job_is_cancelled_or_cut_short_and_told_so(page, home: Path, tmp_path: Path) -> None:
    begun, where = threading.Event(), page.where

    def long(c: lmr.Collection) -> None:
        with c._stores.progress.task("Long", 10_000, "steps") as advance:
            for _ in range(10_000):
                begun.set()
                time.sleep(0.01)
                advance(1)

    def opened(told: object) -> lmr.Collection:
        return lmr.open(home / "lmr", create=False, progress=told, **where)

    jobs = Jobs(opened, tmp_path / NOTES)
    running, waiting = jobs.ask("link", "long", long), jobs.ask("link", "never", long)
    assert begun.wait(30)
    assert jobs.cancel(waiting.id).state == "cancelled"
    jobs.cancel(running.id)
    assert jobs.finished(running, 30).state == "cancelled" and running.task == "Long"
    failing = jobs.ask("link", "fails", lambda c: c.search(b"no photo"))
    assert jobs.finished(failing, 30).state == "failed" and "known format" in failing.error
    begun.clear()
    last = jobs.ask("link", "cut off", long)
    behind = jobs.ask("link", "behind", long)
    assert begun.wait(30)
    jobs.close()
    assert (last.state, behind.state) == ("cut short", "cut short")
    notes = json.loads((tmp_path / NOTES).read_text())
    (tmp_path / NOTES).write_text(json.dumps([*notes, {**notes[0], "id": "killed", "state": "running"}]))
    after = Jobs(opened, tmp_path / NOTES)
    assert after.get(last.id).state == "cut short" and "asked for again" in after.get("killed").error
    after.close()


# ------------------------------------------------------------ bounds


def test_those_who_come_when_all_are_busy_are_told(page, browser: httpx.Client, program: httpx.Client) -> None:
    crew = page._site.searching
    at_hand, crew._at_hand = crew._at_hand, crew._most
    try:
        for answer in (browser.get("/"), program.get("/status")):
            assert (
                answer.status_code == 429 and answer.headers["retry-after"] and "again in a few seconds" in answer.text
            )
    finally:
        crew._at_hand = at_hand
    assert browser.get("/").status_code == 200


def test_clients_that_are_slow_hold_nothing(page, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some never end the head of their request, some stop amid a photo; all are let go, and others are answered."""
    monkeypatch.setattr("lmr.web.patience.InTime.seconds", 0.5)
    monkeypatch.setattr("lmr.web.guard._PATIENCE", 0.5)
    port = urlsplit(page.address).port
    token = f"Authorization: Bearer {page.token}\r\n"
    halves = (
        "GET / HTTP/1.1\r\nHost: 127.0.0.1",
        f"POST {PREFIX}/search HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{token}Content-Length: 1000\r\n\r\nabc",
        "",
    )
    slow = [_connected(port) for _ in range(60)]
    for k, client in enumerate(slow):
        client.sendall(halves[k % len(halves)].encode())
    assert browser.get("/static/page.css").status_code == 200
    for client in slow:
        client.settimeout(30)
        with contextlib.suppress(ConnectionError):
            while client.recv(4096):
                pass
        client.close()
    assert browser.get("/static/page.css").status_code == 200


def test_work_is_bounded() -> None:
    async def main() -> None:
        crew, held = Crew("test", 1, 1), threading.Event()
        first = asyncio.create_task(crew.do(held.wait))
        second = asyncio.create_task(crew.do(lambda: 2))
        await asyncio.sleep(0.1)
        with pytest.raises(CrewBusy):
            await crew.do(lambda: 3)
        held.set()
        assert (await first, await second) == (True, 2)
        await asyncio.sleep(0.1)
        assert await crew.do(lambda: 4) == 4
        crew.close()

    asyncio.run(main())


def test_what_is_kept_is_bounded() -> None:
    kept: Kept[int, bytes] = Kept(10, len)
    for k in range(5):
        kept.put(k, b"xxxx")
    assert kept.get(0) is None and kept.get(4) == b"xxxx" and kept.get(3) == b"xxxx"
    kept.put(3, b"y")
    assert kept.get(3) == b"y"
    gone: Kept[int, bytes] = Kept(10, len, seconds=0.0)
    gone.put(1, b"x")
    time.sleep(0.01)
    assert gone.get(1) is None
    hand = PhotosInHand(most=100)
    first = hand.put(b"x" * 60, "a" * 500)
    assert len(hand.get(first).name) == 200
    hand.put(b"y" * 60, "b")
    assert hand.get(first) is None


def test_what_takes_long_is_shown_as_it_was_while_it_is_found_anew() -> None:
    state, slow, found = 1, threading.Event(), []

    def find() -> int:
        if found:
            slow.wait(30)
        found.append(state)
        return state

    with ThreadPoolExecutor(1) as others:
        lately = Lately(lambda: state, find, others.submit)
        assert lately.get() == lately.get() == 1 and found == [1]
        state = 2
        assert lately.get() == lately.get() == 1, "nobody waits"
        slow.set()
        assert lately.get(now=True) == lately.get() == 2 and found == [1, 2]
        state = 3
        assert lately.get() == 3, "what is soon found is waited for"


# ------------------------------------------------------------ the command


def test_the_command_serves_until_it_is_interrupted(page, home: Path) -> None:
    environment = {**os.environ, "NEO4J_URI": page.where["neo4j_uri"], "NEO4J_PASSWORD": page.where["neo4j_password"]}
    environment |= {"LMR_MILVUS_URI": page.where["milvus_uri"], "LMR_HOME": str(home / "lmr"), "PYTHONPATH": str(ROOT)}
    command = that_hears_interrupts("serve", "--port", 0, "--host", "0.0.0.0", "--look-only")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as served:
        address = served.stdout.readline().strip()
        try:
            where, token = address.split("/?token=")
            with httpx.Client(base_url=where, headers={"authorization": f"Bearer {token}"}, timeout=60) as client:
                assert client.get(f"{PREFIX}/status").json()["counts"]["images"] == sum(PLACES.values())
                refused = client.post(f"{PREFIX}/jobs", json={"kind": "link"})
                assert refused.status_code == 403 and "look alone" in refused.text
                assert 'action="/jobs"' not in client.get("/collection").text
        finally:
            served.send_signal(signal.SIGINT)
            told = served.communicate(timeout=60)[1]
    assert served.returncode == 0, told
    assert "Others can reach this page" in told and "Traceback" not in told


def test_what_cannot_be_served_is_told(page, tmp_path: Path, home: Path) -> None:
    port = urlsplit(page.address).port
    with pytest.raises(lmr.UsageError, match="--port 0 takes any"):
        lmr.serve(home / "lmr", port=port, **page.where)
    with pytest.raises(lmr.UsageError, match="is no folder"):
        lmr.serve(home / "lmr", port=0, photos=[tmp_path / "none"], **page.where)
    with pytest.raises(lmr.CollectionError):
        lmr.serve(tmp_path / "none", port=0)
    assert not (tmp_path / "none").exists()
