"""Any network in ONNX as global descriptor: small real ones, added, refused, run, and used through the CLI."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

onnx = pytest.importorskip("onnx", reason="needs ONNX (`make setup`)")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime (`make setup`)")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from lmr.cli.commands import app  # noqa: E402
from lmr.errors import CheckpointError, LmrError, UsageError  # noqa: E402
from lmr.extractors.checkpoints import onnx_files  # noqa: E402
from lmr.extractors.checkpoints import store as store_module  # noqa: E402
from lmr.extractors.checkpoints.manifest import Manifest  # noqa: E402
from lmr.extractors.checkpoints.published import EXPORTED, PUBLISHED, manifest_of  # noqa: E402
from lmr.extractors.checkpoints.store import Kept, Store  # noqa: E402
from lmr.extractors.presets import preset  # noqa: E402
from lmr.method.features.networks.recipe import Recipe  # noqa: E402
from lmr.settings import Settings  # noqa: E402
from lmr.values import Array, Photo, unit_rows  # noqa: E402
from tests.conftest import ROOT, Cli  # noqa: E402
from tests.places import make_place  # noqa: E402

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
LEAST: dict[str, Any] = {"size": 64, "mean": MEAN, "std": STD}
CHANNELS = 8


def model(
    shape: tuple[object, ...] = (1, 3, "h", "w"),
    *,
    outputs: tuple[str, ...] = ("vector",),
    seed: int = 0,
    channels: int = CHANNELS,
) -> onnx.ModelProto:
    """A convolution of noise; `map` (1, 8, h, w), `tokens` (1, n, 8), and the largest of each channel as `vector`."""
    weights = np.random.default_rng(seed).normal(size=(channels, 3, 5, 5)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["pixels", "weights"], ["map"], strides=[4, 4]),
        helper.make_node("ReduceMax", ["map", "sides"], ["vector"], keepdims=0),
        helper.make_node("Reshape", ["map", "flat"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["tokens"], perm=[0, 2, 1]),
    ]
    if shape[-1] == 3:
        nodes[0].input[0] = "channels_first"
        nodes.insert(0, helper.make_node("Transpose", ["pixels"], ["channels_first"], perm=[0, 3, 1, 2]))
    ranks = {"vector": ["n", channels], "map": ["n", channels, "y", "x"], "tokens": ["n", "t", channels]}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ranks[name]) for name in outputs],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([2, 3]), "sides"),
            numpy_helper.from_array(np.array([1, channels, -1]), "flat"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def written(folder: Path, made: onnx.ModelProto, name: str = "mine", manifest: dict[str, Any] | None = LEAST) -> Path:
    path = folder / f"{name}.onnx"
    path.write_bytes(made.SerializeToString())
    if manifest is not None:
        path.with_suffix(".json").write_text(json.dumps(manifest))
    return path


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def added(store: Store, folder: Path, made: onnx.ModelProto, name: str = "mine", **manifest: Any) -> Kept:
    return store.add(written(folder, made, name, {**LEAST, **manifest}))


def described(store: Store, pixels: Array, name: str = "mine") -> Array:
    whole = preset(f"rootsift+onnx:{name}", Settings(checkpoints=store.folder)).descriptor
    (vector,) = whole.extract([whole.prepare(Photo("0" * 64, pixels, pixels.shape[1], pixels.shape[0]))])
    return vector


@pytest.fixture(scope="module")
def photo() -> Array:
    rng = np.random.default_rng(5)
    return np.asarray(Image.fromarray(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8)).resize((240, 180)))


def test_a_network_is_added_and_gives_what_its_arithmetic_gives(empty: Store, tmp_path: Path, photo: Array) -> None:
    made = model((1, 3, 64, 64))
    path = written(tmp_path, made, manifest={"mean": MEAN, "std": STD, "licence": "MIT", "dimensions": CHANNELS})
    kept = empty.add(path)
    about = kept.about
    assert (kept.name, about.kind, about.whole, about.local, about.dimensions) == ("mine", "onnx", True, False, 8)
    assert about.recipe is not None and (about.recipe.height, about.recipe.width) == (64, 64)  # the graph told it
    assert (about.licence, about.architecture) == ("MIT", "ONNX, opset 18")
    assert empty.find("onnx") == empty.get("mine") == kept and [wrong for _, wrong in empty.check()] == [""]
    weights = numpy_helper.to_array(made.graph.initializer[0])
    seen = np.asarray(Image.fromarray(photo).resize((64, 64), Image.Resampling.BILINEAR)).astype(np.float64)
    values = ((seen / 255 - MEAN) / STD).transpose(2, 0, 1)
    windows = np.lib.stride_tricks.sliding_window_view(values, (5, 5), axis=(1, 2))[:, ::4, ::4]
    expected = np.einsum("cyxab,kcab->kyx", windows, weights).max((1, 2))
    found = described(empty, photo)
    assert found.dtype == np.float32 and np.abs(found - unit_rows(expected)).max() < 1e-5
    assert described(empty, photo).tobytes() == found.tobytes()
    assert empty.add(path).digest == kept.digest  # again: the same
    assert (empty.folder / "mine").stat().st_mode & 0o77 == 0


def test_what_a_network_sees_of_a_photo(photo: Array) -> None:
    def recipe(**values: Any) -> Recipe:
        usual = {"resize": "square", "height": 60, "width": 60, "mean": (0, 0, 0), "std": (1, 1, 1)}
        return Recipe(**{**usual, "input": "x", "output": "y", **values})  # type: ignore[arg-type]

    wide, high = photo, np.ascontiguousarray(photo.transpose(1, 0, 2))
    for values, of_wide, of_high, most in (
        ({}, (60, 60), (60, 60), 120),
        ({"width": 90}, (60, 90), (60, 90), 180),
        ({"resize": "crop", "part": 0.75}, (60, 60), (60, 60), 160),
        ({"resize": "short"}, (60, 80), (80, 60), 240),
        ({"resize": "long"}, (45, 60), (60, 45), 60),
        ({"resize": "short", "height": 56, "multiple": 14}, (56, 70), (70, 56), 224),
    ):
        made = recipe(**values)
        assert made.picture(wide).shape[:2] == of_wide and made.picture(high).shape[:2] == of_high, values
        assert made.max_side == most
    assert recipe(resize="short").picture(np.zeros((10, 400, 3), np.uint8)).shape == (60, 240, 3)  # a strip has an end
    middle = recipe(resize="crop", height=90, width=90, part=0.5).picture(photo)
    assert np.abs(middle.astype(int) - photo[45:135, 75:165]).max() <= 1
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert recipe().tensor(red)[0, :, 0, 0].tolist() == [1, 0, 0]
    assert recipe(colours="bgr", white=255.0, mean=(5, 0, 55)).tensor(red)[0, :, 0, 0].tolist() == [-5, 0, 200]
    found = recipe(layout="nhwc", half=True).tensor(red)
    assert found.shape == (1, 4, 4, 3) and found.dtype == np.float16


def test_outputs_that_are_no_vectors_are_pooled(empty: Store, tmp_path: Path, photo: Array) -> None:
    made = model(outputs=("map", "tokens"))
    with pytest.raises(UsageError, match="lacks `output`, as the network has several: map, tokens"):
        added(empty, tmp_path, made)
    with pytest.raises(CheckpointError, match="no vector: the manifest has to say `pool`"):
        added(empty, tmp_path, made, output="map")
    with pytest.raises(CheckpointError, match="of which there is no first"):
        added(empty, tmp_path, made, output="map", pool="first")
    for name, pool in (("map", "mean"), ("tokens", "mean"), ("tokens", "first"), ("map", "gem")):
        added(empty, tmp_path, made, f"{name}-{pool}", output=name, pool=pool)
    assert np.abs(described(empty, photo, "map-mean") - described(empty, photo, "tokens-mean")).max() < 1e-6
    assert np.abs(described(empty, photo, "map-gem") - described(empty, photo, "map-mean")).max() > 0.01
    assert np.abs(described(empty, photo, "tokens-first") - described(empty, photo, "map-mean")).max() > 0.01


def test_either_order_of_sides_is_seen(empty: Store, tmp_path: Path, photo: Array) -> None:
    added(empty, tmp_path, model((1, 3, "h", "w")), "first", resize="short")
    added(empty, tmp_path, model(("n", "h", "w", 3)), "last", resize="short")
    assert np.abs(described(empty, photo, "first") - described(empty, photo, "last")).max() < 1e-6


@pytest.mark.parametrize(
    ("shape", "manifest", "told"),
    [
        ((1, 3, 64, 64), {}, "lacks mean and std: a number for each channel"),
        ((1, 3, 64, 64), {"mean": MEAN}, "lacks std"),
        ((1, 3, "h", "w"), {"mean": MEAN, "std": STD}, "lacks `size`, px, of a network that takes any"),
        ((1, 3, 64, 64), LEAST | {"size": 96}, "size 96 x 96, but the network takes 1 x 3 x 64 x 64"),
        ((1, 3, 64, 64), LEAST | {"resize": "short"}, "`resize` has to be square or crop"),
        ((1, 3, "h", "w"), LEAST | {"resize": "short", "size": [64, 96]}, "`size` is one number"),
        ((1, 3, "h", "w"), LEAST | {"resize": "long", "multiple": 14}, "size 64 is no multiple of 14"),
        ((1, 3, 64, 64), LEAST | {"layout": "nhwc"}, "says layout = 'nhwc', but"),
        ((1, 3, 64, 64), LEAST | {"output": "other"}, "says output = 'other'; the network has: vector"),
        ((1, 3, 64, 64), LEAST | {"deviation": STD}, "'deviation', which no manifest has"),
        ((1, 3, 64, 64), LEAST | {"stds": STD}, "is 'std' meant"),
        ((1, 3, 64, 64), LEAST | {"std": [1, 0, 1]}, r"std is \[1, 0, 1\], not a list of three numbers above 0"),
        ((1, 3, 64, 64), LEAST | {"mean": 0.5}, "mean is 0.5, not a list of three numbers"),
        ((1, 3, 64, 64), LEAST | {"size": 100_000}, "not px from 16 to 2,048"),
        ((1, 3, 64, 64), LEAST | {"size": True}, "not px from 16"),
        ((1, 3, 64, 64), LEAST | {"resize": "squeeze"}, "not one of square, crop, short, long"),
        ((1, 3, 64, 64), LEAST | {"licence": "\x1b[31m"}, "not a short text"),
        ((1, 3, 64, 64), LEAST | {"whiten": 1}, "not true or false"),
    ],
)
def test_what_a_manifest_lacks_is_said(
    empty: Store, tmp_path: Path, shape: tuple, manifest: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        empty.add(written(tmp_path, model(shape), manifest=manifest))
    assert not empty.names()


def test_manifests_are_found_read_and_refused(empty: Store, tmp_path: Path) -> None:
    path = written(tmp_path, model(), manifest=None)
    with pytest.raises(UsageError, match=r"needs a manifest.*mine\.toml, or --manifest FILE(?s:.*)mean = \[0\.485"):
        empty.add(path)
    beside, other = tmp_path / "mine.toml", tmp_path / "other.toml"
    beside.write_text(f"size = 64\nmean = {MEAN}\nstd = {STD}\n")
    assert empty.add(path).about.recipe.height == 64
    other.write_text(f"size = 96\nmean = {MEAN}\nstd = {STD}\n")
    assert empty.add(path, "bigger", manifest=other).about.recipe.height == 96
    for text, told in (("size =", "neither TOML nor JSON"), ("x = 1\n" * 20_000, "no manifest: it has more than")):
        other.write_text(text)
        with pytest.raises(UsageError, match=told):
            empty.add(path, manifest=other)
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(UsageError, match="but a list"):
        empty.add(path, manifest=tmp_path / "list.json")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        empty.add(path, manifest=tmp_path / "none.toml")
    (tmp_path / "weights.pt").write_bytes(b"")
    with pytest.raises(UsageError, match="is no file in ONNX"):
        empty.add(tmp_path / "weights.pt", manifest=beside)
    with pytest.raises(CheckpointError, match=r"gives 8 numbers, .* says 9"):
        added(empty, tmp_path, model(), "more", dimensions=9)
    with pytest.raises(UsageError, match=r"two manifests, .*mine\.toml and .*mine\.json"):
        added(empty, tmp_path, model())


def replaced(name: str, *nodes: onnx.NodeProto) -> Callable[[onnx.ModelProto], None]:
    """The node that makes something replaced by others."""

    def change(made: onnx.ModelProto) -> None:
        kept = [node for node in made.graph.node if node.output[0] != name]
        del made.graph.node[:]
        made.graph.node.extend([*kept, *nodes])

    return change


def outside(made: onnx.ModelProto) -> None:
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")


def outside_in_a_branch(made: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "hidden")
    tensor.external_data.add(key="location", value="/etc/passwd")
    node = helper.make_node("Constant", [], ["hidden"], value=tensor)
    branch = helper.make_graph([node], "b", [], [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, [4])])
    made.graph.node.append(helper.make_node("If", ["yes"], ["unused"], then_branch=branch, else_branch=branch))


def claiming(made: onnx.ModelProto) -> None:
    made.graph.initializer[0].dims[0] = 2**40


def function(made: onnx.ModelProto) -> None:
    made.functions.add(name="f", domain="mine")


def strange_name(made: onnx.ModelProto) -> None:
    made.graph.initializer[0].name = "\x1b[2J"


def two_inputs(made: onnx.ModelProto) -> None:
    made.graph.input.append(helper.make_tensor_value_info("prompt", TensorProto.INT64, [1, 77]))


def whole_numbers(made: onnx.ModelProto) -> None:
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8


def without_weights(made: onnx.ModelProto) -> None:
    del made.graph.initializer[0]


def filled(value: float, *shape: int) -> list[onnx.NodeProto]:
    """`vector` as a constant made while it runs."""
    made = helper.make_tensor("v", TensorProto.FLOAT, [1], [value])
    sides = numpy_helper.from_array(np.array(shape), "s")
    return [
        helper.make_node("Constant", [], ["shape"], value=sides),
        helper.make_node("ConstantOfShape", ["shape"], ["vector"], value=made),
    ]


def unfolding(made: onnx.ModelProto) -> None:
    """Far more memory than any network needs: 2^35 bytes, of a file of a few."""
    huge = filled(1.0, 1, 2**33)
    huge[1].output[0] = "huge"
    replaced("vector", *huge, helper.make_node("ReduceMax", ["huge", "last"], ["vector"]))(made)
    made.graph.initializer.append(numpy_helper.from_array(np.array([1]), "last"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (outside, "'weights' in another file, which is never opened"),
        (outside_in_a_branch, "'hidden' in another file"),
        (claiming, "claims a shape of"),
        (function, "has functions of its own"),
        (strange_name, "a name in it that is no text"),
        (two_inputs, "takes pixels, prompt: only a network that takes a picture alone"),
        (whole_numbers, "takes neither float32 nor float16"),
        (without_weights, "ONNX Runtime cannot load it"),
        (
            replaced("vector", helper.make_node("Evil", ["map"], ["vector"], domain="x")),
            "asks for x.Evil, which is none",
        ),
        (replaced("vector", helper.make_node("Nothing", ["map"], ["vector"])), "ONNX Runtime cannot load it"),
        (replaced("vector", *filled(float("nan"), 1, 8)), "not finite"),
        (replaced("vector", *filled(0.0, 1, 8)), "nothing but zeros"),
        (replaced("vector", *filled(1.0, 1, 8)), "the same vector whatever it sees"),
        (replaced("vector", *filled(1.0, 2, 8)), "not one row for one picture"),
        (replaced("vector", helper.make_node("RandomNormalLike", ["map"], ["vector"])), "has to say `pool`"),
        (unfolding, "ONNX Runtime (cannot|crashed)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_hostile_and_useless_files_are_refused(
    empty: Store, tmp_path: Path, change: Callable[[onnx.ModelProto], None], told: str
) -> None:
    made = model()
    change(made)
    with pytest.raises(CheckpointError, match=told):
        empty.add(written(tmp_path, made))
    assert not empty.names()


def test_chance_in_a_network_is_refused(empty: Store, tmp_path: Path) -> None:
    made = model(outputs=("map",))
    replaced("map", helper.make_node("RandomNormalLike", ["pixels"], ["map"]))(made)
    with pytest.raises(CheckpointError, match="another vector each time it sees the same picture"):
        added(empty, tmp_path, made, pool="mean")


def test_a_network_without_an_end_is_ended(empty: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_files, "_SECONDS", 2)
    made = model()
    yes = numpy_helper.from_array(np.array(True), "yes")
    nodes = [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Sin", ["old"], ["new"])]
    body = helper.make_graph(
        nodes,
        "body",
        [
            helper.make_tensor_value_info("n", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("old", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("new", TensorProto.FLOAT, None),
        ],
    )
    largest = helper.make_node("ReduceMax", ["map", "sides"], ["largest"], keepdims=0)
    replaced("vector", largest, helper.make_node("Loop", ["", "yes", "largest"], ["vector"], body=body))(made)
    made.graph.initializer.append(yes)
    with pytest.raises(CheckpointError, match="ended by SIGXCPU"):
        empty.add(written(tmp_path, made))


def test_other_shapes_and_what_is_no_onnx_at_all(empty: Store, tmp_path: Path) -> None:
    for shape, told in (
        ((2, 3, 64, 64), "takes 2 pictures at once"),
        ((1, 1, 64, 64), "pictures of 1 .* channels, not of three"),
        ((1, 3, 64), "its input 'pixels' is not of rank 4"),
    ):
        with pytest.raises(CheckpointError, match=told):
            empty.add(written(tmp_path, model(shape)))
    whole = written(tmp_path, model()).read_bytes()
    (tmp_path / "mine.onnx").write_bytes(whole.replace(b"weights", b"\xff\xfeights"))  # which protobuf gives as bytes
    with pytest.raises(CheckpointError, match="a name in it that is no text"):
        empty.add(tmp_path / "mine.onnx")
    (tmp_path / "mine.onnx").write_bytes(whole.replace(b"ReduceMax", b"Reduce\xffax"))
    with pytest.raises(CheckpointError, match="cannot load it"):
        empty.add(tmp_path / "mine.onnx")
    rng = np.random.default_rng(1)
    for data in (
        b"",
        b"hello",
        whole[: len(whole) // 2],
        rng.bytes(3000),
        b"\x08\x07",
        Path(sys.executable).read_bytes(),
    ):
        (tmp_path / "mine.onnx").write_bytes(data)
        with pytest.raises(CheckpointError, match=r"is no ONNX file|cannot load it"):
            empty.add(tmp_path / "mine.onnx")
    for _ in range(60):  # flipped bits: refused with a reason, or another network
        flipped = bytearray(whole)
        flipped[rng.integers(0, 200)] ^= 1 << rng.integers(0, 8)
        (tmp_path / "mine.onnx").write_bytes(flipped)
        try:
            onnx_files._graph(bytes(flipped), tmp_path / "mine.onnx")
        except LmrError:
            pass
    (tmp_path / "mine.onnx").unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        onnx_files.read_onnx(tmp_path / "mine.onnx", Manifest.of(LEAST, "here"))


def test_weights_and_manifest_are_in_the_fingerprint(empty: Store, tmp_path: Path) -> None:
    def made(name: str) -> tuple[str, str]:
        found = preset(f"rootsift+{name}", Settings(checkpoints=empty.folder))
        return found.mark, found.fingerprints[1].hash

    added(empty, tmp_path, model(), "one", licence="MIT")
    added(empty, tmp_path, model(), "same", source="elsewhere")
    added(empty, tmp_path, model(), "larger", size=96)
    added(empty, tmp_path, model(), "whitened", whiten=True)
    added(empty, tmp_path, model(seed=1), "other")
    assert made("one") == made("onnx:one") == made("same")  # what it is called and who made it changes nothing
    assert made("larger")[0] == made("one")[0] != made("other")[0]
    assert len({made(name)[1] for name in ("one", "larger", "whitened", "other")}) == 4
    parameters = preset("rootsift+one", Settings(checkpoints=empty.folder)).fingerprints[1].parameters
    assert '"runtime":"onnxruntime 1"' in parameters and '"mean":[0.485,0.456,0.406]' in parameters
    with pytest.raises(CheckpointError, match=r"which checkpoint of onnx\? There are: larger, one, other"):
        preset("rootsift+onnx", Settings(checkpoints=empty.folder))
    with pytest.raises(UsageError, match="describes whole photos, not places"):
        preset("onnx:one+vlad", Settings(checkpoints=empty.folder))
    weights = empty.folder / "one" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(CheckpointError, match="damaged"):
        described(empty, np.zeros((64, 64, 3), np.uint8), "one")


def test_whitening_is_learned_where_the_manifest_says_so(empty: Store, tmp_path: Path) -> None:
    added(empty, tmp_path, model(), whiten=True)
    whole = preset("rootsift+mine", Settings(checkpoints=empty.folder)).descriptor
    assert whole.training_photos > 0
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (64, 64, 3)).astype(np.uint8) // (k % 3 + 1) for k in range(20)]
    raws = whole.extract(pictures)
    trained = whole.train([(None, raw_global) for raw_global in raws], None)  # type: ignore[list-item, arg-type]
    again = whole.model_from(trained.to_bytes())
    vectors = np.stack([whole.describe(None, raw_global, again) for raw_global in raws])  # type: ignore[arg-type]
    assert vectors.shape == (20, 5) and np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert not whole.outgrown(again, 39) and whole.outgrown(again, 40)


def test_what_is_published_has_manifests_that_hold(empty: Store, tmp_path: Path) -> None:
    known = [name for name, one in PUBLISHED.items() if one.kind == "onnx"]
    assert {"dinov2-small", "dinov2-base", "siglip-base-224"} <= set(known) and "megaloc" in EXPORTED
    for name in (*known, *EXPORTED):
        manifest = manifest_of(name)
        assert manifest is not None and {"size", "mean", "std", "licence", "dimensions", "source"} <= set(
            manifest.values
        )
    for name in known:  # at one commit each, so that the file cannot become another one
        assert PUBLISHED[name].licence and len(PUBLISHED[name].address.split("/resolve/")[1].split("/")[0]) == 40
    # a name that is known needs no manifest of the user's; here it is another network, which is seen
    path = written(tmp_path, model(), "megaloc", None)
    with pytest.raises(CheckpointError, match="gives 8 numbers, what lmr knows of megaloc says 8448"):
        empty.add(path)
    for what in (lambda: empty.fetch("megaloc"), lambda: preset("megaloc", Settings(checkpoints=empty.folder))):
        with pytest.raises(LmrError, match=r"publish no ONNX file of it: docs/networks\.md shows how to export one"):
            what()
    with pytest.raises(CheckpointError, match="`lmr checkpoints fetch dinov2-base` gets it"):
        preset("dinov2", Settings(checkpoints=empty.folder))


def test_a_published_network_is_fetched_with_its_manifest(
    empty: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = written(tmp_path, model(), manifest=None).read_bytes()
    asked: list[str] = []

    def download(address: str, part: Path, advance: object) -> None:
        asked.append(address)
        part.write_bytes(data)

    monkeypatch.setattr(store_module, "download", download)
    with pytest.raises(CheckpointError, match=r"is not dinov2-small: its SHA-256 is .*, published is 83141175"):
        empty.fetch("dinov2-small")
    assert asked == [PUBLISHED["dinov2-small"].address] and not empty.names() and not list(empty.folder.iterdir())
    known = PUBLISHED["dinov2-small"]
    manifest = {**known.manifest, "dimensions": CHANNELS, "output": "vector", "pool": "none"}
    right = replace(known, digest=hashlib.sha256(data).hexdigest(), manifest=manifest)
    monkeypatch.setitem(store_module.PUBLISHED, "dinov2-small", right)
    kept = empty.fetch("dinov2-small")
    assert kept.about.recipe is not None and (kept.about.recipe.resize, kept.about.recipe.part) == ("crop", 0.875)
    assert kept.about.licence == "Apache-2.0" and kept.source["address"] == known.address


def test_networks_in_onnx_need_no_pytorch(tmp_path: Path) -> None:
    path = written(tmp_path, model())
    (tmp_path / "weights.pt").write_bytes(b"")
    hidden = "import sys; sys.modules |= dict.fromkeys(('torch', 'google_crc32c', 'kornia')); "
    lmr = f"{hidden}from lmr.cli import main; main()"

    def run(code: str, *words: object) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "LMR_CHECKPOINTS": str(tmp_path / "store")}
        return subprocess.run([sys.executable, "-c", code, *map(str, words)], env=env, capture_output=True, text=True)

    done = run(lmr, "checkpoints", "add", path)
    assert done.returncode == 0 and "gives 8 numbers of vector" in done.stdout, done.stderr
    done = run(lmr, "checkpoints", "add", tmp_path / "weights.pt")
    assert done.returncode == 2 and "needs google_crc32c: install lmr with its extra `deep`" in done.stderr
    made = "from lmr.extractors.presets import preset; import numpy as np; from lmr.settings import load; "
    made += "whole = preset('rootsift+onnx:mine', load()[0]).descriptor; "
    done = run(hidden + made + "print(len(whole.extract([whole.seen(np.zeros((90, 90, 3), np.uint8))])[0]))")
    assert done.stdout.strip() == "8", done.stderr
    without = hidden.replace("'torch'", "'onnxruntime'") + "from lmr.cli import main; main()"
    done = run(without, "checkpoints", "add", path)
    assert done.returncode == 2 and "needs onnxruntime: install lmr with its extra `onnx`" in done.stderr


def test_the_main_job_with_a_network_of_ones_own(blank: Cli, tmp_path: Path) -> None:
    """With vectors as long as MegaLoc's."""
    env = {"LMR_CHECKPOINTS": str(tmp_path / "weights")}
    long = EXPORTED["megaloc"]["dimensions"]
    written(
        tmp_path, model(channels=long), "mine", {**LEAST, "resize": "short", "licence": "MIT", "source": "made here"}
    )
    told = blank("checkpoints", "add", tmp_path / "mine.onnx", env=env)
    assert "mine: onnx on ONNX, opset 18, describes whole photos" in told
    assert "sees 64 px (short), gives 8448 numbers of vector" in told and "licence: MIT" in told
    assert json.loads(blank("checkpoints", "check", "--json", env=env)) == [{"name": "mine", "ok": True, "wrong": ""}]
    for name in ("mill", "bank", "town"):
        make_place(tmp_path / "photos", name)
    blank("ingest", tmp_path / "photos", "--preset", "rootsift+onnx:mine", env=env)
    linked = json.loads(blank("link", "--json", env=env))
    assert linked["verified"] == 15 and linked["edges"] >= 3
    photo = tmp_path / "photos" / "bank-1.jpg"
    found = json.loads(blank("search", photo, "--json", env=env))["results"]
    assert "bank-2" in json.dumps(found[0]) and found[0]["reached"] == "verified"
    status = {one["what"]: one for one in json.loads(blank("status", "--json", env=env))["made_with"]}
    assert status["global descriptor"]["parameters"]["recipe"]["height"] == 64
    assert all(one["current"] for one in status.values())
    blank("features", photo, "--global", "mine", "--output", tmp_path / "one.npz", env=env)
    with np.load(tmp_path / "one.npz") as arrays:
        assert arrays["global"].shape == (long,) and abs(np.linalg.norm(arrays["global"]) - 1) < 1e-6
    # the same file with another manifest, and another file: each is said, and nothing is mixed
    other = make_place(tmp_path / "others", "gate")[0]
    store = Store(tmp_path / "weights")
    added(store, tmp_path, model(channels=long), resize="long")
    refused = blank.run("search", other, env=env)
    assert refused.returncode == 1 and "resize short, now long" in refused.stderr
    added(store, tmp_path, model(seed=1), resize="short")
    refused = blank.run("ingest", other.parent, env=env)
    assert refused.returncode == 1 and "now means" in refused.stderr and "lmr train --preset" in refused.stderr


def test_networks_are_listed_by_name(empty: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMR_CHECKPOINTS", str(empty.folder))
    added(empty, tmp_path, model(), licence="MIT", source="made here")
    told = CliRunner().invoke(app, ["checkpoints", "list"]).output
    for row in (r"mine\s+onnx\s+ONNX, opset 18\s+at hand", r"dinov2-base\s+onnx\s+fetch, about 347 MB, Apache-2.0"):
        assert re.search(row, told), told
    assert re.search(r"megaloc\s+onnx\s+export it", told)
    (kept,) = json.loads(CliRunner().invoke(app, ["checkpoints", "list", "--json"]).output)["kept"]
    assert (kept["recipe"]["resize"], kept["origin"], kept["licence"], kept["dimensions"]) == (
        *("square", "made here", "MIT"),
        CHANNELS,
    )


def test_the_guides_way_from_pytorch_to_onnx(empty: Store, tmp_path: Path, photo: Array) -> None:
    """The script of docs/networks.md, with a small network in the place of MegaLoc."""
    torch = pytest.importorskip("torch", reason="needs PyTorch (`make setup`)")
    pytest.importorskip("onnxscript", reason="exports by PyTorch need it (`make setup`)")
    (script,) = [
        block.split("```")[0]
        for block in (ROOT / "docs" / "networks.md").read_text().split("```python\n")[1:]
        if "torch.onnx.export" in block.split("```")[0]
    ]
    (loading,) = [line for line in script.splitlines() if "torch.hub.load" in line]
    torch.manual_seed(0)
    small = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 5, 4), torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten())
    target = str(tmp_path / "megaloc.onnx")
    script = script.replace(loading, "network = small").replace('"megaloc.onnx"', repr(target))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(script, {"small": small})
    kept = empty.add(Path(target), "small", manifest=written_manifest(tmp_path, size=322))
    assert kept.about.recipe is not None and kept.about.recipe.height == 322
    picture = kept.about.recipe.picture(photo)
    with torch.inference_mode():
        expected = small(torch.from_numpy(kept.about.recipe.tensor(picture)))[0].numpy()
    assert np.abs(described(empty, photo, "small") - unit_rows(expected)).max() < 1e-5


def written_manifest(folder: Path, **values: Any) -> Path:
    path = folder / "written.json"
    path.write_text(json.dumps({**LEAST, **values}))
    return path


def test_onnx_runtime_notes_nothing_about_its_use(tmp_path: Path) -> None:
    """By itself it keeps, once it is imported, an id of the machine and a list of events to be sent."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    code = "import lmr.extractors.checkpoints.onnx_files, onnxruntime"
    subprocess.run([sys.executable, "-c", code], env={**kept, "HOME": str(tmp_path)}, check=True)
    assert not list(tmp_path.rglob("*"))
