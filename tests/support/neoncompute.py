"""A compute of the stand-in for Neon: a real server with Neon's roles and settings, and its pgbouncer.

Made, started and stopped by a thread of its own, because a server ends with the thread that began it.
Known differences from Neon: vector is there from template1, because the packaged extension is not
trusted; event triggers are refused to everybody but the superuser; storage is local.
"""

import concurrent.futures
import os
import shutil
import subprocess
import time

from cluster import (HOST, Cluster, SqlError, _die_with_parent, _server_user, free_port, psql_env,
                     wait_until)

OWNER, OWNER_PASSWORD, DATABASE = "neondb_owner", "npg_O'wner pass/w@rd1", "neondb"
ADMIN = "cloud_admin"

_CONF = {
    "max_connections": "104",
    "superuser_reserved_connections": "7",
    "client_connection_check_interval": "60000",
    "restart_after_crash": "off",
    "wal_level": "replica",
    "max_wal_size": "1GB",
    "effective_io_concurrency": "20",
    "maintenance_io_concurrency": "100",
    "maintenance_work_mem": "64MB",
    "password_encryption": "scram-sha-256",
}

# What compute_ctl and its migrations leave behind, as far as a client meets it.
_BOOT = """
CREATE ROLE neon_superuser CREATEDB CREATEROLE NOLOGIN REPLICATION BYPASSRLS
    IN ROLE pg_read_all_data, pg_write_all_data;
GRANT pg_monitor, pg_signal_backend TO neon_superuser WITH ADMIN OPTION;
GRANT EXECUTE ON FUNCTION pg_export_snapshot() TO neon_superuser;
CREATE ROLE {owner} LOGIN INHERIT CREATEROLE CREATEDB BYPASSRLS REPLICATION IN ROLE neon_superuser
    PASSWORD {password};
CREATE SCHEMA neon_migration;
CREATE TABLE neon_migration.migration_id (key int PRIMARY KEY, id bigint);
CREATE TABLE public.health_check (id serial PRIMARY KEY, updated_at timestamptz DEFAULT now());
"""
_BOOT_DATABASE = """
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO neon_superuser WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO neon_superuser WITH GRANT OPTION;
"""

# Sessions at work now, and for how long nobody has been: the rule of Neon's activity monitor.
_ACTIVITY = """
SELECT count(*) FILTER (WHERE state <> 'idle'),
       extract(epoch FROM now() - greatest(max(state_change), pg_postmaster_start_time()))
FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> '{}'
""".format(ADMIN)

_BOUNCER = """
[databases]
* = host={socket} port={port}
[pgbouncer]
listen_addr = {host}
listen_port = {own}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {dir}/users.txt
pool_mode = transaction
max_client_conn = 10000
default_pool_size = 64
query_wait_timeout = 120
ignore_startup_parameters = extra_float_digits
logfile = {dir}/pgbouncer.log
"""


class _Server(Cluster):
    """A cluster whose certificate is that of the whole stand-in."""

    certificate = None

    def _make_certificate(self):
        for name in ("ca.crt", "server.crt", "server.key"):
            path = os.path.join(self.dir, name)
            shutil.copyfile(os.path.join(self.certificate, name), path)
            os.chmod(path, 0o600 if name.endswith("key") else 0o644)
            if os.geteuid() == 0:
                shutil.chown(path, "postgres", "postgres")


class Compute:
    """One compute. Every method waits until it is done; any thread may call."""

    def __init__(self, dir, certificate, endpoint, project, conf=None, max_size="16TB"):
        settings = dict(_CONF, idle_in_transaction_session_timeout="300000")
        settings.update({"neon.endpoint_id": endpoint, "neon.project_id": project,
                         "neon.branch_id": "br-" + endpoint[3:], "neon.max_cluster_size": max_size})
        settings.update(conf or {})
        self.server = _Server(dir, tls=True, superuser=ADMIN, conf=settings, user=OWNER, db=DATABASE,
                              password=OWNER_PASSWORD, hba=["hostssl all all 127.0.0.1/32 scram-sha-256"])
        self.server.certificate = certificate
        self.restarts = 0
        self._bouncer = self._bouncer_port = None
        self._watch = None
        self._thread = concurrent.futures.ThreadPoolExecutor(1)

    def _do(self, work, *args):
        return self._thread.submit(work, *args).result()

    # ---- life ----------------------------------------------------------------------------------

    def create(self):
        self._do(self._create)

    def _create(self):
        self.server.init()
        self.server.start()
        self._admin("CREATE EXTENSION vector", "template1")
        self._admin(_BOOT.format(owner=OWNER, password="'%s'" % OWNER_PASSWORD.replace("'", "''")), "postgres")
        self.create_database(DATABASE)

    def _admin(self, sql, db):
        return self.server.psql(sql, db=db, user=ADMIN)

    def create_database(self, name, owner=OWNER):
        self.server.create_database(name, owner=owner)
        self._admin(_BOOT_DATABASE, name)

    @property
    def is_up(self):
        return self.server.pid() is not None

    def start(self):
        self._do(self._start)

    def _start(self):
        if not self.is_up:
            self.server.start()
            self.restarts += 1

    def stop(self, mode="fast"):
        """What a suspend is ("fast": 57P01 to everybody) or a crash ("immediate")."""
        self._do(self._stop, mode)

    def _stop(self, mode):
        self._forget_watch()
        self.server.stop(mode)

    def restart(self, mode="immediate", down=0.0):
        """down: seconds between the end of the old server and the start of the new one."""
        self._do(self._restart, mode, down)

    def _restart(self, mode, down):
        self._stop(mode)
        time.sleep(down)
        self._start()

    def destroy(self):
        self._do(self._destroy)
        self._thread.shutdown()

    def _destroy(self):
        self._forget_watch()
        if self._bouncer:
            self._bouncer.kill()
            self._bouncer.wait()
        self.server.destroy()

    # ---- what the monitor asks -----------------------------------------------------------------

    def _forget_watch(self):
        if self._watch:
            self._watch.close()
        self._watch = None

    def _ask(self, sql):
        if not self.is_up:
            return None
        try:
            if self._watch is None:
                self._watch = self.server.session(db="postgres", user=ADMIN)
            return self._watch.query(sql)[0]
        except (SqlError, TimeoutError, OSError):
            self._forget_watch()
            return None

    def idle_for(self):
        """Seconds that no session has worked; 0 while one does."""
        row = self._do(self._ask, _ACTIVITY)
        return float(row[1] or 0) if row and row[0] == "0" else 0.0

    def size(self):
        """Bytes of all databases."""
        row = self._do(self._ask, "SELECT sum(pg_database_size(oid)) FROM pg_database")
        return int(row[0]) if row else 0

    # ---- pgbouncer -----------------------------------------------------------------------------

    def bouncer_port(self):
        """The port of the pooler, started when first asked for."""
        return self._do(self._start_bouncer)

    def _start_bouncer(self):
        if self._bouncer and self._bouncer.poll() is None:
            return self._bouncer_port
        self._bouncer_port = free_port()
        home = os.path.join(self.server.dir, "pooler")
        os.makedirs(home, exist_ok=True)
        self._write(home, "users.txt", '"%s" "%s"\n' % (OWNER, OWNER_PASSWORD.replace('"', '""')))
        self._write(home, "pgbouncer.ini", _BOUNCER.format(
            socket=self.server.socket_dir, port=self.server.port, host=HOST, own=self._bouncer_port, dir=home))
        if os.geteuid() == 0:
            shutil.chown(home, "postgres", "postgres")
        self._bouncer = subprocess.Popen(
            ["pgbouncer", "-q", os.path.join(home, "pgbouncer.ini")], cwd=home, env=psql_env(),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, preexec_fn=_die_with_parent, **_server_user())
        wait_until(self._bouncer_answers, 10, what="pgbouncer in " + home)
        return self._bouncer_port

    @staticmethod
    def _write(home, name, text):
        path = os.path.join(home, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o644)

    def _bouncer_answers(self):
        if self._bouncer.poll() is not None:
            raise RuntimeError("pgbouncer did not start: is the package installed? " + self._bouncer_log())
        return subprocess.run(["pg_isready", "-q", "-h", HOST, "-p", str(self._bouncer_port)],
                              env=psql_env(), check=False).returncode == 0

    def _bouncer_log(self):
        try:
            with open(os.path.join(self.server.dir, "pooler", "pgbouncer.log")) as f:
                return f.read()[-500:]
        except FileNotFoundError:
            return ""
