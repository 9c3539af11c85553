#!/usr/bin/env bash
# Installs what building and testing neonferry needs, from the distribution's own packages.
#
#   scripts/setup.sh            install what is missing (root, or a user with sudo)
#   scripts/setup.sh --check    say what is missing, change nothing (exit 1 if anything is)
#
# Debian 12, Debian 13, Ubuntu 24.04. Does nothing, in well under a second, when nothing is
# missing. pgvector is the packaged one where that is at least 0.8.0; else it is built from the
# source package of a newer suite, fetched by apt (which checks the signatures) from the archive
# that apt uses already. Its settings and the clusters that are there are not touched.
set -euo pipefail

readonly MIN_PG=14
readonly MIN_PGVECTOR=0.8.0
readonly CLUSTER_DROPIN=/etc/postgresql-common/createcluster.d/neonferry-setup.conf

# One line a purpose. A name with | is satisfied by any of its alternatives; the first is installed.
readonly PACKAGES="
gcc libc6-dev make clang libclang-rt-dev clang-format clang-tidy
cmake ninja-build pkg-config|pkgconf
libpq-dev libzstd-dev libjansson-dev libxxhash-dev libssl-dev libcurl4-openssl-dev|libcurl4-gnutls-dev
libcmocka-dev
python3 openssl pgbouncer procps util-linux ca-certificates
"

scratch=
dropin_made=

say() { printf 'setup: %s\n' "$*"; }

die() {
	printf 'setup: %s\n' "$*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root or sudo to run: $*"
	fi
}

cleanup() {
	if [ -n "$dropin_made" ]; then
		as_root rm -f "$CLUSTER_DROPIN"
	fi
	if [ -n "$scratch" ]; then
		rm -rf "$scratch"
	fi
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -q --no-install-recommends "$@"
}

# Prints the packages of PACKAGES and of the arguments that are not installed. A package that
# another one provides counts as installed.
missing_packages() {
	local have want alternative found
	have=" $(dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Provides}\n' |
		sed -n 's/^ii  *//p' | sed 's/([^)]*)//g' | tr -s ', \n' ' ') "
	for want in $PACKAGES "$@"; do
		found=
		for alternative in ${want//|/ }; do
			case "$have" in *" $alternative "*) found=1 ;; esac
		done
		[ -n "$found" ] || printf '%s\n' "${want%%|*}"
	done
}

# Prints the newest installed server major >= MIN_PG; nothing if there is none.
installed_major() {
	local dir major best=0
	for dir in /usr/lib/postgresql/*/bin/postgres; do
		[ -x "$dir" ] || continue
		major=${dir#/usr/lib/postgresql/}
		major=${major%%/*}
		case "$major" in *[!0-9]*) continue ;; esac
		[ "$major" -lt "$MIN_PG" ] || [ "$major" -le "$best" ] || best=$major
	done
	[ "$best" -eq 0 ] || printf '%s\n' "$best"
}

# Prints the server major that the metapackage "postgresql" stands for.
packaged_major() {
	apt-cache depends postgresql | sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1
}

vector_version() { # MAJOR
	local control=/usr/share/postgresql/$1/extension/vector.control
	[ ! -f "$control" ] || sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$control"
}

vector_is_good() { # MAJOR
	local have
	have=$(vector_version "$1")
	[ -n "$have" ] && version_at_least "$have" "$MIN_PGVECTOR"
}

version_at_least() { # VERSION MINIMUM
	dpkg --compare-versions "$1" ge "$2"
}

# Debian's server package starts a cluster "main" when it is installed. Nobody asked for one.
without_main_cluster() { # COMMAND...
	apt_install postgresql-common
	as_root mkdir -p "${CLUSTER_DROPIN%/*}"
	dropin_made=1
	printf 'create_main_cluster = false\n' | as_root tee "$CLUSTER_DROPIN" >/dev/null
	"$@"
	as_root rm -f "$CLUSTER_DROPIN"
	dropin_made=
}

install_packages() {
	local major
	say "updating package lists"
	as_root apt-get update -q
	major=$(installed_major)
	if [ -z "$major" ]; then
		major=$(packaged_major)
		[ -n "$major" ] || die "this distribution has no package postgresql"
		[ "$major" -ge "$MIN_PG" ] || die "PostgreSQL $major is too old; need $MIN_PG or newer"
		say "installing PostgreSQL $major"
		without_main_cluster apt_install "postgresql-$major"
	fi
	# shellcheck disable=SC2046 # one word a package
	set -- $(missing_packages "postgresql-server-dev-$major")
	if [ $# -gt 0 ]; then
		say "installing $*"
		apt_install "$@"
	fi
}

# Runs apt-get with source list, lists and caches of its own below $scratch.
private_apt() {
	as_root apt-get -q \
		-o Dir::Etc::sourcelist="$scratch/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::State::lists="$scratch/lists" \
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= "$@"
}

# Prints the address of the archive that apt takes the installed release from.
archive() { # CODENAME
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
		awk -v release="$1" '$1 == release { print $2; exit }'
}

# Prints keyring, component and newer suites to try, best first, for this distribution.
source_suites() { # ID
	case "$1" in
	debian) echo /usr/share/keyrings/debian-archive-keyring.gpg main trixie forky sid ;;
	ubuntu) echo /usr/share/keyrings/ubuntu-archive-keyring.gpg universe resolute questing plucky ;;
	*) die "no known source of pgvector $MIN_PGVECTOR for distribution $1: install it by hand" ;;
	esac
}

# Downloads the source of pgvector, without the distribution's packaging, to $scratch/source.
fetch_pgvector() {
	local id codename uri keyring component suite
	# shellcheck disable=SC1091
	id=$(. /etc/os-release && echo "$ID")
	# shellcheck disable=SC1091
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	uri=$(archive "$codename")
	[ -n "$uri" ] || die "apt knows no archive for $codename; is it configured?"
	# shellcheck disable=SC2046 # words
	set -- $(source_suites "$id")
	keyring=$1 component=$2
	shift 2
	[ -f "$keyring" ] || apt_install "$id-archive-keyring"
	for suite in "$@"; do
		say "looking for the source of pgvector in $suite"
		printf 'deb-src [signed-by=%s] %s %s %s\n' "$keyring" "$uri" "$suite" "$component" \
			>"$scratch/sources.list"
		rm -rf "$scratch/lists" "$scratch/source"
		mkdir -p "$scratch/lists/partial" "$scratch/source"
		if private_apt update && (cd "$scratch/source" &&
			private_apt source --tar-only pgvector) && good_source; then
			return 0
		fi
	done
	die "found no pgvector >= $MIN_PGVECTOR as a source package"
}

good_source() {
	local version
	version=$(basename "$scratch"/source/pgvector_*.orig.tar.gz .orig.tar.gz)
	version=${version#pgvector_}
	[ "$version" != '*' ] && version_at_least "$version" "$MIN_PGVECTOR"
}

build_pgvector() { # MAJOR
	local config=/usr/lib/postgresql/$1/bin/pg_config
	say "building pgvector for PostgreSQL $1"
	(
		mkdir "$scratch/tree"
		cd "$scratch"
		tar xzf source/pgvector_*.orig.tar.gz -C tree --strip-components=1
		# No -march=native: pgvector chooses its fast paths at run time.
		make -s -C tree -j2 OPTFLAGS= with_llvm=no PG_CONFIG="$config" >"$scratch/make.log" 2>&1 ||
			{ tail -n 30 "$scratch/make.log" >&2; exit 1; }
		as_root make -s -C tree with_llvm=no PG_CONFIG="$config" install >/dev/null
	)
}

install_pgvector() { # MAJOR
	local candidate
	candidate=$(apt-cache policy "postgresql-$1-pgvector" | sed -n 's/ *Candidate: *//p')
	case "$candidate" in
	"" | "(none)") ;;
	*)
		if version_at_least "${candidate%%-*}" "$MIN_PGVECTOR"; then
			apt_install "postgresql-$1-pgvector"
			return 0
		fi
		;;
	esac
	scratch=$(mktemp -d)
	chmod 755 "$scratch"
	fetch_pgvector
	build_pgvector "$1"
}

# Prints what is missing, one thing a line.
missing_things() {
	local major
	major=$(installed_major)
	if [ -z "$major" ]; then
		echo postgresql
		missing_packages
		return 0
	fi
	missing_packages "postgresql-server-dev-$major"
	vector_is_good "$major" || echo "pgvector>=$MIN_PGVECTOR"
}

main() {
	local missing major
	command -v dpkg-query >/dev/null || die "only Debian and Ubuntu are supported"
	missing=$(missing_things)
	[ -n "$missing" ] || return 0
	if [ "${1:-}" = --check ]; then
		printf '%s\n' "$missing"
		return 1
	fi
	trap cleanup EXIT
	case "$missing" in
	pgvector*) ;;
	*) install_packages ;;
	esac
	major=$(installed_major)
	vector_is_good "$major" || install_pgvector "$major"
	vector_is_good "$major" || die "pgvector $MIN_PGVECTOR could not be installed"
	say "ready: PostgreSQL $major, pgvector $(vector_version "$major")"
}

main "$@"
