"""A bad line between neonferry and a server: cut, silent, slow, measured.

    with make_target() as target, Proxy(target) as line:
        start(["neonferry", "run", "--target", line.uri(), ...])
        line.cut_after(7_000_000)      # reset every connection after 7 MB more towards the server
        ...
        line.stall(); line.go()        # fall silent, go on
        line.refuse(); line.accept()   # as a suspended compute behind a dead address, and back
        line.delay = 0.05              # seconds, each way
        line.rate = 5_000_000          # bytes a second towards the server, all connections together
        print(line.sent, line.received, line.opened)

Bytes pass as they are, TLS included, so channel binding holds. With inspect=True TLS ends here, with
the server's own certificate (channel binding holds then too), and messages are seen:

        line.lose_answer("COMMIT")     # the server commits; its answer and the line are lost
        line.messages                  # {"Q": 3, "d": 120, ...} from the client, by type

Runs in a thread of its own; every method may be called from any thread.
"""

import asyncio
import collections
import os
import socket
import ssl
import struct
import threading
import time

from cluster import HOST, free_port

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_GSS_REQUEST = struct.pack("!ii", 8, 80877104)
_PIECE = 1 << 16
_ON_THE_WAY = 256  # pieces that a line with delay holds, each way


class Proxy:
    def __init__(self, cluster, inspect=False):
        self.cluster = cluster
        self.inspect = inspect
        self.delay = 0.0
        self.rate = None
        self.sent = self.received = self.opened = 0
        self.messages = collections.Counter()
        self.port = None
        self._pairs = set()
        self._cut_at = None
        self._lost_tag = None
        self._next_send = 0.0
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.accept()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    # ---- for tests -----------------------------------------------------------------------------

    def uri(self, **kw):
        """cluster.uri() with the proxy's port."""
        return self.cluster.uri(**kw).replace(":%d/" % self.cluster.port, ":%d/" % self.port)

    @property
    def live(self):
        """How many connections are open now."""
        return len(self._pairs)

    def cut(self):
        """Resets every connection, on both sides."""
        self._run(self._cut())

    def cut_after(self, size):
        """Resets every connection once size more bytes have gone towards the server."""
        self._cut_at = self.sent + size

    def lose_answer(self, tag):
        """Cuts everything instead of passing on the next CommandComplete of this tag. Needs inspect."""
        assert self.inspect, "messages are seen with inspect=True only"
        self._lost_tag = tag.encode()

    @property
    def lost(self):
        """Whether the answer that lose_answer() waits for has come and been lost."""
        return self._lost_tag is None

    def stall(self):
        """Nothing passes in either direction; connections stay open; new ones get no answer."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def go(self):
        self._loop.call_soon_threadsafe(self._flowing.set)

    def refuse(self):
        """Refuses new connections (nobody listens) and resets the open ones."""
        self._run(self._refuse())

    def accept(self):
        """Takes connections again, on the same port."""
        self._run(self._accept())

    def close(self):
        self._run(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # ---- inside the loop -----------------------------------------------------------------------

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _accept(self):
        if self._server is None:
            self.port = self.port or free_port()
            self._server = await asyncio.start_server(self._connection, HOST, self.port)

    async def _refuse(self):
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _finish(self):
        await self._refuse()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _cut(self):
        self._cut_at = None
        for pair in list(self._pairs):
            for writer in pair:
                self._reset(writer)

    @staticmethod
    def _reset(writer):
        sock = writer.get_extra_info("socket")
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (OSError, AttributeError):
            pass
        writer.transport.abort()

    async def _connection(self, reader, writer):
        self.opened += 1
        pair = [writer]
        key = tuple(pair)
        self._pairs.add(key)
        try:
            await self._flowing.wait()
            there = await asyncio.open_connection(HOST, self.cluster.port)
            self._pairs.discard(key)
            key = (writer, there[1])
            self._pairs.add(key)
            await self._serve(reader, writer, *there)
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self._pairs.discard(key)
            for end in key:
                end.transport.abort()

    async def _serve(self, reader, writer, there, there_writer):
        pump = self._pump
        if self.inspect:
            await self._begin(reader, writer, there, there_writer)
            pump = self._pump_messages
        up, down = asyncio.Queue(_ON_THE_WAY), asyncio.Queue(_ON_THE_WAY)
        tasks = [asyncio.ensure_future(work) for work in (
            pump(reader, up, True), self._deliver(up, there_writer, True),
            pump(there, down, False), self._deliver(down, writer, False))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, reader, queue, upward):
        data = b"."
        while data:
            data = await reader.read(_PIECE)
            await queue.put((time.monotonic() + self.delay, data))

    async def _deliver(self, queue, writer, upward):
        """Writes what is due; an empty piece is the end."""
        while True:
            due, data = await queue.get()
            if self.delay:
                await asyncio.sleep(due - time.monotonic())
            await self._flowing.wait()
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                    return
                raise ConnectionResetError("the other side has closed")  # TLS has no half-closed state
            if upward:
                await self._keep_rate(len(data))
            writer.write(data)
            await writer.drain()
            await self._count(len(data), upward)

    async def _count(self, size, upward):
        if not upward:
            self.received += size
            return
        self.sent += size
        if self._cut_at is not None and self.sent >= self._cut_at:
            await self._cut()

    async def _keep_rate(self, size):
        if not self.rate:
            return
        now = time.monotonic()
        self._next_send = max(self._next_send, now) + size / self.rate
        if self._next_send - now > 0.005:
            await asyncio.sleep(self._next_send - now)

    # ---- message by message --------------------------------------------------------------------

    async def _begin(self, reader, writer, there, there_writer):
        """TLS on both sides if the client asks for it, and the startup packet."""
        while True:
            head = await reader.readexactly(4)
            first = head + await reader.readexactly(struct.unpack("!i", head)[0] - 4)
            if first == _SSL_REQUEST and self.cluster.tls:
                await self._start_tls(writer, there, there_writer)
            elif first in (_SSL_REQUEST, _GSS_REQUEST):
                writer.write(b"N")
            else:
                there_writer.write(first)
                return

    async def _start_tls(self, writer, there, there_writer):
        inward = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        inward.load_cert_chain(os.path.join(self.cluster.dir, "server.crt"),
                               os.path.join(self.cluster.dir, "server.key"))
        outward = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        outward.check_hostname = False
        outward.verify_mode = ssl.CERT_NONE
        there_writer.write(_SSL_REQUEST)
        if await there.readexactly(1) != b"S":
            raise OSError("the server does not speak TLS")
        await there_writer.start_tls(outward)
        writer.write(b"S")
        await writer.drain()
        await writer.start_tls(inward)

    async def _pump_messages(self, reader, queue, upward):
        while True:
            try:
                head = await reader.readexactly(5)
            except asyncio.IncompleteReadError:
                await queue.put((0, b""))
                return
            body = await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
            if upward:
                self.messages[chr(head[0])] += 1
            elif head[:1] == b"C" and body.rstrip(b"\0") == self._lost_tag:
                self._lost_tag = None
                await self._cut()
                return
            await queue.put((time.monotonic() + self.delay, head + body))
