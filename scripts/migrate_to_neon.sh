#!/usr/bin/env bash
# Moves the local database to Neon: a thin front of "neonferry run".
#
#   export NEON_DATABASE_URL='postgresql://user:password@host/dbname?sslmode=require'
#   scripts/migrate_to_neon.sh [options of neonferry run...]
#
# Variables: NEON_DATABASE_URL (required); LOCAL_DB_USER (postgres), LOCAL_DB_NAME (chat_pgvector),
# LOCAL_DB_HOST (localhost), LOCAL_DB_PORT (5432). Passwords: in NEON_DATABASE_URL, in ~/.pgpass or
# in PGPASSWORD (the local one). NEONFERRY names the program to use.
#
# neonferry reads the variables itself, so that no password is ever an argument.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)

case "${1:-}" in
-h | --help)
	sed -n '2,/^set/p' "$0" | sed -n 's/^# \{0,1\}//p'
	exit 0
	;;
esac

# Prints the program: $NEONFERRY, the one built here, or the installed one.
program() {
	if [ -n "${NEONFERRY:-}" ]; then
		printf '%s\n' "$NEONFERRY"
	elif [ -x "$here/build/neonferry" ]; then
		printf '%s\n' "$here/build/neonferry"
	else
		command -v neonferry
	fi
}

if [ -z "${NEON_DATABASE_URL:-}" ]; then
	echo "migrate_to_neon: NEON_DATABASE_URL is not set" >&2
	echo "hint: export NEON_DATABASE_URL='postgresql://user:password@host/dbname?sslmode=require'" >&2
	exit 2
fi

export LOCAL_DB_USER=${LOCAL_DB_USER:-postgres}
export LOCAL_DB_NAME=${LOCAL_DB_NAME:-chat_pgvector}
export LOCAL_DB_HOST=${LOCAL_DB_HOST:-localhost}
export LOCAL_DB_PORT=${LOCAL_DB_PORT:-5432}
# These would be preferred to the four above, and would name another source.
unset SOURCE_DATABASE_URL

if ! neonferry=$(program); then
	echo "migrate_to_neon: no neonferry found" >&2
	echo "hint: build it: cmake -B build && cmake --build build" >&2
	exit 2
fi
exec "$neonferry" run "$@"
