"""Networks in ONNX that users add: read without trust, and tried in a process of its own before they are kept.

An ONNX file is a list of operators and numbers. It holds no machine code and no Python, but it can name other files for
its numbers, operators of libraries, functions that unfold without end, and as much work and memory as it likes. The
first three are refused by what the file says; the last by a trial run with limits.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lmr.errors import CheckpointError, UsageError
from lmr.extractors.checkpoints.manifest import EXAMPLE, Manifest
from lmr.extractors.checkpoints.needed import need
from lmr.method.features.any_network import MODEL
from lmr.method.features.networks.about import About
from lmr.method.features.networks.recipe import Recipe
from lmr.text import printable
from lmr.values import Array

SUFFIX = ".onnx"
_MOST_BYTES = 2**31 - 1  # of a protocol buffer
_MOST_NAME = 500
_OWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_TRIAL = "import sys; sys.path[:0] = {path!r}; from lmr.method.features.networks.onnx_trial import main; main()"
_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Graph:
    """What a file says of its network. input: its name; shape: of it, None where a side is free; outputs: name -> rank.

    half: whether it takes float16.
    """

    input: str
    shape: tuple[int | None, ...]
    half: bool
    outputs: dict[str, int]
    opset: int


def read_onnx(path: Path, manifest: Manifest | None) -> tuple[About, dict[str, Array]]:
    """What it is, and its bytes as an array. Raises CheckpointError, and UsageError where the manifest lacks something.

    Nothing of the file is trusted: see this module's first lines.
    """
    need(f"adding {path}", "onnx", "onnx", "onnxruntime")
    if manifest is None:
        raise UsageError(
            f"{path} needs a manifest that says how it sees photos: {path.with_suffix('.toml')}, or --manifest FILE, "
            f"with at least\n{EXAMPLE}"
        )
    data = _bytes(path)
    graph = _graph(data, path)
    recipe = _recipe(graph, manifest)
    dimensions = _tried(data, recipe, path)
    wanted = manifest.values.get("dimensions", dimensions)
    if wanted != dimensions:
        raise CheckpointError(f"{path} gives {dimensions} numbers, {manifest.where} says {wanted}")
    about = About("onnx", f"ONNX, opset {graph.opset}", whole=True, dimensions=dimensions, recipe=recipe)
    about = replace(about, licence=manifest.values.get("licence", ""), origin=manifest.values.get("source", ""))
    return about, {MODEL: np.frombuffer(data, np.uint8)}


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CheckpointError(f"{path} is larger than {_MOST_BYTES:,} bytes, which no ONNX file can be")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error


def _graph(data: bytes, path: Path) -> Graph:
    """What the file says, unless it is to be refused for it."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise CheckpointError(f"{path} is no ONNX file, or is cut short") from error
    if not model.graph.node or not model.opset_import:
        raise CheckpointError(f"{path} is no ONNX file: there is no network in it")
    if model.functions:
        raise CheckpointError(f"{path} has functions of its own, which are not taken: export it with them inlined")
    for part in _parts(model):
        if isinstance(part, onnx.TensorProto):
            _refuse_tensor(part, path)
        elif isinstance(part, onnx.NodeProto) and part.domain not in _OWN_DOMAINS:
            name = f"{_name(part.domain, path)}.{_name(part.op_type, path)}"
            raise CheckpointError(f"{path} asks for {name}, which is none of ONNX's own operators: refused")
    opset = max((one.version for one in model.opset_import if one.domain in _OWN_DOMAINS[:2]), default=0)
    given = _given(model.graph, path)
    kind = given.type.tensor_type
    if kind.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
        raise CheckpointError(f"{path} takes neither float32 nor float16")
    shape = tuple(side.dim_value if side.HasField("dim_value") else None for side in kind.shape.dim)
    outputs = {_name(one.name, path): len(one.type.tensor_type.shape.dim) for one in model.graph.output}
    return Graph(_name(given.name, path), shape, kind.elem_type == onnx.TensorProto.FLOAT16, outputs, opset)


def _parts(message: Any) -> Iterator[Any]:
    """A message and all that are in it, in whatever depth, but for what is inside tensors."""
    from google.protobuf.message import Message

    waiting = [message]
    while waiting:
        part = waiting.pop()
        yield part
        if type(part).__name__ in ("TensorProto", "StringStringEntryProto"):
            continue
        for _, value in part.ListFields():
            many = [value] if isinstance(value, Message) else value
            if not isinstance(many, str | bytes | int | float):
                waiting += [one for one in many if isinstance(one, Message)]


def _name(name: str | bytes, path: Path) -> str:
    """A name in the file, for people too. Protocol buffers give bytes where it is no text."""
    if isinstance(name, bytes) or printable(name) != name or len(name) > _MOST_NAME:
        raise CheckpointError(f"{path} has a name in it that is no text, or longer than {_MOST_NAME} characters")
    return name


def _refuse_tensor(tensor: Any, path: Path) -> None:
    name = _name(tensor.name, path)
    if tensor.data_location == tensor.EXTERNAL or tensor.external_data:
        raise CheckpointError(
            f"{path} keeps the numbers of {name!r} in another file, which is never opened: save it as one file "
            "(onnx.save of what onnx.load gives)"
        )
    if any(side < 0 for side in tensor.dims) or math.prod(tensor.dims) > _MOST_BYTES:
        raise CheckpointError(f"{path}: {name!r} claims a shape of {list(tensor.dims)[:8]}, which it cannot have")


def _given(graph: Any, path: Path) -> Any:
    """The one input that is not among the weights."""
    weights = {tensor.name for tensor in graph.initializer}
    found = [one for one in graph.input if one.name not in weights]
    if len(found) != 1:
        names = ", ".join(_name(one.name, path) for one in found) or "nothing"
        raise CheckpointError(f"{path} takes {names}: only a network that takes a picture alone describes photos")
    if len(found[0].type.tensor_type.shape.dim) != 4:
        raise CheckpointError(f"{path} takes no pictures: its input {_name(found[0].name, path)!r} is not of rank 4")
    return found[0]


def _recipe(graph: Graph, manifest: Manifest) -> Recipe:
    """The manifest, with what the graph tells where it says nothing. Raises UsageError where both tell no or differ."""
    said, where = dict(manifest.values), manifest.where
    for name in ("dimensions", "licence", "source"):
        said.pop(name, None)
    if lacking := [name for name in ("mean", "std") if name not in said]:
        raise UsageError(
            f"{where} lacks {' and '.join(lacking)}: a number for each channel, of values from 0 to 1; "
            f"of most networks\n{EXAMPLE.split(chr(10), 1)[1]}"
        )
    layout = _layout(graph, said.get("layout"), where)
    height, width = _size(graph, layout, said.pop("size", None), where)
    output = _output(graph, said.get("output"), where)
    recipe = Recipe(
        **{
            "resize": "square",
            **said,
            **{name: tuple(float(value) for value in said[name]) for name in ("mean", "std")},
            **{"height": height, "width": width, "layout": layout, "output": output},
            **{"input": graph.input, "half": graph.half},
        }
    )
    if recipe.resize in ("short", "long") and height != width:
        raise UsageError(f"{where}: where one side is made {height} px, `size` is one number")
    if recipe.resize in ("short", "long") and height % recipe.multiple:
        raise UsageError(f"{where}: size {height} is no multiple of {recipe.multiple}")
    fixed = graph.shape[2:] if layout == "nchw" else graph.shape[1:3]
    if recipe.resize in ("short", "long") and any(fixed):
        raise UsageError(f"{where}: this network sees one shape alone, so `resize` has to be square or crop")
    return recipe


def _layout(graph: Graph, said: str | None, where: str) -> str:
    batch, *sides = graph.shape
    if batch not in (None, 0, 1):
        raise CheckpointError(f"this network takes {batch} pictures at once; export it for one, or for any number")
    places = [layout for layout, at in (("nchw", 0), ("nhwc", 2)) if sides[at] in (None, 3)]
    if not places:
        raise CheckpointError(f"this network takes pictures of {sides[0]} (or {sides[2]}) channels, not of three")
    if said is not None and said not in places:
        raise UsageError(f"{where} says layout = {said!r}, but the network's input has the shape {shown(graph.shape)}")
    certain = [layout for layout, at in (("nchw", 0), ("nhwc", 2)) if sides[at] == 3]
    return said or (certain or places)[0]


def _size(graph: Graph, layout: str, said: Any, where: str) -> tuple[int, int]:
    fixed = graph.shape[2:] if layout == "nchw" else graph.shape[1:3]
    if said is None and not all(fixed):
        raise UsageError(f"{where} lacks `size`, px, of a network that takes any ({shown(graph.shape)})")
    sides = tuple(said) if isinstance(said, list | tuple) else (said or fixed[0], said or fixed[1])
    if any(side and side != own for side, own in zip(fixed, sides, strict=True)):
        raise UsageError(f"{where} says size {sides[0]} x {sides[1]}, but the network takes {shown(graph.shape)}")
    return sides


def _output(graph: Graph, said: str | None, where: str) -> str:
    names = ", ".join(graph.outputs)
    if said is not None:
        if said not in graph.outputs:
            raise UsageError(f"{where} says output = {said!r}; the network has: {names}")
        return said
    vectors = [name for name, rank in graph.outputs.items() if rank == 2] or list(graph.outputs)
    if len(graph.outputs) > 1 and len(vectors) != 1:
        raise UsageError(f"{where} lacks `output`, as the network has several: {names}")
    return vectors[0]


def shown(shape: tuple[int | None, ...]) -> str:
    """A shape for people."""
    return " x ".join(str(side or "any") for side in shape)


def _tried(data: bytes, recipe: Recipe, path: Path) -> int:
    """Dimensions of the vectors that it gives, after a run in a process with limits on memory and time."""
    code = _TRIAL.format(path=[part for part in sys.path if part])
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, json.dumps(recipe.to_json()), str(_SECONDS)],
            input=data,
            capture_output=True,
            timeout=2 * _SECONDS + 10,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise CheckpointError(f"{path} was tried for {error.timeout:.0f} s without an end: refused") from error
    if done.returncode < 0:
        told = signal.Signals(-done.returncode).name
        why = "it took too long" if told in ("SIGXCPU", "SIGKILL") else "ONNX Runtime crashed or ran out of memory"
        raise CheckpointError(f"{path} was tried in a process of its own, which was ended by {told} ({why}): refused")
    try:
        found = json.loads(done.stdout.splitlines()[-1])
        reason, dimensions = found.get("reason", ""), int(found.get("dimensions", 0))
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        told = (done.stderr.decode("utf-8", "replace").split("\n")[-2:-1] or ["no answer came"])[0]
        raise CheckpointError(f"{path} could not be tried: {printable(told)}") from error
    if reason:
        raise CheckpointError(f"{path}: {printable(reason)}")
    return dimensions
