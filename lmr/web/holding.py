"""The page of the collection: what is in it, what was set aside and why, its jobs, and where settings come from."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from lmr.errors import UsageError
from lmr.library.collection import Collection
from lmr.library.homes import config, doctor
from lmr.web.answers import site_of, texts
from lmr.web.asked import PAGE, whole
from lmr.web.crew import CrewBusy
from lmr.web.jobs import Job
from lmr.web.measured import measure, measured
from lmr.web.site import Missing, Site

KINDS = ("ingest", "link", "cluster", "evaluate")
_TICK = 0.5  # seconds between looks at the jobs
_QUIET = 15.0  # seconds after which a word keeps the connection open
_LISTENERS = 16
_MOST = 1_000_000


def collection(site: Site, request: Request) -> str:
    """What the collection holds, its jobs, and what was set aside."""
    begin = whole(request.query_params, "start", 0, _MOST)
    aside = site.c.set_aside()
    more = f"/collection?start={begin + PAGE}#aside" if len(aside) > begin + PAGE else None
    checks = doctor(site.c.home) if request.query_params.get("check") == "1" else None
    status = site.c.status()
    return site.html(
        "collection.html",
        status=status,
        labelled=status.counts.get("labelled_images", 0),
        measured=measured(site),
        jobs=[(job, said(job)) for job in site.jobs.all()],
        folders=list(enumerate(map(str, site.folders))),
        aside=aside[begin : begin + PAGE],
        count_aside=len(aside),
        more=more,
        settings=config(site.c.home),
        checks=checks,
        lacks=site.c.lacks,
    )


def said(job: Job) -> str:
    """How far a job has come, or how it ended, in words."""
    if job.error is not None:
        return job.error
    if job.is_open:
        return f"{job.task} {job.done:,}/{job.total:,}" if job.total else ""
    counts = job.outcome.items() if isinstance(job.outcome, dict) else ()
    told = [f"{name.replace('_', ' ')} {value:,}" for name, value in counts if type(value) is int and value]
    return ", ".join(told) or "nothing changed"


def begin_job(site: Site, kind: str, folder: str = "") -> Job:
    """Let a job be done in its turn. Raises UsageError, Missing for a folder that the owner did not name."""
    if kind == "link":
        return site.jobs.ask(kind, "compare photos (link)", lambda c: c.link())
    if kind == "cluster":
        return site.jobs.ask(kind, "find places (cluster)", lambda c: c.cluster())
    if kind == "evaluate":
        return measure(site)
    if kind != "ingest":
        raise UsageError(f"a job is one of {', '.join(KINDS)}, not {kind[:40]!r}")
    if not folder.isdecimal() or int(folder) >= len(site.folders):
        raise Missing("Only folders that `lmr serve --photos FOLDER` named are taken in, by their number from 0.")
    path = site.folders[int(folder)]

    def work(c: Collection) -> Any:
        return c.ingest(path)

    return site.jobs.ask(kind, f"take in {path}", work)


async def ask_job(request: Request) -> Response:
    """Begin or cancel a job, as the page's buttons do."""
    site = site_of(request)
    async with request.form(max_files=0, max_fields=4) as form:
        told = texts(form)
    if told.get("cancel"):
        cancelled(site, told["cancel"])
    else:
        begin_job(site, told.get("kind", ""), told.get("folder", ""))
    return RedirectResponse("/collection", 303)


def cancelled(site: Site, id: str) -> Job:
    """A job that is not to go on. Raises Missing."""
    job = site.jobs.cancel(id)
    if job is None:
        raise Missing("There is no such job.")
    return job


async def events(request: Request) -> Response:
    """Jobs as they change, as server-sent events: one for each change, at most two in a second."""
    site = site_of(request)
    if site.listeners >= _LISTENERS:
        raise CrewBusy
    return StreamingResponse(_changes(site), media_type="text/event-stream")


async def _changes(site: Site) -> AsyncIterator[str]:
    site.listeners += 1
    try:
        seen, quiet = -1, 0.0
        while not site.jobs.closing:
            if site.jobs.version != seen:
                seen, quiet = site.jobs.version, 0.0
                told = [{**asdict(job), "said": said(job)} for job in site.jobs.all()]
                yield f"data: {json.dumps(told)}\n\n"
            elif quiet >= _QUIET:
                quiet = 0.0
                yield ": nothing new\n\n"
            await asyncio.sleep(_TICK)
            quiet += _TICK
    finally:
        site.listeners -= 1
