"""uvicorn, which listens and speaks HTTP, with patience that ends."""

import asyncio
import functools
import selectors
import socket
import sys

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

_FEW = 64  # connections
_CLOSE_WAIT = 8  # of Linux's tcp_states.h


class HttpServer(uvicorn.Server):
    """Runs an `App`.

    Args:
        app: `App`.
        settings: `Settings`.
    """

    def __init__(self, app, *, settings):
        config = uvicorn.Config(
            _given_up_with_its_client(app.asgi()),
            http=functools.partial(_Connection, seconds=settings.read_seconds),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            # Its five seconds would cut off clients whose next request it did not come to read.
            timeout_keep_alive=settings.read_seconds,
            timeout_graceful_shutdown=settings.stop_seconds,
        )
        super().__init__(config)
        self._app = app

    def run(self, sockets=None):
        with asyncio.Runner(loop_factory=_event_loop) as runner:
            runner.run(self.serve(sockets=sockets))

    def handle_exit(self, sig, frame):
        self._app.stopping = True  # at once, and not when uvicorn next looks
        super().handle_exit(sig, frame)

    def stop(self):
        """Stops it, from any thread."""
        self._app.stopping = self.should_exit = True


def _event_loop():
    return asyncio.SelectorEventLoop(_FewAtATime())


class _FewAtATime(selectors.DefaultSelector):
    """Has the event loop read from a few sockets, and then look after all else.

    From thousands at once, as of an overload, it would read for a second before it next hands a
    batch to a thread, and of a hundred requests that it could answer, it would answer five.
    """

    def select(self, timeout=None):
        return super().select(timeout)[:_FEW]


def _given_up_with_its_client(application):
    """An ASGI application whose tasks `_Connection` can cancel."""

    async def with_task(scope, receive, send):
        scope["kerakit.task"] = asyncio.current_task()
        try:
            await application(scope, receive, send)
        except asyncio.CancelledError:
            if "kerakit.task" in scope:  # the server is being stopped
                raise
        finally:
            scope.pop("kerakit.task", None)

    return with_task


def _has_gone(connection):
    """Whether the other side of a connection was closed; false where the system does not tell."""
    if sys.platform != "linux":
        return False
    (state,) = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return state == _CLOSE_WAIT


class _Connection(H11Protocol):
    """Gives up a request whose client has gone, and closes connections of slow clients.

    Slow is who does not send a request's head in time, or does not take an answer.

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

    def data_received(self, data):
        # After an overload thousands of requests lie there whose clients have gone; to answer
        # these first would take a second.
        is_many = len(self.connections) > _FEW
        if is_many and _has_gone(self.transport.get_extra_info("socket")):
            self.transport.abort()
        else:
            super().data_received(data)

    def on_response_complete(self):
        super().on_response_complete()
        self._expect_request()

    def connection_lost(self, exc):
        self._timer.cancel()
        super().connection_lost(exc)
        if (
            self.cycle
            and self.cycle.disconnected
            and (task := self.scope.pop("kerakit.task", None))
        ):
            task.cancel()

    def _expect_request(self):
        if self._timer:
            self._timer.cancel()
        unread = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(self._seconds, self._lose_patience, unread)

    def _lose_patience(self, unread):
        """Closes, if no request has begun, or no more of the answers was read."""
        left = self.transport.get_write_buffer_size()
        if 0 < left < unread:
            self._expect_request()
        elif left or not self.cycle or self.cycle.response_complete:
            self.transport.abort()
