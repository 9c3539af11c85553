#!/usr/bin/env python3
"""Refuses an include that points upwards, sideways, or that does not say its folder.

    check_layers.py [ROOT]

Calls are held by the linker (each folder is a library over lower ones); an include of a header
that only has types in it would pass there, so it is refused here.
"""

import os
import re
import sys

MAY_INCLUDE = {
    "common": {"common"},
    "schema": {"schema", "common"},
    "transfer": {"transfer", "schema", "common"},
    "verify": {"verify", "schema", "common"},
    "cli": {"cli", "transfer", "verify", "schema", "common"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def sources(folder):
    for base, _, names in os.walk(folder):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                yield os.path.join(base, name)


def faults(root, layer):
    for path in sources(os.path.join(root, layer)):
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                folder = found.group(1).split("/")[0] if "/" in found.group(1) else ""
                if folder not in MAY_INCLUDE[layer]:
                    reason = "%s may not include %s" % (layer, folder or "without a folder")
                    yield "%s:%d: %s: %s" % (os.path.relpath(path, root), number, line.strip(), reason)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(here))
    found = [fault for layer in MAY_INCLUDE for fault in faults(root, layer)]
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
