"""A TCP proxy between the actors and the broker: it cuts connections, and loses the answers of requests that it has passed on.

It reads frames, so a cut can fall between a request and its answer. A connection is known by its client id. With a `lie`
(lies.py) it falsifies, which proves that the checks see it.
"""

import asyncio
import struct
import threading


class Proxy:
    def __init__(self, target_port, lie=None):
        self.target_port, self.lie, self.port = target_port, lie, None
        self._links, self._loop, self._ready = set(), asyncio.new_event_loop(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def cut(self, chosen):
        """Resets the connections whose client id chosen(name) is true of."""
        self._loop.call_soon_threadsafe(self._each, chosen, lambda link: link.close())

    def lose_answers(self, chosen):
        """Their next request is passed on; instead of its answer the connection ends."""
        self._loop.call_soon_threadsafe(self._each, chosen, lambda link: setattr(link, "losing", True))

    def be_honest(self):
        """Ends the lie."""
        if self.lie:
            self.lie.lying = False

    def close(self):
        def end():
            self._each(lambda name: True, lambda link: link.close())
            self._loop.stop()

        self._loop.call_soon_threadsafe(end)
        self._thread.join(10)

    def _each(self, chosen, act):
        for link in list(self._links):
            if chosen(link.name):
                act(link)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()

    async def _serve(self, reader, writer):
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, reader, writer, *upstream)
        self._links.add(link)
        try:
            await asyncio.wait(
                [asyncio.ensure_future(link.requests()), asyncio.ensure_future(link.answers())],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            link.close()
            self._links.discard(link)


async def _frame(reader):
    head = await reader.readexactly(4)
    return await reader.readexactly(struct.unpack(">i", head)[0])


def _send(writer, frame):
    writer.write(struct.pack(">i", len(frame)) + frame)


class _Link:
    """One connection of an actor and its own to the broker."""

    def __init__(self, proxy, reader, writer, up_reader, up_writer):
        self.proxy, self.name, self.losing, self.lost = proxy, "", False, False
        self.reader, self.writer, self.up_reader, self.up_writer = reader, writer, up_reader, up_writer
        self.asked = []  # with a lie: requests without an answer yet, oldest first

    def close(self):
        for writer in (self.writer, self.up_writer):
            writer.transport.abort()

    async def requests(self):
        try:
            while True:
                frame = await _frame(self.reader)
                if not self.name:
                    (size,) = struct.unpack_from(">h", frame, 8)
                    self.name = frame[10 : 10 + max(size, 0)].decode()
                for one in self._told(frame):
                    _send(self.up_writer, one)
                self.lost = self.lost or self.losing
                await self.up_writer.drain()
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass

    async def answers(self):
        try:
            while True:
                frame = await _frame(self.up_reader)
                if self.lost:
                    return
                if self.proxy.lie:
                    request = self.asked.pop(0)
                    frame = self.proxy.lie.answer(request, frame)
                if frame is not None:
                    _send(self.writer, frame)
                    await self.writer.drain()
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass

    def _told(self, frame):
        """What the broker is told in place of the frame."""
        if not self.proxy.lie:
            return [frame]
        frames = self.proxy.lie.request(frame)
        self.asked += frames
        return frames
