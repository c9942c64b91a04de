"""Images in the groups that firm matches hold together, and those that are left without certain matches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lmr.store.images import Image
from lmr.store.stores import Stores
from lmr.values import Array

TOGETHER = 3  # photos of one roll lie on one side together, and match each other
_FIRM = 10.0  # -log10(false alarms) of a match that holds a group together


@dataclass(frozen=True, slots=True)
class Groups:
    """Images by number: the group that firm matches hold each in, how large groups are, and who finds little."""

    group: dict[int, int]
    size: Array
    left: list[int]

    @classmethod
    def of(cls, stores: Stores) -> Groups:
        """A query photo that bridges nothing is a group of its own, however many it matches."""
        ledger, bridging = stores.ledger, stores.bridge_queries
        images = {image.number: image for image in ledger.images.all()}
        row = {number: k for k, number in enumerate(images)}
        takes_part = np.array([image.split == "index" or bridging for image in images.values()], bool)
        links = ledger.pairs.links()
        firm = np.array([reason is None for reason in links.excluded], bool) & (
            (links.log_nfa >= _FIRM) | links.confirmed
        )
        a, b = (np.array([row[n] for n in ends[firm].tolist()], np.int64) for ends in (links.a, links.b))
        inner = takes_part[a] & takes_part[b] if len(a) else np.zeros(0, bool)
        shape = (len(images), len(images))
        joined = coo_matrix((np.ones(inner.sum()), (a[inner], b[inner])), shape)
        _, group = connected_components(joined, directed=False) if images else (0, np.zeros(0, np.int64))
        size = np.bincount(group, minlength=1)
        matched = set(np.concatenate([a[~inner], b[~inner]]).tolist()) if len(a) else set()
        tried = ledger.images.turns_tried()
        left = [
            n for n in tried if size[group[row[n]]] <= TOGETHER and not (row[n] in matched and not takes_part[row[n]])
        ]
        return cls(dict(zip(images, group.tolist(), strict=True)), size, left)

    def members(self, number: int) -> list[int]:
        """The images of its group, itself first."""
        return [number, *(n for n, group in self.group.items() if group == self.group[number] and n != number)]


def not_to_be_matched(stores: Stores, groups: Groups, image: Image) -> list[str]:
    """Its own group, which turns with it, and what a person has rejected."""
    own = [one.id for one in stores.ledger.images.of_numbers(groups.members(image.number))]
    verdicts = stores.ledger.verdicts.pairs()
    return own + [
        a if b == image.id else b for a, b, verdict, _ in verdicts if verdict == "rejected" and image.id in (a, b)
    ]
