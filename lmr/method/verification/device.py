"""Matching many pairs at once on a GPU: the same matches as lmr.method.verification.matching finds, to the bit.

Descriptors are small integers, so every product is exact in float32 (reduced precision is switched off).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lmr.method.verification.matching import Prepared, check_comparable
from lmr.method.verification.nearest import NEVER, cells_of
from lmr.method.verification.parameters import MATCHING
from lmr.values import Array, Matches

PAIRS = 256
_PRODUCTS = 300_000_000  # at once: 1.2 GB
_NEVER = NEVER / 2  # values are halves here


def match_all(
    pairs: Sequence[tuple[Prepared, Prepared]],
    device: torch.device,
    ratio: float = MATCHING.ratio,
    *,
    cells: bool = False,
) -> list[Matches]:
    """See matching.match; at most PAIRS go to the device at a time."""
    for pair in pairs:
        check_comparable(*pair)
    found: list[Matches] = []
    most = max((len(photo.descriptors) for pair in pairs for photo in pair), default=0)
    size = max(1, min(PAIRS, _PRODUCTS // max(1, most * most)))
    for start in range(0, len(pairs), size):
        found += _matched(pairs[start : start + size], device, ratio, cells)
    return found


@torch.inference_mode()
def _matched(
    pairs: Sequence[tuple[Prepared, Prepared]], device: torch.device, ratio: float, cells: bool
) -> list[Matches]:
    photos = {id(photo): photo for pair in pairs for photo in pair}  # each goes there once
    row = {key: k for k, key in enumerate(photos)}
    points, halves, counts = _stacked(list(photos.values()), device)
    a = torch.tensor([row[id(first)] for first, _ in pairs], device=device)
    b = torch.tensor([row[id(second)] for _, second in pairs], device=device)
    torch.backends.cuda.matmul.allow_tf32 = False
    near = torch.bmm(points[a], points[b].transpose(1, 2))
    near -= halves[b][:, None, :]
    near -= halves[a][:, :, None]  # -distance squared / 2; what is only padding is _NEVER
    columns = torch.arange(near.shape[2], device=device)
    near.masked_fill_(columns[None, None, :] >= counts[b][:, None, None], _NEVER)
    near.masked_fill_(torch.arange(near.shape[1], device=device)[None, :, None] >= counts[a][:, None, None], _NEVER)
    if cells:
        probed, own = _cells(list(photos.values()), near.shape[1], device)
        near.masked_fill_(~probed[a].gather(2, own[b][:, None, :].expand(-1, near.shape[1], -1)), _NEVER)
    row_best, row_second = near.topk(2, dim=2).values.unbind(2)
    col_best, col_second = near.topk(2, dim=1).values.unbind(1)
    # of rows that are equally near to a column the first counts, as in the compiled kernel
    rows = torch.arange(near.shape[1], device=device, dtype=torch.int32)[None, :, None]
    first = torch.where(near == col_best[:, None, :], rows, near.shape[1]).amin(1).long()
    first = first.clamp(max=near.shape[1] - 1)
    seconds = torch.minimum(-row_second.gather(1, first), -col_second).double()
    best = -col_best.double()
    kept = (row_best.gather(1, first) == col_best) & (seconds > 0) & (best <= ratio * ratio * seconds)
    kept &= (columns[None, :] < counts[b][:, None]) & (col_best > _NEVER)
    squared = best / seconds
    rows_of, columns_of, ratios_of = (part.cpu().numpy() for part in (kept, first, squared))
    return [_sorted(rows_of[k], columns_of[k], ratios_of[k], *pair) for k, pair in enumerate(pairs)]


def _stacked(photos: Sequence[Prepared], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Descriptors (P, n, D) and half squares (P, n), filled up with zeros, and counts (P,)."""
    most, width = max(2, *(len(p.descriptors) for p in photos)), max(p.descriptors.shape[1] for p in photos)
    points, halves = np.zeros((len(photos), most, width), np.float32), np.zeros((len(photos), most), np.float32)
    for k, photo in enumerate(photos):
        points[k, : len(photo.descriptors), : photo.descriptors.shape[1]] = photo.descriptors
        halves[k, : len(photo.descriptors)] = (photo.descriptors.astype(np.float32) ** 2).sum(1) / 2
    counts = torch.tensor([len(photo.descriptors) for photo in photos], device=device)
    return torch.from_numpy(points).to(device), torch.from_numpy(halves).to(device), counts


def _cells(photos: Sequence[Prepared], most: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Whether points look into cells (P, n, K) bool, and the cell that each lies in (P, n)."""
    told = [cells_of(photo.compared) for photo in photos]
    probed = np.zeros((len(photos), most, told[0][0].shape[1]), bool)
    own = np.zeros((len(photos), most), np.int64)
    for k, (looks, lies) in enumerate(told):
        probed[k, : len(looks)], own[k, : len(lies)] = looks, lies
    return torch.from_numpy(probed).to(device), torch.from_numpy(own).to(device)


def _sorted(kept: Array, first: Array, squared: Array, a: Prepared, b: Prepared) -> Matches:
    """The matches of one pair, best first."""
    if min(len(a.descriptors), len(b.descriptors)) < 2:
        empty = np.zeros(0, np.int64)
        return Matches(empty, empty, np.zeros(0))
    second = np.flatnonzero(kept)
    rows, ratios = first[second].astype(np.int64), squared[second]
    order = np.lexsort((second, rows, ratios))
    return Matches(rows[order], second[order], np.sqrt(ratios[order]))
