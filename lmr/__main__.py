"""`python -m lmr` is the command `lmr`."""

from lmr.cli import main

main()
