"""What a file is, by its first bytes: never by the ending of its name."""

from __future__ import annotations

import re

_STARTS = (  # at byte 0; longer ones first where one begins like another
    (b"\xff\xd8\xff\xf7", "JPEG-LS"),
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"II\x2a\0\x10\0\0\0CR", "RAW (Canon CR2)"),
    (b"IIRO", "RAW (Olympus ORF)"),
    (b"IIRS", "RAW (Olympus ORF)"),
    (b"MMOR", "RAW (Olympus ORF)"),
    (b"IIU\0", "RAW (Panasonic RW2)"),
    (b"II\x1a\0\0\0HEAPCCDR", "RAW (Canon CRW)"),
    (b"FUJIFILMCCD-RAW", "RAW (Fujifilm RAF)"),
    (b"FOVb", "RAW (Sigma X3F)"),
    (b"\0MRM", "RAW (Minolta MRW)"),
    (b"II\xbc", "JPEG XR"),
    (b"II\x2a\0", "TIFF"),
    (b"MM\0\x2a", "TIFF"),
    (b"II\x2b\0", "TIFF"),
    (b"MM\0\x2b", "TIFF"),
    (b"8BPS", "Photoshop"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"#?RGBE", "Radiance HDR"),
    (b"qoif", "QOI"),
    (b"gimp xcf", "GIMP"),
    (b"\0\0\1\0", "icon"),
    (b"DDS ", "DDS"),
    (b"BPG\xfb", "BPG"),
    (b"SIMPLE  =", "FITS"),
    (b"<svg", "SVG"),
    (b"%PDF-", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\x1aE\xdf\xa3", "video"),
    (b"FLV\1", "video"),
    (b"OggS", "video"),
    (b"\0\0\1\xba", "video"),
    (b"\0\0\1\xb3", "video"),
    (b"0&\xb2u\x8ef\xcf\x11", "video"),
    (b"\x06\x0e\x2b\x34\2\5\1\1", "video"),
    (b"\x1f\7\0\x3f", "video"),
    (b"\x1f\7\0\xbf", "video"),
    (b".RMF\0", "video"),
    (b"PK\3\4", "archive"),
    (b"Rar!", "archive"),
    (b"7z\xbc\xaf", "archive"),
    (b"\x1f\x8b", "archive"),
)
_BRANDS = {  # of the ISO base media file format, the major one first
    "HEIC": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"),
    "AVIF": (b"avif", b"avis"),
    "RAW (Canon CR3)": (b"crx ",),
    "JPEG 2000": (b"jp2 ", b"jpx "),
    "JPEG XL": (b"jxl ",),
}
_PICTURES_OF_ANY_CODEC = (b"mif1", b"mif2", b"miaf", b"msf1", b"jpeg", b"avci", b"vvic", b"heif")
_SOUND = (b"M4A ", b"M4B ", b"M4P ")
_HEADS_OF_VIDEO = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")
_PACKETS = ((188, 0), (192, 4))  # of an MPEG transport stream, and with a time before each as cameras write them
_NETPBM = re.compile(rb"P[1-6Ff]\s+(#|\d)")
_INSTALL = {"HEIC": "pi-heif", "RAW": "rawpy", "JPEG XL": "imagecodecs", "TIFF": "tifffile imagecodecs"}
READ = frozenset(
    ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "HEIC", "AVIF", "JPEG XL", "JPEG 2000", "PPM", "TGA", "RAW"]
)


def sniff(head: bytes) -> str | None:
    """The format's name by magic bytes (32 are enough, 512 for some videos, more are no harm), None if unknown.

    "JPEG", "PNG", "HEIC", "AVIF", "JPEG XL", "RAW (Canon CR3)", "video", ...; `family` of it is in READ where photos of
    the format are decoded. Most RAW files begin as a TIFF does and are told apart only where they are decoded.
    """
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[4:8] == b"ftyp":
        return _by_brands(head)
    if head[:4] == b"RIFF":
        return {b"WEBP": "WEBP", b"AVI ": "video", b"WAVE": "sound"}.get(head[8:12])
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "BMP"
    if _NETPBM.match(head):
        return "PPM"
    return "video" if head[4:8] in _HEADS_OF_VIDEO or _is_transport_stream(head) else None


def family(name: str) -> str:
    """RAW for every RAW format, else the name itself."""
    return name.split(" (")[0]


def missing(name: str) -> str:
    """The reason where a format is known and its decoder is not installed."""
    return f"{name}: its decoder is not installed here (pip install {_INSTALL.get(family(name), 'imagecodecs')})"


def unread(name: str) -> str:
    """The reason where a format is known and never decoded."""
    what = {"video": "a video", "archive": "an archive", "sound": "sound"}.get(name)
    return f"not a photo but {what}" if what else f"{name} is not read; convert it to JPEG, PNG or TIFF"


def _by_brands(head: bytes) -> str:
    size = int.from_bytes(head[:4], "big")
    brands = [head[8:12]] + [head[k : k + 4] for k in range(16, min(size, len(head), 256), 4)]
    for brand in brands:
        for name, known in _BRANDS.items():
            if brand in known:
                return name
    if any(brand in _PICTURES_OF_ANY_CODEC for brand in brands):
        return "HEIC"
    return "sound" if brands[0] in _SOUND else "video"


def _is_transport_stream(head: bytes) -> bool:
    """Whether packets begin with their mark as far as is seen; one packet alone must be the table of programmes."""
    for size, start in _PACKETS:
        packets = [head[k : k + 4] for k in range(start, min(len(head), 512) - 3, size)]
        if len(packets) == 1 and packets[0][:3] != b"G\x40\0":
            continue
        # no mark of an error in transmission, and a payload or something in its place
        if packets and all(one[0] == 0x47 and not one[1] & 0x80 and one[3] & 0x30 for one in packets):
            return b"\0" in head or b"\xff" in head
    return False
