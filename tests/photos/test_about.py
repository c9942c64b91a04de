"""What photos know besides pixels, in every container, and what of it is nothing."""

from __future__ import annotations

import io
import math
import os
import random
import struct
import time
import zlib
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lmr.method.photos.about import About, merged, of_files, read_about, read_sidecar, sidecar_of
from lmr.where import metres
from tests.photos.tagged import bag, box, chunk, dms, exif, gps, iptc, jpeg, picture, png, resources, segment, xmp

PARIS = (48.858370, 2.294481)
TAGS = exif("2010:05:06 10:11:12", PARIS, main={0x010F: "Canon", 0x0110: "Canon EOS 5D"}, more={0x9011: "+02:00"})
WHOLE = ("2010-05-06T10:11:12", "+02:00", "Canon EOS 5D", True)
PACKET = xmp(bag("dc:subject", "tower", "Paris"), attributes='photoshop:DateCreated="1905-07"')


def facts(data: bytes, sidecar: bytes | None = None) -> tuple:
    about = read_about(data, sidecar)
    assert about.place is not None and metres(about.place, PARIS) < 1
    return about.taken_at, about.offset, about.camera, about.from_camera


def heif() -> bytes:
    pi = pytest.importorskip("pillow_heif")
    out = io.BytesIO()
    made = pi.from_pillow(Image.new("RGB", (64, 64)))
    made.save(out, exif=b"Exif\0\0" + TAGS)
    return out.getvalue()


CONTAINERS: dict[str, Any] = {
    "JPEG": lambda: jpeg(TAGS),
    "JPEG with filler and another segment": lambda: b"\xff\xd8\xff\xff" + segment(0xE0, b"JFIF\0") + jpeg(TAGS)[2:],
    "JPEG cut after its head": lambda: jpeg(TAGS)[: len(TAGS) + 40],
    "JPEG with an empty EXIF first": lambda: b"\xff\xd8" + segment(0xE1, b"Exif\0\0") + jpeg(TAGS)[2:],
    "PNG": lambda: png(early=chunk(b"eXIf", TAGS)),
    "PNG, behind the pixels": lambda: png(late=chunk(b"eXIf", TAGS)),
    "PNG, wrong checksum": lambda: png(early=chunk(b"zTXt", b"a\0\0b", 7) + chunk(b"eXIf", TAGS, 1)),
    "PNG, as ImageMagick writes it": lambda: png(
        early=chunk(
            b"zTXt",
            b"Raw profile type exif\0\0"
            + zlib.compress(b"\nexif\n%8d\n%s\n" % (len(TAGS) + 6, (b"Exif\0\0" + TAGS).hex().encode())),
        )
    ),
    "TIFF": lambda: picture("TIFF", exif=b"Exif\0\0" + TAGS),
    "WebP": lambda: picture("WEBP", exif=b"Exif\0\0" + TAGS),
    "AVIF": lambda: picture("AVIF", exif=b"Exif\0\0" + TAGS),
    "HEIF": heif,
    "JPEG XL": lambda: box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0") + box(b"Exif", bytes(4) + TAGS),
    "JPEG 2000": lambda: box(b"jP  ", b"\r\n\x87\n") + box(b"uuid", b"JpgTiffExif->JP2" + TAGS),
    "CR3": lambda: (
        box(b"ftyp", b"crx \0\0\0\1")
        + box(
            b"moov",
            box(
                b"uuid",
                bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
                + box(b"CMT1", exif(main={0x010F: "Canon", 0x0110: "Canon EOS 5D"}))
                + box(b"CMT2", exif(main={0x9003: "2010:05:06 10:11:12", 0x9011: "+02:00"}))
                + box(b"CMT4", exif(main=gps(*PARIS))),
            ),
        )
    ),
    "Panasonic raw": lambda: TAGS[:2] + (b"U\0" if TAGS[:1] == b"I" else b"\0U") + TAGS[4:],
    "Olympus raw": lambda: TAGS[:2] + (b"RO" if TAGS[:1] == b"I" else b"OR") + TAGS[4:],
    "Fuji raw": lambda: (
        b"FUJIFILMCCD-RAW ".ljust(84, b"\0") + (100).to_bytes(4, "big") + b"\0\0\xff\0" + bytes(8) + jpeg(TAGS)
    ),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_time_place_and_camera_in_every_container(name: str) -> None:
    assert facts(CONTAINERS[name]()) == WHOLE


def test_both_orders_of_bytes() -> None:
    for order in ("<", ">"):
        assert read_about(jpeg(exif("2010:05:06 10:11:12", PARIS, order=order))).place == pytest.approx(PARIS, abs=1e-6)


def test_xmp_and_iptc_in_their_containers() -> None:
    records = iptc(
        (1, 90, b"\x1b%G"), (2, 120, "Öffnung".encode()), (2, 25, b"one"), (2, 25, b"two"), (2, 55, b"19050700")
    )
    packed = b"\1\0\0\0" + zlib.compress(PACKET)
    for data in (
        jpeg(xmp=PACKET),
        png(late=chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PACKET)),
        png(early=chunk(b"iTXt", b"XML:com.adobe.xmp\0" + packed)),
        picture("TIFF", tiffinfo={700: PACKET}),
        picture("WEBP", xmp=PACKET),
        box(b"JXL ", b"\r\n\x87\n") + box(b"xml ", PACKET),
    ):
        about = read_about(data)
        assert (about.taken_at, about.keywords) == ("1905-07", ("tower", "Paris"))
    for data in (
        jpeg(iptc=records),
        picture("TIFF", tiffinfo={33723: records}),
        picture("TIFF", tiffinfo={34377: resources(records)}),
    ):
        about = read_about(data)
        assert (about.taken_at, about.caption, about.keywords) == ("1905-07", "Öffnung", ("one", "two"))


def test_the_sidecar_is_believed_first_then_exif_then_xmp_then_iptc() -> None:
    inside = jpeg(
        exif("2010:05:06 10:11:12", PARIS),
        xmp(bag("dc:subject", "copied"), attributes='exif:DateTimeOriginal="2001-01-01" tiff:Model="Scanner"'),
        iptc((2, 120, b"old caption"), (2, 55, b"19900101")),
    )
    about = read_about(inside)
    assert (about.taken_at, about.camera, about.caption, about.keywords) == (
        "2010-05-06T10:11:12",
        "Scanner",
        "old caption",
        ("copied",),
    )
    beside = xmp(
        bag("dc:subject", "mine"),
        "<dc:description><rdf:Alt><rdf:li xml:lang='fr'>Tour</rdf:li><rdf:li xml:lang='x-default'>Tower</rdf:li></rdf:Alt></dc:description>",
        attributes='exif:GPSLatitude="43,17.7N" exif:GPSLongitude="5,22,12E" photoshop:DateCreated="1936-08"',
    )
    about = read_about(inside, beside)
    assert (about.taken_at, about.caption, about.keywords) == ("1936-08", "Tower", ("mine",))
    assert about.place == pytest.approx((43.295, 5.37)) and not about.from_camera
    same = xmp(attributes='exif:GPSLatitude="48,51.5022N" exif:GPSLongitude="2,17.66886E"')
    assert read_about(inside, same).from_camera


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2010:05:06 10:11:12", "2010-05-06T10:11:12"),
        ("2010:05:06 10:11:12.75", "2010-05-06T10:11:12"),
        ("2010-05-06T10:11", "2010-05-06T10:11"),
        ("2010/05/06 10:11:12", "2010-05-06T10:11:12"),
        ("2010:05:06 10:11:12\0", "2010-05-06T10:11:12"),
        ("1905:00:00 00:00:00", "1905"),
        ("1905:07:00 00:00:00", "1905-07"),
        ("1905:  :     :  :  ", "1905"),
        ("2010:05:06   :  :  ", "2010-05-06"),
        ("1826:01:01 00:00:00", "1826-01-01T00:00:00"),
        ("2000:02:29 00:00:00", "2000-02-29T00:00:00"),
    ],
)
def test_times_are_kept_as_far_as_they_are_known(written: str, read: str) -> None:
    assert read_about(jpeg(exif(written))).taken_at == read


@pytest.mark.parametrize(
    "written",
    [
        "0000:00:00 00:00:00",
        "1601:01:01 00:00:00",
        "1825:12:31 23:59:59",
        "1904:01:01 00:00:00",
        "1970:01:01 00:00:00",
        "1980:01:01 00:00:00",
        "2107:01:01 00:00:00",
        "2019:02:30 10:00:00",
        "2019:13:01 10:00:00",
        "2019:02:30",
        "2010:05:06 25:00:00",
        "2010:05:06 10:61:00",
        "٢٠١٠:05:06 10:11:12",
        "yesterday",
        "    :  :     :  :  ",
        "",
        "2" * 100_000,
    ],
)
def test_times_that_cannot_be_are_nothing(written: str) -> None:
    assert read_about(jpeg(exif(written) if written.isascii() and len(written) < 60_000 else b"")).taken_at is None
    assert read_about(b"", xmp(f"<exif:DateTimeOriginal>{written}</exif:DateTimeOriginal>")).taken_at is None


def test_tomorrow_may_be_elsewhere_and_later_is_nothing() -> None:
    tomorrow, later = ((date.today() + timedelta(days=k)).strftime("%Y:%m:%d 00:00:00") for k in (1, 3))
    assert read_about(jpeg(exif(tomorrow))).taken_at and not read_about(jpeg(exif(later))).taken_at


def test_the_time_of_a_change_counts_where_a_camera_made_the_file() -> None:
    changed = {0x0132: "2012:01:02 03:04:05"}
    assert read_about(jpeg(exif(main=changed))).taken_at is None
    assert read_about(jpeg(exif(main={**changed, 0x0110: "X100"}))).taken_at == "2012-01-02T03:04:05"
    digitised = exif(
        main={**changed, 0x0110: "X100"}, more={0x9004: "2011:01:01 01:01:01", 0x9012: "-05:00", 0x9011: "+09:00"}
    )
    assert (read_about(jpeg(digitised)).taken_at, read_about(jpeg(digitised)).offset) == (
        "2011-01-01T01:01:01",
        "-05:00",
    )


@pytest.mark.parametrize(
    ("offset", "read"),
    [("+02:00", "+02:00"), ("Z", "+00:00"), ("-0330", "-03:30"), ("+99:00", None), ("   :  ", None), ("x", None)],
)
def test_offsets(offset: str, read: str | None) -> None:
    about = read_about(jpeg(exif("2010:05:06 10:11:12", more={0x9011: offset})))
    assert (about.taken_at, about.offset) == ("2010-05-06T10:11:12", read)


NAN = (0, 0)


@pytest.mark.parametrize(
    ("tags", "place"),
    [
        (gps(-33.8568, 151.2153), (-33.8568, 151.2153)),
        (gps(0.0, 9.45), (0.0, 9.45)),
        ({**gps(*PARIS), 1: (3, 1, b"N\0"), 3: (1, 2, b"E\0")}, PARIS),
        ({**gps(-33.8568, 151.2153), 1: "", 2: [(-338568, 10000)]}, (-33.8568, 151.2153)),
        ({**gps(-33.8568, 151.2153), 2: [(-338568, 10000)]}, (-33.8568, 151.2153)),
        ({**gps(-33.8568, 151.2153), 1: "N", 2: [(-338568, 10000)]}, None),
        ({**gps(*PARIS), 2: (12, 1, struct.pack("<d", PARIS[0]))}, PARIS),
        ({**gps(*PARIS), 2: (12, 1, struct.pack("<d", math.nan))}, None),
        ({**gps(*PARIS), 2: (99, 1, b"abcd")}, None),
        ({**gps(*PARIS), 2: (5, 2**31, b"abcd")}, None),
        ({**gps(*PARIS), 1: "n", 3: "e"}, PARIS),
        ({**gps(*PARIS), 1: "North", 3: "East"}, PARIS),
        ({**gps(*PARIS), 1: b"N", 3: b"E\0"}, PARIS),
        ({**gps(*PARIS), 2: [(4885837, 100000)]}, PARIS),
        ({**gps(*PARIS), 2: [(48, 1), (515022, 10000)]}, PARIS),
        ({**gps(*PARIS), 2: "48 51 30.132"}, PARIS),
        ({**gps(*PARIS), 1: ""}, None),
        ({k: v for k, v in gps(*PARIS).items() if k != 3}, None),
        ({**gps(*PARIS), 1: "E"}, None),
        ({**gps(*PARIS), 1: "?"}, None),
        ({k: v for k, v in gps(*PARIS).items() if k != 4}, None),
        (gps(0.0, 0.0), None),
        (gps(0.00001, 0.00001), None),
        ({**gps(*PARIS), 2: [NAN, NAN, NAN]}, None),
        ({**gps(*PARIS), 2: [(48, 1), (51, 1), NAN]}, None),
        ({**gps(*PARIS), 2: [(48, 1), (5, 0), (0, 1)]}, None),
        ({**gps(*PARIS), 2: [(91, 1), (0, 1), (0, 1)]}, None),
        ({**gps(*PARIS), 4: [(181, 1), (0, 1), (0, 1)]}, None),
        ({**gps(*PARIS), 2: [(48, 1), (75, 1), (0, 1)]}, None),
        ({**gps(*PARIS), 2: []}, None),
        ({**gps(*PARIS), 2: "north of here"}, None),
    ],
)
def test_positions(tags: dict[int, Any], place: tuple[float, float] | None) -> None:
    about = read_about(jpeg(exif("2010:05:06 10:11:12", gps_tags=tags)))
    assert about.taken_at == "2010-05-06T10:11:12"  # what is wrong with one says nothing of the other
    assert about.place == (None if place is None else pytest.approx(place, abs=1e-5))


def test_a_position_that_nobody_measured_is_not_the_cameras() -> None:
    for more in ({9: "V"}, {0x1B: b"ASCII\0\0\0MANUAL"}):
        about = read_about(jpeg(exif(gps_tags={**gps(*PARIS), **more})))
        assert about.place and not about.from_camera


@pytest.mark.parametrize(
    ("latitude", "longitude", "place"),
    [
        ("48,51,30.132N", "2,17,40.1316E", PARIS),
        ("48,51.5022n", "2,17.66886e", PARIS),
        ("48.85837", "2.294481", PARIS),
        ("-33.8568", "151.2153", (-33.8568, 151.2153)),
        ("48,51.5022N", "", None),
        ("48,51.5022E", "2,17.66886E", None),
        ("nan", "nan", None),
        ("inf", "2", None),
        ("0", "0", None),
        ("1e400", "2", None),
    ],
)
def test_positions_in_xmp(latitude: str, longitude: str, place: tuple[float, float] | None) -> None:
    packet = xmp(attributes=f'exif:GPSLatitude="{latitude}" exif:GPSLongitude="{longitude}"')
    assert read_about(b"", packet).place == (None if place is None else pytest.approx(place, abs=1e-5))


def test_letters_come_out_right_however_they_were_written() -> None:
    for written in ("Église".encode(), "Église".encode("cp1252"), "Église".encode().decode("cp1252").encode()):
        assert read_about(jpeg(exif(main={0x010E: written.decode("latin-1")}))).caption == "Église"
        assert read_about(jpeg(iptc=iptc((2, 120, written)))).caption == "Église"
    comments = [b"UNICODE\0" + "Église".encode(order) for order in ("utf-16-le", "utf-16-be", "utf-16")]
    comments += [b"ASCII\0\0\0" + "Église".encode()]
    for comment in comments:
        assert read_about(jpeg(exif(more={0x9286: comment}))).caption == "Église"
    windows = exif(main={0x9C9B: "Église\0".encode("utf-16-le"), 0x9C9E: "a b;ü; ;a b\0".encode("utf-16-le")})
    assert (read_about(jpeg(windows)).caption, read_about(jpeg(windows)).keywords) == ("Église", ("a b", "ü"))
    for encoding in ("utf-8", "utf-16"):
        packet = xmp(bag("dc:subject", "Église")).decode().replace("\ufeff", "").encode(encoding)
        assert read_about(b"", packet).keywords == ("Église",)
    broken = xmp(bag("dc:subject", "Eglise")).replace(b"Eglise", b"\xc9glise\x01")
    assert read_about(b"", broken + bytes(500)).keywords == ("Église",)


def test_text_is_bounded_and_harmless() -> None:
    caption = read_about(jpeg(exif(main={0x010E: "a\x1b[31m\x07b\rc" + "x" * 9_000}))).caption
    assert caption is not None and len(caption) == 4_000 and caption.startswith("a [31m b c") and caption.isprintable()
    many = read_about(b"", xmp(bag("dc:subject", *(f"{k}{'y' * 500}" for k in range(300))))).keywords
    assert len(many) == 100 and max(map(len, many)) == 200
    assert read_about(b"", xmp(bag("dc:subject", "x" * 3_000_000))).keywords == ()
    for junk in ("OLYMPUS DIGITAL CAMERA", "SONY DSC", "Exif_JPEG_PICTURE", " \0 "):
        assert read_about(jpeg(exif(main={0x010E: junk}))).caption is None
    assert read_about(jpeg(exif(main={0x010F: "NIKON CORPORATION", 0x0110: "NIKON D90\0\0"}))).camera == "NIKON D90"
    assert read_about(jpeg(exif(main={0x010F: "Apple", 0x0110: "iPhone 6"}))).camera == "Apple iPhone 6"
    surrogate = xmp(bag("dc:subject", "a")).replace(b">a<", b">\xed\xa0\x80<")
    "".join(read_about(b"", surrogate).keywords).encode()


def test_no_entity_is_ever_resolved(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    packet = xmp(bag("dc:subject", "&e;")).decode().split("?>", 1)[1]
    for declared in (f'<!ENTITY e SYSTEM "{secret.as_uri()}">', '<!ENTITY e "grown">'):
        found = read_about(b"", f"<!DOCTYPE x [{declared}]>{packet}".encode()).keywords
        assert found in ((), ("&e;",))


def test_small_files_do_not_unpack_to_large_ones() -> None:
    bomb = zlib.compress(bytes(300 * 2**20), 9)
    begin = time.perf_counter()
    for kind, name in ((b"zTXt", b"Raw profile type exif\0\0"), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0")):
        assert read_about(png(early=chunk(kind, name + bomb))) == About()
    assert time.perf_counter() - begin < 1


def test_claims_of_great_numbers_cost_nothing() -> None:
    directory = b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 0x9003, 2, 1_000_000, 0) * 65_535
    for data in (
        exif(main={0x010E: (5, 4_000_000, bytes(32_000_000))}),
        exif(main={0x010E: (2, 40_000_000, b"a" * 40_000_000)}),
        directory + bytes(1_000_000),
        b"\xff\xd8" + segment(0xED, b"Photoshop 3.0\0" + bytes(65_000)) * 600,
        b"\xff\xd8" + segment(0xE1, b"Exif\0\0" + directory[:60_000]) * 600,
        b"\xff\xd8" + b"\xff" * 20_000_000,
        b"\x89PNG\r\n\x1a\n" + chunk(b"tEXt", b"") * 1_000_000,
        heif_of(b"iloc", struct.pack(">IHI", 2 << 24, 0xFFFF, 2**32 - 1)),
    ):
        begin = time.process_time()
        assert read_about(data).taken_at is None
        assert time.process_time() - begin < 1


def heif_of(kind: bytes, body: bytes) -> bytes:
    return box(b"ftyp", b"heic") + box(b"meta", bytes(4) + box(kind, body))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.sampled_from(sorted(CONTAINERS)))
def test_broken_bytes_never_raise_and_give_only_what_can_be(seed: int, name: str) -> None:
    rng = random.Random(seed)
    data = bytearray(CONTAINERS[name]())
    for _ in range(rng.choice([1, 3, 30])):
        data[rng.randrange(min(len(data), 900))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
    if rng.random() < 0.3:
        del data[rng.randrange(len(data)) :]
    packet = bytearray(PACKET)
    packet[rng.randrange(len(packet))] = rng.randrange(256)
    about = read_about(bytes(data), bytes(packet))
    assert About.from_json(about.to_json()) == about
    about.to_json().encode()
    if about.place:
        assert abs(about.place[0]) <= 90 and abs(about.place[1]) <= 180 and all(map(math.isfinite, about.place))
    assert not about.taken_at or "1826" <= about.taken_at[:4] <= "2200"


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff\xe1\0\x60Exif\0\0", b"II*\0", b"RIFF....WEBP", b"\x89PNG\r\n\x1a\n"]),
)
def test_any_bytes_are_read(data: bytes, head: bytes) -> None:
    assert isinstance(read_about(head + data, data), About)


def test_facts_survive_the_ledger() -> None:
    for about in (
        About(),
        About("1905", latitude=0.0, longitude=9.4, keywords=("a", "ü")),
        read_about(jpeg(TAGS, PACKET)),
    ):
        assert About.from_json(about.to_json()) == about
    assert About.from_json(None) == About() and About().to_json() == "{}"


def test_of_several_files_the_first_counts_but_cameras_know_best_where() -> None:
    first, second = About("2001", caption="one", latitude=1.0, longitude=1.0), About("2002", "Z", 2.0, 2.0, True, "X")
    assert of_files([first, second]) == About("2001", None, 2.0, 2.0, True, "X", "one")
    assert merged([first, second]) == About("2001", None, 1.0, 1.0, False, "X", "one")
    assert of_files([]) == About()


def test_sidecars_are_found_in_any_case(tmp_path: Path) -> None:
    photo = os.fsencode(tmp_path / "IMG_1.JPG")
    assert sidecar_of(photo) is None and read_sidecar(None) is None
    (tmp_path / "img_1.Xmp").write_bytes(b"short")
    assert sidecar_of(photo) == os.fsencode(tmp_path / "img_1.Xmp")
    (tmp_path / "img_1.jpg.XMP").write_bytes(b"long")
    assert sidecar_of(photo) == os.fsencode(tmp_path / "img_1.jpg.XMP")
    assert read_sidecar(sidecar_of(photo)) == b"long"
    assert sidecar_of(os.fsencode(tmp_path / "IMG_2.JPG")) is None
    os.utime(tmp_path, (1, 1))  # a folder that has long been as it is
    assert sidecar_of(photo) == sidecar_of(photo) == os.fsencode(tmp_path / "img_1.jpg.XMP")
    os.mkfifo(tmp_path / "pipe.xmp")
    assert read_sidecar(sidecar_of(os.fsencode(tmp_path / "pipe.jpg"))) is None
    assert sidecar_of(os.fsencode(tmp_path / "nowhere" / "a.jpg")) is None


def test_dms_are_read_to_a_metre() -> None:
    rng = random.Random(3)
    for _ in range(50):
        place = rng.uniform(-90, 90), rng.uniform(-180, 180)
        found = read_about(jpeg(exif(place=place))).place
        assert found is not None and metres(found, place) < 0.1
    assert dms(1.5)[1] == (30, 1)
