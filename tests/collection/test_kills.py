"""Commands, and the databases under them, killed at random moments: the same command then ends in the same state.

`make test` goes through a few cases; `make soak` sets LMR_KILLS: so many moments for each of the first four commands, a
quarter as many for the others and for each database under one.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lmr.collection import Collection
from lmr.collection.check import check
from lmr.servers.milvus import LocalMilvus
from lmr.servers.neo4j import LocalNeo4j
from lmr.settings import load
from lmr.spanning.ranking import Limits, rank_from_image
from tests.conftest import ROOT, Cli, stop_databases

KILLS, SEED = int(os.environ.get("LMR_KILLS", "0")), int(os.environ.get("LMR_SEED", "1"))
SAMPLE = 3
HANGS = 7.0  # seconds that a database does not answer
SERVERS = {"Neo4j": LocalNeo4j, "Milvus": LocalMilvus}


@dataclass(frozen=True)
class Case:
    """Which command, by its place; what is killed, or hangs, after which part of the time that the command takes."""

    command: int
    victim: str
    part: float
    hangs: bool = False


def cases(commands: int) -> list[Case]:
    rng = random.Random(SEED)
    whole = []
    few = max(1, KILLS // 4)
    for command in range(commands):
        whole += [Case(command, "command", rng.random()) for _ in range((KILLS or 2) if command < 4 else few)]
        for server in SERVERS:
            whole += [Case(command, server, rng.random()) for _ in range(few)]
            whole += [Case(command, server, rng.random(), hangs=True)]
    return whole if KILLS else rng.sample([case for case in whole if not case.hangs], SAMPLE)


def state(cli: Cli) -> dict:
    """All that a collection holds, by names that do not depend on history; nothing in it contradicts the rest."""
    with Collection.open(load({"home": cli.home})[0]) as collection:
        assert check(collection) == []
        ledger, graph = collection.ledger, collection.graph
        ids = {image.number: image.id for image in ledger.images()}
        return {
            "images": sorted((i.id, i.split, i.landmark, len(ledger.features(i.number))) for i in ledger.images()),
            "pairs": sorted((ids[r.a], ids[r.b], r.verification, r.excluded, r.weight) for r in ledger.pairs.rows()),
            "tree": sorted(tuple(row.values()) for row in graph.run("forest/stored")),
            "clusters": sorted((row["id"], row["size"]) for row in graph.run("clusters/list", limit=99)),
            "vectors": {id: v.tobytes() for id, v in collection.vectors.fetch(sorted(ids.values())).items()},
            "rankings": {id: [row.id for row in rank_from_image(graph, id, Limits())] for id in sorted(ids.values())},
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


def test_killed_commands_go_on(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    photos = [path for name in ("bank", "mill") for path in sorted(made.glob(f"{name}-*.jpg"))[:4]]
    for path in photos:
        shutil.copy(path, folder)
    commands = (
        ("ingest", folder, "--labels", made / "labels.csv"),
        ("link",),
        ("cluster",),
        ("remove", folder / photos[0].name),
        ("cluster", "--method", "components"),  # of what is left
        ("train",),
    )
    cli, chosen = Cli(tmp_path / "lmr"), cases(len(commands))
    seconds, wanted = [], []
    try:
        cli("up")
        for k, words in enumerate(commands):
            if any(case.command == k for case in chosen):
                stop_databases(cli.home)
                shutil.copytree(cli.home, tmp_path / f"before {k}")
                cli("up")
            seconds.append(undisturbed(cli, *words))
            wanted.append(state(cli))
            if k == max(case.command for case in chosen):
                break
        for case in chosen:
            words, moment, hit = commands[case.command], 0.3 + case.part * seconds[case.command], False
            while not hit:  # the machine may be faster now, and the command done by then: again, earlier
                stop_databases(cli.home)
                shutil.rmtree(cli.home)
                shutil.copytree(tmp_path / f"before {case.command}", cli.home)
                cli("up")
                hit = disturbed(cli, moment, case, *words)
                moment *= 1 if hit else 0.6
            finish(cli, *words)
            found = state(cli)
            for what in found:
                assert found[what] == wanted[case.command][what], (case, moment, what)
            happened = f"{case.victim} {'hung' if case.hangs else 'killed'} after {moment:.2f} s"
            print(f"seed {SEED}: {words[0]}, {happened}: the same end", flush=True)
    finally:
        stop_databases(cli.home)
