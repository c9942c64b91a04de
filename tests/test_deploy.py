"""The wheel in an empty environment, and the files for Docker, Ray and Kubernetes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

import lmr
from lmr.local.jars import pinned_version
from lmr.settings import Settings, variable
from tests.conftest import ROOT, Cli


def test_a_wheel_in_an_empty_environment_searches(demo: Cli, made: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "-o", tmp_path], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "lmr/shipped/cypher/ranking/rank.cypher" in names
    page = {path.relative_to(ROOT).as_posix() for path in (ROOT / "lmr" / "web").rglob("*.*") if path.suffix != ".pyc"}
    assert {"lmr/web/templates/search.html", "lmr/web/static/page.js"} < page <= set(names)
    sources = "".join(source.read_text() for source in (ROOT / "lmr").rglob("*.py"))
    wanted = set(re.findall(r'resource\("(.+?)"\)', sources))
    assert len(wanted) > 2
    for shipped in wanted:
        assert any(name.startswith(f"lmr/shipped/{shipped}") for name in names), shipped
    assert any(name.endswith("LICENSE") for name in names) and any(name.endswith("NOTICE") for name in names)
    python = tmp_path / "venv" / "bin" / "python"
    if uv := shutil.which("uv"):
        install = [uv, "pip", "install", "-q", "--python", python]
    else:
        install = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-compile"]
    venv.create(tmp_path / "venv")
    subprocess.run([*install, wheel], check=True)
    search = [tmp_path / "venv" / "bin" / "lmr", "search", made / "chapel-query.jpg", "--json", "--top", "5"]
    environment = {**os.environ, "LMR_HOME": str(demo.home)}
    done = subprocess.run(search, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)["results"]
    assert [row["landmark"] for row in rows] == ["chapel"] * 5


def test_compose_file_fits_the_pins() -> None:
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    assert services["neo4j"]["image"] == f"neo4j:{pinned_version('org/neo4j/neo4j')}-community"
    assert services["neo4j"]["environment"]["NEO4J_PLUGINS"] == '["graph-data-science"]'
    client = (ROOT / "pyproject.toml").read_text().split('"pymilvus>=')[1][:3]
    assert services["milvus"]["image"].startswith(f"milvusdb/milvus:v{client}.")
    for service in services.values():
        assert service.get("ports") and all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_ray_takes_its_cluster_file() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'lmr[cluster]'")
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((ROOT / "deploy" / "cluster.yaml").read_text())
    validate_config(prepare_config(config))
    assert config["max_workers"] == len(config["provider"]["worker_ips"])
    assert f"lmr[cluster]=={lmr.__version__}" in config["setup_commands"][0]


def test_the_job_for_kubernetes_fits_lmr() -> None:
    (job,) = yaml.safe_load_all((ROOT / "deploy" / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"]["mode"] == "token"
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    pods = [one for group in groups for one in group["template"]["spec"]["containers"]]
    assert {pod["image"] for pod in pods} == {f"registry.example/lmr:{lmr.__version__}"}
    settings = {variable(spec) for spec in fields(Settings)}
    names = {row["name"] for pod in pods for row in pod["env"]}
    assert {name for name in names if not name.startswith("RAY_")} <= settings and "NEO4J_URI" in names
    words = shlex.split(shlex.split(job["spec"]["entrypoint"])[2])
    assert words.count("lmr") == 3 and {word for word in words if word.startswith("--")} == {"--engine", "--address"}
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    volumes = {one["name"] for one in cluster["headGroupSpec"]["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in head["volumeMounts"]} == volumes
    assert "ray[client]==" + cluster["rayVersion"] in (ROOT / "deploy" / "cluster.yaml").read_text()
