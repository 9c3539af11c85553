"""What can happen to bytes between clients and a server. proxy.py and neon.py make use of it.

A Line carries any number of connections and treats them together: they share its bandwidth, are
delayed, stalled and cut together. Its settings may be changed, and its methods called, from any
thread; the work is done in the asyncio loop it was given.

    line.delay, line.jitter    seconds that every piece takes each way; jitter adds up to that much
    line.rate                  bytes a second towards the server, all connections together; None: any
    line.cut()                 resets every connection, on both sides
    line.cut_after(n)          the same, once n more bytes have gone towards the server
    line.stall(); line.go()    nothing passes, nothing is read (the window closes); goes on
    line.when(...)             does something at a moment of the conversation, see there
    line.sent, line.received   bytes that have passed, towards the server and back
    line.messages              {"Q": 3, "d": 120, ...} from the clients, by type (when it sees them)
"""

import asyncio
import collections
import random
import socket
import struct
import threading
import time

_PIECE = 1 << 16
_ON_THE_WAY = 256  # pieces that a line with delay holds, each way


class Moment:
    """Something that is to happen once; see Line.when()."""

    def __init__(self, then, sent, answered, text, after, nth):
        self.then, self.sent, self.answered = then, sent and sent.encode(), answered and answered.encode()
        self.text, self.after, self.nth = text.encode(), after, nth
        self._seen = self._size = 0
        self._fired = threading.Event()

    @property
    def fired(self):
        """Whether the moment has come."""
        return self._fired.is_set()

    def wait(self, timeout=60):
        """Waits for it; TimeoutError."""
        if not self._fired.wait(timeout):
            raise TimeoutError("not within %g s: %r" % (timeout, vars(self)))

    def met(self, kind, body):
        """Counts a message; True when this is the one."""
        if self.fired or self.text not in body:
            return False
        self._seen += 1
        self._size += len(body)
        if self._seen < self.nth or self._size < self.after:
            return False
        self._fired.set()
        return True


class Pair:
    """One connection: the client's writer and, once there is one, the server's."""

    def __init__(self, client, server=None):
        self.client, self.server = client, server
        self.state = {}   # what a kind of line keeps about it
        self.orphan = None  # "lose" or "orphan" once the client was reset alone

    def writers(self):
        return [w for w in (self.client, self.server) if w is not None]


def reset(writer):
    """Closes at once, with a RST where there is anybody to get it."""
    try:  # a TLS connection that is gone already has no socket, and asking it for one fails
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except (OSError, AttributeError):
        pass
    writer.transport.abort()


async def finish(writer):
    """Closes once everything is on its way; does not wait for ever."""
    writer.close()
    try:
        await asyncio.wait_for(writer.wait_closed(), 2)
    except (OSError, asyncio.TimeoutError):
        pass


class Line:
    sees_messages = False  # else bytes pass as they are

    def __init__(self, loop):
        self.delay = self.jitter = 0.0
        self.rate = None
        self.sent = self.received = self.opened = 0
        self.messages = collections.Counter()
        self._loop = loop
        self._pairs = set()
        self._moments = []
        self._cut_at = None
        self._next_send = 0.0
        self._flowing = asyncio.Event()
        self._flowing.set()

    # ---- for tests -----------------------------------------------------------------------------

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

    def stall(self):
        """Nothing passes in either direction; connections stay open; new ones get no answer."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def go(self):
        self._loop.call_soon_threadsafe(self._flowing.set)

    def when(self, then, sent=None, answered=None, text="", after=0, nth=1):
        """At a moment of the conversation, `then` happens, once. Returns the Moment.

        sent      type letter of a client's message ("Q", "d" CopyData, "c" CopyDone, ...): the moment
                  is right after it was forwarded
        answered  start of a CommandComplete ("COMMIT", "COPY"): the moment is right before it is
                  delivered
        text      counts only messages that contain this
        after     bytes of such messages that must have passed
        nth       how many such messages must have passed
        then      "cut"     this connection is reset on both sides
                  "lose"    this client is reset; the server gets everything that was sent and goes on
                  "orphan"  this client is reset; the server is not told: its session lives on
                  "stall"   (of a client's message) as stall(), before the answer passes
                  or a callable, run in a thread of its own
        """
        assert self.sees_messages, "this line passes bytes as they are"
        moment = Moment(then, sent, answered, text, after, nth)
        self._moments.append(moment)
        return moment

    def forget(self):
        """No moment is waited for any more."""
        self._moments = []

    def lose_answer(self, tag):
        """Resets both sides instead of passing on the next CommandComplete of this tag."""
        return self.when("cut", answered=tag)

    # ---- inside the loop -----------------------------------------------------------------------

    def _run(self, coroutine, timeout=10):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    async def _cut(self):
        self._cut_at = None
        for pair in list(self._pairs):
            for writer in pair.writers():
                reset(writer)

    async def _serve(self, pair, reader, there):
        """Carries a connection whose server is known, until one side ends it."""
        if self.sees_messages:
            pump = self._pump_messages
        else:
            pump = self._pump
        up, down = asyncio.Queue(_ON_THE_WAY), asyncio.Queue(_ON_THE_WAY)
        tasks = [asyncio.ensure_future(work) for work in (
            pump(pair, reader, up, True), self._deliver(pair, up, pair.server, True),
            pump(pair, there, down, False), self._deliver(pair, down, pair.client, False))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _due(self):
        if not self.delay and not self.jitter:
            return 0
        return time.monotonic() + self.delay + random.random() * self.jitter

    async def _pump(self, pair, reader, queue, upward):
        data = b"."
        while data:
            await self._flowing.wait()
            data = await reader.read(_PIECE)
            await queue.put((self._due(), data))

    async def _pump_messages(self, pair, reader, queue, upward):
        while True:
            await self._flowing.wait()
            try:
                head = await reader.readexactly(5)
                body = await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
            except (asyncio.IncompleteReadError, ConnectionError):
                if upward and pair.orphan:
                    return  # the server is not told
                await queue.put((0, b""))
                return
            for message in self._change(pair, upward, head, body):
                await queue.put((self._due(), message))

    def _change(self, pair, upward, head, body):
        """What goes on instead of a message: a list of messages. A kind of line may have its own."""
        return [head + body]

    async def _deliver(self, pair, queue, writer, upward):
        """Writes what is due; an empty piece is the end."""
        while True:
            due, data = await queue.get()
            if due:
                await asyncio.sleep(due - time.monotonic())
            await self._flowing.wait()
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                    return
                await finish(writer)
                raise ConnectionResetError("the other side has closed")  # TLS has no half-closed state
            if not upward and self._answer(pair, data):
                continue
            if upward:
                await self._keep_rate(len(data))
            writer.write(data)
            await writer.drain()
            await self._count(pair, data, upward)

    async def _count(self, pair, data, upward):
        if not upward:
            self.received += len(data)
            return
        self.sent += len(data)
        if self.sees_messages:
            self.messages[chr(data[0])] += 1
            for moment in self._moments:
                if moment.sent == data[:1] and moment.met(data[:1], data[5:]):
                    self._happen(moment, pair)
        if self._cut_at is not None and self.sent >= self._cut_at:
            await self._cut()

    def _answer(self, pair, data):
        """Looks at a message on its way to the client. True: it is lost."""
        if pair.orphan:
            if pair.orphan == "lose" and data[:1] == b"Z":
                raise ConnectionResetError("the server has done what it was sent")
            return True
        for moment in self._moments if self.sees_messages and data[:1] == b"C" else ():
            if moment.answered and data[5:].startswith(moment.answered) and moment.met(b"C", data[5:]):
                self._happen(moment, pair)
                return not callable(moment.then)
        return False

    def _happen(self, moment, pair):
        if callable(moment.then):
            threading.Thread(target=moment.then, daemon=True).start()
            return
        if moment.then == "stall":
            self._flowing.clear()
            return
        reset(pair.client)
        if moment.then == "cut":
            reset(pair.server)
        else:
            pair.orphan = moment.then

    async def _keep_rate(self, size):
        if not self.rate:
            return
        now = time.monotonic()
        self._next_send = max(self._next_send, now) + size / self.rate
        if self._next_send - now > 0.005:
            await asyncio.sleep(self._next_send - now)
