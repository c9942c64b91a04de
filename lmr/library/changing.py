"""What changes a collection: photos taken in, linked, described anew, clustered, corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lmr.errors import UsageError
from lmr.inputs.arguments import Asked
from lmr.library.held import Held
from lmr.library.homes import FilePath
from lmr.values import ImageId

if TYPE_CHECKING:
    from lmr.jobs.correct.corrections import Corrected
    from lmr.jobs.exchange.clusters import Clustered
    from lmr.jobs.ingest.labels import Labels
    from lmr.jobs.ingest.plan import Ingested
    from lmr.jobs.link.link import Linked
    from lmr.jobs.link.turned import Turned
    from lmr.jobs.train.redescribe import Redescribed


class Changing(Held):
    """An open collection, as far as it is changed. One writes at a time: the others raise BusyError."""

    def ingest(
        self,
        *photos: FilePath,
        labels: FilePath | Literal["folders"] | None = None,
        columns: Mapping[str, str] | None = None,
        split: Literal["index", "query"] | None = None,
        prune: bool = False,
        strict: bool = False,
        retry_failed: bool = False,
        exclude: Sequence[str] = (),
        follow_links: bool = False,
        verify: bool = False,
    ) -> Ingested:
        """Take in photos and folders of them; nothing of them is changed. What is taken in already is not read again.

        labels: a CSV file (image, landmark, split), or "folders" where each landmark has a folder. columns: what these
        are called in the file ({"image": "Signature"}). split: of photos whose label does not say it. prune: take out
        images below these paths whose last photo is gone. strict: raise LmrError at the first photo that cannot be
        used; else it is set aside with a reason. retry_failed: try those again. exclude: patterns of names to skip
        ("*_small.jpg"). follow_links: look into linked folders. verify: compare every file by its bytes, not by size
        and time. Raises UsageError for a path that does not exist.

        >>> c.ingest("photos", labels="labels.csv").known == len(c)
        True
        """
        from lmr.jobs.ingest.ingest import ingest
        from lmr.jobs.ingest.plan import Look

        paths, given = existing(photos, labels, columns)
        look = Look(tuple(exclude), follow_links, retry_failed, verify)
        return ingest(self._stores, paths, labels=given, split=split, strict=strict, look=look, prune=prune)

    def link(self, *, rounds: int | None = None, bridge_queries: bool | None = None) -> Linked:
        """Propose, match and verify in rounds of ID-QE, and bring the spanning forest up to date.

        rounds: None: until one adds few matches, at most 4. bridge_queries: whether photos of the query split may join
        others (None: as before). Interrupted, the same call goes on; one that is complete does nothing.

        >>> c.link().verified  # everything has been compared
        0
        """
        from lmr.jobs.link.link import link

        return link(self._stores, rounds=rounds, bridge_queries=bridge_queries)

    def train(self) -> int:
        """Learn the vocabulary and whitening again from the present photos; how many were learned from.

        Everything is described anew; verified pairs stay. `link` then looks for new neighbours.

        >>> c.train() == sum(image.split == "index" for image in c.images())
        True
        """
        from lmr.jobs.train.describe import train

        return train(self._stores)

    def redescribe(self, preset: str, *, drop: bool = False) -> Redescribed:
        """Describe all photos with another preset, beside what is in use, and switch over when that is complete.

        drop: go on without images whose photos are gone; else CollectionError is raised. Raises UsageError where the
        collection is described by that preset already.

        >>> c.redescribe("classic")
        Traceback (most recent call last):
        ...
        lmr.errors.UsageError: ... is described by ... already
        """
        from lmr.jobs.train.redescribe import redescribe

        return redescribe(self._stores, preset, drop=drop)

    def cluster(
        self, method: Literal["leiden", "components"] = "leiden", *, min_weight: float | None = None
    ) -> Clustered:
        """Write clusters: Leiden's communities, or components over matches of at least a weight (None: proposed).

        Returns how many there are, the minimum weight, and what changed. Raises UsageError.

        >>> c.cluster("components", min_weight=25).clusters
        2
        """
        from lmr.jobs.exchange.clusters import cluster

        if method not in ("leiden", "components"):
            raise UsageError(f"method is {method!r}; it takes 'leiden' or 'components'")
        if method == "leiden" and min_weight is not None:
            raise UsageError("min_weight is for components: add method='components'")
        return cluster(self._stores, method, min_weight)

    def remove(self, *photos: Any) -> Corrected:
        """Take images out of the collection; their files stay where they are, and may be taken in again.

        Raises UsageError for a photo that is not stored.

        >>> c.remove("photos/bank-4.jpg").images
        1
        >>> c.ingest("photos", labels="labels.csv").new
        1
        """
        from lmr.jobs.correct.corrections import remove

        named = (one.name if isinstance(one, Asked) else self._stored(one) for one in photos)
        return remove(self._stores, list(named))

    def confirm(self, a: Any, b: Any, why: str | None = None) -> Corrected:
        """Say that two stored images show the same place, whatever the tests say. The last word on a pair counts.

        >>> c.confirm("photos/front.jpg", "photos/side.jpg", why="seen on site").accepted > 0
        True
        """
        return self._judged(a, b, "confirmed", why)

    def reject(self, a: Any, b: Any, why: str | None = None) -> Corrected:
        """Say that two stored images do not show the same place: their match takes no part any more.

        >>> c.reject("photos/front.jpg", "photos/bank-4.jpg", why="another town").removed
        0
        """
        return self._judged(a, b, "rejected", why)

    def withdraw(self, a: Any, b: Any) -> Corrected:
        """Take back what was said of two stored images: their match is again what the tests say of it.

        Raises UsageError where nothing was said of them.

        >>> change = c.reject("photos/front.jpg", "photos/front-2.jpg")
        >>> c.withdraw("photos/front.jpg", "photos/front-2.jpg").accepted > change.accepted
        True
        """
        from lmr.jobs.correct.corrections import withdraw

        return withdraw(self._stores, self._stored(a), self._stored(b))

    def label(self, labels: Mapping[Any, str | None], *, replace: bool = False) -> dict[ImageId, str | None]:
        """Give stored images labels, such as the name of a place to all its photos; None takes one away.

        replace: also to those that have another label. Returns the former label of each that was changed: given back
        with replace, that undoes it. Raises UsageError for a photo that is not stored, or what can be no label.

        >>> before = c.label({"photos/front.jpg": "old town-hall"}, replace=True)
        >>> list(before.values()), c.image("photos/front.jpg").landmark
        (['town-hall'], 'old town-hall')
        >>> len(c.label(before, replace=True)), c.image("photos/front.jpg").landmark
        (1, 'town-hall')
        """
        from lmr.jobs.correct.labelling import label

        given = {self._stored(photo): text for photo, text in labels.items()}
        return {ImageId(id): former for id, former in label(self._stores, given, replace=replace).items()}

    def label_place(self, place: str, label: str | None, *, replace: bool = False) -> dict[ImageId, str | None]:
        """Give all photos of a place a label, as `label` does; place: the id of a cluster, or its beginning.

        >>> change = c.cluster("components", min_weight=25)
        >>> before = c.label_place(c.clusters()[0].id, "Old town hall", replace=True)
        >>> "Old town hall" in c.labels.values(), len(c.label(before, replace=True)) == len(before)
        (True, True)
        """
        from lmr.retrieval.places import place as place_of

        images = place_of(self._stores, place).images
        return self.label({ImageId(image.id): label for image in images}, replace=replace)

    def turn(self, photo: Any, degrees: int, *, mirrored: bool = False) -> Turned:
        """Say how a stored photo is to be turned: degrees clockwise (0, 90, 180, 270) that make it upright.

        mirrored: it is to be mirrored left to right before. It is described anew and forgets what it matched; `link`
        compares it again. Its file is not touched. Raises UsageError, and PhotoError where its file is gone.

        >>> c.turn("photos/bank-4.jpg", 180).turn
        180
        >>> c.turn("photos/bank-4.jpg", 0).turn
        0
        >>> c.link().verified > 0
        True
        """
        from lmr.jobs.link.turned import turn_by_hand
        from lmr.method.photos.turned import MIRRORED

        if degrees not in (0, 90, 180, 270):
            raise UsageError(f"a photo is turned by 0, 90, 180 or 270 degrees clockwise, not {degrees}")
        return turn_by_hand(self._stores, self._stored(photo), degrees // 90 + MIRRORED * mirrored)

    def repair(self) -> None:
        """Make Milvus and Neo4j anew from the ledger. Raises CollectionError where that is damaged itself.

        >>> c.repair()
        """
        from lmr.jobs.care import repair

        repair(self._stores)

    def _judged(self, a: Any, b: Any, verdict: Literal["confirmed", "rejected"], why: str | None) -> Corrected:
        from lmr.jobs.correct.corrections import judge

        return judge(self._stores, self._stored(a), self._stored(b), verdict, why)


def existing(
    photos: Sequence[FilePath], labels: FilePath | None, columns: Mapping[str, str] | None = None
) -> tuple[list[Path], Labels | None]:
    """Photos and labels that are there, before any work. Raises UsageError where they are not."""
    from lmr.inputs.find import check_exist
    from lmr.jobs.ingest.labels import labels_from_csv, labels_from_folders

    paths = [Path(one) for one in photos]
    check_exist(paths)
    if columns and labels in (None, "folders"):
        raise UsageError("columns are those of a file with labels, which is missing")
    if labels is None:
        return paths, None
    return paths, labels_from_folders() if labels == "folders" else labels_from_csv(Path(labels), columns)
