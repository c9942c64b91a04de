#!/bin/sh
# lmr with its local servers, in an environment of its own. deploy/Containerfile runs this, and so do the tests.
#
#   sh deploy/install.sh WHEEL FOLDER [PYTHON]
#
# FOLDER is made: FOLDER/bin/lmr is the command. All that lmr needs is installed in the versions of deploy/locked.txt,
# by their hashes. The servers are fetched into FOLDER/cache and prepared, unless LMR_CACHE names another place; set
# LMR_CACHE=FOLDER/cache when lmr is used later. Nothing is written elsewhere, and no root is needed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
wheel=$1
python=${3:-python3}
mkdir -p "$2"
folder=$(cd "$2" && pwd)

"$python" -m venv "$folder"
pip="$folder/bin/python -m pip --disable-pip-version-check"
$pip install --quiet --no-cache-dir --no-deps --only-binary :all: --require-hashes -r "$here/locked.txt"
$pip install --quiet --no-cache-dir --no-deps "$wheel"
$pip check

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
export LMR_CACHE="${LMR_CACHE:-$folder/cache}" LMR_HOME="$made/.lmr" HOME="$made"
"$folder/bin/lmr" up
"$folder/bin/lmr" down
"$folder/bin/lmr" --version
