"""Labels: each row labels the photo that it names, or is told; what is ambiguous or contradicts itself is refused."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from lmr.errors import UsageError
from lmr.inputs.find import Found
from lmr.jobs.ingest.labels import Assigned, Label, labels_from_csv, labels_from_folders

NAMES = ("IMG_0001.JPG", "2019/DSC_0001.jpg", "2020/DSC_0001.jpg", "2020/with space.jpg", "Müllerstraße_é.jpg")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in NAMES:
        path = tmp_path / "photos" / unicodedata.normalize("NFD", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "photos"


def items(*roots: Path) -> list[Found]:
    found = ((root, path) for root in roots for path in sorted(root.rglob("*.[jJ]*")))
    return [Found(os.fsencode(path), os.fsencode(root), path.stat().st_size, 0) for root, path in found]


def assigned(photos: Path, text: str, *more: Path, encoding: str = "utf-8") -> Assigned:
    file = photos.parent / "labels.csv"
    file.write_bytes(text.encode(encoding))
    return labels_from_csv(file).among(items(photos, *more))


def labelled(photos: Path, text: str, encoding: str = "utf-8") -> dict[str, str | None]:
    found = assigned(photos, text, encoding=encoding)
    assert found.unknown == []
    return {
        unicodedata.normalize("NFC", os.path.relpath(os.fsdecode(item.path), photos)): label.landmark
        for item in items(photos)
        if (label := found.of(item)) is not None
    }


@pytest.mark.parametrize(
    ("text", "name", "landmark"),
    [
        ("image,landmark\nMüllerstraße_é.jpg,x\n", "Müllerstraße_é.jpg", "x"),
        (unicodedata.normalize("NFD", "image,landmark\nMüllerstraße_é.jpg,Müller\n"), "Müllerstraße_é.jpg", "Müller"),
        ("image;landmark\nIMG_0001.JPG;x\n", "IMG_0001.JPG", "x"),
        ("image,landmark\n2020\\DSC_0001.jpg,x\n", "2020/DSC_0001.jpg", "x"),
        ("image,landmark\nimg_0001.jpg,x\n", "IMG_0001.JPG", "x"),
        ("Image,Landmark\nIMG_0001.JPG,x\n", "IMG_0001.JPG", "x"),
        ("image, landmark\nIMG_0001.JPG, x\n", "IMG_0001.JPG", "x"),
        ("image,landmark\nIMG_0001.JPG ,x\n", "IMG_0001.JPG", "x"),
        ("image,landmark\n./2019/DSC_0001.jpg,x\n", "2019/DSC_0001.jpg", "x"),
        ("image,landmark\nphotos/2019/DSC_0001.jpg,x\n", "2019/DSC_0001.jpg", "x"),
        ("image,landmark\n2019//./DSC_0001.JPG,x\n", "2019/DSC_0001.jpg", "x"),
        ("image,landmark\nIMG_0001,x\n", "IMG_0001.JPG", "x"),
        ("image,landmark\nIMG_0001.JPG,x\n./IMG_0001.JPG,x\nimg_0001, x\n", "IMG_0001.JPG", "x"),
    ],
)
def test_a_row_labels_the_photo_that_it_means(photos: Path, text: str, name: str, landmark: str) -> None:
    assert labelled(photos, text) == {name: landmark}


def test_encodings_and_absolute_paths(photos: Path) -> None:
    assert labelled(photos, "image,landmark\nIMG_0001.JPG,Müller\n", "latin-1") == {"IMG_0001.JPG": "Müller"}
    assert labelled(photos, "image,landmark\nIMG_0001.JPG,Müller\n", "utf-16") == {"IMG_0001.JPG": "Müller"}
    assert labelled(photos, f"image,landmark\n{photos}/2019/DSC_0001.jpg,x\n") == {"2019/DSC_0001.jpg": "x"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("IMG_0001.JPG,x,\nIMG_0001.JPG,y,", "line 2 and line 3 give .*IMG_0001.JPG different labels: x, y"),
        ("IMG_0001.JPG,x,\nimg_0001,y,", "line 2 and line 3 give .*IMG_0001.JPG different labels: x, y"),
        ("IMG_0001.JPG,x,\n./IMG_0001.JPG,x,query", r"different labels: x, x \(query\)"),
        ("IMG_0001.JPG,x,\nIMG_0001.JPG,,", "different labels: x, no landmark"),
        ("DSC_0001.jpg,x,", r"labels.csv:2: DSC_0001.jpg .*photos/2019/DSC_0001.jpg and .*photos/2020/DSC_0001.jpg"),
        ("dsc_0001,x,", "stands for two photos"),
        ("IMG_0001.JPG,x,train", "labels.csv:2: split is 'train', not index or query"),
    ],
)
def test_what_is_ambiguous_or_contradicts_itself_is_refused_and_both_are_named(
    photos: Path, text: str, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        assigned(photos, f"image,landmark,split\n{text}\n")


def test_rows_that_name_no_photo_are_listed_in_their_order(photos: Path) -> None:
    found = assigned(photos, "image,landmark\nnot_there.jpg,x\nIMG_0001.JPG,y\n,z\n/photos/IMG_0001.JPG,y\n")
    assert (found.rows, found.unknown) == (4, ["not_there.jpg", "(no name in line 4)", "/photos/IMG_0001.JPG"])
    assert next(iter(found.given.values())).label == Label("y", None) and len(found.given) == 1


def test_copies_are_one_photo(photos: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "2019" / "DSC_0001.jpg"
    copy.parent.mkdir(parents=True)
    copy.write_bytes((photos / "2019/DSC_0001.jpg").read_bytes())
    found = assigned(photos, "image,landmark\n2019/DSC_0001.jpg,x\n", tmp_path / "copies")
    assert len(found.given) == 2 and found.unknown == []
    copy.write_bytes((photos / "2019/DSC_0001.jpg").read_bytes()[::-1])  # of the same size
    with pytest.raises(UsageError, match="stands for two photos"):
        assigned(photos, "image,landmark\n2019/DSC_0001.jpg,x\n", tmp_path / "copies")
    found = assigned(photos, f"image,landmark\n{photos}/2019/DSC_0001.jpg,x\n{copy},y\n", tmp_path / "copies")
    paths = [os.fsencode(path) for path in (photos / "2019/DSC_0001.jpg", copy)]
    found.check_copies(enumerate(paths))
    with pytest.raises(
        UsageError, match=r"photos/2019/DSC_0001.jpg and .*copies/2019/DSC_0001.jpg are copies .*x \(line"
    ):
        found.check_copies((7, path) for path in paths)


def test_one_file_below_two_of_the_folders_is_one(photos: Path) -> None:
    found = assigned(photos, "image,landmark\nwith space.jpg,x\n", photos / "2020")
    assert list(found.given) == [os.fsencode(photos / "2020/with space.jpg")]


def test_folders_name_landmarks(photos: Path) -> None:
    found = labels_from_folders().among(items(photos))
    landmarks = [label and label.landmark for label in map(found.of, items(photos))]
    assert sorted(map(str, landmarks)) == ["2019", "2020", "2020", "None", "None"]
    with pytest.raises(UsageError, match=r"2019 \(folder 2019\), 2020 \(folder 2020\)"):
        found.check_copies((1, item.path) for item in items(photos))


def test_columns_that_are_called_otherwise(photos: Path) -> None:
    file = photos.parent / "register.csv"
    file.write_text("Signatur;Motiv\nIMG_0001;Kirche\n")
    with pytest.raises(UsageError, match="first line has Signatur, Motiv; `--columns"):
        labels_from_csv(file)
    with pytest.raises(UsageError, match="place is no column of labels"):
        labels_from_csv(file, {"place": "Motiv"})
    found = labels_from_csv(file, {"image": "Signatur", "landmark": "Motiv"}).among(items(photos))
    assert found.unknown == [] and [label.landmark for i in items(photos) if (label := found.of(i))] == ["Kirche"]


def test_another_spelling_of_the_ending_is_found_last(photos: Path) -> None:
    assert labelled(photos, "image,landmark\nIMG_0001.jpeg,x\n") == {"IMG_0001.JPG": "x"}
    assert assigned(photos, "image,landmark\nIMG_0001.tiff,x\n").unknown == ["IMG_0001.tiff"]
    (photos / "IMG_0001.jpeg").write_text("another")
    assert labelled(photos, "image,landmark\nIMG_0001.jpeg,x\n") == {"IMG_0001.jpeg": "x"}
