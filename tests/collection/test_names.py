"""Names as people spell them stand for the photo that they mean, or are told as ambiguous; never for another one."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmr.errors import UsageError
from lmr.store.backend import Backend
from lmr.store.files import File
from lmr.store.ledger import Ledger
from lmr.store.names import Names, Place, StoredNames, normal_form
from lmr.text import text_of

ROOT = "/data/photos"
PART = st.text("abAB1éÉñß ._-日", min_size=1, max_size=5).filter(lambda text: text.strip(". ") != "")
PATH = st.lists(PART, min_size=1, max_size=3).map("/".join)
FILE = st.tuples(PATH, st.sampled_from([".jpg", ".JPG", ".png", ".tif", ""])).map("".join)


def names_of(*below: str, root: str = ROOT) -> Names:
    return Names(Place(f"{root}/{name}".encode(), name, k) for k, name in enumerate(below))


def found(names: Names, name: str) -> list[int]:
    return [place.key for place in names.find(name)]


SPELLINGS = {
    "as it is": lambda name: name,
    "decomposed": lambda name: unicodedata.normalize("NFD", name),
    "composed": lambda name: unicodedata.normalize("NFC", name),
    "dotted": lambda name: "./" + name,
    "around": lambda name: f"x/../{name}",
    "doubled": lambda name: name.replace("/", "//"),
    "backslashes": lambda name: name.replace("/", "\\"),
    "blanks": lambda name: f"  {name}\t",
    "root": lambda name: f"photos/{name}",
    "absolute": lambda name: f"{ROOT}/{name}",
    "absolute, backslashes": lambda name: f"{ROOT}/{name}".replace("/", "\\"),
}
CASES = {"upper": str.upper, "lower": str.lower, "swapped": str.swapcase}


@settings(max_examples=300, deadline=None)
@given(st.lists(FILE, min_size=1, max_size=6, unique_by=posixpath.normpath), st.data())
def test_every_spelling_of_a_path_stands_for_it(files: list[str], data: st.DataObject) -> None:
    names = names_of(*files)
    k = data.draw(st.integers(0, len(files) - 1))
    for what, spell in SPELLINGS.items():
        if what == "blanks" and files[k] != files[k].strip():
            continue  # whose these blanks are cannot be told
        rows = found(names, spell(files[k]))
        twins = [j for j, other in enumerate(files) if normal_form(other) == normal_form(files[k])]
        assert k in rows and set(rows) <= set(twins), (what, rows)
    assert found(names, files[k]) == [k]  # its own bytes stand for no other


@settings(max_examples=300, deadline=None)
@given(st.lists(FILE, min_size=1, max_size=6, unique_by=posixpath.normpath), st.data())
def test_loose_spellings_stand_for_it_or_are_ambiguous_or_another_one_is_spelled_so(
    files: list[str], data: st.DataObject
) -> None:
    names = names_of(*files)
    k = data.draw(st.integers(0, len(files) - 1))
    loose = [unicodedata.normalize("NFC", case(files[k])) for case in CASES.values()]
    loose += [posixpath.basename(files[k]), re.sub(r"\.(jpg|png|tif)$", "", files[k], flags=re.I)]
    for name in loose:
        rows = found(names, name)
        exact = [
            j
            for j, other in enumerate(files)  # as it is, where blanks belong to it, or without what spellings differ in
            if any(f"/{form(other)}".endswith(f"/{form(name)}") for form in (str, normal_form))
        ]
        assert k in rows or set(rows) <= set(exact), (name, rows)
        assert rows


@settings(max_examples=200, deadline=None)
@given(st.lists(FILE, max_size=4, unique_by=posixpath.normpath), st.data())
def test_any_text_is_taken_and_stands_only_for_what_it_is_like(files: list[str], data: st.DataObject) -> None:
    pieces = st.sampled_from([name[k:] for name in files for k in range(len(name))]) if files else st.nothing()
    name = data.draw(st.text(max_size=12) | pieces)  # an end of a path may or may not stand for it
    for place in names_of(*files).find(name):
        whole = unicodedata.normalize("NFC", text_of(place.path)).casefold()
        wanted = unicodedata.normalize("NFC", posixpath.basename(normal_form(name)).casefold())
        assert wanted and wanted in unicodedata.normalize("NFC", whole)


def test_the_more_exact_spelling_wins() -> None:
    names = names_of(
        "a.jpg", "A.jpg", "2019/a.jpg", "2019/b.jpg", "2020/b.jpg", "c.png", "c.tif", "é.jpg", "d.tar.gz.jpg"
    )
    assert found(names, "a.jpg") == [0]  # the path below the root, not the ending of another
    assert found(names, "A.JPG") == [0, 1, 2]
    assert found(names, "b.jpg") == [3, 4] and found(names, "2019/b.jpg") == [3] and found(names, "2019/B.JPG") == [3]
    assert found(names, "c") == [5, 6] and found(names, "c.tif") == [6] and found(names, "C") == [5, 6]
    assert found(names, "É.JPG") == [7] and found(names, unicodedata.normalize("NFD", "É")) == [7]
    assert found(names, "d.tar.gz") == [8]
    for nothing in (
        "",
        " ",
        ".",
        "..",
        "/",
        "jpg",
        ".jpg",
        "019/a.jpg",
        "photo",
        "/a.jpg",
        "/2019/a.jpg",
        "a.jpg/x",
        "\0",
    ):
        assert found(names, nothing) == [], nothing


def test_two_files_whose_names_differ_in_the_form_of_accents_alone_are_told_apart_by_it() -> None:
    composed, decomposed = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    names = names_of(composed, decomposed)
    assert (found(names, composed), found(names, decomposed)) == ([0], [1])
    assert found(names, "./" + decomposed) == [1] and found(names, "É.jpg") == [0, 1]


def test_backslashes_and_bytes_that_are_no_text() -> None:
    paths = [b"/p/a/b.jpg", b"/p/a\\b.jpg", b"/p/not\xff.jpg", b"/p/ blank.jpg", b"/p/blank.jpg"]
    names = Names(Place(path, text_of(path[3:]), k) for k, path in enumerate(paths))
    assert found(names, "a\\b.jpg") == [1] and found(names, "a/b.jpg") == [0]
    assert found(names, "not\\xff.jpg") == [2]
    assert found(names, " blank.jpg") == [3] and found(names, "blank.jpg") == [4] and found(names, "blank.jpg ") == [4]


def test_links_and_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, linked = tmp_path / "real", tmp_path / "linked"
    (real / "2019").mkdir(parents=True)
    linked.symlink_to(real)
    for root, other in ((real, linked), (linked, real)):
        names = names_of("2019/a.jpg", "2020/a.jpg", root=str(root))
        assert found(names, f"{other}/2019/a.jpg") == [0], other
        monkeypatch.chdir(real / "2019")
        assert found(names, "../2020/a.jpg") == [1]
        assert [place.key for place in names.here("a.jpg")] == [0]
        assert [place.key for place in names.below("..")] == [0, 1]
        assert found(names, "a.jpg") == [0, 1]  # what a list says does not depend on where it is read
        assert found(names, f"{tmp_path}/other/2019/a.jpg") == []


def test_the_nearest_name_is_told() -> None:
    names = names_of("2019/IMG_0001.JPG", "2019/holiday.jpg")
    assert names.nearest("holyday.jpg") == "holiday.jpg" and names.nearest("IMG_001.jpg") == "IMG_0001.JPG"
    assert names.nearest("something else") is None and names_of().nearest("a") is None
    many = names_of(*(f"{k % 100}/DSC_{k:06}.jpg" for k in range(10_000)))
    assert many.nearest("DSC_0004321.jpg") == "DSC_004321.jpg"


@pytest.fixture
def ledger(tmp_path: Path, place: Path | Backend) -> Ledger:
    """Three images: the first has two files, the second was changed since, the third came with matches."""
    ledger = Ledger.create(place, id="x")
    folder = tmp_path / "photos"
    (folder / "2019").mkdir(parents=True)
    with ledger.transaction():
        for k, names in enumerate((("a.jpg", "2019/copy.jpg"), ("2019/b.jpg",), ("stray.jpg",))):
            number = ledger.images.add(f"{k}{'abcdef' * 11}"[:64], 1, 1, "index", b"", b"")
            for name in names:
                path = name.encode() if name == "stray.jpg" else os.fsencode(folder / name)
                ledger.files.put(File(path, name, 1, 1, number, None))
                if name != "stray.jpg":
                    (folder / name).write_bytes(name.encode())
    return ledger


def typed(ledger: Ledger, name: object) -> str:
    return StoredNames(ledger).typed(str(name), 1_000)[0]


def test_images_of_a_ledger(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = StoredNames(ledger)
    assert [names.listed(name) for name in ("a.jpg", "copy.jpg", "B", "stray.jpg", "none.jpg")] == [1, 1, 2, 3, None]
    assert names.listed(("1" + "abcdef" * 11)[:64].upper()) == 2 and names.listed("1abcdef") is None
    assert StoredNames(ledger, bare=False).listed("stray.jpg") is None
    assert typed(ledger, "1abcde") == "1" and typed(ledger, "copy.jpg") == "0"
    assert typed(ledger, tmp_path / "photos/2019/b.jpg") == "1"  # its bytes are not what they were
    (tmp_path / "b.jpg").write_bytes(b"other")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"b\.jpg is not in the collection"):
        typed(ledger, "b.jpg")  # this file, and no other of its name
    with pytest.raises(UsageError, match=r"the nearest name is copy\.jpg"):
        typed(ledger, "copi.jpg")
    with pytest.raises(UsageError, match="neither an image id"):
        typed(ledger, "x" * 5_000)
    assert names.all_typed("photos/2019", 1_000) == [1, 2] and names.all_typed("photos/2019/copy.jpg", 1_000) == [1]


def test_the_image_of_what_a_file_shows_now_goes_before_that_of_its_path(ledger: Ledger, tmp_path: Path) -> None:
    import hashlib

    digest = hashlib.sha256(b"another").hexdigest()
    with ledger.transaction():
        number = ledger.images.add("f" * 64, 1, 1, "index", b"", b"")
        ledger.files.put(File(b"/elsewhere/x.jpg", "x.jpg", 1, 1, number, None, digest=digest))
    assert ledger.files.image_of(digest) == "f" * 64 and ledger.files.image_of("f" * 64) == "f" * 64
    path = tmp_path / "photos/2019/b.jpg"
    assert typed(ledger, path) == "1"
    path.write_bytes(b"another")
    assert typed(ledger, path) == "f" and typed(ledger, digest[:0] + "elsewhere/x.jpg") == "f"


def test_an_ambiguous_name_of_a_ledger_names_both(ledger: Ledger) -> None:
    with ledger.transaction():
        ledger.files.put(File(b"/other/b.jpg", "b.jpg", 1, 1, 3, None))
        ledger.files.put(File(b"/third/b.jpg", "b.jpg", 1, 1, 2, None))
    with pytest.raises(UsageError, match=r"/other/b.jpg and /third/b.jpg; give more of the path"):
        StoredNames(ledger).listed("b.jpg")
    assert StoredNames(ledger).listed("photos/2019/b.jpg") == 2


def test_a_name_that_is_one_file_in_other_case_and_another_without_its_ending_is_ambiguous() -> None:
    names = names_of("a", "A.jpg")
    assert found(names, "A") == [0, 1] and found(names, "a") == [0] and found(names, "A.JPG") == [1]
