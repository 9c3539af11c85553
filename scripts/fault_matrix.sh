#!/usr/bin/env bash
# Breaks everything that can break while a database is moved, and counts what was lost.
#
#   scripts/fault_matrix.sh               the short form, some minutes
#   scripts/fault_matrix.sh --full        the large counts, two to three hours
#   scripts/fault_matrix.sh --kills 50 --only kills --seed 7
#   scripts/fault_matrix.sh --pgcopydb    also the packaged pgcopydb, where it is installed
#
# Prints a table. Exits 0 only if nothing was lost, doubled or different and every run came to its
# end. NEONFERRY names the program (build/neonferry). Mounting the small disk needs root.
set -euo pipefail

cd "$(dirname "$0")/.."
export NEONFERRY=${NEONFERRY:-$PWD/build/neonferry}

case "${1:-}" in
-h | --help)
	sed -n '2,/^set/p' "$0" | sed -n 's/^# \{0,1\}//p'
	;;
esac
exec python3 -B tests/faults/matrix.py "$@"
