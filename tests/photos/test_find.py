from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmr.errors import UsageError
from lmr.inputs.find import find
from lmr.text import printable, text_of


def test_finds_recursively_in_a_fixed_order_and_survives_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.JPG", "a.png", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    found = {item.name: item.reason for item in find([tmp_path])}
    assert list(found) == ["a.png", "b/2.JPG", "dangling.jpg", "pipe.jpg", "self.jpg"]
    assert found["a.png"] is None
    assert found["pipe.jpg"] == "not a regular file"
    assert "cannot be read" in str(found["self.jpg"])


def test_a_file_that_is_named_is_taken_whatever_its_ending(tmp_path: Path) -> None:
    (tmp_path / "photo").touch()
    assert [item.name for item in find([tmp_path / "photo"])] == ["photo"]
    with pytest.raises(UsageError, match="no such file"):
        list(find([tmp_path / "none"]))


@pytest.mark.parametrize("name", [b"q'\"`.jpg", b"new\nline.jpg", b"\xff\xfe.jpg", "ünï.jpg".encode(), b"$(id);.jpg"])
def test_hostile_names_are_kept(tmp_path: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)
    Path(os.fsdecode(path)).touch()
    (item,) = find([tmp_path])
    assert item.path == path
    assert item.name == name.decode("utf-8", "backslashreplace")


@given(st.binary())
def test_text_of_any_name_can_be_encoded(name: bytes) -> None:
    text_of(name).encode()
    assert printable(text_of(name)).isprintable()
