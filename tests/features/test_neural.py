"""Presets of networks, with made weights: what they see and keep, batches, and the main job through the CLI."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch (`make setup`)")

from lmr.errors import CheckpointError, UsageError  # noqa: E402
from lmr.extractors.checkpoints.store import Store  # noqa: E402
from lmr.extractors.presets import preset  # noqa: E402
from lmr.extractors.single import Wanted, features_of  # noqa: E402
from lmr.jobs.ingest import intake as intake_module  # noqa: E402
from lmr.jobs.ingest.intake import Taken, finished  # noqa: E402
from lmr.method.features import neural  # noqa: E402
from lmr.method.features.networks.build import build  # noqa: E402
from lmr.method.features.networks.delf import GLOBAL_SCALES, describe, limited  # noqa: E402
from lmr.method.features.pack import pack, unpack  # noqa: E402
from lmr.settings import Settings  # noqa: E402
from lmr.values import Array, Photo, readonly  # noqa: E402
from tests.conftest import Cli  # noqa: E402
from tests.features.bundle import write_bundle  # noqa: E402
from tests.features.weights import dir_checkpoint, gem_checkpoint, variables  # noqa: E402


@pytest.fixture(scope="module")
def store(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One made checkpoint of each kind."""
    parity, folder = shared / "parity", tmp_path_factory.mktemp("made")
    found = Store(folder / "store")
    found.add(dir_checkpoint(parity, folder / "Resnet50-AP-GeM.pt"))
    found.add(gem_checkpoint(parity, folder / "gl18-tl-resnet50-gem-w-83fdc30.pth"))
    found.add(parity / "delf_tf1_bundle", "delf_gld_20190411")
    listed = parity / "delg_tf2_keras_variables.txt"
    keys = [line.split("\t") for line in listed.read_text().splitlines() if not line.startswith("#")]
    made = variables(parity, listed.name)
    write_bundle(folder / "r50delg" / "variables", made, {row[0]: row[3] for row in keys})
    found.add(folder / "r50delg", "r50delg_gldv2clean_20200914", old_attention=False)
    return found


@pytest.fixture(scope="module")
def settings(store: Store) -> Settings:
    return Settings(checkpoints=store.folder, network_side=160, device="cpu")


@pytest.fixture(scope="module")
def photos(shared: Path) -> list[Photo]:
    stored = np.load(shared / "parity" / "images.npz")
    pictures = [stored["img0"], stored["img1"], np.ascontiguousarray(stored["img0"][:, ::-1])]
    return [as_photo(f"{k}" * 64, picture) for k, picture in enumerate(pictures)]


def as_photo(id: str, pixels: Array) -> Photo:
    return Photo(id, readonly(pixels.copy()), 2 * pixels.shape[1], 2 * pixels.shape[0])  # decoded at half its size


@pytest.mark.parametrize("name", ["dir-delf", "gem-delf", "delg", "rootsift+dir", "delf+vlad"])
def test_presets_describe_photos(settings: Settings, photos: list[Photo], name: str) -> None:
    made = preset(name, settings)
    described = made.finish([made.prepare(photo) for photo in photos])
    assert len(described) == len(photos) > 1
    for features, raw_global in described:
        assert len(features) > 50 and features.extractor == made.local.name
        assert (features.keypoints >= 0).all() and (features.keypoints <= [features.view[2], features.view[3]]).all()
        assert unpack(pack(features)).descriptors.tobytes() == features.descriptors.tobytes()
        if "vlad" not in name:
            vector = made.descriptor.describe(features, made.descriptor.raw_global_from(raw_global.tobytes()), None)
            assert abs(np.linalg.norm(vector) - 1) < 1e-4 and vector.dtype == np.float32


def test_delf_keeps_places_in_px_of_the_photo(settings: Settings, store: Store, photos: list[Photo]) -> None:
    features = preset("delf+vlad", settings).local
    found = features.extract([features.prepare(photos[0])])[0]
    kept = store.find("delf")
    picture, factors = limited(photos[0].pixels, 160)
    (places,), _ = describe(build(kept.about, kept.arrays()), [picture])
    assert len(found) == len(places.centres)
    expected = (places.centres / factors)[:, ::-1] * 2  # the photo is twice the decoded pixels
    assert np.abs(found.keypoints - expected).max() < 1.5  # centres of pixels
    assert len(pack(found)) / len(found) < 40


def test_delg_in_one_pass_equals_two(settings: Settings, photos: list[Photo]) -> None:
    made = preset("delg", settings)
    assert made.both is not None
    prepared = [made.prepare(photo) for photo in photos]
    whole = made.descriptor.extract(prepared)
    local = made.local.extract(prepared)
    for (features, vector), alone, other in zip(made.finish(prepared), local, whole, strict=True):
        assert np.array_equal(features.descriptors, alone.descriptors)
        assert np.abs(vector - other).max() < 1e-6


@pytest.mark.parametrize("name", ["dir-delf", "gem-delf", "delg"])
def test_results_do_not_depend_on_batches(
    settings: Settings, photos: list[Photo], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = preset(name, settings)
    prepared = [made.prepare(photo) for photo in photos]
    alone = [made.finish([one])[0] for one in prepared]
    monkeypatch.setattr(neural.Engine, "on_cpu", False)  # as on a GPU: pictures of one size go together
    for (features, vector), (other, expected) in zip(made.finish(prepared), alone, strict=True):
        assert np.abs(vector - expected).max() < 1e-5
        assert np.abs(features.keypoints - other.keypoints).max() < 1e-3
        assert np.abs(features.descriptors.astype(int) - other.descriptors).max() <= 1  # a rounding step of int8


def test_batched_floats_are_within_a_hundred_thousandth(store: Store, photos: list[Photo]) -> None:
    kept = store.find("delg")
    net = build(kept.about, kept.arrays())
    same = [photos[0].pixels, photos[2].pixels, photos[0].pixels[::-1].copy()]
    together, whole = describe(net, same, (0.5, 1.0), global_scales=GLOBAL_SCALES)
    for k, picture in enumerate(same):
        (alone,), one = describe(net, [picture], (0.5, 1.0), global_scales=GLOBAL_SCALES)
        scale = np.abs(alone.features).max()
        assert np.abs(together[k].features - alone.features).max() < 1e-5 * scale
        assert np.abs(whole[k] - one[0]).max() < 1e-5


def test_workers_prepare_and_the_main_process_describes_where_a_device_is(
    settings: Settings, photos: list[Photo], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = replace(preset("dir-delf", settings), on_device=True)
    waiting = [("a", Taken(id="a", width=4, height=4, prepared=made.prepare(photos[0]))), ("b", Taken(reason="bad"))]
    waiting += [("c", Taken(id="c", width=4, height=4, prepared=made.prepare(photos[1])))]
    found = dict(finished(made, waiting))
    assert list(found) == ["a", "b", "c"] and found["b"].reason == "bad"
    assert found["a"].features == pack(made.extract(photos[0])[0]) and found["a"].prepared is None

    class Failing:
        def finish(self, prepared):
            if len(prepared) > 1 or prepared[0] is waiting[0][1].prepared:
                raise RuntimeError("out of memory")
            return made.finish(prepared)

    monkeypatch.setattr(intake_module, "_ON_DEVICE", 2)
    found = dict(finished(Failing(), waiting))
    assert "out of memory" in found["a"].reason and found["c"].features is not None


def test_what_a_preset_refuses(settings: Settings, store: Store) -> None:
    for name, told in (
        ("other", "there is no preset"),
        ("dir+delf", "describes whole photos"),
        ("delf+delf", "describes places"),
        ("delf:Resnet50-AP-GeM+dir", "is a checkpoint of dir, not of delf"),
    ):
        with pytest.raises(UsageError, match=told):
            preset(name, settings)
    with pytest.raises(CheckpointError, match="no weights of imagenet are at hand"):
        preset("rootsift+imagenet", settings)
    with pytest.raises(CheckpointError, match="there is no checkpoint 'nothing'"):
        preset("delf:nothing+dir", settings)
    with pytest.raises(UsageError, match="cannot be used"):
        preset("dir-delf", replace(settings, device="cuda:99"))


def test_features_of_one_photo_are_those_of_the_extractors(
    shared: Path, store: Store, settings: Settings, tmp_path: Path
) -> None:
    from PIL import Image

    parity = shared / "parity"
    pictures, path = np.load(parity / "images.npz"), tmp_path / "photo.png"
    Image.fromarray(pictures["img0"]).save(path)
    found = features_of(path, Wanted("delf", "dir", float32=True), settings)
    expected = np.load(parity / "delf_extractor_expected.npz")
    mine, theirs = (
        np.lexsort(np.round(np.c_[at, scale], 1).T)
        for at, scale in (
            (found["locations"], found["scales"]),
            (expected["pca40__img0__locations"], expected["pca40__img0__scales"]),
        )
    )
    assert np.allclose(found["locations"][mine], expected["pca40__img0__locations"][theirs], atol=1e-2)
    assert np.allclose(found["descriptors"][mine], expected["pca40__img0__descriptors"][theirs], atol=5e-5)
    vectors = np.load(parity / "dir_expected.npz")
    assert np.abs(found["global_raw"] - vectors["resnet50__ss__raw"][0]).max() < 1e-5
    assert np.abs(found["global"] - vectors["resnet50__ss__whiten_p0.25"][0]).max() < 1e-5
    small = features_of(path, Wanted("delf", threshold=1.2, most=30, scales=(1.0, 2.0)), settings)
    assert len(small["locations"]) <= 30 and small["attention"].min() >= 1.2 and small["descriptors"].dtype == np.int8
    assert set(small["scales"]) <= {np.float32(1.0), np.float32(0.5)}


def test_the_main_job_with_networks(store: Store, little: Path, blank: Cli, tmp_path: Path) -> None:
    """What comes out means nothing, as the weights are made; everything has to work all the same."""
    env = {"LMR_CHECKPOINTS": str(store.folder), "LMR_NETWORK_SIDE": "128", "LMR_DEVICE": "cpu"}
    folder = tmp_path / "photos"
    folder.mkdir()
    rows = [row for row in csv.DictReader((little / "labels.csv").open()) if row["landmark"] in ("town-hall", "bank")]
    queries = [little / row["image"] for row in rows if row["split"] == "query"]
    index = [little / row["image"] for row in rows if row["split"] == "index"][:6]
    for path in [*queries, *index]:
        shutil.copy(path, folder)
    blank("ingest", folder, "--labels", little / "labels.csv", "--preset", "dir-delf", env=env)
    assert json.loads(blank("link", "--json", env=env))["verified"] > 10
    one, other = (folder / path.name for path in index[:2])
    hits = json.loads(blank("search", one, "--json", env=env))
    assert len(hits["results"]) == 5
    assert "idqe+mmst" in blank("evaluate", "--rung", "idqe+mmst", env=env)
    refused = blank.run("ingest", folder, "--preset", "delg", env=env)
    assert refused.returncode == 1 and "lmr train --preset delg" in refused.stderr
    missing = blank.run("train", env={**env, "LMR_CHECKPOINTS": str(tmp_path / "none")})
    assert missing.returncode == 1 and "no weights of delf are at hand" in missing.stderr
    # another global descriptor keeps the pairs, as they depend on local features alone
    done = json.loads(blank("train", "--preset", "delf+gem", "--json", env=env))
    assert done["photos"] == len(queries) + 6 and done["pairs_kept"] > 10 and done["lost"] == []
    assert json.loads(blank("link", "--json", env=env))["edges"] > 0
    # a photo that is gone ends it before the switch
    (folder / one.name).unlink()
    refused = blank.run("train", "--preset", "classic", env=env)
    assert refused.returncode == 1 and "nothing was switched" in refused.stderr
    assert len(json.loads(blank("search", other, "--json", env=env))["results"]) == 5
    done = json.loads(blank("train", "--preset", "classic", "--drop", "--json", env=env))
    assert done["photos"] == len(queries) + 5 and len(done["lost"]) == 1 and done["pairs_kept"] == 0
    blank("link")
    assert len(blank.json("search", other)["results"]) == 4
    assert not list(blank.home.glob("ledger.next*"))
