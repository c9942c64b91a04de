"""Labels that people give to images which are stored already; all databases follow."""

from __future__ import annotations

from collections.abc import Mapping

from lmr.errors import UsageError
from lmr.store.replica import bring_up
from lmr.store.stores import Stores

_MOST = 200  # characters of a label


def label(stores: Stores, labels: Mapping[str, str | None], *, replace: bool) -> dict[str, str | None]:
    """Give images (by id) their labels; None takes one away. Returns the former label of each that was changed.

    replace: also where there is another label. Raises UsageError for what can be no label.
    """
    ledger, given = stores.ledger, {id: _checked(text) for id, text in labels.items()}
    before: dict[str, str | None] = {}
    with stores.writing():
        bring_up(stores)
        with ledger.transaction():
            for id, text in given.items():
                image = ledger.images.get(id)
                if image is None or (image.landmark is not None and not replace):
                    continue
                if ledger.images.set_label(image.number, text):
                    before[id] = image.landmark
            if before:
                stores.changed()
        bring_up(stores)
        stores.graph.run("clusters/relabel", ids=list(before))
    return before


def _checked(text: str | None) -> str | None:
    if text is None:
        return None
    shown = " ".join(text.split())
    if not shown or len(shown) > _MOST:
        raise UsageError(f"a label has 1 to {_MOST} characters")
    return shown
