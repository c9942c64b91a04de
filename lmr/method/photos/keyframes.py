"""The process that decodes a video: packets are read in order, and only key frames that may be wanted are decoded.

Each key frame is decoded by itself, with an empty decoder, so that it is the same picture whether it was reached from
the start of the file or by a jump. A frame that the decoder mended is not taken.
"""

from __future__ import annotations

import contextlib
import io
import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lmr.errors import PhotoError, UnreadError
from lmr.method.photos import guard
from lmr.method.photos.colour import is_plain
from lmr.method.photos.limits import Limits
from lmr.method.photos.videopixels import pixels_of, thumbnail_of
from lmr.values import Array

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

APART = 1000  # ms at least between two frames that are taken
_LOOKED = 250  # ms between two that are decoded, while none is new: of an all-intra video of a still scene
# tones of 255, mean over a thumbnail whose mean is taken out: encoding a noisy scene makes up to 1.6 of them, a shift
# by a hundredth of the picture's width 2 to 6, another scene 30 to 50
_SAME = 3.0
_CUT = 0.05  # of the length that may be missing at the end
_WHOLE = 60  # times the limit of one frame for the whole video
_BUFFER = 1 << 18
# containers whose demuxers read nothing but the file itself: no playlists, no scripts, no lists of other files
_CONTAINERS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,ogg,flv,asf,dv,mxf,rm"
_CREDULOUS, _TAIL = ("hevc", "av1", "libdav1d", "vp8", "vp9"), 64  # decode zeros at the end of their data as a picture
Tick = Callable[[], None]


class _Clock:
    """Ends this process when one step takes too long, and a video that takes too long in all."""

    def __init__(self, limits: Limits) -> None:
        self._step = limits.max_seconds
        self._end = time.monotonic() + _WHOLE * self._step

    def tick(self) -> None:
        """A step is done and another begins. Raises PhotoError when the time for all is over."""
        signal.setitimer(signal.ITIMER_REAL, self._step)
        if time.monotonic() > self._end:
            raise PhotoError(f"took longer than {_WHOLE * self._step:g} s in all; the rest of it was left out")

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """While the other side works."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        begin = time.monotonic()
        yield
        self._end += time.monotonic() - begin


def serve(number: int, file: int) -> None:
    """The child: answers one question about an open file with frames, and with why there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    cv2.setNumThreads(1)
    connection = Connection(number)
    with contextlib.suppress(EOFError, OSError):  # the parent has ended, or seen enough
        question = json.loads(connection.recv_bytes())
        limits = replace(Limits(**question["limits"]), guarded=True)
        guard.limit_memory(limits)
        answer = {"reason": "", "again": False}
        clock = _Clock(limits)
        clock.tick()
        try:
            for at, pixels in pictures(io.FileIO(file), limits, question["at"], clock.tick):
                with clock.stopped():
                    connection.send_bytes(json.dumps({"time": at, "shape": pixels.shape}).encode())
                    connection.send_bytes(np.ascontiguousarray(pixels).reshape(-1).data)
        except PhotoError as error:
            answer = {"reason": str(error), "again": isinstance(error, UnreadError)}
        except MemoryError:
            answer["reason"] = "too little memory to decode it"
        with clock.stopped():
            connection.send_bytes(json.dumps(answer).encode())


def pictures(file: io.FileIO, limits: Limits, at: int | None, tick: Tick) -> Iterator[tuple[int, Array]]:
    """(ms, upright (H, W, 3) uint8 sRGB) of each frame to be taken, or of the key frame at a time.

    tick: called for each packet and picture. Raises PhotoError, UnreadError.
    """
    source = _Source(file)
    try:
        yield from _Video(source, limits, tick).one(at) if at is not None else _Video(source, limits, tick).new()
    except (PhotoError, MemoryError):
        raise
    except Exception as error:  # whatever a decoder raises on hostile bytes is a fault of the video
        if source.error:
            raise UnreadError(f"cannot be read: {source.error.strerror}") from error
        raise PhotoError(f"cannot be decoded: {type(error).__name__}: {str(error)[:200]}") from error


class _Source:
    """A file for PyAV, which keeps the error of a disk apart from those of decoders."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.error: OSError | None = None
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        """At most size bytes."""
        try:
            return self._file.read(size)
        except OSError as error:
            self.error = error
            raise


class _Video:
    """A file that is read from its start, or from near a time."""

    def __init__(self, source: _Source, limits: Limits, tick: Tick) -> None:
        self._source, self._limits, self._tick = source, limits, tick
        self._end, self._damaged = Fraction(0), 0

    def new(self) -> Iterator[tuple[int, Array]]:
        """Frames that are far enough from the one before, have contrast, and show something else."""
        taken = looked = thumbnail = None
        with self._opened() as container:
            stream = _stream(container)
            for now, packet in self._key_packets(container, stream):
                if (taken is not None and now < taken + APART) or (looked is not None and now < looked + _LOOKED):
                    continue
                looked, pixels = now, self._picture(stream, packet)
                if pixels is None or is_plain(pixels):
                    continue
                small = thumbnail_of(pixels)
                if thumbnail is None or np.abs(small - thumbnail).mean() >= _SAME:
                    taken, thumbnail = now, small
                    yield now, pixels
            self._check(container, stream, found=taken is not None, seen=looked is not None)

    def one(self, at: int) -> Iterator[tuple[int, Array]]:
        """The frame at a time: by a jump, and where the container's index leads elsewhere, from the start."""
        for jump in (True, False):
            self._source.seek(0)
            with self._opened() as container:
                stream = _stream(container)
                if jump:
                    _jump(container, stream, at)
                for now, packet in self._key_packets(container, stream):
                    pixels = self._picture(stream, packet) if now == at else None
                    if pixels is not None:
                        yield now, pixels
                        return
                    if now > at + 10 * APART:
                        break

    def _opened(self) -> InputContainer:
        import av

        options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"}
        return av.open(self._source, "r", options=options, metadata_errors="replace", buffer_size=_BUFFER)

    def _key_packets(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[int, Packet[VideoStream]]]:
        """(ms since the start, packet); a file that breaks off within a packet ends there."""
        import av

        base, begin = _base(stream), _begin(container)
        try:
            for packet in container.demux(stream):
                self._tick()
                stamp = packet.pts if packet.pts is not None else packet.dts
                if stamp is None or not packet.size:
                    continue
                now = stamp * base - begin
                self._end = max(self._end, now + (packet.duration or 0) * base)
                if packet.is_keyframe and not packet.is_discard:
                    yield max(round(now * 1000), 0), packet
        except av.error.FFmpegError:
            self._damaged += 1
        if self._source.error:  # a demuxer may take it for the end of the file
            raise self._source.error

    def _picture(self, stream: VideoStream, packet: Packet[VideoStream]) -> Array | None:
        """None, and counted, where the frame is damaged."""
        import av

        context = stream.codec_context
        self._limits.check(context.width, context.height)
        try:
            found = [*packet.decode(), *context.decode(None)]
        except av.error.FFmpegError:
            found = []
        context.flush_buffers()
        sound = [frame for frame in found if not frame.is_corrupt]
        if not sound or packet.is_corrupt or (context.name in _CREDULOUS and not any(bytes(packet)[-_TAIL:])):
            self._damaged += 1
            return None
        self._limits.check(sound[0].width, sound[0].height)
        return pixels_of(sound[0], context.sample_aspect_ratio, self._limits)

    def _check(self, container: InputContainer, stream: VideoStream, *, found: bool, seen: bool) -> None:
        """Raise PhotoError with the reason where not everything was there."""
        length = _length(container, stream)
        if length is not None and self._end < length - max(Fraction(1), Fraction(_CUT) * length):
            raise PhotoError(
                f"ends after {float(self._end):.1f} of {float(length):.1f} s, as a copy that was interrupted"
            )
        if self._damaged:
            raise PhotoError(f"damaged: {'some' if found else 'none'} of its key frames can be decoded")
        if not found:
            raise PhotoError("none of its key frames shows anything" if seen else "it has no key frames")


def _stream(container: InputContainer) -> VideoStream:
    """The first video that is no cover picture, made ready. Raises PhotoError."""
    from av.stream import Discard, Disposition

    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    found = [stream for stream in container.streams.video if not stream.disposition & pictures]
    if not found:
        raise PhotoError("not a photo but sound: it holds no video")
    for stream in container.streams:
        stream.discard = Discard.default if stream is found[0] else Discard.all
    context = found[0].codec_context
    if context is None:
        raise PhotoError("a video whose codec is not known")
    context.thread_type, context.skip_frame = "NONE", "NONKEY"
    return found[0]


def _jump(container: InputContainer, stream: VideoStream, at: int) -> None:
    import av

    with contextlib.suppress(av.error.FFmpegError):
        container.seek(round((Fraction(at, 1000) + _begin(container)) / _base(stream)), stream=stream)


def _base(stream: VideoStream) -> Fraction:
    """Seconds of a unit of the stream's times."""
    base = stream.time_base
    return Fraction(base.numerator, base.denominator) if base else Fraction(1, 1000)


def _begin(container: InputContainer) -> Fraction:
    """The time, s, that players show as 0."""
    return Fraction(container.start_time or 0, 1_000_000)


def _length(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Seconds as declared; what a container declares may be the length of its sound."""
    if stream.duration is not None:
        return stream.duration * _base(stream)
    alone = len(container.streams) == 1 and container.duration is not None
    return Fraction(container.duration or 0, 1_000_000) if alone else None
