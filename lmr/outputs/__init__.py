"""What lmr writes outside of a collection's folder, so that nothing of the user's is ever removed or replaced.

owned    what tells lmr's own files: a mark in pictures, the list in a page's folder of pictures
listed   the list of what lmr wrote, kept in each folder that it wrote to
refuse   what is not lmr's stays as it is, which is told before any work
write    the new is made beside it, hidden, and moved into place when it is complete
"""

from lmr.outputs.listed import LIST, is_ours
from lmr.outputs.owned import MANIFEST, MARK, is_lmr_folder, made_by_lmr, marked
from lmr.outputs.refuse import Ours, check, check_page, folder_of, never
from lmr.outputs.write import forget, put, remove, replacing, replacing_page, write_page

__all__ = [
    "LIST",
    "MANIFEST",
    "MARK",
    "Ours",
    "check",
    "check_page",
    "folder_of",
    "forget",
    "is_lmr_folder",
    "is_ours",
    "made_by_lmr",
    "marked",
    "never",
    "put",
    "remove",
    "replacing",
    "replacing_page",
    "write_page",
]
