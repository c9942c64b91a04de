"""CSV as people have it is read; what is no text, or too large, is refused with file and line."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmr.errors import UsageError
from lmr.tables import inert, plain, read_table

COLUMNS = {"image": ("file",), "landmark": (), "split": ()}
NEEDED = ("image", "landmark")
TEXT = "image,landmark,split\nMüller.jpg,Kirche,\nb.jpg,Brücke,query\n"
ROWS = [["Müller.jpg", "Kirche", ""], ["b.jpg", "Brücke", "query"]]


def read(path: Path) -> list[list[str]]:
    return [row.cells for row in read_table(path, COLUMNS, NEEDED)]


ENCODINGS = "utf-8 utf-8-sig utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be latin-1 cp1252".split()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_delimiters_and_ends_of_lines(tmp_path: Path, encoding: str, delimiter: str, end: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(TEXT.replace(",", delimiter).replace("\n", end).encode(encoding))
    assert read(path) == ROWS


@pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be", "utf-32-be"])
def test_marks_of_each_order(tmp_path: Path, mark: str) -> None:
    (tmp_path / "a.csv").write_bytes(("\ufeff" + TEXT).encode(mark))
    assert read(tmp_path / "a.csv") == ROWS


@pytest.mark.parametrize(
    "text",
    [
        "Image,LANDMARK\na.jpg,x\n",
        " image , Landmark \na.jpg,x\n",
        "landmark,image\nx,a.jpg",
        "File;Landmark;more\na.jpg;x;1,2\n",
        'sep=;\n"image";"landmark"\n"a.jpg";"x"\n',
        "\n\r\n image,landmark\n,\n\na.jpg,x,,\n;;\n".replace(";;", ",,"),
        "image,landmark,image\na.jpg,x,b.jpg\n",
    ],
)
def test_headers_as_people_write_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert [row[:2] for row in read(tmp_path / "a.csv")] == [["a.jpg", "x"]]


def test_quoted_cells_blanks_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('image,landmark\n"a, b.jpg","two\nlines"\n c.jpg , x\nshort.jpg\n')
    rows = list(read_table(path, COLUMNS, NEEDED))
    assert rows == [(3, ["a, b.jpg", "two\nlines", ""]), (4, [" c.jpg ", " x", ""]), (5, ["short.jpg", "", ""])]


REFUSED = [
    (b"", "is empty"),
    (b"\n\n", "is empty"),
    (b"a,b\nc,d\n", "needs the columns image, landmark; its first line has a, b"),
    (b"image,landmark\nok.jpg,x\na.jpg,Paris, France\n", r"a\.csv:3: 3 cells, where the header has 2"),
    (b"image,landmark\na.jpg,x\0y\n", r"a\.csv:2: there is a NUL"),
    (b"image,landmark\na.jpg," + b"x" * (1 << 20) + b"\n", r"a\.csv:2: a line of more than"),
    (b'image,landmark\na.jpg,"' + b"x\n" * (1 << 20), r"a\.csv:\d+: cannot be read as CSV"),
    ("image,landmark\na".encode("utf-16") + b"\x00", "cannot be read"),
    (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(range(256)) * 9, "NUL|cannot be read|needs the columns"),
]


@pytest.mark.parametrize(("data", "told"), REFUSED)
def test_what_is_no_table_is_refused(tmp_path: Path, data: bytes, told: str) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(UsageError, match=told):
        read(tmp_path / "a.csv")
    for nothing in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            read(nothing)


def test_what_cannot_be_read_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(TEXT.encode("latin-1"),))
    writer.start()
    assert read(tmp_path / "pipe") == ROWS
    writer.join()


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_what_is_made_inert_is_undone_on_reading(text: str) -> None:
    assert plain(inert(text)) == text
    assert not inert(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"image,landmark\n" + data)
    try:
        assert all(len(cells) == 3 for cells in read(path))
    except UsageError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("head", [b"PK\x03\x04rest of a workbook", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and its sheets"])
def test_workbooks_are_told(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "labels.xlsx").write_bytes(head)
    with pytest.raises(UsageError, match="save the sheet as CSV"):
        read(tmp_path / "labels.xlsx")


def test_columns_of_other_names(tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_text("No.;Bild-Signatur;Motiv;image\n1;Müller.jpg;Kirche;other\n")
    said = {"image": "bild signatur", "landmark": "Motiv"}
    assert [row.cells for row in read_table(path, COLUMNS, NEEDED, said)] == [["Müller.jpg", "Kirche", ""]]
    with pytest.raises(
        UsageError, match=r"needs the columns image, landmark; .* No\., Bild-Signatur, Motiv, image; try"
    ):
        list(read_table(path, COLUMNS, NEEDED, advice="; try"))
    with pytest.raises(UsageError, match="needs the columns Signatur, landmark, split"):
        list(read_table(path, COLUMNS, NEEDED, {"image": "Signatur", "split": "split"}))
