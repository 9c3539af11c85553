#!/usr/bin/env python3
"""Names and values chosen to hurt: quotes, newlines, backslashes, dollars, percent signs, paths, 63 bytes of
Unicode. They are moved as they are; nothing in them runs as SQL or reaches out of the run folder."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from ferry import rows_of  # noqa: E402
from neonlab import MoveCase  # noqa: E402

LONG = "ü" * 31 + "x"  # 63 bytes
EVIL = ["o'clock", 'say "hi"', "new\nline\r\ttab", "back\\slash\\", "$$; DROP TABLE kept; --$$", "%s%n%d",
        "../../escaped", "/tmp/escaped", "'; DROP TABLE kept; --", '"; DROP TABLE kept; --', "{}", "E'\\x41'", ":'v' :v", "select",
        "a;b", "履歴書 \U0001F680", LONG, " lead and trail "]


def name(text):
    return '"%s"' % text.replace('"', '""')


def literal(text):
    return "'%s'" % text.replace("'", "''")


class Names(MoveCase):
    documents = 50

    def fill(self, pair):
        sql = ["CREATE TABLE public.kept (a int); INSERT INTO public.kept VALUES (1);"]
        for i, text in enumerate(EVIL):
            table = "%s.%s" % (name(text), name(text))
            sql.append("CREATE SCHEMA %s; CREATE TABLE %s (%s int PRIMARY KEY, %s text); INSERT INTO %s VALUES (%d, %s);"
                       % (name(text), table, name(text), name("v" + text[:20]), table, i, literal(text)))
            sql.append("INSERT INTO public.vector_documents (collection_name, content) VALUES (%s, 'x'), (%s, 'y');"
                       % (literal(text), literal(text * 3)))
        pair.sql("\n".join(sql))

    def test_they_arrive_and_nothing_escapes(self):
        with self.lab.pair() as pair:
            self.fill(pair)
            outside = set(os.listdir(pair.base)) | set(os.listdir("/tmp"))
            ferry = pair.begin("--workers", "5")
            ferry.wait()
            pair.check(self, ferry)
            with pair.source.session(db=pair.name) as session:
                self.assertEqual(rows_of(session), pair.judge.target_rows())
            self.assertEqual(pair.ep.value("SELECT count(*) FROM public.kept", db=pair.name), "1")
            new = (set(os.listdir(pair.base)) | set(os.listdir("/tmp"))) - outside
            self.assertFalse([n for n in new if "escaped" in n], new)
            for folder, folders, files in os.walk(pair.run_dir):
                for path in folders + files:
                    mode = os.stat(os.path.join(folder, path)).st_mode & 0o777
                    self.assertIn(mode, (0o700, 0o600), "%s: %o" % (path, mode))

    def test_they_are_resumed_after_a_kill(self):
        with self.lab.pair() as pair:
            self.fill(pair)
            pair.ep.rate, before = 1e6, pair.ep.messages["c"]
            ferry = pair.start("run", "--chunk-size", "64K", "--memory", "16M")
            self.assertTrue(ferry.until(lambda: pair.ep.messages["c"] >= before + 5), ferry.text)
            ferry.kill()
            pair.ep.rate = None
            pair.check(self, pair.resume())

    def test_a_role_and_a_database_with_such_names(self):
        role, db = "r'o\"l e", 'd\'b "x" %41 \\'
        with self.lab.pair() as pair:
            pair.source.create_database(db.replace('"', '""'), options="TEMPLATE filled")
            pair.ep.psql("CREATE ROLE %s LOGIN PASSWORD %s IN ROLE neon_superuser" % (name(role), literal(role)),
                         db="postgres")
            pair.ep.psql("CREATE DATABASE %s OWNER %s" % (name(db), name(role)), db="postgres")
            ferry = pair.start("run", source=pair.source.uri(db=db), judge=False,
                               target=pair.ep.uri(db=db, user=role, password=role))
            ferry.wait()
            self.assertEqual(ferry.status, 0, ferry.text[-2000:])
            ask = "SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM public.vector_documents t"
            self.assertEqual(pair.source.psql(ask, db=db), pair.ep.psql(ask, db=db))


if __name__ == "__main__":
    unittest.main()
