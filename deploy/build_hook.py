"""What hatchling does beside packing files: it puts the manual page into wheels, as share/man/man1/lmr.1."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPage(BuildHookInterface):
    """Made anew for each wheel, of the commands that it holds."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling; an editable installation has no page."""
        if version == "editable":
            return
        self._made = tempfile.TemporaryDirectory()
        sys.path.insert(0, self.root)
        try:
            from deploy.manual import page

            file = Path(self._made.name) / "lmr.1"
            file.write_text(page(), "utf-8")
        finally:
            sys.path.remove(self.root)
        build_data["shared_data"][str(file)] = "share/man/man1/lmr.1"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """See hatchling."""
        if version != "editable":
            self._made.cleanup()
