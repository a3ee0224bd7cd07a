"""uvicorn, which listens and speaks HTTP, with patience that ends."""

import functools
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol


class HttpServer(uvicorn.Server):
    """Runs an `App`.

    Args:
        app: `App`.
        settings: `Settings`.
    """

    def __init__(self, app, *, settings):
        config = uvicorn.Config(
            app.asgi(),
            http=functools.partial(_Connection, seconds=settings.read_seconds),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=settings.stop_seconds,
        )
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig, frame):
        self._app.stopping = True  # at once, and not when uvicorn next looks
        super().handle_exit(sig, frame)

    def stop(self):
        """Stops it, from any thread."""
        self._app.stopping = self.should_exit = True


class _Connection(H11Protocol):
    """Closes a connection whose client is too slow with a request's head, or with an answer.

    uvicorn waits for these as long as one byte comes now and then. What is slow in between, a
    request's body, is waited for in `Intake`.
    """

    def __init__(self, *arguments, seconds, **options):
        super().__init__(*arguments, **options)
        self._seconds, self._timer = seconds, None

    def connection_made(self, transport):
        super().connection_made(transport)
        # asyncio leaves this out for a socket that it did not make: an answer, which is written
        # in parts, would wait 40 ms for the client's acknowledgement of the first.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._expect_request()

    def on_response_complete(self):
        super().on_response_complete()
        self._expect_request()

    def connection_lost(self, exc):
        self._timer.cancel()
        super().connection_lost(exc)

    def _expect_request(self):
        if self._timer:
            self._timer.cancel()
        unread = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(self._seconds, self._lose_patience, unread)

    def _lose_patience(self, unread):
        """Closes, if no request has begun, and no more of the last answer was read."""
        if self.cycle and not self.cycle.response_complete:
            return
        if 0 < self.transport.get_write_buffer_size() < unread:
            self._expect_request()
        else:
            self.transport.abort()
