"""Throwaway PostgreSQL servers for tests: real ones, on 127.0.0.1, quick to make, gone afterwards.

    from cluster import make_source, make_target

    with make_source() as source, make_target() as target:
        source.psql("CREATE TABLE t (a int)")
        run(["neonferry", "run", "--source", source.uri(), "--target", target.uri()])
        assert target.value("SELECT count(*) FROM t") == "0"

make_source()  a plain local server: trust, superuser "postgres", database "chat_pgvector", vector
               there, text sorted as English, not as bytes.
make_target()  a server as Neon is reached: TLS only, SCRAM, role "ferry" without superuser that owns
               database "neondb", C.UTF-8, vector there. The superuser still gets in by the unix
               socket (psql(..., user="postgres")), for what a test arranges or inspects.

Servers run as user "postgres" when the tests run as root. They stop and their folders vanish when
the context manager ends, at exit, and (the server only) when this process is killed.
Standard library only; SQL goes through psql. Rows come back as lists of str, None for NULL.
THREADS: a Cluster is started from the main thread (the server ends with the thread that began it).
"""

import atexit
import ctypes
import glob
import os
import pwd
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from urllib.parse import quote, urlencode

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MIGRATIONS = os.path.join(REPO, "schema", "migrations")
HOST = "127.0.0.1"
FERRY, FERRY_PASSWORD = "ferry", "ferry pass/word@1"  # needs quoting in a URI, on purpose

_FIELD, _RECORD, _NULL = "\x1f", "\x1e", "\x1d"
_PR_SET_PDEATHSIG = 1
_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

# Quick and small. fsync off survives kill -9 of a server, not of the machine.
_CONF = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "log_line_prefix": "'%m [%p] %q%u@%d/%a '",
    "max_connections": "60",
}
_SHM_NEEDED = 1 << 30  # a parallel HNSW build shares its maintenance_work_mem; containers have 64 MB


class SqlError(Exception):
    """psql failed. .sqlstate is the server's code, or "" where the connection failed."""

    def __init__(self, message, sqlstate=""):
        super().__init__(message)
        self.sqlstate = sqlstate


def bindir():
    """The folder of the newest installed server's programs; NEONFERRY_PG_BINDIR overrides it."""
    if os.environ.get("NEONFERRY_PG_BINDIR"):
        return os.environ["NEONFERRY_PG_BINDIR"]
    found = [d for d in glob.glob("/usr/lib/postgresql/*/bin") if os.access(d + "/postgres", os.X_OK)]
    if not found:
        raise RuntimeError("no PostgreSQL server is installed: run scripts/setup.sh")
    return max(found, key=lambda d: int(d.split("/")[-2]))


def free_port():
    """A port nobody listens on, below the range that outgoing connections use."""
    for _ in range(200):
        port = random.randint(20000, 32000)
        with socket.socket() as s:
            try:
                s.bind((HOST, port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port between 20000 and 32000")


def make_dir(prefix="neonferry-"):
    """A new folder that the server's user can reach into."""
    path = tempfile.mkdtemp(prefix=prefix)
    os.chmod(path, 0o755)
    return path


def wait_until(condition, timeout=30, interval=0.02, what="condition"):
    """Calls condition() until it is true and returns that value; TimeoutError after timeout s."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError("timed out after %gs waiting for %s" % (timeout, what))
        time.sleep(interval)


def _server_user():
    """Keyword arguments for subprocess that drop root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("postgres")
    groups = os.getgrouplist("postgres", entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}


def _die_with_parent():
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGQUIT), 0, 0, 0)


def _conf_value(value):
    value = str(value)
    return value if value.startswith("'") else "'%s'" % value.replace("'", "''")


def _parse_rows(text):
    text = text[:-1] if text.endswith("\n") else text
    if text == "":
        return []
    rows = (record.split(_FIELD) for record in text.split(_RECORD))
    return [[None if field == _NULL else field for field in row] for row in rows]


class Cluster:
    """One server. Nothing happens until init() and start(), or use as a context manager.

    dir       its folder (made if missing; a temporary one when None); removed by destroy()
    port      a free one when None
    tls       make a CA and a certificate for localhost, 127.0.0.1 and *.test.neon.tech (.ca is the CA's file)
    conf      settings added to postgresql.conf
    hba       lines of pg_hba.conf after "local all all trust"; trust from 127.0.0.1 when None
    initdb    more arguments of initdb, for example ["--locale=C.UTF-8"]
    user, db, password   what uri() and psql() use when told nothing
    detached  the server stays up when this process ends
    shm       "96M": its /dev/shm is a file system of its own, of that size (needs root)
    """

    def __init__(self, dir=None, port=None, tls=False, superuser="postgres", conf=None, hba=None,
                 initdb=("--locale=C.UTF-8",), user=None, db="postgres", password=None,
                 detached=False, shm=None):
        self.shm = shm
        self.dir = os.path.abspath(dir) if dir else make_dir()
        self.data = os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "server.log")
        self.port, self._fixed_port = port, port is not None
        self.tls, self.superuser, self.conf = tls, superuser, dict(conf or {})
        self.hba = hba or ["host all all 127.0.0.1/32 trust"]
        self.initdb = list(initdb)
        self.user, self.db, self.password = user or superuser, db, password
        self.passwords = {}
        self.detached = detached
        self.host = HOST
        self.ca = os.path.join(self.dir, "ca.crt") if tls else None
        self.socket_dir = self.dir
        self.process = None
        if len(self.dir) > 80:  # a unix socket's path is at most 107 bytes
            self.socket_dir = make_dir("nf-")

    def __enter__(self):
        if not os.path.exists(self.data):
            self.init()
        if self.pid() is None:
            self.start()
        return self

    def __exit__(self, *unused):
        self.destroy()

    # ---- life ----------------------------------------------------------------------------------

    def init(self):
        """Makes the data folder. About a second."""
        os.makedirs(self.dir, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self.dir, "postgres", "postgres")
            shutil.chown(self.socket_dir, "postgres", "postgres")
        self._program(["initdb", "-D", self.data, "-U", self.superuser, "-A", "trust", "-N",
                       "-E", "UTF8", "--no-instructions"] + self.initdb)
        if self.tls:
            self._make_certificate()
        self._write_conf()
        return self

    def _program(self, argv):
        done = subprocess.run([os.path.join(bindir(), argv[0])] + argv[1:], cwd=self.dir,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **_server_user())
        if done.returncode != 0:
            raise RuntimeError("%s failed: %s" % (argv[0], done.stdout.decode()))

    def _make_certificate(self):
        script = """
            set -e; umask 077
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
                -keyout ca.key -out ca.crt -subj '/CN=neonferry test CA'
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
                -keyout server.key -out server.csr -subj '/CN=localhost'
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1,DNS:*.test.neon.tech\\n' >ext
            openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 \
                -extfile ext -out server.crt
            chmod 644 ca.crt"""
        subprocess.run(["sh", "-c", script], cwd=self.dir, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, **_server_user())

    def _write_conf(self):
        conf = dict(_CONF, listen_addresses=HOST, unix_socket_directories=self.socket_dir)
        if self.shm:
            conf["dynamic_shared_memory_type"] = "posix"
        elif shutil.disk_usage("/dev/shm").total < _SHM_NEEDED:
            conf["dynamic_shared_memory_type"] = "mmap"
        if self.tls:
            conf.update(ssl="on", ssl_cert_file=self.dir + "/server.crt",
                        ssl_key_file=self.dir + "/server.key")
        conf.update(self.conf)
        with open(os.path.join(self.data, "postgresql.auto.conf"), "w") as f:
            f.writelines("%s = %s\n" % (k, _conf_value(v)) for k, v in conf.items())
        with open(os.path.join(self.data, "pg_hba.conf"), "w") as f:
            f.write("local all all trust\n" + "".join(line + "\n" for line in self.hba))

    def configure(self, **conf):
        """Changes settings; reload() or restart() makes them hold."""
        self.conf.update(conf)
        self._write_conf()

    def reload(self):
        os.kill(self.pid(), signal.SIGHUP)

    def start(self, timeout=60):
        """Starts the server and waits until it takes connections."""
        for attempt in range(5):
            if not self._fixed_port:
                self.port = free_port()
            self._launch()
            try:
                wait_until(self._is_ready, timeout, what="server in " + self.dir)
                self._fixed_port = True  # clients know it by now: a restart keeps it
                return self
            except ChildProcessError:
                if self._fixed_port or attempt == 4:
                    raise
        return self

    def _launch(self):
        atexit.register(self._at_exit)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self._own_shm() + [os.path.join(bindir(), "postgres"), "-D", self.data, "-p", str(self.port)],
                cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=None if self.detached else _die_with_parent,
                **({} if self.shm else _server_user()))

    def _own_shm(self):
        """Words before the server's: a mount namespace of its own, then no root any more."""
        if not self.shm:
            return []
        user = _server_user()
        return ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=%s tmpfs /dev/shm && exec setpriv "
                "--reuid %d --regid %d --clear-groups --pdeathsig QUIT \"$@\"" % (self.shm, user["user"], user["group"]),
                "sh"]

    def _is_ready(self):
        if self.process.poll() is not None:
            self.process = None
            raise ChildProcessError("server did not start: " + self.log_text()[-2000:])
        lines = self._pid_file()
        return len(lines) >= 8 and int(lines[0]) == self.process.pid and lines[7].strip() == "ready"

    def _pid_file(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid")) as f:
                return f.read().split("\n")
        except FileNotFoundError:
            return []

    def pid(self):
        """The postmaster's pid, None when the server is not running."""
        lines = self._pid_file()
        if len(lines) < 2 or lines[1] != self.data:
            return None
        pid = int(lines[0])
        if self.process is not None and self.process.pid == pid:
            return pid if self.process.poll() is None else None
        return pid if os.path.exists("/proc/%d" % pid) else None

    def pids(self):
        """The pids of the postmaster and of every process of this server."""
        first = self.pid()
        if first is None:
            return []
        with open("/proc/%d/task/%d/children" % (first, first)) as f:
            return [first] + [int(p) for p in f.read().split()]

    def stop(self, mode="fast", timeout=60):
        """Stops the server: "smart", "fast" or "immediate". Nothing to do if it is down."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, _SIGNALS[mode])
            wait_until(lambda: not self._alive(pid), timeout, what="server to stop")
        if self.process is not None:
            self.process.wait()
        self.process = None

    def restart(self, mode="fast"):
        """Stops and starts on the same port, as a suspended and woken compute does."""
        self.stop(mode)
        self.start()

    def kill(self):
        """kill -9 of every process of the server. start() recovers it."""
        pids = self.pids()
        for pid in pids:
            self._signal(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
            self.process = None
        wait_until(lambda: not any(self._alive(p) for p in pids), what="killed server to vanish")

    def pause(self):
        """Freezes every process: the server falls silent, its sockets stay open."""
        for pid in self.pids():
            self._signal(pid, signal.SIGSTOP)

    def unpause(self):
        for pid in self.pids():
            self._signal(pid, signal.SIGCONT)

    @staticmethod
    def _signal(pid, sig):
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass

    @staticmethod
    def _alive(pid):
        try:
            with open("/proc/%d/stat" % pid) as f:
                return f.read().rsplit(")", 1)[1].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def destroy(self):
        """Stops the server at once and removes its folder."""
        if self.pid() is not None:
            self.unpause()
            self.stop("immediate")
        shutil.rmtree(self.dir, ignore_errors=True)
        if self.socket_dir != self.dir:
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def _at_exit(self):
        if not self.detached and self.process is not None:
            self.destroy()

    def log_text(self):
        """What the server has logged so far."""
        with open(self.log, errors="replace") as f:
            return f.read()

    # ---- how to reach it -----------------------------------------------------------------------

    def uri(self, db=None, user=None, password=None, **params):
        """A connection URI over TCP; with TLS sslmode=require. The password is in it, if any."""
        user = user or self.user
        if password is None:
            password = self.password if user == self.user else self.passwords.get(user)
        if self.tls:
            params.setdefault("sslmode", "require")
        secret = ":" + quote(password, safe="") if password else ""
        tail = "?" + urlencode(params) if params else ""
        return "postgresql://%s%s@%s:%d/%s%s" % (
            quote(user, safe=""), secret, self.host, self.port, quote(db or self.db, safe=""), tail)

    def socket_uri(self, db=None, user=None):
        """A connection URI over the unix socket, where everybody is trusted."""
        query = urlencode({"host": self.socket_dir, "port": self.port, "user": user or self.superuser})
        return "postgresql:///%s?%s" % (quote(db or self.db, safe=""), query)

    # ---- SQL -----------------------------------------------------------------------------------

    def _psql_argv(self, db, user):
        return [os.path.join(bindir(), "psql"), "-XAtq", "-F", _FIELD, "-R", _RECORD,
                "-P", "null=" + _NULL, "-d", self.socket_uri(db, user or self.user)]

    def psql(self, sql, db=None, user=None, options=None, timeout=600):
        """Runs SQL (by the unix socket, so any user without a password) and returns the rows.

        Only the last statement should return rows. options: settings, {"search_path": ""}.
        Errors: SqlError.
        """
        argv = self._psql_argv(db, user) + ["-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-f-"]
        done = subprocess.run(argv, input=sql.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=psql_env(options), timeout=timeout)
        if done.returncode != 0:
            message = done.stderr.decode(errors="replace")
            code = re.search(r"(?:ERROR|FATAL|PANIC):  ([0-9A-Z]{5}):", message)
            raise SqlError(message.strip(), code.group(1) if code else "")
        return _parse_rows(done.stdout.decode())

    def value(self, sql, **kw):
        """The first field of the first row, as str; None where it is NULL or there is no row."""
        rows = self.psql(sql, **kw)
        return rows[0][0] if rows else None

    def file(self, path, db=None, user=None, options=None):
        """Runs a file of SQL, stopping at the first error."""
        with open(path) as f:
            return self.psql(f.read(), db=db, user=user, options=options)

    def session(self, db=None, user=None, options=None):
        """A connection that stays open: locks, snapshots, open transactions. See Session."""
        return Session(self._psql_argv(db, user), psql_env(options))

    def create_role(self, name, password=None, options="LOGIN"):
        secret = " PASSWORD '%s'" % password.replace("'", "''") if password else ""
        self.psql('CREATE ROLE "%s" %s%s' % (name, options, secret), db="postgres", user=self.superuser)
        if password:
            self.passwords[name] = password

    def create_database(self, name, owner=None, options=""):
        owned = ' OWNER "%s"' % owner if owner else ""
        self.psql('CREATE DATABASE "%s"%s %s' % (name, owned, options), db="postgres",
                  user=self.superuser)

    def apply_migrations(self, db=None, user=None, dimensions=None, only=None):
        """Runs schema/migrations/NNN_*.sql in order; only: a set of numbers, {"001", "002"}."""
        options = {"search_path": ""}
        if dimensions:
            options["neonferry.vector_dimensions"] = dimensions
        for path in sorted(glob.glob(MIGRATIONS + "/[0-9]*.sql")):
            number = os.path.basename(path).split("_")[0]
            if not path.endswith(".down.sql") and (only is None or number in only):
                self.file(path, db=db, user=user, options=options)


def psql_env(options=None):
    """The environment for psql: none of the caller's PG* settings, these server settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    env["PGCLIENTENCODING"] = "UTF8"
    if options:
        env["PGOPTIONS"] = " ".join(
            "-c %s=%s" % (k, str(v).replace("\\", "\\\\").replace(" ", "\\ "))
            for k, v in options.items())
    return env


class Session:
    """One open connection (a psql that is kept). query() waits; send() and wait() do it apart."""

    def __init__(self, argv, env):
        self._psql = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, env=env)
        self._buffer = b""
        self.pid = int(self.value("SELECT pg_backend_pid()"))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def query(self, sql, timeout=60):
        """Runs SQL and returns its rows. Errors: SqlError; TimeoutError (it goes on running)."""
        self.send(sql)
        return self.wait(timeout)

    def value(self, sql, timeout=60):
        rows = self.query(sql, timeout)
        return rows[0][0] if rows else None

    def send(self, sql):
        """Starts SQL and returns at once. One at a time: wait() before the next."""
        mark = "\n\\echo '\x02' :ERROR :SQLSTATE :LAST_ERROR_MESSAGE '\x03'\n"
        self._psql.stdin.write((sql.rstrip().rstrip(";") + ";" + mark).encode())
        self._psql.stdin.flush()

    def wait(self, timeout=60):
        """Waits for what send() started and returns its rows."""
        deadline = time.monotonic() + timeout
        while b"\x03\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._psql.stdout], [], [], left)[0]:
                raise TimeoutError("no answer within %gs" % timeout)
            data = os.read(self._psql.stdout.fileno(), 1 << 16)
            if not data:
                raise SqlError("the session has ended", "08006")
            self._buffer += data
        answer, self._buffer = self._buffer.split(b"\x03\n", 1)
        text, status = answer.decode().rsplit("\x02", 1)
        failed, state, message = (status.split(None, 2) + ["", ""])[:3]
        if failed == "true":
            raise SqlError(message.strip(), state)
        return _parse_rows(text)

    def close(self):
        try:
            self._psql.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self._psql.wait(2)
        except subprocess.TimeoutExpired:
            self._psql.kill()
            self._psql.wait()
        self._psql.stdout.close()


def _major():
    out = subprocess.run([bindir() + "/postgres", "-V"], stdout=subprocess.PIPE, check=True)
    return int(re.search(r"(\d+)", out.stdout.decode()).group(1))


def english():
    """initdb arguments for text sorted as English: by ICU where the server has it."""
    if _major() >= 15:
        return ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
    return ["--locale=C.UTF-8"]


def make_source(dir=None, db="chat_pgvector", password=None, initdb=None, migrations=False,
                dimensions=None, **kw):
    """A local source, started. With a password SCRAM is asked for over TCP, else trust.

    migrations=True applies the shipped schema to db.
    """
    hba = ["host all all 127.0.0.1/32 " + ("scram-sha-256" if password else "trust")]
    kw.setdefault("hba", hba)
    c = Cluster(dir, db=db, password=password, initdb=initdb or english(), **kw)
    _begin(c)
    if password:
        c.psql("ALTER ROLE \"%s\" PASSWORD '%s'" % (c.superuser, password.replace("'", "''")),
               db="postgres")
    c.create_database(db)
    if migrations:
        c.apply_migrations(dimensions=dimensions)
    return c


def make_target(dir=None, db="neondb", role=FERRY, password=FERRY_PASSWORD,
                role_options="LOGIN CREATEDB CREATEROLE NOSUPERUSER", vector=True, conf=None, **kw):
    """A target as Neon is reached, started. role_options adds e.g. BYPASSRLS REPLICATION.

    vector=False leaves the extension out of template1 (and the role cannot create it).
    """
    settings = {"idle_in_transaction_session_timeout": "300000", "password_encryption": "scram-sha-256"}
    settings.update(conf or {})
    kw.setdefault("hba", ["hostssl all all 127.0.0.1/32 scram-sha-256"])
    c = Cluster(dir, tls=True, conf=settings, db=db, user=role, password=password, **kw)
    _begin(c, vector)
    c.create_role(role, password, role_options)
    c.create_database(db, owner=role)
    return c


def _begin(c, vector=True):
    c.init()
    try:
        c.start()
        if vector:
            c.psql("CREATE EXTENSION vector", db="template1", user=c.superuser)
    except BaseException:
        c.destroy()
        raise
