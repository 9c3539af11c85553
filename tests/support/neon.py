#!/usr/bin/env python3
"""A stand-in for Neon: what a client meets at Neon's edge, in front of real PostgreSQL servers.

    with Neon() as neon:
        ep = neon.endpoint                       # more: Neon(endpoints=("ep-a-1", "ep-b-2")), neon["ep-a-1"]
        run(["neonferry", "run", "--target", ep.uri(), ...])
        ep.value("SELECT count(*) FROM t")       # as the superuser, past the edge
        ep.restart()                             # every session gone at once; back at once
        ep.when(ep.restart, sent="d", after=7_000_000)    # ... after 7 MB of CopyData
        ep.when("lose", sent="c", nth=3)         # the third COPY and its COMMIT go through, unanswered
        ep.suspend(); ep.suspend_after = 2       # now; after 2 s without work. The next client wakes it
        ep.size_limit = 40                       # MB, for all databases; None: no limit
        ep.refuse(neonwire.COMPUTE_QUOTA)        # after the password was found right; refuse(None) ends it
        ep.stall(); ep.go(); ep.delay, ep.jitter, ep.rate = 0.05, 0.01, 5e6    # and what else line.py has

TLS is required; the endpoint comes from SNI or options=endpoint%3D...; a name with -pooler leads to a
pgbouncer in transaction mode; verify-full and channel_binding=require work (not through the pooler);
only the startup parameters that Neon forwards arrive. See neonwire.py for the texts and neoncompute.py
for roles, settings and what differs from Neon. By the command line, for scripts:

    neon.py start --dir D [--endpoint ID...] [--max-connections N]    prints URIs; D/neon.json has them
    neon.py do --dir D [ENDPOINT] restart|suspend|stall|go|cut|set NAME=VALUE...
    neon.py stop --dir D
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from urllib.parse import quote, urlencode

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import neonwire as wire  # noqa: E402
from cluster import HOST, free_port, make_dir, wait_until  # noqa: E402
from line import Line, Pair, finish  # noqa: E402
from neoncompute import DATABASE, OWNER, OWNER_PASSWORD, Compute  # noqa: E402

REGION = "eu-test-1.neon.test"
MB = 1 << 20
_STARTING, _READY, _COPYING = "starting", "ready", "copying"


class Refusal(Exception):
    """What the edge tells a client before it goes away."""


class Endpoint(Line):
    """One endpoint: its compute, and the line to it."""

    sees_messages = True

    def __init__(self, neon, name, conf):
        super().__init__(neon.loop)
        self.neon, self.name = neon, name
        self.compute = Compute(os.path.join(neon.dir, name), neon.dir, name, "test-project-123456", conf)
        self.cold_start = 0.3       # seconds that the client who wakes it waits
        self.patience = 6.0         # seconds that a client waits for a compute that is not there
        self.suspend_after = None   # seconds without work, or None
        self.size_limit = None      # MB, or None
        self.suspends = self.full_answers = self.pooled = 0
        self._refusal = self._refusal_early = None
        self._size = 0
        self._closed = self._suspended = False
        self._life = threading.RLock()

    # ---- for tests -----------------------------------------------------------------------------

    @property
    def server(self):
        """The Cluster behind it; psql() and the like go there by the unix socket."""
        return self.compute.server

    def host(self, pooled=False):
        return "%s%s.%s" % (self.name, "-pooler" if pooled else "", REGION)

    def uri(self, db=DATABASE, pooled=False, user=OWNER, password=OWNER_PASSWORD, host=None, **params):
        """A connection string as Neon gives it (sslmode=require; the name is not in any DNS)."""
        params = {"sslmode": "require", "hostaddr": HOST, **params}
        secret = ":" + quote(password, safe="") if password else ""
        return "postgresql://%s%s@%s:%d/%s?%s" % (
            quote(user, safe=""), secret, host or self.host(pooled), self.neon.port, quote(db, safe=""),
            urlencode({k: v for k, v in params.items() if v is not None}, quote_via=quote))

    def psql(self, sql, db=DATABASE, user="cloud_admin", **kw):
        self.wake()
        return self.server.psql(sql, db=db, user=user, **kw)

    def value(self, sql, db=DATABASE, **kw):
        rows = self.psql(sql, db=db, **kw)
        return rows[0][0] if rows else None

    def restart(self, mode="immediate", down=0.0):
        """As a resize, an update or a crash; unlogged tables are empty then. "fast" is a kinder one."""
        with self._life:
            self.compute.restart(mode, down)

    def suspend(self):
        """Ends every session with 57P01; the next client starts the compute again."""
        with self._life:
            if self.compute.is_up:
                self._suspended = True
                self.compute.stop("fast")
                self.suspends += 1

    def stop(self, mode="immediate"):
        """The compute is gone, and nobody wakes it, until wake()."""
        with self._life:
            self._suspended = False
            self.compute.stop(mode)

    def wake(self):
        with self._life:
            self._suspended = False
            self.compute.start()

    def refuse(self, text, early=False):
        """New clients get this text once their password is found right (early: before); None: no more."""
        self._refusal, self._refusal_early = (None, text) if early else (text, None)

    # ---- watching ------------------------------------------------------------------------------

    def watch(self):
        """Ends idle computes and measures full ones, as Neon does: a little late."""
        while not self._closed:
            time.sleep(0.25)
            if self.size_limit is not None:
                self._size = self.compute.size()
            limit = self.suspend_after
            if limit and self.compute.is_up and self.compute.idle_for() > limit:
                self.suspend()

    @property
    def is_full(self):
        limit = self.size_limit
        return limit is not None and self._size > limit * MB

    def close(self):
        self._closed = True
        with self._life:
            self.compute.destroy()

    def _make_ready(self):
        """Where a suspended compute is started; one that is gone is waited for. May raise Refusal."""
        if self._suspended:
            time.sleep(self.cold_start)
            self.wake()
        try:
            wait_until(lambda: self.compute.is_up, self.patience, what=self.name)
        except TimeoutError:
            raise Refusal(wire.NO_COMPUTE) from None

    # ---- one connection ------------------------------------------------------------------------

    async def carry(self, pair, reader, pooled, startup):
        """Connects to the compute (or its pooler) and carries the messages."""
        self.opened += 1
        if self._refusal_early:
            raise Refusal(self._refusal_early)
        await self._flowing.wait()
        await self._loop.run_in_executor(None, self._make_ready)
        pair.state["phase"] = _STARTING
        try:
            there = await (self._reach_pooler(pair) if pooled else self._reach_server(pair))
        except (OSError, asyncio.IncompleteReadError):
            raise Refusal(wire.NO_COMPUTE) from None
        pair.server.write(wire.startup_packet(startup))
        self._pairs.add(pair)
        try:
            await self._serve(pair, reader, there)
        finally:
            self._pairs.discard(pair)

    async def _reach_pooler(self, pair):
        self.pooled += 1
        port = await self._loop.run_in_executor(None, self.compute.bouncer_port)
        there, pair.server = await asyncio.open_connection(HOST, port)
        return there

    async def _reach_server(self, pair):
        there, pair.server = await asyncio.open_connection(HOST, self.server.port)
        pair.server.write(struct.pack("!ii", 8, wire.SSL_REQUEST))
        if await there.readexactly(1) != b"S":
            raise OSError("the server does not speak TLS")
        await pair.server.start_tls(self.neon.outward)
        return there

    def _change(self, pair, upward, head, body):
        kind, state = head[:1], pair.state
        if upward:
            return self._change_up(kind, state, head, body)
        if state["phase"] == _STARTING:
            return self._change_start(kind, pair, head, body)
        if kind in (b"C", b"E", b"Z"):
            state["phase"] = _READY
        elif kind == b"G":
            state["phase"] = _COPYING
        if kind == b"E" and "full" in state:
            self.full_answers += 1
            return [wire.error(wire.FULL.format(state.pop("full")), "53100", wire.FULL_HINT, known=True)]
        return [head + body]

    def _change_up(self, kind, state, head, body):
        """A full project refuses what extends a relation: COPY in its middle, and new indexes."""
        if not self.is_full or "full" in state:
            return [head + body]
        if kind == b"d" and state["phase"] == _COPYING:
            state["full"] = self.size_limit
            return [wire.message(b"f", b"project size limit\0")]
        if kind == b"Q" and b"CREATE INDEX" in body.upper() and state["phase"] == _READY:
            state["full"] = self.size_limit
            return [wire.message(b"Q", b"DO $$BEGIN RAISE EXCEPTION 'project size limit'; END$$\0")]
        return [head + body]

    def _change_start(self, kind, pair, head, body):
        """Everything that goes wrong at the connect comes in the words and the form of the proxy."""
        if kind == b"E":
            fields = wire.error_fields(body)
            text = fields.get("M", "")
            if fields.get("C") in ("28P01", "28000") or text.startswith("password authentication"):
                text = wire.WRONG_PASSWORD.format(pair.state["user"])
            return [wire.error(text), b""]
        if kind == b"R" and body == b"\0\0\0\0" and self._refusal:
            return [wire.error(self._refusal), b""]
        if kind == b"K":
            self.neon.keys[body] = self
        if kind == b"Z":
            pair.state["phase"] = _READY
        return [head + body]


class Neon:
    """The edge: one port, any number of endpoints. A context manager; neon["ep-..."] is an Endpoint."""

    def __init__(self, endpoints=("ep-cold-meadow-123456",), dir=None, conf=None, port=None):
        self.dir = os.path.abspath(dir) if dir else make_dir("neonferry-neon-")
        self.port = port or free_port()
        self.keys = {}
        self.loop = asyncio.new_event_loop()
        self.outward = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.outward.check_hostname, self.outward.verify_mode = False, ssl.CERT_NONE
        self._conf, self._names = dict(conf or {}), endpoints
        self._endpoints, self._listener, self._threads, self._tasks = {}, None, [], set()

    @property
    def endpoint(self):
        """The first one."""
        return next(iter(self._endpoints.values()))

    @property
    def ca(self):
        """The file with the root certificate, for sslmode=verify-full."""
        return os.path.join(self.dir, "ca.crt")

    def __getitem__(self, name):
        return self._endpoints[name]

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.close()

    def start(self):
        os.makedirs(self.dir, exist_ok=True)
        os.chmod(self.dir, 0o755)
        _make_certificates(self.dir)
        try:
            for name in self._names:
                self.add(name)
            self._listener = socket.create_server((HOST, self.port), backlog=200)
            self._listener.setblocking(False)
            self._begin(self._run_loop)
        except BaseException:
            self.close()
            raise
        return self

    def add(self, name):
        """One more endpoint, of the same project."""
        endpoint = self._endpoints[name] = Endpoint(self, name, self._conf)
        endpoint.compute.create()
        self._begin(endpoint.watch)
        return endpoint

    def _begin(self, work):
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self):
        if self.loop.is_running():
            asyncio.run_coroutine_threadsafe(self._end_tasks(), self.loop).result(10)
            self.loop.call_soon_threadsafe(self.loop.stop)
        for endpoint in self._endpoints.values():
            endpoint.close()
        for thread in self._threads:
            thread.join(10)
        if self._listener:
            self._listener.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    async def _end_tasks(self):
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    # ---- the edge ------------------------------------------------------------------------------

    def _run_loop(self):
        self.loop.create_task(self._listen())
        self.loop.run_forever()
        self.loop.close()

    async def _listen(self):
        while True:
            sock, _ = await self.loop.sock_accept(self._listener)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self.loop.create_task(self._connection(sock))
            self._tasks.add(task)  # the loop itself would let it be collected
            task.add_done_callback(self._tasks.discard)

    async def _connection(self, sock):
        pair = Pair(None)
        try:
            await self._greet(sock, pair)
        except Refusal as refusal:
            pair.client.write(wire.error(str(refusal)))
            await finish(pair.client)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, struct.error, ValueError):
            pass
        finally:
            for end in pair.writers():
                end.transport.abort()

    async def _greet(self, sock, pair):
        names = []
        tls = self._inward(names)
        if await self._first_byte(sock) == b"\x16":  # TLS without a request for it
            reader, pair.client = await self._streams(sock, tls)
        else:
            reader, pair.client = await self._streams(sock)
        protocol, rest = await self._startup(reader)
        while protocol in (wire.SSL_REQUEST, wire.GSS_REQUEST):
            pair.client.write(b"S" if protocol == wire.SSL_REQUEST else b"N")
            await pair.client.drain()
            if protocol == wire.SSL_REQUEST:
                await pair.client.start_tls(tls)
            protocol, rest = await self._startup(reader)
        if protocol == wire.CANCEL_REQUEST:
            return await self._cancel(rest)
        if pair.client.get_extra_info("ssl_object") is None:
            raise Refusal(wire.INSECURE)
        fields = wire.startup_fields(rest)
        pair.client.write(wire.negotiate(protocol, fields))
        pair.state["user"] = fields.get("user", "")
        endpoint, pooled = self._route(names[0] if names else None, fields)
        await endpoint.carry(pair, reader, pooled, wire.forwarded(fields))

    def _inward(self, names):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(self.dir, "server.crt"), os.path.join(self.dir, "server.key"))
        context.set_alpn_protocols(["postgresql"])
        context.sni_callback = lambda tls, name, _: names.append(name) if name else None
        return context

    async def _first_byte(self, sock):
        sock.setblocking(False)
        there = self.loop.create_future()
        self.loop.add_reader(sock, lambda: there.done() or there.set_result(None))
        try:
            await there
        finally:
            self.loop.remove_reader(sock)
        return sock.recv(1, socket.MSG_PEEK)

    async def _streams(self, sock, tls=None):
        reader = asyncio.StreamReader()
        made = self.loop.create_future()
        protocol = asyncio.StreamReaderProtocol(reader, lambda r, w: made.set_result(w))
        await self.loop.connect_accepted_socket(lambda: protocol, sock, ssl=tls)
        return reader, await made

    @staticmethod
    async def _startup(reader):
        size, protocol = struct.unpack("!ii", await reader.readexactly(8))
        if not 8 <= size <= 10000:
            raise ValueError("no startup packet")
        return protocol, await reader.readexactly(size - 8)

    def _route(self, server_name, fields):
        """(endpoint, pooled) from SNI and options."""
        words, rest = wire.neon_options(fields.get("options", ""))
        label = server_name.split(".")[0] if server_name else None
        option = words.get("endpoint", words.get("project"))
        if option and not option.replace("-", "").isalnum():
            raise Refusal(wire.BAD_NAME.format(option))
        if label and option and label != option:
            raise Refusal(wire.INCONSISTENT.format(label, option))
        name = label or option
        if not name:
            raise Refusal(wire.NO_ENDPOINT)
        pooled = name.endswith("-pooler")
        endpoint = self._endpoints.get(name[:-7] if pooled else name)
        if endpoint is None:
            raise Refusal(wire.NOT_FOUND)
        if pooled and rest:
            raise Refusal(wire.POOLED_OPTION.format(rest.replace("-c", "").split("=")[0].strip()))
        return endpoint, pooled

    async def _cancel(self, key):
        endpoint = self.keys.get(key)
        if endpoint and endpoint.compute.is_up:
            _, writer = await asyncio.open_connection(HOST, endpoint.server.port)
            writer.write(struct.pack("!ii", 16, wire.CANCEL_REQUEST) + key)
            await writer.drain()
            writer.close()


def _make_certificates(folder):
    """A root, and one certificate for every name of the region."""
    script = """
        set -e; umask 077
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
            -keyout ca.key -out ca.crt -subj '/CN=stand-in root'
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
            -keyout server.key -out server.csr -subj '/CN=*.%s'
        printf 'subjectAltName=DNS:*.%s\\n' >ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 \
            -extfile ext -out server.crt
        chmod 644 ca.crt server.crt""" % (REGION, REGION)
    subprocess.run(["sh", "-c", script], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


# ---- by the command line -----------------------------------------------------------------------


def _describe(neon):
    ends = {}
    for name, ep in neon._endpoints.items():
        ends[name] = {"uri": ep.uri(), "uri_without_password": ep.uri(password=None),
                      "pooled_uri": ep.uri(pooled=True), "host": ep.host(), "hostaddr": HOST,
                      "port": neon.port, "user": OWNER, "db": DATABASE, "ca": neon.ca,
                      "superuser_uri": ep.server.socket_uri(DATABASE)}
    return {"dir": neon.dir, "pid": os.getpid(), "endpoints": ends}


def _obey(neon, request):
    """One command of `neon.py do`: {"endpoint": NAME or None, "do": VERB, "set": {NAME: VALUE}}."""
    ep = neon[request["endpoint"]] if request.get("endpoint") else neon.endpoint
    verb = request["do"]
    if verb == "set":
        for name, value in request["set"].items():
            if name not in ("delay", "jitter", "rate", "size_limit", "suspend_after", "cold_start",
                            "patience"):
                raise ValueError("no setting " + name)
            setattr(ep, name, value)
    elif verb in ("restart", "suspend", "stop", "wake", "stall", "go", "cut"):
        getattr(ep, verb)()
    else:
        raise ValueError("no command " + verb)
    return {"ok": True, "sent": ep.sent, "received": ep.received, "opened": ep.opened, "live": ep.live}


def serve(args):
    """The process behind `start`: runs until it is told to stop, by D/control."""
    conf = {"max_connections": args.max_connections} if args.max_connections else None
    with Neon(tuple(args.endpoint), dir=args.dir, conf=conf) as neon, \
            socket.socket(socket.AF_UNIX) as control:
        control.bind(os.path.join(neon.dir, "control"))
        control.listen()
        path = os.path.join(neon.dir, "neon.json")
        with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            json.dump(_describe(neon), f, indent=1)
        os.rename(path + ".new", path)
        while True:
            peer, _ = control.accept()
            with peer, peer.makefile("rw") as f:
                request = json.loads(f.readline())
                if request["do"] == "exit":
                    return
                try:
                    answer = _obey(neon, request)
                except (KeyError, ValueError) as error:
                    answer = {"ok": False, "error": str(error)}
                f.write(json.dumps(answer) + "\n")


def _ask(folder, request):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.path.join(folder, "control"))
        with s.makefile("rw") as f:
            f.write(json.dumps(request) + "\n")
            f.flush()
            return f.readline()


def start(args):
    args.dir = os.path.abspath(args.dir)
    os.makedirs(args.dir, exist_ok=True)
    log = open(os.path.join(args.dir, "edge.log"), "wb")
    process = subprocess.Popen([sys.executable, "-B", os.path.abspath(__file__), "serve"] + sys.argv[2:],
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    path = os.path.join(args.dir, "neon.json")
    wait_until(lambda: os.path.exists(path) or process.poll() is not None, 60, what="the stand-in")
    if process.poll() is not None:
        with open(os.path.join(args.dir, "edge.log")) as f:
            sys.exit("the stand-in did not start: " + f.read()[-2000:])
    with open(path) as f:
        for end in json.load(f)["endpoints"].values():
            print(end["uri"])


def do(args):
    words = args.words
    request = {"endpoint": words.pop(0) if words[0].startswith("ep-") else None, "do": words[0]}
    request["set"] = {name: json.loads(value) for name, value in (w.split("=", 1) for w in words[1:])}
    answer = _ask(args.dir, request)
    print(answer, end="")
    return 0 if json.loads(answer)["ok"] else 1


def stop(args):
    with open(os.path.join(args.dir, "neon.json")) as f:
        pid = json.load(f)["pid"]
    _ask(args.dir, {"do": "exit"})
    wait_until(lambda: not os.path.exists("/proc/%d" % pid), 60, what="the stand-in to end")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, call in (("start", start), ("serve", serve), ("do", do), ("stop", stop)):
        p = commands.add_parser(name)
        p.add_argument("--dir", required=True)
        p.set_defaults(call=call)
        if call in (start, serve):
            p.add_argument("--endpoint", nargs="+", default=["ep-cold-meadow-123456"])
            p.add_argument("--max-connections")
        elif call is do:
            p.add_argument("words", nargs="+")
    args = parser.parse_args()
    return args.call(args)


if __name__ == "__main__":
    sys.exit(main())
