"""Both ends of a move as base classes of tests: two servers for a class, databases for each test.

    class Moves(Ends):
        def test_it(self):
            self.there("CREATE TABLE t (a int)")
            done = neonferry("run", *self.ends(), run_dir=self.dir)
"""

import unittest

from cluster import FERRY, make_source, make_target
from moving import Folder


class Servers(unittest.TestCase):
    """A source, a target, and a folder for runs."""

    source_options, target_options = {}, {}

    @classmethod
    def setUpClass(cls):
        cls.source = cls.enterClassContext(make_source(**cls.source_options))
        cls.target = cls.enterClassContext(make_target(**cls.target_options))
        cls.folder = cls.enterClassContext(Folder())


class Ends(Servers):
    """Every test has databases of its own, and the path of a run."""

    def setUp(self):
        self.db = self._testMethodName[5:60]
        self.dir = self.folder(self.db)
        self.source.create_database(self.db)
        self.target.create_database(self.db, owner=FERRY)

    def there(self, sql, **kw):
        return self.source.psql(sql, db=self.db, **kw)

    def here(self, sql, **kw):
        return self.target.psql(sql, db=self.db, **kw)

    def ends(self, source=None, target=None):
        return ["--source", source or self.source.uri(self.db), "--target", target or self.target.uri(self.db)]
