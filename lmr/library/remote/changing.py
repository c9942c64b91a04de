"""What changes a remote collection: jobs of its server, one after the other; see library.changing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmr.errors import UsageError
from lmr.library.reading import value_of
from lmr.library.remote.following import done
from lmr.library.remote.held import RemoteHeld, id_of
from lmr.values import ImageId

if TYPE_CHECKING:
    from lmr.jobs.correct.corrections import Corrected
    from lmr.jobs.exchange.clusters import Clustered
    from lmr.jobs.ingest.plan import Ingested
    from lmr.jobs.link.link import Linked

_MOST_WHY = 1000
_MOST_AT_ONCE = 60_000  # bytes of labels, of which servers take 64 KiB


class RemoteChanging(RemoteHeld):
    """A remote collection, as far as it is changed. Each call waits for the jobs before it."""

    def confirm(self, a: Any, b: Any, why: str | None = None) -> Corrected:
        """See `Collection.confirm`."""
        return self._ruled("confirm", a, b, why)

    def reject(self, a: Any, b: Any, why: str | None = None) -> Corrected:
        """See `Collection.reject`."""
        return self._ruled("reject", a, b, why)

    def withdraw(self, a: Any, b: Any) -> Corrected:
        """See `Collection.withdraw`."""
        return self._ruled("withdraw", a, b, None)

    def label(self, labels: Mapping[Any, str | None], *, replace: bool = False) -> dict[ImageId, str | None]:
        """See `Collection.label`. Some 500 photos make a job; where one fails, what those before it changed stays."""
        before: dict[ImageId, str | None] = {}
        given = {id_of(self._stored(photo)): text for photo, text in labels.items()}
        if wrong := next((text for text in given.values() if text is not None and len(text) > _MOST_WHY), None):
            raise UsageError(f"a label has at most {_MOST_WHY} characters over HTTP: {wrong[:40]!r} ...")
        for part in _parts(given):
            former = self._done("/labels", {"labels": part, "replace": replace}, _Labelled).former
            before |= {ImageId(id): text for id, text in former.items()}
        return before

    def _ruled(self, verdict: str, a: Any, b: Any, why: str | None) -> Corrected:
        from lmr.jobs.correct.corrections import Corrected

        if why is not None and len(why) > _MOST_WHY:
            raise UsageError(f"a reason has at most {_MOST_WHY} characters over HTTP")
        asked = {"verdict": verdict, "a": id_of(self._stored(a)), "b": id_of(self._stored(b)), "why": why or ""}
        return self._done("/rulings", asked, Corrected)

    def link(self, **options: Any) -> Linked:
        """See `Collection.link`, without its options. Ctrl-C cancels it; the same call goes on."""
        from lmr.jobs.link.link import Linked

        return self._job("link", Linked, options)

    def cluster(self, *method: Any, **options: Any) -> Clustered:
        """See `Collection.cluster`: Leiden's communities."""
        from lmr.jobs.exchange.clusters import Clustered

        return self._job("cluster", Clustered, dict(enumerate(method)) | options)

    def ingest(self, folder: int = 0, **options: Any) -> Ingested:
        """Take in one of the folders that `lmr serve --photos` named, by its number; as `Collection.ingest` does."""
        from lmr.jobs.ingest.plan import Ingested

        if type(folder) is not int or folder < 0:
            raise UsageError(
                "over HTTP the folders are taken in that `lmr serve --photos FOLDER` named, by their number from 0"
            )
        return self._job("ingest", Ingested, options, folder=str(folder))

    def _job(self, kind: str, outcome: Any, options: Mapping[Any, Any], **asked: str) -> Any:
        if options:
            raise UsageError(f"{kind} takes no options over HTTP: use lmr.open where the collection is")
        return self._done("/jobs", {"kind": kind, **asked}, outcome)

    def _done(self, call: str, asked: Mapping[str, Any], outcome: Any) -> Any:
        return done(self._wire, self._progress, call, asked, lambda told: value_of(outcome, told))


@dataclass(frozen=True, slots=True)
class _Labelled:
    former: dict[str, str | None]


def _parts(labels: Mapping[str, str | None]) -> Iterator[dict[str, str | None]]:
    """As many at once as servers take."""
    part: dict[str, str | None] = {}
    size = 0
    for id, text in labels.items():
        length = len(json.dumps({id: text})) + 2
        if part and size + length > _MOST_AT_ONCE:
            yield part
            part, size = {}, 0
        part[id], size = text, size + length
    if part:
        yield part
