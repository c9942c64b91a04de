"""What made the contents of a ledger: a table of fingerprints, by whose numbers pairs say what verified them."""

from __future__ import annotations

import json
from collections.abc import Callable

from lmr.method.fingerprints import IMPORTED, LOCAL, REVIEW, VERIFICATION, WHOLE, Fingerprint
from lmr.store.backend import Connection


class Fingerprints:
    """The table, over the ledger's connection; changes belong into a transaction of the ledger."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def of(self, kind: str) -> list[Fingerprint]:
        """Those of one kind, the oldest first."""
        return [found for found in self.all().values() if found.kind == kind]

    def all(self) -> dict[int, Fingerprint]:
        """All by number, in the order of numbers."""
        rows = self._db.execute("SELECT number, kind, parameters FROM fingerprints ORDER BY number")
        return {number: Fingerprint(kind, parameters) for number, kind, parameters in rows}

    def number(self, fingerprint: Fingerprint) -> int:
        """The number of a fingerprint, which is noted if it is new."""
        values = fingerprint.kind, fingerprint.hash
        select = "SELECT number FROM fingerprints WHERE kind = ? AND hash = ?"
        row = self._db.execute(select, values).fetchone()
        if row is None:
            insert = "INSERT INTO fingerprints (kind, hash, parameters) VALUES (?, ?, ?) RETURNING number"
            row = self._db.execute(insert, (*values, fingerprint.parameters)).fetchone()
        return int(row[0])

    def put_only(self, fingerprint: Fingerprint) -> int:
        """Let a fingerprint be the only one of its kind; its number."""
        number = self.number(fingerprint)
        self._db.execute("DELETE FROM fingerprints WHERE kind = ? AND number <> ?", (fingerprint.kind, number))
        return number


# ------------------------------------------------------------ ledgers of formats 1 to 4, which kept none

# what made them: this stays as it is, whatever the present parameters are
_VERIFICATION = (
    '{"artefacts":{"behind":3,"border":0.9,"margin":0.1,"most":0.6,"place":3,"probable":3,"share":0.05,"small":0.12,'
    '"strays":0.05,"version":1},"geometry":{"anchors":40,"cell":4,"close":2.5,"hypotheses":300,"least_matches":3,'
    '"least_span":10,"occupied":40,"plausible":{"affine_support":6,"scale":10,"shift_support":3,"stretch":3,'
    '"turn":30},"refined":3,"refits":3,"scale":2,"scale_chance":0.5,"tolerance":12,"version":1,"vote":1.5},'
    '"matching":{"points":2000,"ratio":0.98,"version":1}}'
)
_REVIEW = (
    '{"certain":20,"confirmed_inliers":12,"least_dimension":4,"marks":{"overlap":0.5,"photos":5,"small":0.12,'
    '"unrelated":0.5,"version":1},"steepness":0.8,"version":1}'
)
_IMPORTED = '{"sure":20,"version":1}'
_BANDS = '{"dark":20,"least_left":0.3,"light":240,"most":0.45,"plain":0.8,"spread":14}'
_BASIS = "505f0da554285034"
_ROOTSIFT = (
    f'{{"bands":{_BANDS},"basis":"{_BASIS}","contrast":0.01,"dimension":64,"edge":10,"points":3000,"quantum":210,'
    '"side":640,"version":1}'
)
_VLAD = (
    '{"dense":{"books":2,"words":256},"dense_weight":0.5,"dimension":64,'
    f'"grid":{{"bands":{_BANDS},"basis":"{_BASIS}","contrast":6,"dimension":32,"patch":24,"quantum":210,"side":640,'
    '"steps":[[1,10],[0.707,9],[0.5,8],[0.354,8],[0.25,8]],"version":1},"photos_a_dimension":4,"points_a_word":40,'
    '"rounds":20,"sample":250000,"sparse":{"books":4,"words":512},"training_photos":1200,"version":1}'
)
_WHOLE_SCALES = {"gem": "[1,1.41421356237,0.707106781187]", "delg": "[0.7071,1,1.4142]"}


def fill(db: Connection, meta: Callable[[str], str | None]) -> None:
    """Note what made an older ledger and its pairs: inside the transaction that brings it up to date.

    Imported matches are known by what no verified pair has: certain, with all matches inliers, and without a map.
    """
    notes = Fingerprints(db)
    verified, imported = (
        notes.number(Fingerprint(*one)) for one in ((VERIFICATION, _VERIFICATION), (IMPORTED, _IMPORTED))
    )
    notes.number(Fingerprint(REVIEW, _REVIEW))
    update = (
        "UPDATE pairs SET fingerprint = iif(weight IS NOT NULL AND geometry IS NULL AND nfa = 20.0"
        " AND matches = inliers AND round = 0, ?, ?)"
    )
    db.execute(update, (imported, verified))
    described_by = meta("extractors") or ("rootsift+vlad" if meta("preset") in (None, "classic") else None)
    if described_by is None:
        return
    local, whole = described_by.split("+")
    side, attention = (
        json.dumps(_number(meta(name) or usual)) for name, usual in (("network_side", "1024"), ("attention", "0"))
    )
    notes.number(Fingerprint(LOCAL, _ROOTSIFT if local == "rootsift" else _places(local, side, attention)))
    notes.number(Fingerprint(WHOLE, _VLAD if whole == "vlad" else _whole(whole, side)))


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() else value


def _places(weights: str, side: str, attention: str) -> str:
    return (
        f'{{"attention":{attention},"most":1000,"quantum":127,"reduced":40,'
        f'"scales":[0.25,0.3536,0.5,0.7071,1,1.4142,2],"side":{side},"unit":1.66666666667,"version":1,'
        f'"weights":{json.dumps(weights)}}}'
    )


def _whole(weights: str, side: str) -> str:
    kind = weights.rpartition("-")[0]
    return (
        f'{{"learned":256,"most_learned_from":1200,"photos_a_dimension":4,"power":{3 if kind == "dir" else 1},'
        f'"scales":{_WHOLE_SCALES.get(kind, "[1]")},"side":{side},"version":1,"weights":{json.dumps(weights)},'
        '"whitening":"Landmarks_clean","whitening_power":0.25}'
    )
