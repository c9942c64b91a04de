"""Key frames of videos that PyAV wrote: the right pictures at the right times, upright, in the right colours, and bounded."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import os
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import psutil
import pytest

from lmr.errors import PhotoError, UnreadError
from lmr.method.photos import keyframes, video
from lmr.method.photos.decode import content_id, pixel_id
from lmr.method.photos.formats import sniff
from lmr.method.photos.limits import Limits
from lmr.method.photos.made import photograph, shots
from lmr.method.photos.tones import tone_mapped
from lmr.method.photos.upright import upright

LIMITS = {"max_pixels": 10_000_000, "min_side": 16}
WIDTH, HEIGHT, RATE = 320, 240, 10
SCENES = [cv2.resize(photograph(shot), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for shot in shots()[:4]]
BARS = [
    (255, 255, 255),
    (255, 255, 0),
    (0, 255, 255),
    (0, 255, 0),
    (255, 0, 255),
    (255, 0, 0),
    (0, 0, 255),
    (90, 120, 60),
]
FAST = {"movflags": "faststart"}


def write(
    path: Path,
    pictures: list[tuple[np.ndarray, int]],
    codec: str = "libx264",
    every: int = RATE,
    rate: int = RATE,
    container: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """A video that shows each picture for a number of frames, with a key frame at least every so many frames."""
    with av.open(str(path), "w", options=container or {}) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0][0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.gop_size = every
        stream.codec_context.options = {**QUALITY.get(codec, {}), **options}
        shown = (picture for picture, count in pictures for _ in range(count))
        for k, picture in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture))
            frame.pts, frame.time_base = k, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    if (
        codec == "libsvtav1" and sys.platform == "linux"
    ):  # as root it lets this thread, and all that it begins, run first
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return path


QUALITY = {
    "mpeg4": {"b": "3000000"},
    "mpeg2video": {"b": "3000000"},
    "mjpeg": {"b": "5000000"},
    "wmv2": {"b": "3000000"},
    "flv": {"b": "3000000"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "b": "2000000"},
    "libsvtav1": {"preset": "12"},
    "libx265": {"x265-params": "log-level=none"},
}
THREE = [(SCENES[0], 30), (SCENES[1], 30), (SCENES[2], 20)]


def read(path: Path, **options: object) -> list[video.Frame]:
    return list(video.frames(path, digest=video.digest_of(path), **{**LIMITS, **options}))


def times(path: Path) -> list[str]:
    return [frame.at for frame in read(path)]


def difference(frame: video.Frame, picture: np.ndarray) -> float:
    assert frame.photo.pixels.shape == picture.shape
    return float(np.abs(frame.photo.pixels.astype(int) - picture).mean())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("clip") / "clip.mp4", THREE, container=FAST)


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.mp4", "libx264", 10),
        ("a.mov", "libx264", 10),
        ("a.mkv", "libx265", 10),
        ("a.ts", "libx264", 10),
        ("a.mts", "mpeg2video", 25),
        ("a.mpg", "mpeg2video", 25),
        ("a.avi", "mpeg4", 10),
        ("b.avi", "mjpeg", 10),
        ("a.webm", "libvpx-vp9", 10),
        ("a.mp4", "libsvtav1", 10),
        ("a.wmv", "wmv2", 10),
        ("a.flv", "flv", 10),
    ],
)
def test_each_scene_is_one_frame_at_its_time(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    scenes = [(picture, 2 * rate) for picture in SCENES[:3]]
    options = {"mpegts_m2ts_mode": "1"} if name == "a.mts" else {}
    path = write(tmp_path / name, scenes, codec, every=rate, rate=rate, container=options)
    assert sniff(path.read_bytes()[: video.HEAD]) == "video"
    found = read(path)
    assert len(found) == 3
    for k, (frame, picture) in enumerate(zip(found, SCENES[:3], strict=True)):
        assert 2 * k <= float(frame.at) < 2 * k + 1, [one.at for one in found]
        assert difference(frame, picture) < 8
        assert (frame.photo.width, frame.photo.height) == (WIDTH, HEIGHT)
    digest = video.digest_of(path)
    again = [video.frame_at(path, frame.at, digest=digest, **LIMITS) for frame in found]
    assert [(one.id, pixel_id(one)) for one in again] == [(one.photo.id, pixel_id(one.photo)) for one in found]


def test_times_and_identities_are_those_of_the_file(clip: Path, tmp_path: Path) -> None:
    assert video.digest_of(clip) == content_id(clip.read_bytes())
    first, second = read(clip), read(clip)
    assert [frame.at for frame in first] == ["0", "3", "6"]
    assert [frame.photo.id for frame in first] == [frame.photo.id for frame in second]
    assert len({frame.photo.id for frame in first}) == 3
    for frame in first:
        assert frame.photo.id == hashlib.sha256(f"{video.digest_of(clip)}@{frame.at}".encode()).hexdigest()
    tagged = tmp_path / "tagged.mp4"
    tagged.write_bytes(clip.read_bytes() + struct.pack(">I4s", 12, b"free") + b"note")
    pairs = list(zip(read(tagged), first, strict=True))
    assert [pixel_id(one.photo) for one, _ in pairs] == [pixel_id(other.photo) for _, other in pairs]
    assert all(one.photo.id != other.photo.id for one, other in pairs)


def test_a_still_scene_is_one_frame_also_when_noise_is_encoded_and_light_changes(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    scene = [
        (np.clip(SCENES[0] * (1 + 0.0008 * k) + rng.normal(0, 8, SCENES[0].shape), 0, 255).astype(np.uint8), 1)
        for k in range(60)
    ]
    assert times(write(tmp_path / "still.mp4", scene, crf="35")) == ["0"]
    assert times(write(tmp_path / "still.avi", scene, "mpeg4", b="200000")) == ["0"]


def test_a_pan_is_a_frame_wherever_it_has_moved_on(tmp_path: Path) -> None:
    wide = cv2.resize(np.hstack(SCENES), (8 * WIDTH, HEIGHT))
    pan = [(wide[:, 8 * k : 8 * k + WIDTH], 1) for k in range(50)]
    assert times(write(tmp_path / "pan.mp4", pan)) == ["0", "1", "2", "3", "4"]


def test_key_frames_denser_than_one_a_second_give_one_a_second(tmp_path: Path) -> None:
    wide = cv2.resize(np.hstack(SCENES), (8 * WIDTH, HEIGHT))
    pan = [(wide[:, 8 * k : 8 * k + WIDTH], 1) for k in range(45)]
    found = [float(at) for at in times(write(tmp_path / "intra.avi", pan, "mjpeg"))]
    assert found == [0, 1, 2, 3, 4]
    for every in (3, 4, 7):
        found = [float(at) for at in times(write(tmp_path / f"{every}.mp4", pan, every=every))]
        assert len(found) >= 4 and all(b - a >= 1 for a, b in itertools.pairwise(found))


def test_a_scene_that_begins_between_two_seconds_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.mp4", [(SCENES[0], 34), (SCENES[1], 5), (SCENES[2], 20)])
    assert times(path)[:2] == ["0", "3.4"]


def test_a_frame_without_contrast_is_passed_over(tmp_path: Path) -> None:
    black = np.zeros_like(SCENES[0])
    assert times(write(tmp_path / "fade.mp4", [(black, 20), (SCENES[0], 20), (black, 20)])) == ["2"]
    with pytest.raises(PhotoError, match="none of its key frames shows anything"):
        read(write(tmp_path / "black.mp4", [(black, 20)]))


MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


@pytest.mark.parametrize("orientation", MATRICES)
def test_frames_are_upright_by_the_display_matrix(clip: Path, tmp_path: Path, orientation: int) -> None:
    a, b, c, d = (value << 16 for value in MATRICES[orientation])
    data = bytearray(clip.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    assert struct.unpack_from(">9i", data, at) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path = tmp_path / "turned.mp4"
    path.write_bytes(data)
    found = read(path)
    assert [frame.at for frame in found] == ["0", "3", "6"]
    for frame, picture in zip(found, SCENES):
        assert difference(frame, upright(picture, orientation)) < 8
        assert (frame.photo.height, frame.photo.width) == frame.photo.pixels.shape[:2]


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        frame = av.VideoFrame.from_ndarray(SCENES[0])
        frame.pts, frame.time_base = 0, Fraction(1, 5)
        out.mux([*stream.encode(frame), *stream.encode(None)])
    assert read(path)[0].photo.pixels.shape == (HEIGHT, 427, 3)


def test_frames_of_an_open_group_of_pictures_are_read(tmp_path: Path) -> None:
    scene = [(SCENES[k // 2 % 3], 10) for k in range(6)]
    params = "open-gop=1:bframes=3:scenecut=0:keyint=20:min-keyint=20"
    for codec, option in (("libx264", "x264-params"), ("libx265", "x265-params")):
        path = write(tmp_path / f"{codec}.mkv", scene, codec, every=20, **{option: f"log-level=none:{params}"})
        found = read(path)
        assert [frame.at for frame in found] == ["0", "2", "4"]
        assert all(difference(frame, picture) < 8 for frame, picture in zip(found, SCENES))


def test_of_interlaced_fields_one_is_shown(tmp_path: Path) -> None:
    """Two moments in one frame, a line each: neither is to be seen through the other."""
    woven = SCENES[0].copy()
    woven[1::2] = SCENES[1][1::2]
    one = cv2.resize(SCENES[0][::2], (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    options = {"x264-params": "log-level=none:interlaced=1:tff=1", "crf": "10", "flags": "+ildct+ilme"}
    found = read(write(tmp_path / "fields.mp4", [(woven, 5)], **options))
    assert difference(found[0], one) < 12
    assert difference(found[0], woven) > 20


def test_sound_beside_the_pictures_changes_nothing(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(clip)) as source, av.open(str(path), "w") as out:
        pictures, sound = out.add_stream_from_template(source.streams.video[0]), out.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        for k in range(400):
            frame.sample_rate, frame.pts = 44100, 1024 * k
            out.mux(sound.encode(frame))
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = pictures
                out.mux(packet)
        out.mux(sound.encode(None))
    assert [pixel_id(frame.photo) for frame in read(path)] == [pixel_id(frame.photo) for frame in read(clip)]


LUMA = {"601": (0.299, 0.114), "709": (0.2126, 0.0722), "2020": (0.2627, 0.0593)}


def bars(path: Path, height: int, matrix: str, full: bool, declared: int, hlg: bool = False) -> list[tuple[int, ...]]:
    """The colours that are read from a video in which they were written by hand."""
    width, bits = 8 * 160, 10 if hlg else 8
    red, blue = LUMA[matrix]
    rgb = np.repeat(np.array(BARS) / 255, 160, 0)[None].repeat(height, 0)
    luma = rgb @ np.array([red, 1 - red - blue, blue])
    chroma = ((rgb[..., 2] - luma) / (2 - 2 * blue), (rgb[..., 0] - luma) / (2 - 2 * red))
    scale = 1 << (bits - 8)
    planes = [scale * (255 * luma if full else 16 + 219 * luma)]
    planes += [scale * (128 + (255 if full else 224) * part) for part in chroma]
    pixels = np.clip(np.round(planes), 0, 256 * scale - 1).astype("<u2" if hlg else np.uint8)
    kind = "yuv444p10le" if hlg else "yuv444p"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx265" if hlg else "libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = width, height, kind
        options = {"crf": "5", **(QUALITY["libx265"] if hlg else {})}
        stream.codec_context.options = options
        for one in (stream.codec_context, frame := av.VideoFrame(width, height, kind)):
            one.colorspace, one.color_range = declared, 2 if full else 1
            if hlg:
                one.color_trc, one.color_primaries = 18, 9
        for plane, part in zip(frame.planes, pixels):
            rows = np.zeros((height, plane.line_size), np.uint8)
            rows[:, : width * part.itemsize] = part.view(np.uint8)
            plane.update(rows.tobytes())
        frame.pts, frame.time_base = 0, Fraction(1, 5)
        out.mux([*stream.encode(frame), *stream.encode(None)])
    found = read(path)[0].photo.pixels
    return [tuple(int(value) for value in found[height // 2, 160 * k + 80]) for k in range(8)]


@pytest.mark.parametrize(
    ("height", "matrix", "full", "declared"),
    [
        (240, "601", False, 6),
        (240, "709", False, 1),
        (240, "709", True, 1),
        (240, "601", True, 5),
        (240, "2020", False, 9),
        (240, "601", False, 2),
        (720, "709", False, 2),
    ],
)
def test_colours_are_those_that_the_stream_declares(
    tmp_path: Path, height: int, matrix: str, full: bool, declared: int
) -> None:
    assert np.abs(np.array(bars(tmp_path / "bars.mp4", height, matrix, full, declared)) - BARS).max() <= 2


def test_high_dynamic_range_is_tone_mapped(tmp_path: Path) -> None:
    wanted = tone_mapped(np.array([BARS], np.uint16) * 257, 9, 18)[0]
    assert np.abs(np.array(bars(tmp_path / "hlg.mp4", 240, "2020", False, 9, hlg=True)) - wanted).max() <= 3


def so_far(path: Path, **options: object) -> tuple[list[str], str]:
    """The times that were read, and why there are no more."""
    found = []
    try:
        for frame in video.frames(path, digest=video.digest_of(path), **{**LIMITS, **options}):
            found.append(frame.at)
    except PhotoError as error:
        return found, str(error)
    return found, ""


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "libvpx-vp9", "libx265"])
def test_of_a_truncated_video_the_sound_frames_are_given_and_the_reason(tmp_path: Path, codec: str) -> None:
    data = write(tmp_path / "whole.mp4", THREE, codec, container=FAST).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) * 6 // 10])
    found, reason = so_far(cut)
    assert found in (["0", "3"], ["0"]) and "as a copy that was interrupted" in reason
    cut.write_bytes(data[: len(data) * 6 // 10].ljust(len(data), b"\0"))
    found, reason = so_far(cut)
    assert found in (["0", "3"], ["0"]) and reason


def test_a_video_without_its_index_is_an_error(tmp_path: Path) -> None:
    data = write(tmp_path / "whole.mp4", THREE).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) * 6 // 10])
    assert so_far(cut)[0] == [] and "cannot be decoded" in so_far(cut)[1]


def test_damaged_frames_are_left_out_and_told(clip: Path, tmp_path: Path) -> None:
    data = bytearray(clip.read_bytes())
    for k in range(len(data) // 2, len(data), 97):
        data[k] ^= 0x55
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    found, reason = so_far(path)
    assert found == ["0", "3"] and reason.startswith("damaged")


def test_hostile_bytes_never_raise_anything_else(clip: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    path = tmp_path / "hostile.mp4"
    for _ in range(12):
        data = np.frombuffer(clip.read_bytes(), np.uint8).copy()
        places = rng.integers(8, 2500 if rng.random() < 0.7 else len(data), 12)
        data[places] = rng.integers(0, 256, 12)
        path.write_bytes(data.tobytes())
        so_far(path, max_seconds=5)


@pytest.mark.parametrize(
    "text",
    [
        b"just a text",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n/etc/passwd\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        b"GIF89a" + bytes(600),
        (b"G 10 is a note" + b" " * 174) * 3,
        b"G" + bytes(600),
    ],
)
def test_what_is_no_video_is_never_opened_as_one(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "text.mp4"
    path.write_bytes(text)
    with pytest.raises(PhotoError, match="not a video"):
        read(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, kind, words in (
        ("none.mp4", UnreadError, "No such file"),
        ("empty.mp4", PhotoError, "empty file"),
        ("pipe.mp4", PhotoError, "not a regular file"),
    ):
        with pytest.raises(kind, match=words):
            video.digest_of(tmp_path / name)
        with pytest.raises(kind, match=words):
            list(video.frames(tmp_path / name, digest="", **LIMITS))


class _FailingDisk(io.FileIO):
    def read(self, size: int = -1) -> bytes:
        if self.tell() > 30_000:
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_a_disk_that_fails_is_told_apart_from_a_damaged_video(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyframes, "_BUFFER", 4096)
    found = []
    with pytest.raises(UnreadError, match="Input/output error"):
        for time, _ in keyframes.pictures(_FailingDisk(clip), Limits(10**7, 16, 0, guarded=True), None, lambda: None):
            found.append(time)
    assert found == [0]


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    assert so_far(path) == ([], "not a photo but sound: it holds no video")
    assert sniff(b"\0\0\0\x1cftypM4A \0\0\2\0M4A isomiso2") == "sound"


def test_limits_of_size_hold_for_frames(clip: Path) -> None:
    with pytest.raises(PhotoError, match="320 x 240 is more than 50,000 pixels"):
        read(clip, max_pixels=50_000)
    with pytest.raises(PhotoError, match="too small"):
        read(clip, min_side=300)


def test_time_is_bounded_and_the_callers_time_does_not_count(clip: Path) -> None:
    with pytest.raises(PhotoError, match=r"took longer than 0\.001 s"):
        read(clip, max_seconds=0.001)
    import time

    found = []
    for frame in video.frames(clip, digest="", max_seconds=1.0, **LIMITS):
        found.append(frame.at)
        time.sleep(1.2)
    assert found == ["0", "3", "6"]


def test_nothing_is_left_open_or_running(clip: Path, tmp_path: Path) -> None:
    this = psutil.Process()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:2000])
    before, children = open_files(), len(this.children(recursive=True))
    for _ in range(3):
        read(clip)
        next(video.frames(clip, digest="", **LIMITS))
        so_far(broken)
    assert open_files() <= before and len(this.children(recursive=True)) == children


def open_files() -> set[tuple[int, int, int]]:
    """What this process has open, by number and file: what another test left open may be closed at any moment."""
    found = set()
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # the listing itself
            file = os.fstat(int(name))
            found.add((int(name), file.st_dev, file.st_ino))
    return found


def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    path = tmp_path / "padded.mp4"
    data = write(tmp_path / "clip.mp4", THREE, container=FAST).read_bytes()
    with path.open("wb") as file:  # 3 GB, of which the disk holds nothing
        file.write(data + struct.pack(">I4sQ", 1, b"free", 3 << 30))
        file.truncate(len(data) + (3 << 30))
    code = (
        "import re, sys, resource; from pathlib import Path; from lmr.method.photos import video\n"
        "found = [f.at for f in video.frames(Path(sys.argv[1]), digest='', max_pixels=10**7, min_side=16)]\n"
        "own = int(re.search('VmHWM: *(\\\\d+)', Path('/proc/self/status').read_text().replace('\\t', ' '))[1]) // 1024\n"
        "print(found, own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    found, own, childs = done.stdout.rsplit(" ", 2)
    assert found == "['0', '3', '6']" and int(own) < 400 and int(childs) < 600


def test_names_of_frames() -> None:
    assert video.frame_path(b"/a/clip \xff.mp4", "12.48") == b"/a/clip \xff.mp4@12.48"
    for at in ("0", "7", "12.48", "3600.001"):
        assert video.parted(video.frame_path(b"/a/me@home.mp4", at)) == (b"/a/me@home.mp4", at)
    for path in (b"/a/clip.mp4", b"/a/clip.mp4@", b"/a/clip.mp4@1.50", b"/a/clip.mp4@-1", b"/a/clip.mp4@1e3", b"@1"):
        assert video.parted(path) is None


def test_no_frame_at_another_time(clip: Path) -> None:
    with pytest.raises(PhotoError, match=r"no key frame at 3\.5 s"):
        video.frame_at(clip, "3.5", digest="", **LIMITS)


def test_without_pyav_the_reason_says_what_to_install(clip: Path) -> None:
    code = (
        "import sys; sys.modules['av'] = None\n"
        "from pathlib import Path; from lmr.method.photos import video; from lmr.errors import PhotoError\n"
        "assert not video.available()\n"
        "try:\n    next(video.frames(Path(sys.argv[1]), digest='', max_pixels=10**7, min_side=16))\n"
        "except PhotoError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(clip)], capture_output=True, text=True, check=True)
    assert "pip install 'lmr[video]'" in done.stdout
    imported = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, lmr.method.photos.video, lmr.method.photos.keyframes; print('av' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert imported.stdout.strip() == "False"
