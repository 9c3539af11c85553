#!/usr/bin/env python3
"""Memory and workers of an HNSW build: smaller or alone where shared memory lacks, by processors where known."""

import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import make_source, make_target  # noqa: E402
from moving import Folder, neonferry  # noqa: E402

# Rows without a vector count for the estimate and cost nothing to build: about 190 MB are asked for.
ROWS = """
CREATE TABLE items (id int, e vector(1536));
INSERT INTO items SELECT n FROM generate_series(1, 26000) n;
INSERT INTO items SELECT n, (SELECT array_agg(sin(n * d)) FROM generate_series(1, 1536) d)::vector
	FROM generate_series(1, 60) n;
CREATE INDEX items_hnsw ON items USING hnsw (e vector_l2_ops);
"""


def may_mount():
    return os.geteuid() == 0 and shutil.which("unshare") and shutil.which("setpriv") and subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], check=False).returncode == 0


@unittest.skipUnless(may_mount() and os.sysconf("SC_NPROCESSORS_ONLN") > 1, "needs the right to mount, and workers")
class SharedMemory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.source = make_source()
        cls.source.psql(ROWS)

    @classmethod
    def tearDownClass(cls):
        cls.source.destroy()

    def build(self, shm):
        with make_target(shm=shm, conf={"shared_buffers": "128MB"}) as target, Folder() as folder:
            done = neonferry("run", "--source", self.source.uri(), "--target", target.uri(), run_dir=folder("r"))
            self.assertEqual(done.status, 0, done.text)
            self.assertEqual(target.value("SELECT indisvalid FROM pg_index WHERE indexrelid = "
                                          "'items_hnsw'::regclass"), "t")
            self.assertIn("could not resize shared memory segment", target.log_text())
            return done.text

    def test_half_the_memory_fits(self):
        said = self.build("150M")
        self.assertRegex(said, r"index items_hnsw: not enough shared memory, again with 9\d MB and [1-9] workers")
        self.assertNotIn("and 0 workers", said)

    def test_nothing_fits_and_the_build_needs_no_workers(self):
        said = self.build("20M")
        self.assertRegex(said, r"not enough shared memory, again with 9\d MB and [1-9] workers")
        self.assertRegex(said, r"not enough shared memory, again with 9\d MB and 0 workers")


CONTROL = """comment = 'stands for the extension of that name'
default_version = '1.0'
relocatable = true
superuser = false
"""


class Workers(unittest.TestCase):
    """As many as processors but one, for the session itself works too."""

    @classmethod
    def setUpClass(cls):
        cls.source = make_source()
        cls.source.psql("CREATE TABLE items AS SELECT n AS id, '[1,2,3]'::vector(3) AS e FROM generate_series(1, 9) n;"
                        "CREATE INDEX items_hnsw ON items USING hnsw (e vector_l2_ops)")

    @classmethod
    def tearDownClass(cls):
        cls.source.destroy()

    def workers(self, target):
        with Folder() as folder:
            done = neonferry("run", "--source", self.source.uri(), "--target", target.uri(), "--json",
                             run_dir=folder("r"))
            self.assertEqual(done.status, 0, done.text)
            return next(e["facts"]["workers"] for e in done.events() if e["name"] == "index.build")

    def test_a_server_on_this_machine_has_its_processors(self):
        with make_target() as target:
            self.assertEqual(self.workers(target), min(os.sysconf("SC_NPROCESSORS_ONLN") - 1, 7))

    @unittest.skipIf(os.geteuid(), "needs the right to add an extension to the server")
    def test_neon_tells_its_processors_and_nothing_stays_behind(self):
        with make_target(conf={"neon.endpoint_id": "ep-quiet-sea-123456"}) as target:
            self.assertEqual(self.workers(target), int(target.value("SHOW max_parallel_maintenance_workers")))
            folder = target.psql("SELECT setting FROM pg_config WHERE name = 'SHAREDIR'", user="postgres")[0][0]
            files = {"neon_utils.control": CONTROL + "trusted = true\n",
                     "neon_utils--1.0.sql": "CREATE FUNCTION num_cpus() RETURNS int LANGUAGE sql RETURN 5;"}
            try:
                for name, text in files.items():
                    with open(os.path.join(folder, "extension", name), "w", encoding="utf-8") as f:
                        f.write(text)
                target.psql("DROP SCHEMA neonferry CASCADE; DROP TABLE items")
                self.assertEqual(self.workers(target), 4)
                self.assertEqual(target.value("SELECT count(*) FROM pg_extension WHERE extname = 'neon_utils'"), "0")
            finally:
                for name in files:
                    os.unlink(os.path.join(folder, "extension", name))


if __name__ == "__main__":
    unittest.main()
