"""Checkpoints of others: recognised, converted, refused when damaged or hostile, fetched from a server of our own."""

from __future__ import annotations

import http.server
import json
import socketserver
import struct
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs PyTorch (`make setup`)")

from safetensors.torch import save_file  # noqa: E402

from lmr.errors import CheckpointError, DownloadError, UsageError  # noqa: E402
from lmr.extractors.checkpoints import store as store_module  # noqa: E402
from lmr.extractors.checkpoints.published import CARRIED, PREFERRED, PUBLISHED, Published  # noqa: E402
from lmr.extractors.checkpoints.recognise import recognise  # noqa: E402
from lmr.extractors.checkpoints.store import Store, plain_name  # noqa: E402
from lmr.extractors.checkpoints.tensorflow import datum, message, read_datum, read_delf, read_variables  # noqa: E402
from lmr.extractors.presets import preset  # noqa: E402
from lmr.method.features.networks import delf  # noqa: E402
from lmr.method.features.networks.build import build  # noqa: E402
from lmr.method.features.networks.gem import describe  # noqa: E402
from lmr.method.features.neural import preparation, reduced_features, whitening_named  # noqa: E402
from lmr.settings import Settings  # noqa: E402
from tests.features.bundle import write_bundle  # noqa: E402
from tests.features.weights import dir_checkpoint, gem_checkpoint, state, variables  # noqa: E402


@pytest.fixture(scope="module")
def parity(shared: Path) -> Path:
    return shared / "parity"


@pytest.fixture(scope="module")
def files(parity: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DIR and a cirtorch checkpoint with made weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    dir_checkpoint(parity, folder / "Resnet50-AP-GeM.pt")
    gem_checkpoint(parity, folder / "gl18-tl-resnet50-gem-w-83fdc30.pth")
    return folder


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_dir_from_its_file_to_its_whitened_descriptors(parity: Path, files: Path, empty: Store) -> None:
    kept = empty.add(files / "Resnet50-AP-GeM.pt")
    assert (kept.name, kept.about.kind, kept.about.whitenings) == ("Resnet50-AP-GeM", "dir", ("Landmarks_clean",))
    expected, pictures = np.load(parity / "dir_expected.npz"), np.load(parity / "images.npz")
    arrays = kept.arrays()
    net = build(kept.about, arrays)
    raw = np.concatenate([describe(net, [pictures[f"img{k}"]], preparation(kept)) for k in (0, 1)])
    assert np.abs(raw - expected["resnet50__ss__raw"]).max() < 1e-5
    whitened = whitening_named(kept, arrays, "Landmarks_clean")(raw)
    assert np.abs(whitened - expected["resnet50__ss__whiten_p0.25"]).max() < 1e-5
    with pytest.raises(CheckpointError, match="Landmarks_clean"):
        whitening_named(kept, arrays, "other")


def test_cirtorch_from_its_file(parity: Path, files: Path, empty: Store) -> None:
    kept = empty.add(files / "gl18-tl-resnet50-gem-w-83fdc30.pth")
    assert (kept.name, kept.about.kind) == ("gl18-tl-resnet50-gem-w", "gem")
    expected, pictures = np.load(parity / "cirtorch_expected.npz"), np.load(parity / "images.npz")
    found = describe(build(kept.about, kept.arrays()), [pictures["img0"]], preparation(kept))
    assert np.abs(found - expected["resnet50_gem_w__ms__vecs"][:1]).max() < 1e-5


def test_eigenplaces_from_its_file(empty: Store, tmp_path: Path) -> None:
    """Against torchvision's ResNet with what its authors put behind it: length 1, GeM, a linear layer, length 1."""
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    trunk = torch.nn.Sequential(*list(torchvision.models.resnet50(weights=None).children())[:-2]).eval()
    linear, power = torch.nn.Linear(2048, 128), torch.tensor([2.7])
    state = {f"backbone.{name}": tensor for name, tensor in trunk.state_dict().items()}
    state |= {"aggregation.1.p": power, **{f"aggregation.3.{name}": t for name, t in linear.state_dict().items()}}
    torch.save(state, tmp_path / "ResNet50_128_eigenplaces.pth")
    kept = empty.add(tmp_path / "ResNet50_128_eigenplaces.pth")
    assert (kept.about.kind, kept.about.architecture, kept.about.dimensions) == ("eigenplaces", "resnet50", 128)
    picture = np.random.default_rng(0).integers(0, 255, (90, 130, 3)).astype(np.uint8)
    found = describe(build(kept.about, kept.arrays(), exact=True), [picture], preparation(kept))
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (kept.about.mean, kept.about.deviation))
    with torch.inference_mode():
        places = trunk((torch.from_numpy(picture).permute(2, 0, 1)[None] / 255 - mean) / deviation)
        places = torch.nn.functional.normalize(places)
        expected = torch.nn.functional.normalize(linear(places.clamp(min=1e-6).pow(power).mean((2, 3)).pow(1 / power)))
    assert np.abs(found - expected.numpy()).max() < 1e-5
    made = preset("eigenplaces", Settings(checkpoints=empty.folder, device="cpu"))
    assert made.descriptor.training_photos == 0 and made.mark.startswith("rootsift+eigenplaces-")
    # the same in safetensors is the same; of another ResNet, and of a network that lmr has no code of, it is said
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "same.safetensors")
    assert empty.add(tmp_path / "same.safetensors").digest == kept.digest
    small = {name: tensor for name, tensor in state.items() if not name.startswith("backbone.6.5")}
    for what, told in ((small, "of no known ResNet"), ({"encoder.layer.0": torch.zeros(2)}, "exported to ONNX")):
        save_file({name: tensor.contiguous() for name, tensor in what.items()}, tmp_path / "other.safetensors")
        with pytest.raises(CheckpointError, match=told):
            empty.add(tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "same.safetensors").read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        empty.add(tmp_path / "cut.safetensors")


def test_programs_stay_closed(empty: Store, tmp_path: Path) -> None:
    """TorchScript, and what torch.export writes: opening these may run anything."""
    network, picture = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)).eval(), torch.zeros(1, 3, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is going out of use
        torch.jit.save(torch.jit.trace(network, picture), tmp_path / "script.pt")
    torch.export.save(torch.export.export(network, (picture,)), tmp_path / "exported.pt2")
    (tmp_path / "exported.pt").write_bytes((tmp_path / "exported.pt2").read_bytes())
    for name, form in (("script.pt", "TorchScript"), ("exported.pt2", "torch.export"), ("exported.pt", "torch.export")):
        with pytest.raises(CheckpointError, match=rf"{form}: .* never opened; export the network to ONNX"):
            empty.add(tmp_path / name)


def test_the_containers_of_2019_and_of_today(parity: Path) -> None:
    for name, kind, whitened in (
        ("dir_2019_layout.pt", "dir", ("Landmarks_clean",)),
        ("dir_new_zip.pt", "dir", ("Landmarks_clean",)),
        ("cirtorch_2019_layout.pth", "gem", ("retrieval-SfM-120k-ss", "retrieval-SfM-120k-ms")),
    ):
        about, arrays = recognise(parity / "containers" / name)
        assert (about.kind, about.architecture, about.whitenings) == (kind, "resnet50", whitened)
        for key in whitened:
            assert arrays[f"whitening/{key}/basis"].shape[1] == arrays[f"whitening/{key}/mean"].shape[0] == 2048


def test_weights_that_make_no_network_are_refused_when_added(parity: Path, empty: Store) -> None:
    containers = list((parity / "containers").iterdir())
    assert len(containers) >= 3
    for path in containers:  # two tensors only
        with pytest.raises(CheckpointError, match="is missing"):
            empty.add(path)
    assert empty.names() == []


def test_the_bundle_of_delf_gives_what_the_original_gave(parity: Path, empty: Store) -> None:
    bundle = parity / "delf_tf1_bundle"
    made = variables(parity, "delf_tf1_variables.txt")
    read = read_variables(bundle / "variables")
    assert set(read) == set(made) and all(np.array_equal(read[name], made[name]) for name in made)
    kept = empty.add(bundle, "delf_gld_20190411")
    net, pictures = build(kept.about, kept.arrays()), np.load(parity / "images.npz")
    expected = np.load(parity / "delf_extractor_expected.npz")
    for k in (0, 1):
        stored = read_delf(bundle / "features" / f"img{k}.delf")
        (places,), _ = delf.describe(net, [pictures[f"img{k}"]])
        mine, theirs = (
            np.lexsort(np.round(np.c_[at, scale], 1).T)
            for at, scale in ((places.centres, places.scales), (stored["locations"], stored["scales"]))
        )
        assert np.allclose(places.centres[mine], stored["locations"][theirs], atol=1e-2)
        assert np.allclose(places.attention[mine], stored["strengths"][theirs], atol=1e-3)
        assert np.allclose(reduced_features(kept, places.features)[mine], stored["descriptors"][theirs], atol=1e-4)
        order = np.lexsort(np.round(np.c_[expected[f"pca40__img{k}__locations"], stored["scales"]], 1).T)
        assert np.allclose(expected[f"pca40__img{k}__descriptors"][order], stored["descriptors"][theirs], atol=1e-4)
    assert read_datum(bundle / "pca" / "pca_proj_mat.datum").shape == (64, 1024)


@pytest.mark.parametrize(("name", "kind"), [("delf", "delf"), ("delg", "delg")])
def test_keras_variables_are_found_by_their_attributes(parity: Path, tmp_path: Path, name: str, kind: str) -> None:
    made = variables(parity, f"{name}_tf2_keras_variables.txt")
    keys = [
        line.split("\t")
        for line in (parity / f"{name}_tf2_keras_variables.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    write_bundle(tmp_path / "variables", made, {row[0]: row[3] for row in keys})
    about, arrays = recognise(tmp_path, called=f"r50{name}_gld_20200814")
    assert set(arrays) == set(made) and all(np.array_equal(arrays[key], made[key]) for key in made)
    assert (about.kind, about.architecture, about.whole) == (kind, "resnet50", kind == "delg")
    assert about.old_attention == (kind == "delg")  # exported before June 2021
    assert recognise(tmp_path, called="delg_20220101")[0].old_attention is False
    if kind == "delg":
        return
    archive = tmp_path / "r50.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(tmp_path / "variables", f"r50{name}/variables")
    assert set(recognise(archive)[1]) == set(made)
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(CheckpointError, match=r"damaged|cut short"):
        recognise(archive)


def test_every_flip_in_a_bundle_is_seen(parity: Path, tmp_path: Path) -> None:
    values = {"attention_block/a": np.arange(300, dtype=np.float32), "resnet_v1_50/b": np.ones((3, 5), np.float32)}
    write_bundle(tmp_path / "variables", values)
    assert {name: array.tolist() for name, array in read_variables(tmp_path / "variables").items()} == {
        name: array.tolist() for name, array in values.items()
    }
    files, seen = sorted((tmp_path / "variables").iterdir()), 0
    assert len(files) == 2
    for file in files:
        whole = file.read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 150)):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
            try:
                read = read_variables(tmp_path / "variables")
            except CheckpointError:
                seen += 1
                continue
            assert {name: array.tolist() for name, array in read.items()} == {n: v.tolist() for n, v in values.items()}
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(CheckpointError):
            read_variables(tmp_path / "variables")
        file.write_bytes(whole)
    assert seen > 200


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_hostile_messages_end_in_an_error_or_an_array(data: bytes) -> None:
    try:
        message(data)
    except (ValueError, IndexError, struct.error):
        pass
    try:
        assert isinstance(datum(data), np.ndarray)
    except CheckpointError:
        pass


def test_a_hostile_pickle_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    for legacy in (False, True):
        path = tmp_path / f"bomb{legacy}.pt"
        torch.save({"state_dict": Bomb(), "meta": {}}, path, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(CheckpointError, match="nothing of it was executed"):
            recognise(path)
    assert not (tmp_path / "ran").exists()


def test_what_is_no_checkpoint_says_so(parity: Path, files: Path, tmp_path: Path, empty: Store) -> None:
    (tmp_path / "text.pt").write_text("hello")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"state_dict": {}, "meta": {"architecture": "vgg16", "pooling": "gem"}}, tmp_path / "vgg.pth")
    torch.save({"state_dict": {}, "model_options": {"arch": "resnet101_fpn_rmac"}}, tmp_path / "fpn.pt")
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", b"\0" * 1_000_000)
    for name, told in (
        ("text.pt", "cannot be read"),
        ("list.pt", "no checkpoint but a list"),
        ("vgg.pth", "'vgg16' of cirtorch is not known"),
        ("fpn.pt", "'resnet101_fpn_rmac' of DIR is not known"),
        ("bomb.pt", "compressed archive"),
        ("missing.pt", "neither a file nor a folder"),
        (".", "no SavedModel"),
    ):
        with pytest.raises(CheckpointError, match=told):
            recognise(tmp_path / name)
    whole = (files / "Resnet50-AP-GeM.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        empty.add(tmp_path / "cut.pt")


def test_the_imagenet_stand_in(parity: Path, tmp_path: Path, empty: Store) -> None:
    weights = state(parity, "dir_resnet50_rmac_state_dict.txt")
    plain = {name: tensor for name, tensor in weights.items() if not name.startswith(("fc.", "adpool."))}
    plain |= {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    torch.save(plain, tmp_path / "resnet50-0676ba61.pth")
    kept = empty.add(tmp_path / "resnet50-0676ba61.pth", "resnet50-imagenet")
    assert kept.about.kind == "imagenet" and "stand-in" in kept.about.remarks[0]
    assert empty.find("imagenet") == kept


def test_the_store_finds_checks_and_refuses(files: Path, empty: Store) -> None:
    with pytest.raises(CheckpointError, match="no weights of dir are at hand"):
        empty.find("dir")
    kept = empty.add(files / "Resnet50-AP-GeM.pt", "mine")
    assert empty.find("dir") == empty.get("mine") == kept
    other = empty.add(files / "Resnet50-AP-GeM.pt", "other")
    assert other.digest == kept.digest and other.mark == kept.mark
    with pytest.raises(CheckpointError, match="which checkpoint of dir"):
        empty.find("dir")
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        empty.get("../mine")
    with pytest.raises(UsageError, match="no name for a checkpoint"):
        empty.add(files / "Resnet50-AP-GeM.pt", "../mine")
    assert [wrong for _, wrong in empty.check()] == ["", ""]
    weights = kept.folder / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    assert [bool(wrong) for _, wrong in empty.check()] == [True, False]
    with pytest.raises(CheckpointError, match="damaged"):
        kept.arrays()
    (other.folder / "manifest.json").write_text("{}")
    with pytest.raises(CheckpointError, match="manifest of other cannot be read"):
        empty.get("other")


def test_names_after_files() -> None:
    assert plain_name(Path("gl18-tl-resnet101-gem-w-a4d43db.pth")) == "gl18-tl-resnet101-gem-w"
    assert plain_name(Path("delf_gld_20190411.tar.gz")) == "delf_gld_20190411"


def test_what_is_published_is_complete() -> None:
    assert {"dir", "gem", "delf", "delg"} <= set(PREFERRED)
    for kind, names in PREFERRED.items():
        if kind not in {*CARRIED, "dedode", "keynet", "onnx"}:  # in packages, or the user's own
            assert names and all(PUBLISHED[name].kind == kind for name in names)
    assert all(item.address.startswith("http") and item.about_mb > 0 for item in PUBLISHED.values())


class _Server(http.server.BaseHTTPRequestHandler):
    """Serves one body, with ranges; `cut` ends the first answers early."""

    body, cut, asked, tag = b"", 0, [], '"1"'

    def do_GET(self) -> None:
        kind = type(self)
        asked = self.headers.get("Range")
        kind.asked.append(asked)
        start = int(asked[6:-1]) if asked and self.headers.get("If-Range") in (None, kind.tag) else 0
        part = kind.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", kind.tag)
        self.end_headers()
        if kind.cut:
            kind.cut -= 1
            part = part[: len(part) // 3]
        self.wfile.write(part)

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[tuple[str, type[_Server]]]:
    kind = type("Handler", (_Server,), {"asked": []})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}/x.pth", kind
        made.shutdown()


def test_fetching_resumes_and_trusts_the_first_file(
    files: Path, empty: Store, server: tuple[str, type[_Server]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, handler = server
    name = "gl18-tl-resnet50-gem-w"
    handler.body = (files / f"{name}-83fdc30.pth").read_bytes()
    handler.cut = 5
    with pytest.raises(DownloadError, match="goes on from here"):
        empty.fetch(name, address=address)
    assert handler.cut == 2 and handler.asked[0] is None and handler.asked[1].startswith("bytes=")
    handler.cut = 0
    kept = empty.fetch(name, address=address)
    assert kept.source["address"] == address and handler.asked[-1].startswith("bytes=")
    assert not [path for path in empty.folder.iterdir() if ".part" in path.name]
    digest = json.loads((empty.folder / "trusted.json").read_text())[name]
    assert kept.source["sha256"] == digest
    # another file under the same name: refused, unless it is asked for
    handler.body = (files / "Resnet50-AP-GeM.pt").read_bytes()
    with pytest.raises(CheckpointError, match="not the file that was fetched"):
        empty.fetch(name, address=address)
    assert empty.get(name).digest == kept.digest
    assert empty.fetch(name, address=address, trust=True).digest != kept.digest
    # a published hash is held against what came
    monkeypatch.setitem(store_module.PUBLISHED, "hashed", Published("hashed", "dir", 1, address, "0" * 8, ".pt"))
    with pytest.raises(CheckpointError, match="published is 00000000"):
        empty.fetch("hashed")
    with pytest.raises(UsageError, match="is not an address"):
        empty.fetch(name, address="file:///etc/passwd")
    with pytest.raises(UsageError, match="not published"):
        empty.fetch("nothing")


def test_a_file_that_changed_between_two_tries_is_fetched_anew(
    files: Path, empty: Store, server: tuple[str, type[_Server]]
) -> None:
    address, handler = server
    name = "gl18-tl-resnet50-gem-w"
    handler.body, handler.cut = b"\1" * 5_000_000, 3
    with pytest.raises(DownloadError):
        empty.fetch(name, address=address)
    handler.body, handler.tag = (files / f"{name}-83fdc30.pth").read_bytes(), '"2"'
    assert empty.fetch(name, address=address).name == name
    # the store holds nothing but the checkpoint and what was trusted
    assert sorted(path.name for path in empty.folder.iterdir()) == [name, "trusted.json"]
