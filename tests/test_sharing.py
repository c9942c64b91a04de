"""What goes to other people's programs: folders of links, rankings, descriptors, pages; with names as hostile as any."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from defusedxml import ElementTree
from pyarrow import parquet

import lmr
from lmr.method.photos.about import read_about, sidecar_of
from lmr.outputs import Content, Link, is_lmr_folder, safe, write_tree
from tests.conftest import ROOT, Cli, on_servers
from tests.photos.tagged import bag, exif, jpeg, xmp
from tests.places import make_place

HOSTILE = {  # name of the file -> label of its place
    b"gate-1 <b>&\"'.jpg": "../../etc/<script>alert(1)</script>",
    b"gate\n\x1b[31m-2.jpg": "../../etc/<script>alert(1)</script>",
    b"\xff\xfe-rf.jpg": "CON",
    "\u202egpj.exe 北京.jpg".encode(): "CON",
    b"bridge-1.jpg": "Old bridge",
    b"bridge-2.jpg": "Old bridge",
}

PLACED = {b"bridge-1.jpg": (10.0, 179.9), b"bridge-2.jpg": (10.2, -179.9), b"\xff\xfe-rf.jpg": (-33.5, 151.25)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sharing")
    made = [path for name in ("gate", "tower", "bridge") for path in make_place(folder / "made", name)]
    (folder / "photos" / "sub folder").mkdir(parents=True)
    for name, path in zip(HOSTILE, made, strict=True):
        tags = exif("2004:07:14 10:02:11", PLACED[name]) if name in PLACED else b""
        words = xmp(bag("dc:subject", "mine &amp; yours", "lmr place 000000000000")) if name == b"bridge-1.jpg" else b""
        path.write_bytes(jpeg(tags, words, of=path.read_bytes()))
        shutil.move(path, os.fsencode(folder / "photos" / "sub folder") + b"/" + name)
    return folder


@pytest.fixture(scope="module")
def c(home: Path, running):
    with on_servers(running), lmr.open(home / "lmr", workers=1) as collection:
        collection.ingest(home / "photos")
        assert collection.link().accepted >= 3
        folder = os.fsencode(home / "photos" / "sub folder")
        labels = {Path(os.fsdecode(folder + b"/" + name)): label for name, label in HOSTILE.items()}
        collection.label(labels)
        collection.cluster("components", min_weight=30)
        assert len(collection.clusters()) == 3
        yield collection


def below(folder: Path) -> set[str]:
    return {os.path.relpath(os.path.join(at, name), folder) for at, _, files in os.walk(folder) for name in files} - {
        ".lmr-folder.jsonl"
    }


# ---- a folder of lmr's own


def test_a_folder_is_brought_up_to_date_and_never_over_what_is_not_ours(tmp_path: Path) -> None:
    target = tmp_path / "out"
    made = write_tree(target, {"a/1.txt": Content(lambda: b"one"), "a/b/2.txt": Content(lambda: b"two")})
    assert (made.kept, made.written, made.removed) == (0, 2, 0) and is_lmr_folder(os.fsencode(target))
    again = write_tree(
        target, {"a/1.txt": Content(lambda: b"one"), "l": Link(b"/nowhere"), "no": Content(lambda: None)}
    )
    assert (again.kept, again.written, again.removed) == (1, 1, 1)
    assert below(target) == {"a/1.txt", "l"} and not (target / "a" / "b").exists()
    assert os.readlink(target / "l") == "/nowhere"
    write_tree(target, {"a/1.txt": Content(lambda: b"other"), "l": Link(b"/elsewhere")})
    assert (target / "a/1.txt").read_bytes() == b"other" and os.readlink(target / "l") == "/elsewhere"
    write_tree(target, {"a": Content(lambda: b"a file now")})  # in the place of a folder
    assert below(target) == {"a"}
    for change in (
        lambda: (target / "mine.txt").write_bytes(b"mine"),
        lambda: (target / "a").write_bytes(b"a note of mine"),
        lambda: (target / "link").symlink_to("/"),
        lambda: ((target / "a").unlink(), (target / "a").symlink_to("/etc")),
    ):
        change()
        before = {name: os.lstat(target / name).st_ino for name in below(target)}
        with pytest.raises(lmr.UsageError, match="did not write"):
            write_tree(target, {})
        assert {name: os.lstat(target / name).st_ino for name in below(target)} == before
        assert not is_lmr_folder(os.fsencode(target))
        shutil.rmtree(target)
        write_tree(target, {"a": Content(lambda: b"x")})


def test_no_folder_of_the_users_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    write_tree(tmp_path / "mine", {})  # an empty one may be
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for name, why in (
        ("full", "did not make"),
        ("file", "no folder"),
        ("link", "is a link"),
        ("no/way", "no such folder"),
    ):
        with pytest.raises(lmr.UsageError, match=why):
            write_tree(tmp_path / name, {"a": Content(lambda: b"a")})
    assert below(tmp_path / "full") == {"x"}


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{}", b'{"made by": "lmr"}', b'{"made by": "lmr"}\n7\n', b'{"made by": "lmr"}\n["a"]\n', b"\xff" * 40,
        b'{"made by": "lmr"}\n["../outside", "sha256:x"]\n', b'{"made by": "lmr"}\n' + b"[" * 100_000 + b"\n",
        b'{"made by": "lmr"}\n{"part": "../outside"}\n', b'{"made by": "lmr"}\n["mine", "sha256:0"]\n',
    ],
)  # fmt: skip
def test_a_list_from_anyone_makes_nothing_lmrs(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "outside").write_bytes(b"mine")
    target = tmp_path / "out"
    target.mkdir()
    (target / ".lmr-folder.jsonl").write_bytes(text)
    (target / "mine").write_bytes(b"mine")
    with pytest.raises(lmr.UsageError):
        write_tree(target, {"mine": Content(lambda: b"theirs")})
    assert (target / "mine").read_bytes() == b"mine" == (tmp_path / "outside").read_bytes()


def test_a_killed_writer_leaves_a_folder_that_the_next_one_finishes(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from lmr.outputs import Content, write_tree, tree\n"
        "count = 0\n"
        "def spied(real):\n"
        "    def done(*args, **more):\n"
        "        global count\n"
        "        count += 1\n"
        "        if count == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return real(*args, **more)\n"
        "    return done\n"
        "Path.write_bytes, Path.unlink = spied(Path.write_bytes), spied(Path.unlink)\n"
        "tree.move_new, os.replace = spied(tree.move_new), spied(os.replace)\n"
        "write_tree(Path(sys.argv[1]), {f'{k}/x': Content(lambda k=k: bytes([k])) for k in range(2, 6)})\n"
    )
    wanted = {f"{k}/x" for k in range(2, 6)}
    killed = 0
    for at in range(1, 40):
        target = tmp_path / str(at)
        write_tree(target, {f"{k}/x": Content(lambda k=k: bytes([k, k])) for k in range(4)})
        done = subprocess.run(
            [sys.executable, "-c", code, target, str(at)], env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        killed += done.returncode == -signal.SIGKILL
        write_tree(target, {name: Content(lambda name=name: bytes([int(name[0])])) for name in wanted})
        assert below(target) == wanted and all((target / name).read_bytes() == bytes([int(name[0])]) for name in wanted)
        if done.returncode == 0:
            break
    assert killed > 5 and done.returncode == 0


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../etc", "etc"), ("a/b\\c", "a_b_c"), ("\u202ex\0\n", "x"), ("..", ""), ("", ""), ("Café", "Café"),
        ("北" * 300, "北" * 60), ("😀", ""), ("-rf", "-rf"), ("a" * 300, "a" * 80),
    ],
)  # fmt: skip
def test_names_are_names_on_every_system(text: str, name: str) -> None:
    assert safe(text) == name


# ---- places as folders


def test_folders_hold_links_to_all_photos_of_each_place(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    cli = Cli(home / "lmr")
    told = cli.json("export", "folders", tmp_path / "albums")
    assert told == {"places": 3, "photos": 6, "written": 6, "removed": 0, "left_out": {}}
    names = {name.split("/")[0] for name in below(tmp_path / "albums")}
    tower = next(one.id for one in c.clusters() if one.landmarks == {"CON": 1.0})
    assert names == {"etc_script_alert_1_script", f"CON-{tower[:12]}", "Old_bridge"}
    leads = {os.path.realpath(os.fsencode(tmp_path / "albums" / name)) for name in below(tmp_path / "albums")}
    folder = os.fsencode((home / "photos" / "sub folder").resolve())
    assert leads == {folder + b"/" + name for name in HOSTILE}
    first = os.path.realpath(tmp_path / "albums" / "Old_bridge" / os.listdir(tmp_path / "albums" / "Old_bridge")[0])
    assert first.endswith(".jpg")
    centre = [row["name"] for row in c.cypher("cluster-images", cluster=c.clusters()[0].id)]
    assert len(centre) == 2
    again = cli("export", "folders", tmp_path / "albums")
    assert "6 photos of 3 places" in again and "0 of them new or moved, 0 removed" in again
    one = c.export_folders(tmp_path / "albums", place=tower[:8], copy=True)
    assert (one.places, one.photos, one.written, one.removed) == (1, 2, 2, 4)
    copies = sorted(below(tmp_path / "albums"))
    assert all(name.startswith("CON-") and not (tmp_path / "albums" / name).is_symlink() for name in copies)
    assert [name.split("/")[1][:2] for name in copies] == ["1-", "2-"]
    for name in copies:
        assert c.image(tmp_path / "albums" / name).landmark == "CON"


def test_a_folder_with_something_of_the_users_stays(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    cli = Cli(home / "lmr")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("mine")
    for folder in (tmp_path / "mine", home / "lmr" / "albums", tmp_path / "no" / "where"):
        done = cli.run("export", "folders", folder)
        assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert os.listdir(tmp_path / "mine") == ["note.txt"]
    c.export_folders(tmp_path / "albums", copy=True)
    changed = tmp_path / "albums" / next(name for name in below(tmp_path / "albums") if "bridge" in name)
    changed.write_bytes(b"retouched")
    with pytest.raises(lmr.UsageError, match="changed since"):
        c.export_folders(tmp_path / "albums")
    assert changed.read_bytes() == b"retouched"


def test_albums_among_the_photos_are_not_taken_in(c: lmr.Collection, home: Path) -> None:
    c.export_folders(home / "photos" / "albums", copy=True)
    try:
        told = lmr.plan(home / "photos", home=home / "lmr")
        assert told.new == 0 and told.skipped == {"pictures made by lmr": 7}, told
    finally:
        shutil.rmtree(home / "photos" / "albums")


def test_photos_that_are_gone_are_told(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    path = home / "photos" / "sub folder" / "bridge-1.jpg"
    path.rename(tmp_path / "away.jpg")
    try:
        done = c.export_folders(tmp_path / "albums")
        assert done.photos == 5 and len(done.left_out) == 1
        path.write_bytes(b"something else")
        done = c.export_folders(tmp_path / "albums", copy=True)
        assert done.photos == 5 and "changed" in next(iter(done.left_out.values()))
    finally:
        (tmp_path / "away.jpg").replace(path)
    os.utime(path)  # touched, and yet the same
    assert c.export_folders(tmp_path / "albums").left_out == {}
    assert json.loads((tmp_path / "albums" / ".lmr-folder.jsonl").read_text().splitlines()[0]) == {"made by": "lmr"}


# ---- maps, keywords, graphs, pages


def test_a_map_has_photos_and_places_where_they_are(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    cli = Cli(home / "lmr")
    told = cli.json("export", "geojson", tmp_path / "map.geojson")
    assert told == {"file": str(tmp_path / "map.geojson"), "photos": 3, "places": 2}
    found = json.loads((tmp_path / "map.geojson").read_text())
    assert found["type"] == "FeatureCollection"
    points = [(one["properties"], one["geometry"]["coordinates"]) for one in found["features"]]
    photos = {told["id"]: where for told, where in points if told["kind"] == "photo"}
    assert photos == {id: [pytest.approx(lon), pytest.approx(lat)] for id, (lat, lon) in c.positions().items()}
    places = {told["label"]: (told, where) for told, where in points if told["kind"] == "place"}
    told, (longitude, latitude) = places["Old bridge"]  # across the seam of longitudes
    assert abs(abs(longitude) - 180) < 0.01 and latitude == pytest.approx(10.1, abs=0.01)
    assert (told["photos"], told["with_position"]) == (2, 2) and places["CON"][0]["with_position"] == 1
    assert all(one["place"] == told["id"] for one, _ in points if one["kind"] == "photo" and "bridge" in one["name"])
    assert c.export_geojson(tmp_path / "one.json", place=told["id"][:10]) == (2, 1)
    for words in ((tmp_path / "map.kml",), (tmp_path / "x.json", "--place", "nothing")):
        assert cli.run("export", "geojson", *words).returncode == 2


def test_sidecars_have_keywords_that_lmr_reads_again(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    cli = Cli(home / "lmr")
    before = {path: path.read_bytes() for path in (home / "photos").rglob("*") if path.is_file()}
    assert cli.json("export", "sidecars", tmp_path / "out") == {"kept": 0, "written": 6, "removed": 0}
    assert "6 sidecars" in cli("export", "sidecars", tmp_path / "out")
    assert {path: path.read_bytes() for path in (home / "photos").rglob("*") if path.is_file()} == before
    assert {os.fsencode(name) for name in below(tmp_path / "out")} == {name + b".xmp" for name in HOSTILE}
    for name, label in HOSTILE.items():
        root = ElementTree.parse(os.fsencode(tmp_path / "out") + b"/" + name + b".xmp").getroot()
        words = [item.text for item in root.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")]
        place = next(one.id for one in c.clusters() if label in one.landmarks)
        own = ["mine & yours"] if name == b"bridge-1.jpg" else []
        assert words == [*own, label, f"lmr place {place[:12]}", f"lmr/{label.replace('/', '_')}"]
    c.export_sidecars(tmp_path / "below", photos=home)
    assert all(name.startswith("photos/sub folder/") for name in below(tmp_path / "below"))
    (tmp_path / "photos").mkdir()
    shutil.copy(home / "photos" / "sub folder" / "bridge-2.jpg", tmp_path / "photos")
    shutil.copy(tmp_path / "out" / "bridge-2.jpg.xmp", tmp_path / "photos")
    photo, beside = (tmp_path / "photos" / f"bridge-2.jpg{ending}" for ending in ("", ".xmp"))
    assert sidecar_of(os.fsencode(photo)) == os.fsencode(beside)
    assert "Old bridge" in read_about(photo.read_bytes(), beside.read_bytes()).keywords
    with pytest.raises(lmr.UsageError, match="does not lie under"):
        c.export_sidecars(tmp_path / "other", photos=tmp_path / "photos")
    assert cli.run("export", "sidecars", home / "photos").returncode == 2  # never among the photos


def test_a_graph_has_the_columns_of_graphframes(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    cli = Cli(home / "lmr")
    told = cli.json("export", "graph", tmp_path / "graph")
    vertices = parquet.read_table(tmp_path / "graph" / "vertices.parquet").to_pylist()
    edges = parquet.read_table(tmp_path / "graph" / "edges.parquet").to_pylist()
    assert told == {"folder": str(tmp_path / "graph"), "vertices": 6, "edges": len(edges)}
    assert [row["id"] for row in vertices] == [image.id for image in c.images()]
    assert {row["landmark"] for row in vertices} == set(HOSTILE.values())
    assert {row["place"] for row in vertices} == {one.id for one in c.clusters()}
    assert {row["src"] for row in edges} | {row["dst"] for row in edges} <= {row["id"] for row in vertices}
    assert all(row["inliers"] == c.match(lmr.ImageId(row["src"]), lmr.ImageId(row["dst"])).inliers for row in edges)  # type: ignore[union-attr]
    assert sum(row["excluded"] is None for row in edges) >= 3
    (tmp_path / "graph" / "edges.parquet").write_bytes(b"mine now")
    assert cli.run("export", "graph", tmp_path / "graph").returncode == 2
    assert (tmp_path / "graph" / "edges.parquet").read_bytes() == b"mine now"


def test_a_page_of_a_place_is_one_file_that_loads_nothing(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    cli = Cli(home / "lmr")
    gate = next(one for one in c.clusters() if "script" in next(iter(one.landmarks)))
    said = cli("export", "page", tmp_path / "gate.html", "--place", gate.id[:12])
    assert said.startswith("2 photos written to") and set(os.listdir(tmp_path)) == {"gate.html", ".lmr-outputs.json"}
    text = (tmp_path / "gate.html").read_text()
    assert "<script" not in text and "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "\x1b" not in text
    assert "gate\\n\\x1b[31m-2.jpg" in text  # as it is told everywhere
    assert "<b>&amp;" not in text and "gate-1 &lt;b&gt;&amp;&#34;&#39;.jpg" in text
    sources = re.findall(r'(?:src|href)="([^"]*)', text)
    assert len(sources) == 3 and all(
        one.startswith("data:image/jpeg;base64,") for one in sources
    )  # two, and their match
    match = c.match(*(lmr.ImageId(row["id"]) for row in c.cypher("cluster-images", cluster=gate.id)))
    assert f"{match.inliers} points agree with" in text  # type: ignore[union-attr]
    bridge = next(one for one in c.clusters() if "Old bridge" in one.landmarks)
    assert c.export_page(tmp_path / "bridge.html", bridge.id, top=1) == 1
    text = (tmp_path / "bridge.html").read_text()
    assert "2004-07-14 10:02:11" in text and "179" not in re.sub(r"base64,[^\"]*", "", text)  # when, and not where
    assert "the first 1 are shown" in text
    for place in ("nothing", "", "<b>"):
        assert cli.run("export", "page", tmp_path / "x.html", "--place", place).returncode == 2
    (tmp_path / "mine.html").write_text("mine")
    assert cli.run("export", "page", tmp_path / "mine.html", "--place", gate.id).returncode == 2
    assert (tmp_path / "mine.html").read_text() == "mine" and not (tmp_path / "x.html").exists()
