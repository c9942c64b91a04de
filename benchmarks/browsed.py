"""The page in Chromium: one of many results, scrolled to its end and back, as `benchmarks.page` measures it."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from typing import Any

import psutil

from lmr.errors import UsageError

_BACK = 40  # steps
_WATCH = """
window.tasks = [];
new PerformanceObserver((list) => { for (const one of list.getEntries()) tasks.push(one.duration); })
  .observe({ type: "longtask", buffered: true });
"""
_NEXT = "(document.querySelector('li.more') ?? document.querySelector('.card:last-child')).scrollIntoView()"


@contextlib.contextmanager
def entered(address: str, width: int, height: int) -> Iterator[tuple[Any, str]]:
    """A tab of Chromium on the page that a server prints the address of, and the address without a token.

    Raises UsageError where there is no Chromium.
    """
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        raise UsageError("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    base = address.partition("/?")[0]
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.goto(address)
        tab.wait_for_url(f"{base}/")
        yield tab, base
        browser.close()


def scrolled(address: str, of: str, results: int) -> None:
    """Print what it takes to scroll to so many results of the search from a stored image, and back to the first."""
    with contextlib.ExitStack() as opened:
        try:
            tab, base = opened.enter_context(entered(address, 1280, 900))
        except UsageError as error:
            print(f"{error}: pages are not scrolled")
            return
        tab.add_init_script(_WATCH)
        tab.goto(f"{base}/search?of={of}")
        begin, before, cards = time.perf_counter(), _held(), 0
        while cards < results and tab.locator("li.more").count():
            tab.evaluate(_NEXT)
            tab.wait_for_timeout(20)
            cards = tab.locator("li.card").count()
        seconds = time.perf_counter() - begin
        print(f"{cards:,} results scrolled through in {seconds:.0f} s: {_told(tab)}; back: ", end="")
        tab.evaluate("tasks.length = 0")
        for k in range(_BACK, -1, -1):
            tab.evaluate(f"scrollTo(0, document.documentElement.scrollHeight * {k / _BACK})")
            tab.wait_for_timeout(50)
        print(f"{_told(tab)}; the browser holds {_held() // 10**6} MB, before {before // 10**6} MB")


def _told(tab: Any) -> str:
    """Tasks for which the page did not answer: those over 50 ms, as browsers count them, and over 200 ms."""
    tasks = sorted(tab.evaluate("tasks"))
    long = sum(one > 200 for one in tasks)
    return f"{len(tasks)} tasks over 50 ms, {long} over 200 ms, the longest {max([0, *tasks]):.0f} ms"


def _held() -> int:
    """Bytes that this process's browser has in memory, what its parts share counted once."""
    held = 0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            held += process.memory_full_info().pss if "chrom" in process.name() else 0
    return held
