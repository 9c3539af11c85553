#!/usr/bin/env python3
"""A source and a target that stay up, for trying things by hand and for scripts.

    lab.py start [--dir D] [--json]     make and start both, print URIs
        --migrations [--dimensions N]   apply the shipped schema to the source
        --source-db NAME --target-db NAME --conf SETTING=VALUE...
    lab.py stop --dir D [--keep]        stop both, remove D unless --keep
    lab.py psql --dir D source|target [ARGUMENTS of psql...]    as superuser, by the unix socket
    lab.py get --dir D KEY.KEY          one value of lab.json, for example target.uri_without_password

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
    conf = dict(setting.split("=", 1) for setting in args.conf)
    source = make_source(base + "/source", db=args.source_db, detached=True, conf=conf,
                         migrations=args.migrations, dimensions=args.dimensions)
    try:
        target = make_target(base + "/target", db=args.target_db, detached=True, conf=conf)
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


def read(base):
    with open(os.path.join(base, "lab.json")) as f:
        return json.load(f)


def psql(args):
    uri = read(args.dir)[args.which]["superuser_uri"]
    os.execvp("psql", ["psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", uri] + args.arguments)


def get(args):
    value = read(args.dir)
    for key in args.key.split("."):
        value = value[key]
    print(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    p = commands.add_parser("start")
    p.add_argument("--dir")
    p.add_argument("--json", action="store_true")
    p.add_argument("--migrations", action="store_true")
    p.add_argument("--dimensions", type=int)
    p.add_argument("--source-db", default="chat_pgvector")
    p.add_argument("--target-db", default="neondb")
    p.add_argument("--conf", nargs="*", default=[], metavar="SETTING=VALUE")
    p.set_defaults(call=start)
    p = commands.add_parser("stop")
    p.add_argument("--dir", required=True)
    p.add_argument("--keep", action="store_true")
    p.set_defaults(call=stop)
    p = commands.add_parser("psql")
    p.add_argument("--dir", required=True)
    p.add_argument("which", choices=NAMES)
    p.add_argument("arguments", nargs=argparse.REMAINDER)
    p.set_defaults(call=psql)
    p = commands.add_parser("get")
    p.add_argument("--dir", required=True)
    p.add_argument("key")
    p.set_defaults(call=get)
    args = parser.parse_args()
    args.call(args)


if __name__ == "__main__":
    main()
