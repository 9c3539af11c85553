#!/usr/bin/env bash
# Builds and tests neonferry in every way that counts.
#
#   scripts/test.sh                 everything
#   scripts/test.sh --quick         one debug build, unit and integration tests
#   scripts/test.sh STEP...         these steps only
#
# Steps: layers   includes point downwards only
#        debug    gcc, unit tests and the command line
#        plain    gcc without sanitizers, all tests; only when named, for asan runs the same ones
#        release  gcc, optimised, no warnings
#        clang    clang, no warnings
#        asan     gcc with address and undefined behaviour sanitizers, all tests
#        tsan     clang with thread sanitizer, unit tests and kills
#        fuzz     clang's fuzzer, 5 seconds on each parser, the same inputs each time; with
#                 NEONFERRY_FUZZ_SECONDS=N others each time, for N seconds
#        tidy     clang-tidy over everything
#
# Every step runs, also after one failed; the exit status is 0 only if none did. NEONFERRY_JOBS is
# the number of jobs at once (default: the processors).
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
readonly ALL="layers release clang debug asan tsan fuzz tidy"
readonly JOBS=${NEONFERRY_JOBS:-$(nproc)}
# Clang's older sanitizer run times do not survive the widest address randomisation.
no_aslr=
if setarch -R true 2>/dev/null; then no_aslr="setarch -R"; fi

usage() {
	sed -n '2,/^set/p' "$0" | sed -n 's/^# \{0,1\}//p'
}

# Runs a command quietly; shows the end of what it said if it fails.
quietly() { # COMMAND...
	local log status=0
	log=$(mktemp)
	"$@" >"$log" 2>&1 || status=$?
	[ "$status" -eq 0 ] || { grep -E 'error:|Error' "$log" | head -n 20; tail -n 40 "$log"; }
	rm -f "$log"
	return "$status"
}

build() { # PRESET
	quietly cmake --preset "$1" && quietly cmake --build --preset "$1" -j "$JOBS"
}

# Runs ctest in a preset's folder and prints its closing lines, or every failed test's output.
tests() { # PRESET [ctest arguments...]
	local log status=0 preset=$1
	shift
	log=$(mktemp)
	# shellcheck disable=SC2086 # no_aslr is words
	# Once more where a test failed: a shared machine stalls, and tests with real servers have deadlines.
	(cd "build-$preset" && $no_aslr ctest --output-on-failure --no-tests=error --repeat until-pass:2 \
		-j "$JOBS" "$@") \
		>"$log" 2>&1 || status=$?
	if [ "$status" -ne 0 ]; then
		grep -vE '^ *[0-9]+/[0-9]+ Test.*Passed|^ *Start +[0-9]+' "$log" | tail -n 200
	else
		sed -n '/tests passed/,$p' "$log"
	fi
	rm -f "$log"
	return "$status"
}

step_layers() {
	python3 -B scripts/lib/check_layers.py
}

step_debug() {
	build debug && tests debug -E '^(integration|faults)\.' &&
		tests debug -R '^integration\.(cli|cli_docs)$'
}

step_plain() {
	build debug && tests debug "$@"
}

step_release() {
	build release
}

step_clang() {
	build clang
}

step_asan() {
	export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:abort_on_error=1
	export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
	build asan && tests asan
}

step_tsan() {
	# libpq and OpenSSL are not instrumented: what they do inside is not judged.
	export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:ignore_noninstrumented_modules=1
	build tsan && tests tsan -R '^unit\.|^integration\.kills$'
}

# Each parser for some seconds, from its kept inputs on.
step_fuzz() {
	quietly cmake --preset fuzz -DNEONFERRY_FUZZ_SECONDS="${NEONFERRY_FUZZ_SECONDS:-}" &&
		quietly cmake --build --preset fuzz -j "$JOBS" --target fuzzers && tests fuzz -L fuzz
}

step_tidy() {
	if [ ! -f .clang-tidy ]; then
		echo "no .clang-tidy: skipped"
		return 0
	fi
	quietly cmake --preset clang || return 1
	local log status=0
	log=$(mktemp)
	find common schema transfer verify cli -name '*.c' -print0 |
		xargs -0 -n 4 -P "$JOBS" clang-tidy -p build-clang --quiet --warnings-as-errors='*' \
			>"$log" 2>&1 || status=$?
	# Without the notes that lead to each; clang-tidy on the file named shows them.
	[ "$status" -eq 0 ] || grep -E ' (error|warning): |^error' "$log" | sort -u
	rm -f "$log"
	return "$status"
}

step_quick() {
	step_layers && step_plain -E '^faults\.'
}

# Runs a step in a shell of its own, so that its settings end with it.
run_step() { # STEP
	local began=$SECONDS status=0
	printf '== %s\n' "$1"
	("step_$1") || status=$?
	if [ "$status" -eq 0 ]; then
		printf '== %s: ok, %d s\n' "$1" $((SECONDS - began))
	else
		printf '== %s: FAILED, %d s\n' "$1" $((SECONDS - began))
	fi
	return "$status"
}

main() {
	local step failed=
	case "${1:-}" in
	-h | --help)
		usage
		return 0
		;;
	--quick) set -- quick ;;
	"")
		# shellcheck disable=SC2086 # words
		set -- $ALL
		;;
	esac
	for step in "$@"; do
		if ! declare -F "step_$step" >/dev/null; then
			printf 'test: unknown step %s (try --help)\n' "$step" >&2
			return 2
		fi
	done
	scripts/setup.sh || return 1
	for step in "$@"; do
		run_step "$step" || failed="$failed $step"
	done
	if [ -n "$failed" ]; then
		printf 'test: failed:%s\n' "$failed"
		return 1
	fi
	printf 'test: all passed: %s (%d s)\n' "$*" "$SECONDS"
}

main "$@"
