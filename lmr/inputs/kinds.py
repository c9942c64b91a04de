"""What a folder holds beside photos, by its names: what is passed over is counted by these kinds, and told.

Names are looked at without case. Only names that stand for one thing everywhere are passed over unread; a file with an
ending that nobody knows is looked into (see formats.sniff).
"""

from __future__ import annotations

import re

_PHOTOS = (
    ".jpg .jpeg .jpe .jfif .pjpeg .jps .mpo .png .apng .webp .tif .tiff .gif .bmp .dib .jp2 .j2k .jpf .jpx"
    " .heic .heif .hif .heics .heifs .avif .avifs .jxl"
)
_RAW = (
    ".dng .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .raf .orf .rw2 .rwl .pef .srw .x3f .3fr .fff .iiq .mrw .kdc .dcr"
    " .erf .mef .mos .gpr"
)
CANDIDATES = frozenset(f"{_PHOTOS} {_RAW}".split())

VIDEOS, SIDECARS, ARCHIVES, DOCUMENTS = "videos", "sidecars", "archives", "documents"
UNKNOWN, HIDDEN, SYSTEM, UNFINISHED = "other files", "hidden files", "system files", "backups and partial downloads"
THUMBNAILS, DELETED, LINKED, EXCLUDED = "thumbnails", "deleted files", "linked folders", "excluded files"
OWN, COLLECTION = "pictures made by lmr", "files of a collection"

_ENDINGS = {
    VIDEOS: ".mp4 .mov .m4v .avi .mkv .webm .3gp .3g2 .mts .m2ts .mpg .mpeg .wmv .flv .ogv .insv .lrv .vob .mod .tod",
    SIDECARS: ".xmp .aae .thm .xml .json .pp3 .dop .cos .on1 .vrd .exif .gpx .kml .dtprefs .arp .nks .nksc"
    " .lrtemplate .supplemental-metadata",
    ARCHIVES: ".zip .7z .rar .tar .gz .tgz .bz2 .xz .zst .lz4 .iso .cbz .cbr .dmg",
    DOCUMENTS: ".txt .csv .md .pdf .doc .docx .odt .xls .xlsx .ods .ppt .pptx .rtf .html .htm .css .js .svg .py .sh"
    " .log .ini .url .lnk .mp3 .m4a .aac .wav .flac .ogg .opus .eml .ics .vcf .db .sqlite .lrcat .exe .msi .apk .ttf"
    " .otf .parquet .graphml .npz .npy .pkl .lmr .toml .yaml .yml .bat .cmd .dll .so .plist",
    UNFINISHED: ".part .crdownload .download .tmp .partial .filepart .opdownload .!ut .bak .old .jpg_original"
    " .jpeg_original .dng_original .heic_original .tif_original .tiff_original .png_original .cr2_original"
    " .nef_original",
}
_KIND = {ending: kind for kind, endings in _ENDINGS.items() for ending in endings.split()}
_SYSTEM = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "picasa.ini", "zbthumbnail.info"))
_FOLDERS = (
    (THUMBNAILS, re.compile(r"@eadir|\.@__thumb|\.thumbnails?|\.thumbs|.+\.lrdata|\.wd_tv|\.zumbnails?")),
    (
        DELETED,
        re.compile(
            r"#recycle|@recycle|\$recycle\.bin|recycler|recycled|\.trash.*|\.recycle|\.dtrash|\.trashes|"
            r"\.recently[ _-]deleted"
        ),
    ),
    (
        SYSTEM,
        re.compile(
            r"__macosx|system volume information|lost\+found|#snapshot|@recently-snapshot|@tmp|\.spotlight-v100|"
            r"\.fseventsd|\.snapshots?|\.zfs|\$extend|found\.\d{3}"
        ),
    ),
)
ADVICE = {
    VIDEOS: "lmr reads photos; `pip install 'lmr[video]'` lets it take key frames from videos",
    ARCHIVES: "unpack them to have the photos in them read",
    UNKNOWN: "if there are photos among them, convert them to JPEG or name them one by one",
    UNFINISHED: "what is still being copied or fetched is read when it has its own name",
    LINKED: "--follow-links looks into them",
    THUMBNAILS: "the photos themselves are read",
    DELETED: "restore what is to be read",
}


def kind_of_folder(name: str) -> str | None:
    """Why a folder of this name is passed over with all that is in it; None: it is looked into."""
    low = name.lower()
    for kind, pattern in _FOLDERS:
        if pattern.fullmatch(low):
            return kind
    return HIDDEN if name.startswith(".") else None


def kind_of_file(name: str) -> str | None:
    """Why a file of this name is passed over: a kind; "" for an ending that nobody knows; None: it may be a photo."""
    low = name.lower()
    if low in _SYSTEM:
        return SYSTEM
    if name.startswith("."):
        return HIDDEN
    if name.endswith("~"):
        return UNFINISHED
    ending = low[low.rfind(".") :] if "." in low else ""
    if ending in CANDIDATES:
        return None
    return _KIND.get(ending, "")
