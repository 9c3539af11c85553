"""A disk that fails as a test wants it to: the library of tests/support/preload/badio.c in front of the
program.

    ferry = pair.start("run", env=badio("pwrite EIO /spill/ 3 1"))
"""

import os

from cluster import REPO


def library():
    path = os.path.join(os.environ.get("NEONFERRY_BUILD") or os.path.join(REPO, "build-debug"), "tests", "badio.so")
    if not os.path.exists(path):
        raise RuntimeError("no %s: set NEONFERRY_BUILD" % path)
    return path


def badio(*rules):
    """Environment for a process whose calls meet these rules."""
    asan = os.environ.get("ASAN_OPTIONS", "")
    return {"LD_PRELOAD": library(), "BADIO": ";".join(rules),
            "ASAN_OPTIONS": (asan + ":" if asan else "") + "verify_asan_link_order=0"}
