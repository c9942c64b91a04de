"""A page that is asked for a long time holds no more memory and no more files than when it had been asked for a while.

Left to `make soak`: LMR_SOAK is how many minutes.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

import lmr
from lmr.web.kept import _PHOTO_BYTES
from tests.conftest import on_servers

MINUTES = float(os.environ.get("LMR_SOAK", "0"))
PEOPLE = 4
STEADY = 0.15  # of the memory held after a third of the time, by which it may grow until the end
pytestmark = pytest.mark.skipif(not MINUTES, reason="left to `make soak` (LMR_SOAK, minutes)")


@pytest.fixture
def served(running, little: Path, tmp_path: Path) -> Iterator[tuple[str, psutil.Process, lmr.Collection]]:
    """The page of a little collection, in a process of its own."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for place in ("bank", "mill"):
        for path in sorted(little.glob(f"{place}-*.jpg"))[:6]:
            shutil.copy(path, photos)
    with on_servers(running), lmr.open(tmp_path / "lmr", workers=1) as c:
        c.ingest(photos)
        c.link()
        c.cluster()
        command = [sys.executable, "-m", "lmr", "serve", "--home", str(tmp_path / "lmr"), "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        try:
            yield process.stdout.readline().strip(), psutil.Process(process.pid), c
        finally:
            process.terminate()
            process.wait(30)


def asks(client: httpx.Client, c: lmr.Collection, photo: bytes) -> list[Callable[[], object]]:
    """What one person may do."""
    ids = [image.id for image in c.images()]
    one = lambda: random.choice(ids)  # noqa: E731
    api = "/api/v1"

    def handed_over() -> None:
        client.post("/photos", files={"photo": ("one.jpg", photo + os.urandom(8))}, follow_redirects=True)

    def left_early() -> None:
        place = c.clusters()[0].id
        with contextlib.suppress(httpx.HTTPError), client.stream("GET", f"/places/{place}/photos.zip") as answer:
            next(answer.iter_bytes(100))

    def labelled() -> None:
        client.post(f"{api}/labels", json={"images": [one()], "label": random.choice("abc"), "replace": True})

    def ruled() -> None:
        pair = {"a": one(), "b": one()}
        client.post(f"{api}/rulings", json={**pair, "verdict": "confirm"})
        client.post(f"{api}/rulings", json={**pair, "verdict": "withdraw"})

    pages = ("/", "/places", "/map", "/review", "/collection", f"{api}/status", "/nowhere")
    return [
        lambda: client.get(random.choice(pages)),
        lambda: client.get(f"/search?of={one()}&min_weight={random.randrange(30)}"),
        lambda: client.get(f"/search?of={one()},{one()}"),
        lambda: client.get(f"/why?of={one()}&goal={one()}"),
        lambda: client.get(f"/photos/{one()}/{random.choice(('small', 'large'))}"),
        lambda: client.get(f"/matches/{one()}/{one()}"),
        lambda: client.get(f"/places/{c.clusters()[0].id}/photos.zip"),
        lambda: client.post(f"{api}/search", content=photo + os.urandom(8)),
        handed_over,
        left_early,
        labelled,
        ruled,
    ]


def test_memory_and_files_stay_as_they_are(served, little: Path) -> None:
    address, process, c = served
    base, _, token = address.partition("/?token=")
    photo, until = (little / "mill-query.jpg").read_bytes(), time.monotonic() + 60 * MINUTES
    headers = {"Authorization": f"Bearer {token}"}
    codes, failed = list[int](), list[str]()

    def note(answer: httpx.Response) -> None:
        codes.append(answer.status_code)
        if answer.status_code in (500, 503):
            failed.append(answer.read().decode(errors="replace"))

    def person(seed: int) -> None:
        told = {"response": [note]}
        with httpx.Client(base_url=base, headers=headers, timeout=120, event_hooks=told) as client:
            while time.monotonic() < until:
                with contextlib.suppress(httpx.TransportError):
                    random.choice(asks(client, c, photo))()

    with httpx.Client(base_url=base, headers=headers, timeout=120) as client:
        for _ in range(_PHOTO_BYTES // 2**23):  # as many as there is room for, so that further ones take no more
            answer = client.post("/photos", files={"photo": ("one.jpg", photo + os.urandom(2**23))})
            assert answer.status_code == 303
    people = [threading.Thread(target=person, args=(k,)) for k in range(PEOPLE)]
    for one in people:
        one.start()
    samples: list[tuple[int, int]] = []
    while any(one.is_alive() for one in people):
        samples.append((process.memory_info().rss, process.num_fds()))
        time.sleep(2)
    third = len(samples) // 3
    memory, files = np.array(samples).T
    before, after = float(np.median(memory[third : third + third // 2])), float(np.median(memory[-third // 2 :]))
    kinds = {code: codes.count(code) for code in sorted(set(codes))}
    print(
        f"\n{len(codes):,} answers {kinds}; memory {before / 1e6:.0f} MB after a third, {after / 1e6:.0f} MB at the end; "
        f"files {files[third:].min()} to {files[third:].max()}, at the end {files[-1]}"
    )
    assert not failed and kinds[200] > len(codes) / 2, failed
    assert after < (1 + STEADY) * before
    assert np.median(files[-third // 2 :]) <= np.median(files[third : third + third // 2]) + 4
