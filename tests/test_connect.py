"""A client among servers that are busy, gone, of another version, or hostile; with a real one, see test_library."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import lmr
from lmr.jobs.correct.corrections import Corrected
from lmr.library.image import Image
from lmr.library.reading import Misfit, value_of
from lmr.library.remote import wire
from lmr.library.remote.address import is_loopback
from lmr.plain import plain
from lmr.values import Hop

TOKEN = "secret-" + "x" * 32
ID = "ab" * 32
IMAGE = {
    "id": ID, "paths": ["a.jpg"], "width": 4, "height": 3, "split": "index", "landmark": None, "taken_at": None,
    "location": None, "gone": False,
}  # fmt: skip
ROW = {**IMAGE, "rank": 1, "reached": "verified", "inliers": 9, "weight": 8.5, "hops": 1, "similarity": 0.5}
QUERY = {"id": ID, "path": "", "stored": False, "turn": 0, "mirrored": False}
FOUND = {
    "query": QUERY,
    "seconds": 0.1,
    "effort": {"rounds": 1, "compared": 2, "ended": "rounds"},
    "results": [ROW],
}


class Hostile(BaseHTTPRequestHandler):
    """Gives what a test wants."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        length = int(self.headers.get("content-length", 0))
        self.server.asked.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
        told = self.server.told(self)
        if told is None:
            return
        code, body, headers = told
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = answer

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # clients that have heard enough
            super().handle()

    def log_message(self, *args: object) -> None:
        pass


class Server:
    """A server whose answers a test decides; `asked` is what it was asked."""

    def __init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
        self.server.asked, self.asked = [], []
        self.asked = self.server.asked
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def says(self, *answers: Any) -> None:
        """These answers one after the other, the last one for ever: (code, body, headers) or what makes them."""
        left = list(answers)

        def told(request: Hostile) -> Any:
            one = left.pop(0) if len(left) > 1 else left[0]
            return one(request) if callable(one) else one

        self.server.told = told
        self.asked.clear()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def remote(server: Server):
    with lmr.connect(server.base, token=TOKEN, timeout=2) as collection:
        yield collection


def ok(body: Any, **headers: str) -> tuple[int, Any, dict[str, str]]:
    return 200, body, headers


# ------------------------------------------------------------ what is asked


@pytest.mark.parametrize(
    "address", ["{base}/?token={token}", "{base}?token={token}", "{base}/api/v1/?token={token}", " {base}/?token={token}\n"]
)  # fmt: skip
def test_the_printed_address_is_enough_and_the_token_goes_into_a_header_alone(server: Server, address: str) -> None:
    server.says(ok(IMAGE))
    with lmr.connect(address.format(base=server.base, token=TOKEN)) as remote:
        assert remote.image(lmr.ImageId(ID)).width == 4 and TOKEN not in repr(remote) and server.base in repr(remote)
    ((method, path, headers, _),) = server.asked
    assert (method, path, headers["Authorization"]) == ("GET", f"/api/v1/images/{ID}", f"Bearer {TOKEN}")
    with pytest.raises(lmr.UsageError, match="was closed"):
        remote.image(lmr.ImageId(ID))


def test_what_is_no_address_or_token_is_refused_and_not_repeated() -> None:
    for address, token in (
        ("paris", TOKEN), ("ftp://127.0.0.1/", TOKEN), (f"http://user:{TOKEN}@127.0.0.1/", None), ("http://[::1", TOKEN),
        (f"http://127.0.0.1:99999999/?token={TOKEN}", None), ("http://127.0.0.1:8765", None), ("", TOKEN),
        ("http://127.0.0.1:8765", "a b"), ("http://127.0.0.1:8765", "a\r\nHost: b"), ("http://127.0.0.1:8765", "é"),
    ):  # fmt: skip
        with pytest.raises(lmr.UsageError, match="address") as raised:
            lmr.connect(address, token=token)
        assert TOKEN not in str(raised.value)
    with pytest.raises(lmr.UsageError, match="timeout"):
        lmr.connect("http://127.0.0.1:8765", token=TOKEN, timeout=0)


def test_proxies_are_for_others_alone(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    server.says(ok(IMAGE))
    with lmr.connect(server.base, token=TOKEN) as remote:
        assert remote.image(lmr.ImageId(ID)).id == ID
    assert [is_loopback(f"http://{host}:1") for host in ("localhost", "[::1]", "127.3.2.1", "lmr.example")] == [
        True,
        True,
        True,
        False,
    ]


def test_ids_and_names_cannot_lead_elsewhere(remote, server: Server) -> None:
    server.says(ok([]))
    for id in ("../status", "..%2fstatus", "abcdef?x=", "ab" * 40, ""):
        with pytest.raises(lmr.UsageError, match="has the id"):
            remote.image(lmr.ImageId(id))
    with pytest.raises(lmr.UsageError, match="no query"):
        remote.cypher("../../jobs?x=1#")
    assert remote.cypher("near", a="&b=c") == []
    assert [path for _, path, *_ in server.asked] == ["/api/v1/queries/near?a=%26b%3Dc"]


# ------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(
    ("code", "failure", "kind"),
    [
        (400, "UsageError", lmr.UsageError),
        (404, None, lmr.UsageError),
        (409, "BusyError", lmr.BusyError),
        (409, "OutdatedError", lmr.OutdatedError),
        (409, None, lmr.BusyError),
        (413, None, lmr.PhotoError),
        (422, "PhotoError", lmr.PhotoError),
        (422, "UnreadError", lmr.UnreadError),
        (500, None, lmr.LmrError),
        (503, "CollectionError", lmr.CollectionError),
        (503, None, lmr.ServerError),
        (400, "SystemExit", lmr.UsageError),
        (400, "__builtins__", lmr.UsageError),
    ],
)
def test_errors_are_those_of_the_library(remote, server: Server, code: int, failure: str | None, kind: type) -> None:
    server.says((code, {"error": "what \x1b[31mand\u202e why", **({"failure": failure} if failure else {})}, {}))
    with pytest.raises(lmr.LmrError) as raised:
        remote.search(b"a photo")
    assert type(raised.value) is kind and str(raised.value) == "what \\x1b[31mand\\u202e why"


def test_those_who_are_not_let_in_are_told_what_to_do(remote, server: Server) -> None:
    for code, text in ((401, "does not take this token"), (403, "another role"), (421, "--name")):
        server.says((code, b"plain", {}))
        with pytest.raises(lmr.UsageError, match=text) as raised:
            remote.status()
        assert TOKEN not in str(raised.value)


def test_a_busy_server_is_asked_again_for_a_while(remote, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = (429, {"error": "busy"}, {"Retry-After": "0"})
    server.says(busy, busy, ok(FOUND))
    assert len(remote.search(b"a photo")) == 1
    assert [body for *_, body in server.asked] == [b"a photo"] * 3
    monkeypatch.setattr(wire, "_PATIENCE", 0.3)
    for after in ("0", "99999999999", "-1", "soon", "\u0663", ""):
        server.says((429, {"error": "busy"}, {"Retry-After": after.encode("ascii", "replace").decode()}))
        begun = time.monotonic()
        with pytest.raises(lmr.BusyError, match="ask again"):
            remote.search(b"a photo")
        assert time.monotonic() - begun < 2


def test_a_server_that_is_gone(server: Server) -> None:
    gone = Server()
    gone.server.shutdown()
    gone.server.server_close()
    with (
        lmr.connect(f"{gone.base}/?token={TOKEN}") as remote,
        pytest.raises(lmr.ServerError, match="lmr serve") as raised,
    ):
        remote.status()
    assert gone.base in str(raised.value) and TOKEN not in str(raised.value)

    def cut(request: Hostile) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")
        request.close_connection = True

    def slow(request: Hostile) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(20):
                request.wfile.write(b" ")
                time.sleep(0.05)
        request.close_connection = True

    def silent(request: Hostile) -> None:
        time.sleep(0.6)
        request.close_connection = True

    with lmr.connect(server.base, token=TOKEN, timeout=0.3) as remote:
        for answer, text in ((cut, "broke off"), (slow, "has not answered in"), (silent, "has not answered in")):
            server.says(answer)
            with pytest.raises(lmr.ServerError, match=text):
                remote.status()


# ------------------------------------------------------------ hostile answers


def test_redirects_are_not_followed(remote, server: Server) -> None:
    for code in (301, 302, 307, 308):
        server.says((code, b"", {"Location": f"{server.base}/api/v1/status"}))
        with pytest.raises(lmr.ServerError, match=f"code {code}"):
            remote.status()
        assert len(server.asked) == 1


def test_large_and_packed_answers_end_early(remote, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_MOST_VALUES", 1000)
    monkeypatch.setattr(wire, "_MOST_PICTURE", 1000)

    def endless(request: Hostile) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(1000):
                request.wfile.write(b"1000\r\n" + b"\xff\xd8" * 2048 + b"\r\n")
        except OSError:
            request.close_connection = True

    server.says(endless)
    for asked in (remote.status, lambda: remote.thumbnail(lmr.ImageId(ID))):
        with pytest.raises(lmr.ServerError, match="larger than"):
            asked()
    server.says(ok(b"\x1f\x8b", **{"Content-Encoding": "gzip"}))
    with pytest.raises(lmr.ServerError, match="packed"):
        remote.status()
    server.says((400, b"<" * 200_000, {}))
    with pytest.raises(lmr.ServerError, match="code 400"):
        remote.status()


def changed(document: Any, *places: Any, to: Any) -> Any:
    """A copy with another value in one place."""
    copy = json.loads(json.dumps(document))
    at = copy
    for place in places[:-1]:
        at = at[place]
    at[places[-1]] = to
    return copy


def searched(remote: Any) -> Any:
    return remote.search(b"a photo")


WRONG: list[tuple[Callable[[Any], Any], Any]] = [
    *((searched, body) for body in ([], None, "x", 7, {}, b"", b"{", b"[" * 100_000, b'{"a": NaN}', b"9" * 5000, b"\xff")),
    *((searched, changed(FOUND, *places, to=to)) for places, to in (
        (["results"], {}), (["results", 0], None), (["results", 0, "rank"], "1"), (["results", 0, "rank"], True),
        (["results", 0, "rank"], 1.5), (["results", 0, "id"], 7), (["results", 0, "paths"], "a.jpg"),
        (["results", 0, "paths"], [7]), (["results", 0, "reached"], "magic"), (["results", 0, "reached"], []),
        (["results", 0, "weight"], "8"), (["results", 0, "location"], [1, 2]), (["results", 0, "location"], {"latitude": 1}),
        (["results", 0, "width"], None), (["results", 0, "split"], 0), (["results", 0, "similarity"], 10**400),
        (["query"], []), (["query", "stored"], 1), (["query", "turn"], None), (["seconds"], None),
    )),
    (lambda remote: remote.image(lmr.ImageId(ID)), {"id": ID}),
    (lambda remote: list(remote.images()), {"images": [IMAGE] * 1000, "after": ""}),
    (lambda remote: remote.explain(b"a photo", lmr.ImageId(ID)), {"path": [{"a": None, "b": ID}]}),
    (lambda remote: remote.clusters(), [{"id": ID}]),
    (lambda remote: remote.review(), [{"a": ID, "turn": 1}]),
    (lambda remote: remote.rulings(), [[ID, ID]]),
    (lambda remote: remote.status(), {"home": "x"}),
    (lambda remote: remote.cypher("near"), {"rows": []}),
    (lambda remote: remote.match(lmr.ImageId(ID), lmr.ImageId(ID)), {"a": ID}),
    (lambda remote: remote.thumbnail(lmr.ImageId(ID)), b"<svg>"),
    (lambda remote: remote.link(), {"id": "../../x"}),
    (lambda remote: remote.link(), {"state": "done"}),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "body"), WRONG, ids=range(len(WRONG)))
def test_answers_of_another_shape_are_refused(remote, server: Server, asked: Callable[[Any], Any], body: Any) -> None:
    server.says(ok(body))
    with pytest.raises(lmr.ServerError, match=r"cannot be read.* here and there") as raised:
        asked(remote)
    assert len(str(raised.value)) < 500


def test_what_a_newer_server_says_besides_is_left_out(remote, server: Server) -> None:
    server.says(ok({**FOUND, "new": 1, "results": [{**ROW, "new": [1]}]}))
    assert remote.search(b"a photo")[0].image.width == 4
    assert remote.search(b"a photo").statistics.ended == "rounds"


# ------------------------------------------------------------ several photos, labels


def test_further_photos_are_handed_over_once_and_again_when_they_are_forgotten(remote, server: Server) -> None:
    told = {"queries": [{**QUERY, "effort": FOUND["effort"]}] * 3, "seconds": 0.1, "results": [ROW]}
    way = {"begins": 1, "path": [{"a": None, "b": ID, "inliers": 9, "weight": 8.5}]}
    server.says(ok({"photo": "photo-a"}), ok(told), ok(way))
    found = remote.search([b"one", b"two", lmr.ImageId(ID)])
    assert found.path(found[0]) == [Hop(None, ID, 9, 8.5)] and found.statistics.rounds == 1
    asked = [(method, path.split("?")[0], body) for method, path, _, body in server.asked]
    assert asked == [
        ("POST", "/api/v1/photos", b"two"),
        ("POST", "/api/v1/search", b"one"),
        ("POST", "/api/v1/explain", b"one"),
    ]
    assert all(f"with=photo-a%2C{ID}" in path for _, path, *_ in server.asked[1:])
    gone = (404, {"error": "This photo is not at hand any more"}, {})
    server.says(gone, ok({"photo": "photo-b"}), ok(way))
    assert len(found.path(found[0])) == 1 and "with=photo-b" in server.asked[-1][1]
    server.says(gone)
    with pytest.raises(lmr.UsageError, match="not at hand"):
        found.path(found[0])


def test_several_photos_are_not_believed_to_be_others(remote, server: Server) -> None:
    queries = [{**QUERY, "effort": FOUND["effort"]}] * 2
    told = {"queries": queries, "seconds": 0.1, "results": [ROW]}
    for body in (
        FOUND,
        changed(told, "queries", to=queries[:1]),
        changed(told, "queries", 1, to=7),
        {**told, "queries": []},
    ):
        server.says(ok({"photo": "photo-a"}), ok(body))
        with pytest.raises(lmr.ServerError, match="cannot be read"):
            remote.search([b"one", b"two"])
    for body in ({"photo": "a,b"}, {"photo": 7}, {}):
        server.says(ok(body))
        with pytest.raises(lmr.ServerError, match="cannot be read"):
            remote.search([b"one", b"two"])
    for begins in (2, -1, None, "0"):
        server.says(ok({"photo": "photo-a"}), ok({"begins": begins, "path": None}))
        with pytest.raises(lmr.ServerError, match="cannot be read"):
            remote.explain([b"one", b"two"], lmr.ImageId(ID))
    server.says(ok(told))
    for wrong in ([b"x"] * 13, []):
        with pytest.raises(lmr.UsageError):
            remote.search(wrong)
    assert not server.asked


def test_many_labels_go_in_parts(remote, server: Server) -> None:
    def answer(request: Hostile) -> Any:
        body = server.asked[-1][3]
        if not body:
            return ok(job(state="done", outcome={"former": dict.fromkeys(json.loads(server.asked[-2][3])["labels"])}))
        assert len(body) <= 2**16
        return ok({"job": "ab12", "state": "running"})

    server.says(answer)
    ids = [f"{k:064x}" for k in range(300)]
    labels = {lmr.ImageId(id): "\N{TOKYO TOWER}" * 200 for id in ids}
    assert list(remote.label(labels)) == ids
    server.says(ok({"job": "ab12"}), ok(job(state="done", outcome={"labelled": 1})))
    with pytest.raises(lmr.ServerError, match="former"):
        remote.label({lmr.ImageId(ID): "x"})


# ------------------------------------------------------------ jobs


def job(**values: Any) -> dict[str, Any]:
    return {
        "id": "ab12", "state": "running", "task": "", "done": 0, "total": 0, "outcome": None, "error": None,
        "failure": None, **values,
    }  # fmt: skip


def test_jobs_end_as_the_library_would(remote, server: Server) -> None:
    done = job(state="done", outcome=asdict(Corrected(accepted=3)))
    server.says(ok({"job": "ab12", "state": "running"}), ok(job()), ok(done))
    assert remote.confirm(lmr.ImageId(ID), lmr.ImageId(ID), "sure") == Corrected(accepted=3)
    assert json.loads(server.asked[0][3]) == {"verdict": "confirm", "a": ID, "b": ID, "why": "sure"}
    for ended, kind in (
        (job(state="failed", error="another one writes", failure="BusyError"), lmr.BusyError),
        (job(state="failed", error="KeyError: 1"), lmr.LmrError),
        (job(state="cancelled"), lmr.LmrError),
        (job(state="cut short", error="the server was stopped"), lmr.LmrError),
        (job(state="done", outcome={"accepted": "3"}), lmr.ServerError),
        (job(state="done", outcome=None), lmr.ServerError),
        (job(total="many"), lmr.ServerError),
    ):
        server.says(ok({"job": "ab12", "state": "running"}), ok(ended))
        with pytest.raises(kind) as raised:
            remote.withdraw(lmr.ImageId(ID), lmr.ImageId(ID))
        assert type(raised.value) is kind


def test_progress_is_told_and_an_interrupt_cancels(server: Server) -> None:
    told: list[tuple[str, int, int]] = []

    def tell(*progress: Any) -> None:
        told.append(progress)
        if progress == ("Pairs", 7, 9):
            raise KeyboardInterrupt

    steps = [("Photos", 0, 4), ("Photos", 3, 4), ("Photos", 4, 4), ("Pairs", 2, 9), ("Pairs", 7, 9)]
    server.says(ok(job()), ok(job()), *(ok(job(task=task, done=done, total=total)) for task, done, total in steps))
    with lmr.connect(server.base, token=TOKEN, progress=tell) as remote, pytest.raises(KeyboardInterrupt):
        remote.link()
    assert [one for one in told if one[0]] == [*steps[:3], ("Pairs", 0, 9), *steps[3:]]
    assert server.asked[-1][:2] == ("DELETE", "/api/v1/jobs/ab12")


# ------------------------------------------------------------ reading, importing


def test_values_are_read_as_they_were_written() -> None:
    image = Image(lmr.ImageId(ID), ("a", "b"), 4, 3, "query", "place", "1990", (48.5, -2.0), True)
    assert value_of(Image, json.loads(json.dumps(plain(image)))) == image
    assert value_of(tuple[Hop, ...] | None, [plain(Hop(None, ID, 9, 3))]) == (Hop(None, ID, 9, 3.0),)
    assert value_of(float | str, "x") == "x" and value_of(dict[str, list[Any]], {"a": [1]}) == {"a": [1]}
    for kind, wrong in (
        (int, True),
        (bool, 1),
        (str, None),
        (float | str, []),
        (tuple[int, int], [1]),
        (list[int], "12"),
    ):
        with pytest.raises(Misfit):
            value_of(kind, wrong)


def test_connecting_loads_no_database_and_without_httpx_it_says_what_to_install() -> None:
    code = "import sys, lmr; c = lmr.connect('http://127.0.0.1:9', token='x'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "httpx" in loaded and not {"neo4j", "pymilvus", "torch", "starlette", "pandas"} & set(loaded)
    code = (
        "import sys; sys.modules['httpx'] = None\nimport lmr\n"
        "try:\n    lmr.connect('http://127.0.0.1:9', token='x')\nexcept lmr.UsageError as error:\n    print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'lmr[client]'" in told
