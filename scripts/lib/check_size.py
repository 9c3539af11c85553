#!/usr/bin/env python3
"""Refuses functions of more than 80 lines (160 in tests) and source files of more than 700.

    check_size.py [ROOT]

The house aims at less (10 to 20 lines a function, 600 a file); these are the hard limits. Function
lengths come from universal ctags; without it only files are measured, and the exit status is 77.
"""

import json
import os
import shutil
import subprocess
import sys

MAX_FUNCTION = 80
MAX_TEST_FUNCTION = 160  # a test may hold its table of cases
MAX_FILE = 700
FOLDERS = ("common", "schema", "transfer", "verify", "cli", "tests", "benchmarks")


def sources(root):
    for folder in FOLDERS:
        for base, _, names in os.walk(os.path.join(root, folder)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(base, name), root)


def long_files(root, paths):
    for path in paths:
        with open(os.path.join(root, path), encoding="utf-8") as f:
            lines = sum(1 for _ in f)
        if lines > MAX_FILE:
            yield "%s: %d lines, at most %d" % (path, lines, MAX_FILE)


def long_functions(root, paths):
    command = ["ctags", "--output-format=json", "--languages=C", "--langmap=C:.c.h", "--kinds-C=f",
               "--fields=+ne", "-f", "-", "-L", "-"]
    out = subprocess.run(command, cwd=root, input="\n".join(paths), text=True, check=True,
                         stdout=subprocess.PIPE).stdout
    for line in out.splitlines():
        tag = json.loads(line)
        if tag.get("_type") != "tag" or "end" not in tag:
            continue
        lines = tag["end"] - tag["line"] + 1
        most = MAX_TEST_FUNCTION if tag["path"].startswith("tests/") else MAX_FUNCTION
        if lines > most:
            yield "%s:%d: %s() has %d lines, at most %d" % (
                tag["path"], tag["line"], tag["name"], lines, most)


def has_ctags():
    if not shutil.which("ctags"):
        return False
    version = subprocess.run(["ctags", "--list-features"], text=True, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return any(line.split()[:1] == ["json"] for line in version.stdout.splitlines())


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(here))
    paths = list(sources(root))
    found = list(long_files(root, paths))
    measured = has_ctags()
    if measured:
        found += long_functions(root, paths)
    for fault in found:
        print(fault)
    if found:
        sys.exit(1)
    if not measured:
        print("universal ctags is missing: functions were not measured")
        sys.exit(77)


if __name__ == "__main__":
    main()
