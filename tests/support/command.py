"""neonferry as its user calls it: where it is, and an environment without anybody's settings."""

import os

NEONFERRY = os.path.abspath(os.environ.get("NEONFERRY", "build/neonferry"))


def environment(**more):
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("PG", "POSTGRES_", "LOCAL_DB_", "NEONFERRY_")) and "DATABASE_URL" not in k}
    env.update(LC_ALL="C.UTF-8", **more)
    return env
