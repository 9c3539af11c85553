#!/usr/bin/env python3
"""Refuses calls that have a safer sister, and calls that belong to one place only.

    check_calls.py [ROOT]
"""

import os
import re
import sys

LAYERS = ("common", "schema", "transfer", "verify", "cli")

BANNED = {
    "strcpy": "text_add() or snprintf()",
    "strcat": "text_add() or snprintf()",
    "strncat": "text_addn()",
    "sprintf": "snprintf()",
    "vsprintf": "vsnprintf()",
    "gets": "fgets()",
    "strtok": "strtok_r() or strcspn()",
    "strerror": "err_sys(), or strerror_r()",
    "gmtime": "gmtime_r()",
    "localtime": "localtime_r()",
    "ctime": "clock_iso()",
    "asctime": "clock_iso()",
    "atof": "strtod()",
    "rand": "getrandom()",
    "random": "getrandom()",
    "setjmp": "an error value",
    "longjmp": "an error value",
    "mktemp": "mkstemp()",
    "tmpnam": "mkstemp()",
    "system": "program_run()",
    "popen": "program_run()",
    "alloca": "malloc()",
}
# Library code never prints and never ends the program; a *main.c is a program.
BELOW_CLI = {
    "printf": "an event; only cli/ prints",
    "puts": "an event; only cli/ prints",
    "putchar": "an event; only cli/ prints",
    "perror": "err_sys(); only cli/ prints",
    "exit": "an error value; only cli/ ends the program",
}
CALL = re.compile(r"(?<![\w.>])(\w+)\s*\(")
QUIET = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(found):
    """A comment or a string, emptied, with its line breaks kept."""
    return "\n" * found.group(0).count("\n")


def faults(root, layer):
    for name in sorted(os.listdir(os.path.join(root, layer))):
        if not name.endswith((".c", ".h")):
            continue
        is_program = layer == "cli" or name.endswith("main.c")
        banned = BANNED if is_program else dict(BANNED, **BELOW_CLI)
        with open(os.path.join(root, layer, name), encoding="utf-8") as f:
            code = QUIET.sub(blank, f.read())
        for number, line in enumerate(code.splitlines(), 1):
            for call in CALL.findall(line):
                if call in banned:
                    yield "%s/%s:%d: %s(): use %s" % (layer, name, number, call, banned[call])


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(here))
    found = [fault for layer in LAYERS for fault in faults(root, layer)]
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
