"""The bodies of requests, read within bounds of size, number and time."""

import asyncio
import contextlib

from starlette.requests import ClientDisconnect

from kerakit.serve.protocol import Refusal

_DISCARD_SECONDS = 2.0
_LATER = {"Retry-After": "1"}


class Intake:
    """Lets requests in as long as there is room, and reads what they send.

    Args:
        settings: `Settings`.

    Attributes:
        under_way: How many requests are being read or answered.
        held: Bytes of their bodies.
    """

    def __init__(self, settings):
        self._settings = settings
        self.under_way = 0
        self.held = 0

    @contextlib.asynccontextmanager
    async def body_of(self, request):
        """The whole body of a request, which counts as held as long as the block runs.

        Args:
            request: Starlette's `Request`.

        Yields:
            bytearray.

        Raises:
            Refusal: If it is too large, comes too slowly, or there is no room.
        """
        if self.under_way >= self._settings.queue:
            raise Refusal(429, "Too many requests are under way; try again.", _LATER)
        self.under_way += 1
        body = bytearray()
        try:
            await self._read(request, body)
            yield body
        finally:
            self.under_way -= 1
            self.held -= len(body)

    async def discard(self, request):
        """Reads, for a while, what is left of the body of a refused request, and drops it.

        A client that sends all before it reads would find the connection broken, and no answer.

        Args:
            request: Starlette's `Request`.
        """
        # A RuntimeError says that nothing is left.
        with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):
            async with asyncio.timeout(_DISCARD_SECONDS):
                async for _ in request.stream():
                    pass

    async def _read(self, request, body):
        most = self._settings.request_bytes
        too_large = Refusal(413, f"A request may have at most {most:,} bytes.")
        if int(request.headers.get("content-length", 0)) > most:
            raise too_large
        try:
            async with asyncio.timeout(self._settings.read_seconds):
                async for chunk in request.stream():
                    body += chunk
                    self.held += len(chunk)
                    if len(body) > most:
                        raise too_large
                    if self.held > self._settings.held_bytes:
                        raise Refusal(429, "Too much is being sent at once; try again.", _LATER)
        except TimeoutError:
            raise Refusal(
                408,
                f"The request did not come whole within {self._settings.read_seconds:g} seconds.",
                {"Connection": "close"},
            ) from None
