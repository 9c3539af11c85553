#!/usr/bin/env python3
"""A source and a target that stay up, for trying things by hand and for scripts.

    lab.py start --dir D [--json] [--migrations] [--dimensions N]   make and start both, print URIs
    lab.py stop --dir D [--keep]                                    stop both, remove D unless --keep
    lab.py psql --dir D (source|target) [SQL]                       SQL, or standard input, by a superuser

D/lab.json (mode 0600) holds what start printed. D/passfile (0600) holds the passwords, in the form
of ~/.pgpass: use PGPASSFILE=D/passfile with the URIs that have none.
"""

import argparse
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import Cluster, make_dir, make_source, make_target  # noqa: E402

NAMES = ("source", "target")


def private_file(path, text):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        f.write(text)


def describe(c):
    def escape(s):
        return s.replace("\\", "\\\\").replace(":", "\\:")

    bare = c.uri(password="")
    entry = {"uri": c.uri(), "uri_without_password": bare, "superuser_uri": c.socket_uri(),
             "host": c.host, "port": c.port, "user": c.user, "db": c.db, "ca": c.ca,
             "data": c.data, "log": c.log}
    line = "%s:%d:*:%s:%s\n" % (c.host, c.port, c.user, escape(c.password)) if c.password else ""
    return entry, line


def start(args):
    base = os.path.abspath(args.dir) if args.dir else make_dir("neonferry-lab-")
    os.makedirs(base, exist_ok=True)
    source = make_source(base + "/source", detached=True, migrations=args.migrations,
                         dimensions=args.dimensions)
    try:
        target = make_target(base + "/target", detached=True)
    except BaseException:
        source.destroy()
        raise
    lab, passwords = {"dir": base, "passfile": base + "/passfile"}, ""
    for name, c in zip(NAMES, (source, target)):
        lab[name], line = describe(c)
        passwords += line
    private_file(lab["passfile"], passwords)
    private_file(base + "/lab.json", json.dumps(lab, indent=1) + "\n")
    if args.json:
        print(json.dumps(lab))
    else:
        print("source  %s\ntarget  %s\n(superuser of the target: %s)" % (
            lab["source"]["uri"], lab["target"]["uri"], lab["target"]["superuser_uri"]))


def stop(args):
    base = os.path.abspath(args.dir)
    for name in NAMES:
        c = Cluster(os.path.join(base, name))
        if args.keep:
            c.stop("fast")
        else:
            c.destroy()
    if not args.keep:
        shutil.rmtree(base, ignore_errors=True)


def psql(args):
    with open(os.path.join(args.dir, "lab.json")) as f:
        uri = json.load(f)[args.which]["superuser_uri"]
    argv = ["psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", uri]
    os.execvp("psql", argv + (["-c", args.sql] if args.sql else []))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    p = commands.add_parser("start")
    p.add_argument("--dir")
    p.add_argument("--json", action="store_true")
    p.add_argument("--migrations", action="store_true")
    p.add_argument("--dimensions", type=int)
    p.set_defaults(call=start)
    p = commands.add_parser("stop")
    p.add_argument("--dir", required=True)
    p.add_argument("--keep", action="store_true")
    p.set_defaults(call=stop)
    p = commands.add_parser("psql")
    p.add_argument("--dir", required=True)
    p.add_argument("which", choices=NAMES)
    p.add_argument("sql", nargs="?")
    p.set_defaults(call=psql)
    args = parser.parse_args()
    args.call(args)


if __name__ == "__main__":
    main()
