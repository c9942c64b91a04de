"""What lmr writes outside of a collection's folder, so that nothing of the user's is ever removed or replaced.

owned    what tells lmr's own files: a mark in pictures, the list in a page's folder of pictures
listed   the list of what lmr wrote, kept in each folder that it wrote to
refuse   what is not lmr's stays as it is, which is told before any work
write    the new is made beside it, hidden, and moved into place when it is complete
tree     a folder that is lmr's own as a whole, such as one of links to photos
naming   names that are names on every system
"""

from lmr.outputs.listed import LIST, is_ours
from lmr.outputs.naming import numbered, safe
from lmr.outputs.owned import MANIFEST, MARK, made_by_lmr, marked
from lmr.outputs.refuse import Ours, check, check_page, folder_of, never
from lmr.outputs.tree import Content, Kept, Link, check_tree, is_lmr_folder, write_tree
from lmr.outputs.write import forget, put, remove, replacing, replacing_page, write_page

__all__ = [
    "LIST",
    "MANIFEST",
    "MARK",
    "Content",
    "Kept",
    "Link",
    "Ours",
    "check",
    "check_page",
    "check_tree",
    "folder_of",
    "forget",
    "is_lmr_folder",
    "is_ours",
    "made_by_lmr",
    "marked",
    "never",
    "numbered",
    "put",
    "remove",
    "replacing",
    "replacing_page",
    "safe",
    "write_page",
    "write_tree",
]
