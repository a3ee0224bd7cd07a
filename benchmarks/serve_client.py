"""A client that asks a lot at little cost: raw HTTP on kept connections, answers hardly read."""

import asyncio
import base64
import collections
import contextlib
import itertools
import json
import re
import socket
import time

_HOST = "127.0.0.1"
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


def request_bytes(model, instance):
    """A whole request to predict.

    Args:
        model: Name of the model.
        instance: Bytes of an image, or the list of a clip's frames.
    """
    body = json.dumps({"instances": [_as_json(instance)]})
    head = f"POST /v1/models/{model}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


def _as_json(instance):
    if isinstance(instance, bytes):
        return {"b64": base64.b64encode(instance).decode()}
    return [_as_json(frame) for frame in instance]


class _Answer:
    """As much of an answer as has come."""

    def __init__(self):
        self._begun, self._missing = b"", None
        self.status = None

    def add(self, part):
        """Takes a part; says whether the answer is whole."""
        if self._missing is None:
            self._begun += part
            end = self._begun.find(b"\r\n\r\n") + 4
            if end < 4:
                return False
            self.status = int(self._begun[9:12])
            length = int(_LENGTH.search(self._begun, 0, end)[1])
            self._missing = end + length - len(self._begun)
        else:
            self._missing -= len(part)
        return self._missing <= 0


class OneByOne:
    """A connection on which one request after the other is asked.

    Args:
        port: Where the server listens on this machine.
    """

    def __init__(self, port):
        self._socket = socket.create_connection((_HOST, port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def ask(self, request):
        """Status of the answer, and the seconds until it was there."""
        start, answer, is_whole = time.perf_counter(), _Answer(), False
        self._socket.sendall(request)
        while not is_whole:
            part = self._socket.recv(2**18)
            if not part:
                raise ConnectionError("the server closed the connection")
            is_whole = answer.add(part)
        return answer.status, time.perf_counter() - start


class Load:
    """Clients, each of which asks again as soon as it is answered, whatever the answer.

    Args:
        port: Where the server listens on this machine.
        requests: List of requests, sent in turn.
        clients: How many.

    Attributes:
        answers: Counter of statuses; "lost" are connections that ended before the answer.
        latencies: Seconds to each answer of status 200.
        seconds: How long it has asked.
        own_seconds: Processor time that it took itself.
    """

    def __init__(self, port, requests, *, clients):
        self.port, self._clients = port, clients
        self.requests = itertools.cycle(requests)
        self.answers, self.latencies = collections.Counter(), []
        self.seconds = self.own_seconds = 0.0
        self.is_over = False

    def run(self, seconds, *, watch=None):
        """Asks.

        Args:
            seconds: How long.
            watch: Function called ten times a second, or None. With it all clients go away at the
                end; else each waits for its last answer.
        """
        start, own = time.perf_counter(), time.process_time()
        asyncio.run(self._run(seconds, watch))
        self.seconds += time.perf_counter() - start
        self.own_seconds += time.process_time() - own

    async def _run(self, seconds, watch):
        self.is_over = False
        clients = [_Client(self) for _ in range(self._clients)]
        asking = [asyncio.create_task(client.ask()) for client in clients]
        for _ in range(round(10 * seconds)):
            await asyncio.sleep(0.1)
            if watch:
                watch()
        self.is_over = True
        if watch:
            for client in clients:
                client.leave()
        await asyncio.gather(*asking)


class _Client(asyncio.Protocol):
    """One connection at a time of a `Load`."""

    def __init__(self, load):
        self._load, self._transport = load, None

    async def ask(self):
        """Asks until the load is over, on a new connection where one is lost."""
        loop = asyncio.get_running_loop()
        while not self._load.is_over:
            self._lost = loop.create_future()
            with contextlib.suppress(ConnectionError):
                await loop.create_connection(lambda: self, _HOST, self._load.port)
                await self._lost
            if not self._load.is_over:
                self._load.answers["lost"] += 1

    def leave(self):
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport):
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._send()

    def connection_lost(self, exc):
        self._transport = None
        self._lost.set_result(None)

    def _send(self):
        if self._load.is_over:
            self._transport.close()
            return
        self._answer, self._start = _Answer(), time.perf_counter()
        self._transport.write(next(self._load.requests))

    def data_received(self, data):
        if self._answer.add(data):
            self._load.answers[self._answer.status] += 1
            if self._answer.status == 200:
                self._load.latencies.append(time.perf_counter() - self._start)
            self._send()
