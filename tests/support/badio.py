"""A disk that fails and a clock that jumps as a test wants them to: the libraries of tests/support/preload in
front of the program.

    ferry = pair.start("run", env=badio("pwrite EIO /spill/ 3 1"))
    ferry = pair.start("run", env=badclock(path))       # path: a file with seconds
"""

import os

from cluster import REPO


def _library(name):
    path = os.path.join(os.environ.get("NEONFERRY_BUILD") or os.path.join(REPO, "build-debug"), "tests", name)
    if not os.path.exists(path):
        raise RuntimeError("no %s: set NEONFERRY_BUILD" % path)
    return path


def _before(name, **settings):
    asan = os.environ.get("ASAN_OPTIONS", "")
    return dict(settings, LD_PRELOAD=_library(name), ASAN_OPTIONS=(asan + ":" if asan else "") + "verify_asan_link_order=0")


def badio(*rules):
    """Environment for a process whose calls meet these rules."""
    return _before("badio.so", BADIO=";".join(rules))


def badclock(path):
    """Environment for a process whose time of day is the seconds in this file ahead."""
    return _before("badclock.so", BADCLOCK=path)
