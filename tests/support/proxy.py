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
        line.when(...)                 # and what else line.py has

Runs in a thread of its own; every method may be called from any thread.
"""

import asyncio
import os
import ssl
import struct
import threading

from cluster import HOST, free_port
from line import Line, Pair

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_GSS_REQUEST = struct.pack("!ii", 8, 80877104)


class Proxy(Line):
    def __init__(self, cluster, inspect=False):
        super().__init__(asyncio.new_event_loop())
        self.cluster = cluster
        self.sees_messages = inspect
        self.port = None
        self._loss = None
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

    def lose_answer(self, tag):
        """Cuts the line instead of passing on the next CommandComplete of this tag. Needs inspect."""
        self._loss = super().lose_answer(tag)
        return self._loss

    @property
    def lost(self):
        """Whether the answer that lose_answer() waits for has come and been lost."""
        return self._loss is None or self._loss.fired

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

    async def _connection(self, reader, writer):
        self.opened += 1
        pair = Pair(writer)
        self._pairs.add(pair)
        try:
            await self._flowing.wait()
            there, pair.server = await asyncio.open_connection(HOST, self.cluster.port)
            if self.sees_messages:
                await self._begin(reader, writer, there, pair.server)
            await self._serve(pair, reader, there)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._pairs.discard(pair)
            for end in pair.writers():
                end.transport.abort()

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
