"""Networks against what the original programs printed, on weights made by formula."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from lmr.errors import CheckpointError
from lmr.values import Array

torch = pytest.importorskip("torch", reason="needs PyTorch (`make setup`)")

from lmr.method.features.networks import delf  # noqa: E402
from lmr.method.features.networks.gem import GemNetwork, Preparation, describe, limited, scaled_to  # noqa: E402
from lmr.method.features.whitening import Whitening  # noqa: E402

NORMALISED = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ROOT2 = 2**0.5


@pytest.fixture(scope="module")
def parity(shared: Path) -> Path:
    return shared / "parity"


@pytest.fixture(scope="module")
def formula(parity: Path):
    sys.path.insert(0, str(parity))
    import weights_formula

    yield weights_formula
    sys.path.remove(str(parity))


@pytest.fixture(scope="module")
def pictures(parity: Path) -> list[Array]:
    stored = np.load(parity / "images.npz")
    return [stored["img0"], stored["img1"]]


def equal(found: Array, expected: Array, architecture: str) -> bool:
    """Within what the fixture's notes say arithmetic may change: rounding grows with depth."""
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    return np.abs(found - expected).max() < (1e-5 if "50" in architecture else 5e-4) and cosines.min() > 0.99999


def but_for_signs(found: Array, expected: Array) -> Array:
    """With a few signs as expected: where the mean of cubes is all but zero, DIR raises it to a floor whose sign rounding
    decides, which differs between processors and numbers of threads."""
    floor = 1.01 * np.abs(expected).min(1, keepdims=True)
    flipped = (np.abs(expected) <= floor) & (np.sign(found) != np.sign(expected))
    assert flipped.sum() <= 2
    return np.where(flipped, -found, found)


def network(parity: Path, formula, architecture: str, family: str, listed: str, **options) -> GemNetwork:
    shapes = {}
    for line in (parity / listed).read_text().splitlines():
        name, shape, _ = line.split("\t")
        shapes[name] = ast.literal_eval(shape)
    return GemNetwork(architecture, family, formula.torch_state(shapes), **options)


def each(net: GemNetwork, pictures: list[Array], how: Preparation) -> Array:
    """Pictures of different sizes, one by one."""
    return np.concatenate([describe(net, [picture], how) for picture in pictures])


@pytest.mark.parametrize(("architecture", "exact"), [("resnet50", False), ("resnet50", True), ("resnet101", True)])
def test_dir(parity: Path, formula, pictures: list[Array], architecture: str, exact: bool) -> None:
    expected = np.load(parity / "dir_expected.npz")
    net = network(parity, formula, architecture, "dir", f"dir_{architecture}_rmac_state_dict.txt", exact=exact)
    single = each(net, pictures, Preparation(*NORMALISED))
    assert equal(single, expected[f"{architecture}__ss__raw"], architecture)
    for pooling, power in (("gem", 3.0), ("mean", 1.0))[: 2 if architecture == "resnet50" else 1]:
        how = Preparation(*NORMALISED, (1.0, 0.7071, 1.4142), power)
        wanted = expected[f"{architecture}__ms3_{pooling}__raw"]
        assert equal(but_for_signs(each(net, pictures, how), wanted), wanted, architecture)
    basis = expected["pca__mean"], expected["pca__components"], expected["pca__explained_variance"]
    whitened = [key for key in expected if key.startswith(f"{architecture}__ss__whiten_p")]
    assert len(whitened) >= 1
    for key in whitened:
        power = float(key.split("whiten_p")[1].split("_")[0])
        cut = 64 if key.endswith("v64") else None
        assert equal(Whitening(*basis, power)(single, cut), expected[key], architecture), key
    for key, size in (("scale_largest_120", (120, True)), ("scale_smallest_130", (130, False))):
        if f"{architecture}__{key}__raw" in expected:
            resized = [scaled_to(picture, size[0], largest=size[1]) for picture in pictures]
            found = each(net, resized, Preparation(*NORMALISED))
            assert equal(found, expected[f"{architecture}__{key}__raw"], architecture), key


@pytest.mark.parametrize("name", ["resnet50_gem_w", "resnet50_gem", "resnet101_gem_w"])
def test_cirtorch(parity: Path, formula, pictures: list[Array], name: str) -> None:
    expected = np.load(parity / "cirtorch_expected.npz")
    net = network(parity, formula, name.split("_")[0], "cirtorch", f"cirtorch_{name}_state_dict.txt")
    whitening = {
        scales: Whitening(
            formula.value(f"cirtorch.Lw.{scales}.m", (2048, 1), "bias")[:, 0],
            formula.value(f"cirtorch.Lw.{scales}.P", (256, 2048), "kernel"),
            epsilon=1e-6,
        )
        for scales in ("ss", "ms")
    }
    for key, scales in (("ss", (1.0,)), ("ms", (1.0, ROOT2, 1 / ROOT2)), ("ms_half", (1.0, 1 / ROOT2, 0.5))):
        if f"{name}__{key}__vecs" not in expected:
            continue
        how = Preparation(*NORMALISED, scales, float(expected[f"{name}__{key}__msp"]))
        found = each(net, pictures, how)
        assert equal(found, expected[f"{name}__{key}__vecs"], name)
        whitened = whitening["ss" if key == "ss" else "ms"](found)
        assert equal(whitened, expected[f"{name}__{key}__vecs_lw"], name)
    if f"{name}__ss_size150__vecs" in expected:
        boxes = [(20.5, 10.2, 180.9, 140.7), (15.1, 40.9, 170.2, 250.5)]
        for key, given in (("ss_size150", [None, None]), ("ss_size150_bbx", boxes)):
            parts = [limited(picture, 150, box) for picture, box in zip(pictures, given)]
            found = each(net, parts, Preparation(*NORMALISED))
            assert equal(found, expected[f"{name}__{key}__vecs"], name)


def places(net: delf.LocalNetwork, picture: Array, **options) -> delf.Places:
    return delf.describe(net, [picture], **options)[0][0]


def shapes_of(listed: Path) -> dict[str, tuple[int, ...]]:
    rows = (line.split("\t")[:2] for line in listed.read_text().splitlines() if not line.startswith("#"))
    return {name: ast.literal_eval(shape) for name, shape in rows}


@pytest.fixture(scope="module")
def slim(parity: Path, formula) -> delf.DelfNetwork:
    return delf.DelfNetwork(formula.tf_state(shapes_of(parity / "delf_tf1_variables.txt")))


def tensor(picture: Array) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float()


def by_box(boxes: Array) -> Array:
    """An order that does not depend on scores, whose gaps are smaller than what arithmetic changes."""
    return np.lexsort(np.round(boxes, 1).T)


def same_map(found: torch.Tensor, expected: Array) -> bool:
    """Within 1e-4 of the greatest value."""
    plain = found.detach().permute(0, 2, 3, 1).numpy()
    return np.abs(plain[..., : expected.shape[-1]] - expected).max() < 1e-4 * np.abs(expected).max()


def assert_same_places(found: delf.Places, expected, key: str) -> tuple[Array, Array]:
    """Boxes, attention and scales, paired by box; returns the orders that pair them."""
    a, b = by_box(found.boxes), by_box(expected[f"{key}__boxes"])
    assert np.allclose(found.boxes[a], expected[f"{key}__boxes"][b], atol=1e-3)
    assert np.allclose(found.attention[a], expected[f"{key}__scores"][b, 0], atol=1e-4)
    assert np.allclose(found.scales[a], expected[f"{key}__scales"][b])
    return a, b


def test_delf_of_tensorflow_1(parity: Path, slim: delf.DelfNetwork, pictures: list[Array]) -> None:
    expected = np.load(parity / "delf_tf1_expected.npz")
    maps = slim.maps(slim.prepared(tensor(pictures[0]), pictures[0].shape[:2]))
    for stage in ("conv1", "block1", "block2"):
        assert same_map(maps[stage], expected[f"img0__{stage}_first8ch"])
    assert same_map(maps["block3"], expected["img0__block3"])
    assert same_map(slim.attention(maps["block3"]), expected["img0__attn_prob"])
    for key, options in (
        ("thr", {"threshold": float(expected["img0__thr__abs_thres"])}),
        ("max50", {"most": 50}),
        ("ss", {"scales": (1.0,)}),
    ):
        assert_same_places(places(slim, pictures[0], **options), expected, f"img0__{key}")
    for k, picture in enumerate(pictures):
        found = places(slim, picture)
        a, b = assert_same_places(found, expected, f"img{k}__all")
        basis = expected["pca__mean"], expected["pca__matrix"][:40]
        for key, variances in (("post_pca40", None), ("post_pca40_whiten", expected["pca__variances"][:40])):
            descriptors = delf.reduced(found.features, *basis, variances)
            assert np.allclose(descriptors[a], expected[f"img{k}__{key}__descriptors"][b], atol=5e-5)
        assert np.allclose(found.centres[a], expected[f"img{k}__post__locations"][b], atol=1e-3)
    assert np.array_equal(delf.receptive_boxes(5, 7), expected["geometry__block3_5x7__boxes"])


def test_the_extractor_resizes_as_the_original(parity: Path, slim: delf.DelfNetwork, pictures: list[Array]) -> None:
    expected = np.load(parity / "delf_extractor_expected.npz")
    for key, limits, options in (
        ("max120", {"most": 120}, {}),
        ("min400", {"least": 400}, {"scales": (0.5, 0.7071, 1.0)}),
        ("square", {"square": True}, {"scales": (0.7071, 1.0)}),
    ):
        for k, picture in enumerate(pictures):
            resized, factors = delf.limited(picture, **limits)
            found = places(slim, resized, **options)
            located, wanted = found.centres / factors, expected[f"{key}__img{k}__locations"]
            assert len(located) == len(wanted), key
            mine, theirs = (
                np.lexsort(np.round(np.c_[p, s], 1).T)
                for p, s in ((located, found.scales), (wanted, expected[f"{key}__img{k}__scales"]))
            )
            assert np.allclose(located[mine], wanted[theirs], atol=1e-2), key
            assert np.allclose(found.attention[mine], expected[f"{key}__img{k}__attention"][theirs], atol=1e-3), key


@pytest.mark.parametrize("name", ["delf", "delg"])
def test_the_keras_models(parity: Path, formula, pictures: list[Array], name: str) -> None:
    expected = np.load(parity / f"{name}_tf2_keras_expected.npz")
    net = delf.DelgNetwork(formula.tf_state(shapes_of(parity / f"{name}_tf2_keras_variables.txt")))
    image = net.prepared(tensor(pictures[0]), pictures[0].shape[:2])
    maps = net.maps(image)
    for stage in ("block0", "block0mp", "block1", "block2"):
        assert same_map(maps[stage], expected[f"img0__{stage}_first8ch"][None])
    assert same_map(maps["block3"], expected["img0__block3"])
    assert same_map(net.attention(maps["block3"]), expected["img0__attn_prob"])
    for k, picture in enumerate(pictures):
        found = places(net, picture)
        boxes = expected[f"img{k}__signature__boxes"]
        a, b = by_box(found.boxes), by_box(boxes)
        assert np.allclose(found.boxes[a], boxes[b], atol=1e-3)
        assert np.allclose(found.attention[a], expected[f"img{k}__signature__scores"][b, 0], atol=1e-4)
        features = expected[f"img{k}__signature__features"]
        assert np.allclose(found.features[a][:, : features.shape[1]], features[b], atol=5e-4)
        if name == "delg":
            wanted = expected[f"local_global__img{k}__global_descriptor"]
            assert (
                np.abs(delf.describe(net, [picture], (), global_scales=delf.GLOBAL_SCALES)[1][0] - wanted).max() < 1e-5
            )


def test_weights_of_something_else_are_refused() -> None:
    with pytest.raises(CheckpointError, match="is missing"):
        GemNetwork("resnet50", "dir", {"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)})
    with pytest.raises(CheckpointError, match="is missing"):
        delf.DelfNetwork({})
    with pytest.raises(CheckpointError, match="is none of"):
        GemNetwork("vgg16", "dir", {})
