"""What a file or folder holds: DIR, cirtorch, EigenPlaces, DELF, DELG or torchvision, told by the contents alone."""

from __future__ import annotations

import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lmr.errors import CheckpointError
from lmr.extractors.checkpoints.points import arrays_of, matcher_of, points_of
from lmr.extractors.checkpoints.tensorflow import read_datum, read_variables
from lmr.method.features.networks.about import IMAGENET, About
from lmr.values import Array

_SLIM = ("resnet_v1_50/", "attention_block/")
_KERAS = "_model/"
_ARCHITECTURES = {6: "resnet50", 23: "resnet101", 36: "resnet152"}  # by the units of the third stage
_MOST_UNPACKED = 4 << 30
_ATTENTION_CHANGED = 20210601
_WANTED = re.compile(r"(?:^|/)((?:variables|pca)/[\w.-]+)$")


def recognise(path: Path, *, called: str = "", old_attention: bool | None = None) -> tuple[About, dict[str, Array]]:
    """What it is and its arrays, under the names that its authors gave; whitening as whitening/NAME/…, PCA as pca/….

    called: its name if that is not the file's; old_attention: see DelgNetwork; None: by the date in the name. Raises
    CheckpointError.
    """
    if path.is_dir():
        return _saved_model(path, called or path.name, old_attention)
    if not path.is_file():
        raise CheckpointError(f"{path} is neither a file nor a folder")
    if tarfile.is_tarfile(path):
        with _unpacked(path) as folder:
            return _saved_model(folder, called or path.name, old_attention)
    from lmr.extractors.checkpoints.torch_files import load, load_safetensors

    value = load_safetensors(path) if path.suffix == ".safetensors" else load(path)
    return _of_torch(value, path, called or path.name)


def _of_torch(value: Any, path: Path, called: str) -> tuple[About, dict[str, Array]]:
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no checkpoint but a {type(value).__name__}")
    if points := points_of(value) or matcher_of(value, called):
        return points
    if "state_dict" not in value:
        if {"backbone.0.weight", "aggregation.1.p", "aggregation.3.weight"} <= set(value):
            return _eigenplaces(value, path)
        if {"conv1.weight", "fc.weight", "layer4.0.conv1.weight"} <= set(value):
            return _imagenet(value)
        raise CheckpointError(
            f"{path} holds no weights of a network that lmr has the code of (DIR, cirtorch, EigenPlaces, torchvision, "
            "local features); any other describes photos once it is exported to ONNX (docs/networks.md)"
        )
    if "meta" in value:
        return _cirtorch(value, path)
    if "model_options" in value:
        return _dir(value, path)
    raise CheckpointError(f"{path} has weights, but neither cirtorch's `meta` nor DIR's `model_options` beside them")


def _dir(value: Mapping[str, Any], path: Path) -> tuple[About, dict[str, Array]]:
    options = value["model_options"]
    architecture, _, head = str(options.get("arch", "")).partition("_")
    if architecture not in _ARCHITECTURES.values() or head != "rmac":
        raise CheckpointError(f"{path}: the architecture {options.get('arch')!r} of DIR is not known")
    if not str(options.get("pooling", "gem")).startswith("gem"):
        raise CheckpointError(f"{path}: pooling by {options['pooling']!r} is not known, only gem")
    arrays = arrays_of(value["state_dict"])
    linear = "fc.weight" in arrays
    if "adpool.p" not in arrays:
        arrays["adpool.p"] = np.array([options.get("gemp", 3)], np.float32)
    mean, deviation = _normalisation(value.get("preprocess", {}))
    about = About("dir", architecture, whole=True, linear=linear, mean=mean, deviation=deviation, dimensions=2048)
    found = value.get("pca") or {}
    for name, pca in (found if isinstance(found, dict) else {"pca": found}).items():
        parts = {"mean": "mean_", "basis": "components_", "variance": "explained_variance_"}
        if not hasattr(pca, "mean_"):
            about.remarks.append(f"the whitening {name!r} is not a PCA and was left out")
            continue
        if not getattr(pca, "whiten", True):
            del parts["variance"]
        _whitening(about, arrays, str(name), {part: getattr(pca, key) for part, key in parts.items()})
    return about, arrays


def _cirtorch(value: Mapping[str, Any], path: Path) -> tuple[About, dict[str, Array]]:
    meta = value["meta"]
    architecture = str(meta.get("architecture", ""))
    if architecture not in _ARCHITECTURES.values():
        raise CheckpointError(f"{path}: the architecture {architecture!r} of cirtorch is not known")
    if str(meta.get("pooling", "")) != "gem" or meta.get("regional") or meta.get("local_whitening"):
        raise CheckpointError(f"{path}: only cirtorch's gem without regional pooling or local whitening is known")
    arrays = arrays_of(value["state_dict"])
    mean, deviation = _normalisation(meta)
    linear = "whiten.weight" in arrays
    about = About("gem", architecture, whole=True, linear=linear, mean=mean, deviation=deviation, dimensions=2048)
    for name, by_scale in (meta.get("Lw") or {}).items():
        for scales, learned in by_scale.items():
            parts = {"mean": np.ravel(learned["m"]), "basis": learned["P"]}
            _whitening(about, arrays, f"{name}-{scales}", parts)
    return about, arrays


def _eigenplaces(value: Mapping[str, Any], path: Path) -> tuple[About, dict[str, Array]]:
    """EigenPlaces, or CosPlace, which is the same network."""
    units = len({str(name).split(".")[2] for name in value if str(name).startswith("backbone.6.")})
    if units not in _ARCHITECTURES or "backbone.4.0.conv3.weight" not in value:
        raise CheckpointError(f"{path} is an EigenPlaces or CosPlace of no known ResNet: 50, 101 and 152 are")
    arrays = arrays_of(value)
    dimensions = len(arrays["aggregation.3.weight"])
    return About("eigenplaces", _ARCHITECTURES[units], whole=True, linear=True, dimensions=dimensions), arrays


def _imagenet(value: Mapping[str, Any]) -> tuple[About, dict[str, Array]]:
    units = len({name.split(".")[1] for name in value if str(name).startswith("layer3.")})
    if units not in _ARCHITECTURES:
        raise CheckpointError(f"a ResNet of torchvision with {units} units in its third stage is not known")
    arrays = arrays_of({name: tensor for name, tensor in value.items() if not str(name).startswith("fc.")})
    about = About("imagenet", _ARCHITECTURES[units], whole=True, dimensions=2048)
    about.remarks.append("not trained on landmarks: a stand-in; whitening is learned from the collection")
    return about, arrays


def _saved_model(folder: Path, name: str, old_attention: bool | None) -> tuple[About, dict[str, Array]]:
    if not (folder / "variables" / "variables.index").is_file():
        inside = [below for below in folder.iterdir() if (below / "variables" / "variables.index").is_file()]
        if len(inside) != 1:
            raise CheckpointError(f"{folder} is no SavedModel: there is no variables/variables.index")
        folder = inside[0]
    arrays = read_variables(folder / "variables")
    slim = {key: value for key, value in arrays.items() if key.startswith(_SLIM)}
    if slim:
        about, arrays = About("delf", "resnet50", local=True, slim=True), slim
    elif any(key.startswith(_KERAS) for key in arrays):
        arrays = {key: value for key, value in arrays.items() if key.startswith(_KERAS)}
        about = _keras(arrays, name, old_attention)
    else:
        raise CheckpointError(f"{folder} is a SavedModel, but neither of DELF nor of DELG")
    parts = {"mean": "mean.datum", "basis": "pca_proj_mat.datum", "variances": "pca_vars.datum"}
    if all((folder / "pca" / file).is_file() for file in parts.values()):
        for part, file in parts.items():
            array = read_datum(folder / "pca" / file)
            arrays[f"pca/{part}"] = array.astype(np.float32)
    elif about.kind == "delf":
        about.remarks.append("no PCA beside it (pca/*.datum): features keep their 1,024 dimensions")
    return about, {key: np.ascontiguousarray(value, np.float32) for key, value in arrays.items()}


def _keras(arrays: Mapping[str, Array], name: str, old_attention: bool | None) -> About:
    units = len({key.split("/")[2] for key in arrays if re.match(r"_model/backbone/l4[a-z]+/", key)})
    if units not in _ARCHITECTURES:
        raise CheckpointError(f"a model with {units} units in its third block is not known")
    whole = "_model/backbone/embedding_layer/kernel" in arrays
    about = About("delg" if whole else "delf", _ARCHITECTURES[units], local=True, whole=whole)
    if whole:
        about.dimensions = int(arrays["_model/backbone/embedding_layer/bias"].shape[0])
    if "_model/autoencoder/conv2/kernel" in arrays:
        day = re.search(r"(20\d{6})", name)
        about.old_attention = (
            old_attention if old_attention is not None else bool(day and int(day[1]) < _ATTENTION_CHANGED)
        )
        reads = "what the autoencoder expands" if about.old_attention else "the third block"
        told = "by the date in its name" if old_attention is None and day else "as asked for"
        told = "as nothing says otherwise" if old_attention is None and not day else told
        about.remarks.append(f"attention reads {reads}, {told} (--old-attention or --new-attention decides)")
    return about


def _whitening(about: About, arrays: dict[str, Array], name: str, parts: Mapping[str, Any]) -> None:
    for part, values in parts.items():
        arrays[f"whitening/{name}/{part}"] = np.ascontiguousarray(np.asarray(values), np.float32)
    about.whitenings = (*about.whitenings, name)


def _normalisation(values: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    def three(name: str, usual: Sequence[float]) -> tuple[float, ...]:
        numbers = tuple(float(value) for value in values.get(name, usual))
        if len(numbers) != 3 or not np.isfinite(numbers).all():
            raise CheckpointError(f"its {name} is {numbers}, not one number a channel")
        return numbers

    return three("mean", IMAGENET[0]), three("std", IMAGENET[1])


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """The few files that are wanted of an archive, under names of our own, in a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix="lmr-checkpoint-") as made:
        left = _MOST_UNPACKED
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    wanted = _WANTED.search(member.name)
                    if not wanted or not member.isfile():
                        continue
                    left -= member.size
                    if left < 0:
                        raise CheckpointError(f"{path} unpacks to more than {_MOST_UNPACKED:,} bytes")
                    target = Path(made) / wanted[1]
                    target.parent.mkdir(exist_ok=True)
                    source = archive.extractfile(member)
                    assert source is not None
                    with source, target.open("wb") as file:
                        while block := source.read(1 << 20):
                            file.write(block)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise CheckpointError(f"{path} is a damaged archive: {error}") from error
        yield Path(made)
