"""The files for Docker, Ray and Kubernetes."""

from __future__ import annotations

import shlex
from dataclasses import fields

import pytest
import yaml

import lmr
from lmr.local.jars import pinned_version
from lmr.settings import Settings, variable
from tests.conftest import ROOT


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
