"""Extractors of other packages are found by their entry points, and what is wrong with one is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lmr.errors import CheckpointError, UsageError
from lmr.extractors.presets import preset
from lmr.extractors.registry import LOCAL_GROUP, WHOLE_GROUP, local_features, names
from lmr.settings import Settings

MODULE = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Parameters:
    side: object = 640
    version: int = 1

class Corners:
    name, parameters, max_side, on_device, verifier = "corners", Parameters(), 640, False, None
    def __init__(self, given): self.given = given
    def prepare(self, photo): ...
    def extract(self, batch): ...

class NoVerifier:
    name, parameters, max_side, on_device = "x", Parameters(), 640, False
    def __init__(self, given): ...
    def prepare(self, photo): ...

class Wrong(Corners):
    parameters = Parameters(side=object())

class Called(Corners):
    name = "corners+vlad"
"""
ENTRIES = """[lmr.extractors]
corners = MODULE:Corners
partly = MODULE:NoVerifier
wrong = MODULE:Wrong
called = MODULE:Called
broken = MODULE_that_is_not_there:Corners
rootsift = MODULE:Corners
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with entry points as pip leaves one."""
    return install(tmp_path, monkeypatch, "cornersfortest")


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    (folder / f"{name}.py").write_text(MODULE)
    made = folder / f"{name}-1.dist-info"
    made.mkdir()
    (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (made / "entry_points.txt").write_text(ENTRIES.replace("MODULE", name))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def test_an_extractor_of_another_package_is_found(installed: str) -> None:
    assert names(LOCAL_GROUP)[:3] == ["rootsift", "delf", "delg"] and "corners" in names(LOCAL_GROUP)
    found = local_features("corners:mine", Settings(attention=2.0))
    assert type(found).__module__ == installed
    assert (found.given.name, found.given.checkpoint, found.given.settings.attention) == ("corners", "mine", 2.0)
    assert preset("corners+vlad").mark == "corners+vlad" and "corners" not in names(WHOLE_GROUP)


def test_what_lmr_brings_cannot_be_replaced(installed: str) -> None:
    assert type(local_features("rootsift", Settings())).__module__ == "lmr.method.features.sift"


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("partly", "lacks verifier, extract"),
        ("wrong", "no frozen dataclass of numbers and texts"),
        ("called", r"calls itself 'corners\+vlad'"),
        ("broken", "cannot be loaded: No module named"),
        ("dir", "it can only stand after the"),
    ],
)
def test_what_is_wrong_with_one_is_said(installed: str, what: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        local_features(what, Settings())


def test_a_name_in_two_packages_is_refused(
    installed: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path_factory.mktemp("other"), monkeypatch, "cornersagain")
    with pytest.raises(UsageError, match=r"more than one package: cornersagain:Corners, cornersfortest:Corners"):
        local_features("corners", Settings())


def test_an_unknown_name_is_neither_checkpoint_nor_extractor(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint 'nothing'.*local features of rootsift, delf"):
        preset("nothing+vlad", Settings(checkpoints=tmp_path))
    with pytest.raises(UsageError, match="no extractor 'nothing'; there are: vlad"):
        preset("rootsift+nothing:weights", Settings(checkpoints=tmp_path))
    with pytest.raises(UsageError, match="places, not whole photos"):
        preset("rootsift+rootsift", Settings(checkpoints=tmp_path))
