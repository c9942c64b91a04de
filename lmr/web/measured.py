"""How good rankings are by the collection's labels: measured as a job, its result kept with its date in the home."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from lmr.library.collection import Collection
from lmr.plain import plain
from lmr.web.jobs import Job, note
from lmr.web.site import Site

MEASURED = "evaluation.json"
_COLUMNS = ("name", "level", "map", "map_interval", "map_at_100", "p_at_1", "p_at_5", "p_at_10", "seconds")


def measure(site: Site) -> Job:
    """Evaluate every baseline when all jobs before are done; the result takes the place of the last."""

    def work(c: Collection) -> Any:
        found = plain(c.evaluate())
        told = {name: value for name, value in found.items() if name != "rows"}  # a row a query may be very many
        note(c.home / MEASURED, {**told, "at": datetime.now(UTC).isoformat(timespec="seconds")})
        return told

    return site.jobs.ask("evaluate", "measure rankings by the labels (evaluate)", work)


def measured(site: Site) -> dict[str, Any] | None:
    """The last result, if there is one: counts, a row for each baseline, and when it was measured (UTC, ISO 8601)."""
    try:
        told = json.loads((site.c.home / MEASURED).read_text("utf-8"))
        counts = {name: int(told[name]) for name in ("queries", "index", "missing")}
        rows = [{name: row[name] for name in _COLUMNS} for row in told["baselines"]]
        return {**counts, "at": str(told["at"]), "baselines": rows}
    except (OSError, ValueError, TypeError, KeyError):
        return None
