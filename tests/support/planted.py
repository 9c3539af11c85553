"""A source, and targets that are good copies of it, each with something planted in it."""

import unittest

from cluster import FERRY, make_source, make_target


class Planted(unittest.TestCase):
    """schema: what source and good copy are made from. planter: who plants; a superuser may do anything."""

    schema, conf, planter = "", None, "postgres"

    @classmethod
    def setUpClass(cls):
        cls.source = cls.enterClassContext(make_source(conf=cls.conf))
        cls.target = cls.enterClassContext(make_target(conf=cls.conf))
        cls.source.psql(cls.schema)
        cls.target.create_database("good", owner=FERRY)
        cls.target.psql(cls.schema, db="good", user=FERRY)
        cls.number = 0

    def plant(self, sql="", user=None):
        """URI of a new copy; self.db is its name."""
        type(self).number += 1
        self.db = "t%d" % self.number
        self.target.create_database(self.db, owner=FERRY, options="TEMPLATE good")
        if sql:
            self.target.psql(sql, db=self.db, user=user or self.planter)
        return self.target.uri(db=self.db)
