"""Make the pictures of the page that README and docs show, from the demo's collection (`make demo`), by Chromium.

    python -m deploy.make_pictures [--home demo/lmr]

Look at them before they are committed.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

import lmr
from benchmarks.browsed import entered
from benchmarks.page import served

DOCS = Path(__file__).parents[1] / "docs"
FRONT, SIDE = "town-hall-front-1.jpg", "town-hall-side-9.jpg"
SIZE = 1000, 760


def main() -> None:
    """Start the page, visit what is shown, end it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("demo") / "lmr")
    home = parser.parse_args().home
    with lmr.open(home) as c:
        ids = {Path(path).name: image.id for image in c.images() for path in image.paths}
    with served(home) as (address, _), entered(address, *SIZE) as (tab, base):
        for name, path in {
            "page-search": f"/search?of={ids[FRONT]}",
            "page-why": f"/why?of={ids[FRONT]}&goal={ids[SIDE]}",
            "page-around": f"/photos/{ids[FRONT]}",
            "page-review": "/review",
        }.items():
            tab.goto(base + path)
            shown(tab, DOCS / f"{name}.jpg")


def shown(tab: Page, target: Path) -> None:
    """What the tab shows, as a small JPEG."""
    tab.wait_for_timeout(3000)  # pictures come as they are seen
    Image.open(io.BytesIO(tab.screenshot())).convert("RGB").save(target, quality=85, optimize=True)


if __name__ == "__main__":
    main()
