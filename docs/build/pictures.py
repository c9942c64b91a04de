"""Make the pictures of the page that README and docs show, from the demo's collection (`make demo`), by Chromium.

    python docs/build/pictures.py [--home demo/lmr]

Look at them before they are committed.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

import lmr

DOCS = Path(__file__).parents[1]
FRONT, SIDE = "town-hall-front-1.jpg", "town-hall-side-9.jpg"
SIZE = {"width": 1000, "height": 760}


def main() -> None:
    """Start the page, visit what is shown, end it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("demo") / "lmr")
    home = parser.parse_args().home
    with lmr.open(home) as c:
        ids = {Path(path).name: image.id for image in c.images() for path in image.paths}
    command = [sys.executable, "-m", "lmr", "serve", "--home", str(home), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            address = served.stdout.readline().strip()
            chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
            with sync_playwright() as running:
                browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                tab, base = browser.new_page(viewport=SIZE), "/".join(address.split("/")[:3])
                tab.goto(address)
                tab.wait_for_url(f"{base}/")
                for name, path in {
                    "page-search": f"/search?of={ids[FRONT]}",
                    "page-why": f"/why?of={ids[FRONT]}&goal={ids[SIDE]}",
                    "page-around": f"/photos/{ids[FRONT]}",
                    "page-review": "/review",
                }.items():
                    tab.goto(base + path)
                    shown(tab, DOCS / f"{name}.jpg")
                browser.close()
        finally:
            served.terminate()


def shown(tab: Page, target: Path) -> None:
    """What the tab shows, as a small JPEG."""
    tab.wait_for_timeout(3000)  # pictures come as they are seen
    Image.open(io.BytesIO(tab.screenshot())).convert("RGB").save(target, quality=85, optimize=True)


if __name__ == "__main__":
    main()
