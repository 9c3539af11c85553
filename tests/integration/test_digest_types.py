"""For every type: the digest of the COPY stream, the server's own, and the one in another server
that got the rows by COPY and numbers its types differently, are one and the same."""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import bindir, make_source, psql_env  # noqa: E402

TOOL = os.path.join(os.environ.get("NEONFERRY_BUILD", "build"), "tests", "digest_tool")
EXTENSIONS = ["hstore", "citext", "ltree", "vector", "cube", "seg", "isn", "lo"]

TYPES = r"""
CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'very happy', 'mäßig');
CREATE DOMAIN public.posint AS int CHECK (VALUE > 0);
CREATE DOMAIN public.small AS public.posint CHECK (VALUE < 100);
CREATE DOMAIN public.code AS char(5);
CREATE DOMAIN public.feeling AS public.mood;
CREATE DOMAIN public.ints AS int[];
CREATE DOMAIN public.emb AS vector(3);
CREATE DOMAIN public.label AS citext;
CREATE TYPE public.pair AS (a int, b text);
CREATE TYPE public.deep AS (p public.pair, m public.mood, d public.small, v vector(2), n numeric[]);
CREATE DOMAIN public.goodpair AS public.pair;
CREATE TYPE public.with_class AS (a int, c regclass);
CREATE TYPE public.floats AS RANGE (subtype = float8, multirange_type_name = public.floats_multi);
CREATE TYPE public.moods AS RANGE (subtype = public.mood, multirange_type_name = public.moods_multi);
CREATE TYPE public.pairs AS RANGE (subtype = public.pair);
CREATE TYPE public."Odd Type" AS ENUM ('a', 'B"c');
"""

# name: (type, values in SQL). Each table also gets a row of NULL.
BINARY = {
    "bool": ("bool", "true", "false"),
    "char1": ('"char"', "'x'", "''", r"'\300'"),
    "name": ("name", "'a name'", "'größe'"),
    "bpchar": ("char(7)", "'ab'", "'ab     '", "''"),
    "varchar": ("varchar(9)", "'ab '", "''"),
    "text": ("text", "'ünï☃ \U0001f600'", r"E'tab\tnl\ncr\rbs\\ \\N'", "''", "repeat('long', 300000)",
             r"'\.'", "'NULL'"),
    "bytea": ("bytea", r"'\x00ff5c6e'", "''"),
    "int2": ("int2", "-32768", "7"),
    "int4": ("int4", "-2147483648", "7"),
    "int8": ("int8", "9223372036854775807"),
    "float4": ("float4", "1.1", "'NaN'", "'-Infinity'", "-0.0::float4", "1e-40"),
    "float8": ("float8", "0.1", "'NaN'", "'Infinity'", "'-0'", "5e-324"),
    "numeric": ("numeric", "1.0", "1.00", "'NaN'", "'Infinity'", "-12345678901234567890.123456789"),
    "numeric_typmod": ("numeric(10,3)", "1.5"),
    "money": ("money", "'-1234567.89'::numeric::money"),
    "date": ("date", "'infinity'", "'0044-03-15 BC'", "'2026-11-21'"),
    "time": ("time", "'23:59:59.999999'", "'24:00'"),
    "timetz": ("timetz", "'12:00:00.5+05:45'"),
    "timestamp": ("timestamp", "'-infinity'", "'2026-11-21 01:02:03.456789'"),
    "timestamptz": ("timestamptz", "'infinity'", "'2026-11-21 01:02:03.456789+03'"),
    "interval": ("interval", "'1 month'", "'30 days'", "'-1 year 2 days -03:04:05.6'"),
    "uuid": ("uuid", "'c0ffee00-0000-4000-8000-00000000abcd'"),
    "inet": ("inet", "'10.1.2.3/8'", "'10.1.2.3'", "'::1/64'"),
    "cidr": ("cidr", "'10.0.0.0/8'", "'2001:db8::/32'"),
    "macaddr": ("macaddr", "'08:00:2b:01:02:03'"),
    "macaddr8": ("macaddr8", "'08:00:2b:01:02:03:04:05'"),
    "bit": ("bit(5)", "B'10101'"),
    "varbit": ("varbit", "B'1'", "B''", "B'101010101'"),
    "point": ("point", "'(1.5,-0)'"),
    "line": ("line", "'{1,2,3}'"),
    "lseg": ("lseg", "'[(0,0),(1,1)]'"),
    "box": ("box", "'(3,4),(1,2)'"),
    "path": ("path", "'[(0,0),(1,1)]'", "'((0,0),(1,1),(2,0))'"),
    "polygon": ("polygon", "'((0,0),(1,1),(2,0))'"),
    "circle": ("circle", "'<(1,2),3>'"),
    "json": ("json", """'{"b":1, "a" : [1,2]}'""", "'null'"),
    "jsonb": ("jsonb", """'{"b":1.0,"a":"\u2603"}'""", "'null'", "'[]'"),
    "jsonpath": ("jsonpath", "'$.a[*] ? (@ > 1)'"),
    "xml": ("xml", "'<a b=\"c\">ü</a>'", "'<?xml version=\"1.0\"?><x/>'",
            "'<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><x>ß</x>'", "'text only'"),
    "tsvector": ("tsvector", "to_tsvector('english', 'The quick brown foxes, the quick one')",
                 "'a:1A b:2B,3'", "''"),
    "tsquery": ("tsquery", "'a & !b <-> c:*AB | d'"),
    "oid": ("oid", "4294967295"),
    "xid": ("xid", "'4294967295'"),
    "xid8": ("xid8", "'18446744073709551615'"),
    "cid": ("cid", "'7'"),
    "tid": ("tid", "'(4294967295,65535)'"),
    "pg_lsn": ("pg_lsn", "'16/B374D848'"),
    "pg_snapshot": ("pg_snapshot", "'10:20:10,14,15'"),
    "txid_snapshot": ("txid_snapshot", "'10:20:10,14,15'"),
    "refcursor": ("refcursor", "'c'"),
    "int4range": ("int4range", "'[1,5)'", "'empty'", "'(,)'"),
    "numrange": ("numrange", "'[1.0,1.00]'"),
    "tstzrange": ("tstzrange", "'[2026-01-01 00:00Z,)'"),
    "int4multirange": ("int4multirange", "'{[1,3),[7,9)}'", "'{}'"),
    "tstzmultirange": ("tstzmultirange", "'{[2026-01-01 00:00Z,2026-02-01 00:00Z)}'"),
    "int_array": ("int[]", "'{1,NULL,3}'", "'{}'", "'[5:6]={1,2}'", "'{{1,2},{3,4}}'"),
    "text_array": ("text[]", "ARRAY['a,b', '\"', NULL, 'NULL', '']"),
    "uuid_array": ("uuid[]", "'{c0ffee00-0000-4000-8000-00000000abcd}'"),
    "range_array": ("int4range[]", "ARRAY['[1,2)'::int4range]"),
    "int2vector": ("int2vector", "'1 2 3'"),
    "oidvector": ("oidvector", "'23 25'"),
    "sql_identifier": ("information_schema.sql_identifier", "'a'"),
    # of users
    "enum": ("public.mood", "'sad'", "'mäßig'"),
    "odd_enum": ('public."Odd Type"', "'a'", "'B\"c'"),
    "domain": ("public.posint", "5"),
    "domain_domain": ("public.small", "99"),
    "domain_char": ("public.code", "'ab'"),
    "domain_enum": ("public.feeling", "'ok'"),
    "domain_array": ("public.ints", "'{1,2}'"),
    "domain_vector": ("public.emb", "'[1,2,3]'"),
    "domain_citext": ("public.label", "'Aa'"),
    "enum_array": ("public.mood[]", "'{sad,NULL,\"very happy\"}'", "'{}'"),
    "domain_type_array": ("public.posint[]", "'{1,2}'"),
    "composite": ("public.pair", "(1,'a \"b\", c')", "(NULL,NULL)", "(NULL,'')"),
    "composite_deep": ("public.deep", "((1,'x')::public.pair,'ok',5,'[1,2]','{1.0,2}')",
                       "(NULL,NULL,NULL,NULL,NULL)"),
    "composite_domain": ("public.goodpair", "(1,'x')", "(NULL,NULL)"),
    "composite_array": ("public.pair[]", "ARRAY[(1,'x')::public.pair, NULL, (NULL,NULL)::public.pair]"),
    "row_type": ("public.t_int4", "(1,2)"),
    "user_range": ("public.floats", "'[1,2.5)'", "'empty'"),
    "user_multirange": ("public.floats_multi", "'{[1,2),[3,4)}'"),
    "enum_range": ("public.moods", "'[sad,ok]'"),
    "enum_multirange": ("public.moods_multi", "'{[sad,ok)}'"),
    "composite_range": ("public.pairs", "'[\"(1,a)\",\"(2,b)\")'"),
    "range_type_array": ("public.floats[]", "ARRAY['[1,2)'::public.floats]"),
    # of extensions
    "hstore": ("hstore", "'a=>1, b=>NULL, \"q\\\"\"=>\"\"'", "''"),
    "citext": ("citext", "'ÄaA'", "''"),
    "ltree": ("ltree", "'Top.Science.Astronomy'", "''"),
    "lquery": ("lquery", "'Top.*{1,2}.!a|b'"),
    "ltxtquery": ("ltxtquery", "'a & !b*'"),
    "cube": ("cube", "'(1,2),(3,4)'"),
    "lo": ("lo", "4711"),
    "vector": ("vector(3)", "'[1,-0,3.4e38]'", "'[0,0,0]'"),
    "vector_any": ("vector", "'[1]'", "'[1,2]'"),
    "halfvec": ("halfvec(3)", "'[1,-0,65504]'"),
    "sparsevec": ("sparsevec(5)", "'{1:1.5,5:-2}/5'", "'{}/5'"),
    "vector_array": ("vector[]", "ARRAY['[1,2]'::vector, NULL]"),
    "citext_array": ("citext[]", "'{Aa,bB}'"),
    "hstore_array": ("hstore[]", "ARRAY['a=>1'::hstore]"),
}

TEXT = {
    "regclass": ("regclass", "'public.t_int4'", "'pg_class'", "0"),
    "regtype": ("regtype", "'public.mood'", "'int4'"),
    "regproc": ("regproc", "'pg_catalog.now'"),
    "regprocedure": ("regprocedure", "'pg_catalog.abs(int)'"),
    "regoper": ("regoper", "'pg_catalog.||/'"),
    "regoperator": ("regoperator", "'pg_catalog.+(int,int)'"),
    "regnamespace": ("regnamespace", "'public'"),
    "regrole": ("regrole", "'postgres'"),
    "regcollation": ("regcollation", "'pg_catalog.\"C\"'"),
    "regconfig": ("regconfig", "'pg_catalog.english'"),
    "regdictionary": ("regdictionary", "'pg_catalog.simple'"),
    "regclass_array": ("regclass[]", "ARRAY['public.t_int4'::regclass, 'pg_class']"),
    "composite_reg": ("public.with_class", "(1,'public.t_int4')"),
    "aclitem": ("aclitem", "'postgres=r/postgres'"),
    "aclitem_array": ("aclitem[]", "'{=r/postgres,postgres=w*/postgres}'"),
    "seg": ("seg", "'1.5 .. 2.50'"),
    "isbn": ("isbn13", "'978-0-393-04002-9'"),
}

OTHER = r"""
CREATE TABLE public.no_columns ();
CREATE TABLE public.no_rows (a int, b regclass);
CREATE TABLE public."Quoted ""Näme" ("s" int, "nf_src" text, "q" bool, "g" vector(2), "A b""c" text);
CREATE TABLE public.many (id int GENERATED ALWAYS AS IDENTITY, name text, up text GENERATED ALWAYS AS
    (upper(name)) STORED, b bool, c char(3), i inet, m public.mood, e vector(4), x public.pair);
CREATE TABLE public.mixed (id int, b bool, c char(3), i inet, f float8, r regclass, e halfvec(2),
    d public.code, t text[], h hstore);
CREATE TABLE public.dropped (gone int, b text, away text, a int);
"""
OTHER_ROWS = r"""
INSERT INTO public.no_columns DEFAULT VALUES; INSERT INTO public.no_columns DEFAULT VALUES;
INSERT INTO public."Quoted ""Näme" VALUES (1, 'x', true, '[1,2]', 'y'), (2, NULL, NULL, NULL, NULL);
INSERT INTO public.many (name, b, c, i, m, e, x) SELECT 'n' || i, i % 2 = 0, i::text, '10.0.0.0/8', 'ok',
    ARRAY[i, i + 1, i + 2, 0]::vector, (i, 'p')::public.pair FROM generate_series(1, 500) i;
INSERT INTO public.mixed SELECT i, i % 2 = 0, 'x', '::1', i / 3.0, 'pg_class', '[1,2]', 'ab', ARRAY['a', NULL],
    'k=>v' FROM generate_series(1, 100) i;
INSERT INTO public.dropped (b, a) VALUES ('x', 1), (NULL, NULL);
"""


def ident(name):
    return '"%s"' % name.replace('"', '""')


def make_types(server, schema):
    server.psql("CREATE SCHEMA IF NOT EXISTS %s;" % schema)
    for extension in EXTENSIONS:
        server.psql("DROP EXTENSION IF EXISTS %s; CREATE EXTENSION %s SCHEMA %s" %
                    (extension, extension, schema))
    server.psql(TYPES, options={"search_path": schema})


def table_sql(kind):
    return "".join("CREATE TABLE public.t_%s (id int, v %s);\n" % (name, spec[0])
                   for name, spec in kind.items() if name != "row_type")


def rows_sql(kind):
    out = ""
    for name, (_, *values) in kind.items():
        rows = ", ".join("(%d, %s)" % (i, v) for i, v in enumerate(values))
        out += "INSERT INTO public.t_%s VALUES %s, (-1, NULL);\n" % (name, rows)
    return out


def make_tables(server, schema, reverse=False):
    row_type = "CREATE TABLE public.t_row_type (id int, v public.t_int4);"
    server.psql(table_sql(BINARY) + row_type + table_sql(TEXT) + OTHER,
                options={"search_path": schema})
    if reverse:  # another order of columns
        server.psql("""DROP TABLE public.many; CREATE TABLE public.many (x public.pair, e vector(4),
            m public.mood, i inet, c char(3), b bool, up text GENERATED ALWAYS AS (upper(name)) STORED,
            name text, id int); DROP TABLE public.dropped; CREATE TABLE public.dropped (a int, b text)""",
                    options={"search_path": schema})
    else:
        server.psql("ALTER TABLE public.dropped DROP gone, DROP away")


def digests(server, *options):
    """{table: (mode, stream tally, server tally)}"""
    done = subprocess.run([TOOL, server.uri(), *options], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=psql_env())
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    rows = (line.split("\t") for line in done.stdout.decode().splitlines())
    return {r[0]: (r[1], tuple(r[2:5]), tuple(r[5:8])) for r in rows}


def copy_table(source, target, table, columns, mode):
    form = " WITH (FORMAT binary)" if mode == "binary" else ""
    name = "public." + ident(table.split(".", 1)[1])
    psql = [os.path.join(bindir(), "psql"), "-Xq", "-v", "ON_ERROR_STOP=1"]
    env = psql_env({"search_path": ""})
    out = subprocess.Popen(psql + ["-d", source.socket_uri(), "-c",
                                   "COPY %s %s TO STDOUT%s" % (name, columns, form)],
                           stdout=subprocess.PIPE, env=env)
    done = subprocess.run(psql + ["-d", target.socket_uri(), "-c",
                                  "COPY %s %s FROM STDIN%s" % (name, columns, form)],
                          stdin=out.stdout, stderr=subprocess.PIPE, env=env)
    out.stdout.close()
    if out.wait() != 0 or done.returncode != 0:
        raise AssertionError("%s: %s" % (table, done.stderr.decode()))


class DigestTypes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.source = cls.enterClassContext(make_source())
        cls.target = cls.enterClassContext(make_source(db="other"))
        cls.target.psql("".join("CREATE TYPE public.dummy%d AS ENUM ();" % i for i in range(50)))
        make_types(cls.source, "public")
        make_types(cls.target, "ext")
        make_tables(cls.source, "public")
        make_tables(cls.target, "ext", reverse=True)
        cls.source.psql(rows_sql(BINARY) + rows_sql(TEXT) + OTHER_ROWS)
        cls.before = digests(cls.source)
        cls.before_text = digests(cls.source, "--text")
        for table, (mode, _, _) in cls.before.items():
            columns = cls.source.value("""SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
                FROM pg_attribute WHERE attrelid = 'public.%s'::regclass AND attnum > 0 AND NOT attisdropped
                AND attgenerated = ''""" % ident(table.split(".", 1)[1]))
            copy_table(cls.source, cls.target, table, "(%s)" % columns if columns else "",
                       mode.split(":")[0])
        cls.after = digests(cls.target)

    def test_types_have_other_numbers_in_the_other_server(self):
        for name in ("mood", "pair", "floats"):
            sql = "SELECT 'public.%s'::regtype::oid" % name
            self.assertNotEqual(self.source.value(sql), self.target.value(sql))
        sql = "SELECT oid FROM pg_type WHERE typname = 'vector'"
        self.assertNotEqual(self.source.value(sql), self.target.value(sql))

    def test_every_table_travels_as_the_rules_say(self):
        for name in BINARY:
            self.assertEqual(self.before["public.t_" + name][0], "binary", name)
        for name in TEXT:
            self.assertRegex(self.before["public.t_" + name][0], "^text: .", name)
        self.assertRegex(self.before["public.mixed"][0], "regclass")

    def test_stream_and_server_agree(self):
        for server in (self.before, self.before_text, self.after, digests(self.target, "--text")):
            for table, (_, stream, own) in server.items():
                self.assertEqual(stream, own, table)

    def test_every_row_is_counted(self):
        for kind in (BINARY, TEXT):
            for name, spec in kind.items():
                self.assertEqual(self.before["public.t_" + name][1][0], str(len(spec)), name)
        self.assertEqual(self.before["public.no_columns"][1][0], "2")
        self.assertEqual(self.before["public.no_rows"][1], ("0", "0", "0"))

    def test_both_servers_agree(self):
        self.assertEqual(set(self.before), set(self.after))
        for table, (mode, stream, _) in self.before.items():
            self.assertEqual((mode.split(":")[0], stream), (self.after[table][0].split(":")[0],
                                                            self.after[table][2]), table)

    def test_settings_of_a_role_change_nothing(self):
        self.source.psql("""ALTER ROLE postgres SET timezone = 'Asia/Kathmandu';
            ALTER ROLE postgres SET datestyle = 'German'; ALTER ROLE postgres SET intervalstyle = 'iso_8601';
            ALTER ROLE postgres SET bytea_output = 'escape'; ALTER ROLE postgres SET extra_float_digits = -10;
            ALTER ROLE postgres SET xmloption = 'document'; ALTER ROLE postgres SET search_path = public""")
        try:
            self.assertEqual(digests(self.source), self.before)
            self.assertEqual(digests(self.source, "--text"), self.before_text)
        finally:
            self.source.psql("ALTER ROLE postgres RESET ALL")

    def test_rows_that_sql_calls_equal_are_told_apart(self):
        with self.target.session() as session:
            for a, b, of in (("1.0", "1.00", "numeric"), ("'1 month'", "'30 days'", "interval"),
                             ("'Aa'", "'aa'", "ext.citext"), ("'[0,1]'", "'[-0,1]'", "ext.vector"),
                             ("0.0", "'-0'", "float8")):
                session.query("DROP TABLE IF EXISTS public.z; CREATE TABLE public.z AS SELECT %s::%s AS v"
                              % (a, of))
                first = digests(self.target)["public.z"]
                session.query("UPDATE public.z SET v = %s" % b)
                self.assertNotEqual(digests(self.target)["public.z"][1], first[1], of)
            session.query("DROP TABLE public.z")

    def test_embeddings_on_the_wrong_rows_are_seen(self):
        swap = "UPDATE public.many SET e = (SELECT o.e FROM public.many o WHERE o.id = 13 - many.id)" \
               " WHERE id IN (6, 7)"
        self.target.psql(swap)
        self.assertNotEqual(digests(self.target)["public.many"][1], self.before["public.many"][1])
        self.target.psql(swap)
        self.assertEqual(digests(self.target)["public.many"][1], self.before["public.many"][1])


if __name__ == "__main__":
    unittest.main()
