"""Commands, and the databases under them, killed at random moments: the same command then ends in the same state.

One collection lives undisturbed. Another goes through the same commands; each is cut once, given again, and must end as
the first one did, and the next command goes on from there. `make test` does so once; `make soak` sets LMR_KILLS: so many
moments for each command, a quarter as many for each database under it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.method.spanning.ranking import Limits, rank_from
from lmr.settings import load
from lmr.store.check import check
from lmr.store.stores import Stores
from tests.conftest import ROOT, Cli, stop_databases

KILLS, SEED = int(os.environ.get("LMR_KILLS", "0")), int(os.environ.get("LMR_SEED", "1"))
LIVES = 3  # at most, where moments are not counted: too few may have come before the commands were done
HANGS = 7.0  # seconds that a database does not answer
SERVERS = {"Neo4j": LocalNeo4j, "Milvus": LocalMilvus}


@dataclass(frozen=True)
class Case:
    """What is killed, or hangs, after which part of the time that the command takes."""

    victim: str
    part: float
    hangs: bool = False


def cases(rng: random.Random) -> list[Case]:
    """What happens to one command in one life of the collection after the other."""
    if not KILLS:
        return [Case(rng.choice(["command", "command", *SERVERS]), rng.random())]
    found = [Case("command", rng.random()) for _ in range(KILLS)]
    for server in SERVERS:
        found += [Case(server, rng.random()) for _ in range(max(1, KILLS // 4))]
        found += [Case(server, rng.random(), hangs=True)]
    rng.shuffle(found)
    return found


def state(cli: Cli) -> dict:
    """All that a collection holds, by names that do not depend on history; nothing in it contradicts the rest."""
    with Stores.open(load({"home": cli.home})[0]) as collection:
        assert check(collection) == []
        ledger, graph = collection.ledger, collection.graph
        ids = {image.number: image.id for image in ledger.images.all()}
        return {
            "images": sorted(
                (i.id, i.split, i.landmark, len(ledger.features.local(i.number))) for i in ledger.images.all()
            ),
            "pairs": sorted((ids[r.a], ids[r.b], r.verification, r.excluded, r.weight) for r in ledger.pairs.rows()),
            "tree": sorted(tuple(row.values()) for row in graph.run("forest/stored")),
            "clusters": sorted((row["id"], row["size"]) for row in graph.run("clusters/list", limit=99)),
            "vectors": {id: v.tobytes() for id, v in collection.vectors.fetch(sorted(ids.values())).items()},
            "rankings": {id: [row.id for row in rank_from(graph, [id], [], Limits())] for id in sorted(ids.values())},
        }


def started(cli: Cli, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lmr", *map(str, words)],
        env={**os.environ, "LMR_HOME": str(cli.home)},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def undisturbed(cli: Cli, *words: object) -> float:
    """The seconds that a command takes."""
    begin, process = time.monotonic(), started(cli, *words)
    _, told = process.communicate(timeout=600)
    assert process.returncode == 0, told
    return time.monotonic() - begin


def disturbed(cli: Cli, moment: float, case: Case, *words: object) -> bool:
    """Start a command and do to it, or to a server under it, what the case says; whether it was still at work."""
    process = started(cli, *words)
    try:
        process.wait(moment)
        return False
    except subprocess.TimeoutExpired:
        pass
    if case.victim == "command":
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    running = SERVERS[case.victim](cli.home, load({"home": cli.home})[0]).running()
    assert running is not None
    os.kill(running.pid, signal.SIGSTOP if case.hangs else signal.SIGKILL)
    if case.hangs:
        time.sleep(HANGS)
        os.kill(running.pid, signal.SIGCONT)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0 or (not case.hangs and "Traceback" not in told), told  # an error in words, or a wait
    return True


def finish(cli: Cli, *words: object) -> None:
    """The command to its end; an image that is gone already is no failure of `remove`."""
    done = cli.run(*words)
    gone = words[0] == "remove" and "not in the collection" in done.stderr
    assert done.returncode == 0 or gone, done.stderr


def test_killed_commands_go_on(
    little: Path, servers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    photos = [path for name in ("bank", "mill") for path in sorted(little.glob(f"{name}-*.jpg"))[:3]]
    for path in photos:
        shutil.copy(path, folder)
    commands = (
        ("ingest", folder, "--labels", little / "labels.csv"),
        ("link",),
        ("cluster",),
        ("remove", folder / photos[0].name),
        ("cluster", "--method", "components"),  # of what is left
        ("train",),
    )
    calm, rng = Cli(tmp_path / "calm"), random.Random(SEED)
    seconds, wanted = [], []
    for words in commands:
        seconds.append(undisturbed(calm, *words))
        wanted.append(state(calm))
    for name in servers:  # those that are killed are the collection's own
        monkeypatch.delenv(name)
    to_come = [deque(cases(rng)) for _ in commands]
    life = hits = 0
    missed: list[tuple[deque[Case], Case]] = []
    while any(to_come):
        life += 1
        shaken = Cli(tmp_path / f"shaken {life}")
        try:
            shaken("up")
            for words, usual, expected, left in zip(commands, seconds, wanted, to_come, strict=True):
                case = left.popleft() if left else Case("command", rng.random())
                moment = 0.3 + case.part * usual
                hit = disturbed(shaken, moment, case, *words)
                if not hit:  # the machine may be faster now, and the command done by then: again, earlier
                    missed.append((left, replace(case, part=case.part * 0.6)))
                finish(shaken, *words)
                found = state(shaken)
                for what in found:
                    assert found[what] == expected[what], (words[0], case, moment, what)
                hits += hit
                happened = f"{case.victim} {'hung' if case.hangs else 'killed'} after {moment:.2f} s"
                print(
                    f"seed {SEED}: {words[0]}, {happened}{'' if hit else ' (done by then)'}: the same end", flush=True
                )
        finally:
            stop_databases(shaken.home)
        shutil.rmtree(shaken.home)
        if KILLS or (hits < len(commands) // 2 and life < LIVES):
            for left, case in missed:
                left.append(case)
            missed.clear()
    assert hits >= len(commands) // 2
