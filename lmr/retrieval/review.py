"""Which matches are worth a look by people."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from lmr.method.spanning.bridges import Bridge, bridges, far_apart
from lmr.store.snapshot import undisturbed
from lmr.store.stores import Stores
from lmr.text import printable, text_of
from lmr.values import Excluded


def worth_a_look(stores: Stores, limit: int) -> list[Bridge]:
    """Matches of photos that were taken far apart, then of places told apart as look-alikes, then bridges.

    Of each kind those first that are worth most doubt. Those that a person has judged are left out.
    """
    settled = {frozenset(pair[:2]) for pair in stores.ledger.verdicts.pairs()}
    graph, most, metres = stores.graph, limit + len(settled), stores.settings.far_apart

    def asked() -> list[Bridge]:
        apart = {frozenset((one.a, one.b)): one for one in far_apart(graph, metres, most)}
        held = bridges(graph, most + len(apart), bridge_queries=stores.bridge_queries)
        for one in held:
            if (pair := frozenset((one.a, one.b))) in apart:
                apart[pair] = replace(one, metres=apart[pair].metres)
        rest = [one for one in held if frozenset((one.a, one.b)) not in apart]
        return [*apart.values(), *look_alikes(stores), *rest]

    found = undisturbed(stores, asked)
    return [one for one in found if frozenset((one.a, one.b)) not in settled][:limit]


def look_alikes(stores: Stores) -> list[Bridge]:
    """The strongest match between any two places that are told apart, those first over which most matches agree.

    Places between which a person rejected a match are left out.
    """
    ledger, place = stores.ledger, stores.ledger.pairs.shown.places()
    number = {image.id: image.number for image in ledger.images.all()} if place else {}
    sizes, found = Counter(place.values()), dict[tuple[int, int], list[tuple[float, int, int]]]()
    for _, a, b, weight in ledger.pairs.excluded_as(Excluded.LOOK_ALIKE):
        if a in place and b in place:  # both ends take part in the forest
            groups = (place[a], place[b]) if place[a] < place[b] else (place[b], place[a])
            found.setdefault(groups, []).append((weight, a, b))
    for first, second, verdict, _ in ledger.verdicts.pairs():
        if verdict == "rejected":
            one, other = (place.get(number.get(end, -1), -1) for end in (first, second))
            found.pop((min(one, other), max(one, other)), None)
    labels = dict[int, Counter[str]]()
    for image, group in place.items() if found else ():
        if landmark := ledger.images.numbered(image).landmark:
            labels.setdefault(group, Counter())[landmark] += 1

    def named(image: int) -> str:
        return printable(text_of(next(iter(ledger.files.paths(image)), b"?")))

    def bridge(matches: list[tuple[float, int, int]]) -> Bridge:
        ends = sorted(max(matches)[1:], key=lambda end: sizes[place[end]])
        a, b = (ledger.images.numbered(end) for end in ends)
        counts = [labels.get(place[end], Counter()) for end in ends]
        of = [min(count, key=lambda name: (-count[name], name), default=None) for count in counts]
        names = named(a.number), named(b.number)
        row = ledger.pairs.row(a.number, b.number) or ledger.pairs.row(b.number, a.number)
        inliers = 0 if row is None else row.verification.inliers
        held = sizes[place[a.number]], sizes[place[b.number]]
        return Bridge(a.id, b.id, names, inliers, held, (of[0], of[1]), mark=False, alike=len(matches))

    return sorted(map(bridge, found.values()), key=lambda one: (-one.alike, one.a, one.b))
