"""What the machine may lack in the middle of the work: room on the disk, the right to write, memory, an answer.

The disk is a small file system of its own, mounted in a namespace of this test alone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LMR = f"{sys.executable} -m lmr"


def in_namespace(script: str, **names: object) -> str:
    """Output of a shell script that may mount file systems; after each command `say` its exit code."""
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs a kernel that lets users make namespaces (unshare -Urm)")
    whole = f"""
        lmr() {{ echo "$ $*"; {LMR} "$@" 2>&1; echo "= $?"; }}
        mount -t tmpfs -o size=2m tmpfs "$LMR_HOME" || exit 9
        {script}
        {LMR} down >/dev/null 2>&1
    """
    environment = {**os.environ, **{name: str(value) for name, value in names.items()}}
    done = subprocess.run(
        ["unshare", "-Urm", "bash", "-c", whole], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


def steps(output: str) -> list[tuple[str, int, str]]:
    """(command, exit code, what it printed) of each command of a script."""
    found = re.findall(r"^\$ (.*?)$(.*?)^= (\d+)$", output, re.MULTILINE | re.DOTALL)
    return [(command, int(code), told) for command, told, code in found]


def test_a_full_and_a_read_only_disk_are_told_and_the_same_command_goes_on(little: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in [p for name in ("bank", "mill") for p in sorted(little.glob(f"{name}-*.jpg"))[:4]]:
        shutil.copy(path, photos)
    (tmp_path / "home").mkdir()
    output = in_namespace(
        """
        lmr ingest "$PHOTOS"                      # the ledger does not fit
        mount -o remount,size=1500m "$LMR_HOME"
        mkdir "$LMR_HOME/neo4j" "$LMR_HOME/milvus"
        mount -t tmpfs -o size=9m tmpfs "$LMR_HOME/neo4j"
        lmr ingest "$PHOTOS"                      # the graph database does not
        mount -o remount,size=1g "$LMR_HOME/neo4j"
        mount -t tmpfs -o size=8k tmpfs "$LMR_HOME/milvus"
        lmr ingest "$PHOTOS"                      # the vector database does not
        mount -o remount,size=1g "$LMR_HOME/milvus"
        lmr ingest "$PHOTOS"
        fallocate -l $(($(stat -f -c '%a * %S' "$LMR_HOME/neo4j") - 4096)) "$LMR_HOME/neo4j/filler"
        lmr link                                  # the graph database is full while it runs
        rm "$LMR_HOME/neo4j/filler"
        log=$(ls "$LMR_HOME"/neo4j/data/transactions/neo4j/neostore.transaction.db.*)
        tr '\\0' '\\377' </dev/zero | dd iflag=fullblock of="$log" bs=4096 seek=$(($(stat -c %s "$log") / 4096 - 1)) count=1 conv=notrunc
        lmr link                                  # a full disk may tear the log's end so that it does not open
        lmr check
        lmr down
        mount -o remount,ro "$LMR_HOME"
        lmr link
        lmr search "$PHOTO"
        mount -o remount,rw "$LMR_HOME"
        lmr search "$PHOTO"
        """,
        LMR_HOME=tmp_path / "home",
        PHOTOS=photos,
        PHOTO=min(photos.iterdir()),
    )
    told = steps(output)
    assert [(command.split()[0], code) for command, code, _ in told] == [
        ("ingest", 1), ("ingest", 1), ("ingest", 1), ("ingest", 0), ("link", 1), ("link", 0),
        ("check", 0), ("down", 0), ("link", 1), ("search", 1), ("search", 0),
    ], output  # fmt: skip
    assert "disk" in told[0][2] and "goes on" in told[0][2]
    for command, code, text in told:
        assert code == 0 or re.search(r"disk|space|read-only|append transaction", text), (
            command,
            text,
        )
    assert "Neo4j cannot open its database" in told[5][2] and "aside-" in told[5][2]
