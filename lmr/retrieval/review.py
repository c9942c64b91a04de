"""Which matches are worth a look by people."""

from __future__ import annotations

from dataclasses import replace

from lmr.method.spanning.bridges import Bridge, bridges, far_apart
from lmr.store.snapshot import undisturbed
from lmr.store.stores import Stores


def worth_a_look(stores: Stores, limit: int) -> list[Bridge]:
    """Matches of photos that were taken far apart, then bridges, those first that are worth most doubt.

    Those that a person has judged are left out.
    """
    settled = {frozenset(pair[:2]) for pair in stores.ledger.verdicts.pairs()}
    graph, most, metres = stores.graph, limit + len(settled), stores.settings.far_apart

    def asked() -> list[Bridge]:
        apart = {frozenset((one.a, one.b)): one for one in far_apart(graph, metres, most)}
        held = bridges(graph, most + len(apart), bridge_queries=stores.bridge_queries)
        for one in held:
            if (pair := frozenset((one.a, one.b))) in apart:
                apart[pair] = replace(one, metres=apart[pair].metres)
        return [*apart.values(), *(one for one in held if frozenset((one.a, one.b)) not in apart)]

    found = undisturbed(stores, asked)
    return [one for one in found if frozenset((one.a, one.b)) not in settled][:limit]
