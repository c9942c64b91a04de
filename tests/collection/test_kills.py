"""Commands, and the databases under them, killed at random moments: the same command ends in the same state.

`make soak` sets LMR_KILLS and LMR_SEED for more of them.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from lmr.collection import Collection
from lmr.servers.milvus import LocalMilvus
from lmr.servers.neo4j import LocalNeo4j
from lmr.settings import load
from lmr.spanning.ranking import Limits, rank_from_image
from tests.conftest import ROOT, Cli, stop_databases

KILLS, SEED = int(os.environ.get("LMR_KILLS", "1")), int(os.environ.get("LMR_SEED", "1"))


def state(cli: Cli) -> dict:
    """All that a collection holds, by names that do not depend on history."""
    with Collection.open(load({"home": cli.home})[0]) as collection:
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


def hung(cli: Cli, moment: float, *words: object, server: LocalNeo4j | LocalMilvus) -> None:
    """Start a command, let a server under it hang for some seconds: it waits, and then goes on."""
    process, running = started(cli, *words), server.running()
    assert running is not None
    time.sleep(moment)
    os.kill(running.pid, signal.SIGSTOP)
    time.sleep(7)
    os.kill(running.pid, signal.SIGCONT)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told


def killed(cli: Cli, moment: float, *words: object, server: LocalNeo4j | LocalMilvus | None = None) -> bool:
    """Start a command, kill it (or a server under it) after so many seconds; whether it was still at work."""
    process = started(cli, *words)
    try:
        process.wait(moment)
        return False
    except subprocess.TimeoutExpired:
        pass
    if server is None:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    running = server.running()
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0 or "Traceback" not in told, told  # an error that says what to do, or a wait
    return True


def test_killed_commands_go_on(made: Path, tmp_path: Path) -> None:
    rng, folder = random.Random(SEED), tmp_path / "photos"
    folder.mkdir()
    photos = [path for name in ("bank", "mill") for path in sorted(made.glob(f"{name}-*.jpg"))[:4]]
    for path in photos:
        shutil.copy(path, folder)
    gone = folder / photos[0].name
    commands = (
        ("ingest", folder, "--labels", made / "labels.csv"),
        ("link",),
        ("cluster",),
        ("remove", gone),
        ("cluster",),
    )
    calm, shaken = Cli(tmp_path / "calm"), Cli(tmp_path / "shaken")
    seconds, done = [], 0
    try:
        for words in commands:
            begin = time.monotonic()
            calm(*words)
            seconds.append(time.monotonic() - begin)
        shaken("up")
        chosen = range(len(commands)) if KILLS > 1 else rng.sample(range(len(commands)), 2)
        for k, (words, whole) in enumerate(zip(commands, seconds)):
            for _ in range(KILLS if k in chosen else 0):
                moment = rng.uniform(0.3, max(1.0, whole))
                hit = killed(shaken, moment, *words)
                done += hit
                print(f"seed {SEED}: {words[0]} killed after {moment:.2f} s: {'at work' if hit else 'done'}")
                if not hit and words[0] == "remove":
                    break
            finish(shaken, *words)
        # the databases die under a command that writes everything anew
        settings = load({"home": shaken.home})[0]
        servers = [LocalNeo4j(shaken.home, settings), LocalMilvus(shaken.home, settings)]
        for server in servers if KILLS > 1 else [servers[SEED % 2]]:
            done += killed(shaken, rng.uniform(0.5, 2.5), "train", server=server)
            shaken("train")
        for server in servers if KILLS > 1 else []:
            hung(shaken, rng.uniform(0.5, 2.5), "train", server=server)
        calm("train")
        calm("cluster")
        shaken("cluster")
        assert done >= KILLS, "no kill came in time to mean anything"
        left, right = state(calm), state(shaken)
        for what in left:
            assert left[what] == right[what], what
        for cli in (calm, shaken):
            cli("check")
    finally:
        for cli in (calm, shaken):
            stop_databases(cli.home)


def finish(cli: Cli, *words: object) -> None:
    """The command to its end; an image that is gone already is no failure of `remove`."""
    done = cli.run(*words)
    gone = words[0] == "remove" and "not in the collection" in done.stderr
    assert done.returncode == 0 or gone, done.stderr
