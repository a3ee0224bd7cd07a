"""A server of models: its parts put together, started and stopped."""

import concurrent.futures
import errno
import functools
import ipaddress
import logging
import signal
import socket
import threading

from kerakit.errors import InputError
from kerakit.extras import need
from kerakit.serve.batching import Threads
from kerakit.serve.measures import Measures
from kerakit.serve.repository import Repository
from kerakit.serve.settings import Settings
from kerakit.serve.version import Version

_LOG = logging.getLogger(__name__)


class Service:
    """Serves the models in a folder over HTTP.

    Args:
        directory: Folder of models, one model's folder of versions, or a version's folder.
        host: Address to listen on; the default is heard on this machine alone.
        port: Port to listen on; 0 takes a free one.
        token: What requests must bear, or None for any.
        settings: `Settings`, or None for the defaults.

    Attributes:
        address: Where it listens, "http://host:port".
        repository: Its `Repository`.
        measures: Its `Measures`.

    Raises:
        InputError: If there is no model in the folder, or it cannot listen there.
        MissingExtraError: If the extra `serve` is not installed.
    """

    def __init__(self, directory, *, host="127.0.0.1", port=8501, token=None, settings=None):
        self._settings = settings = settings or Settings()
        need("uvicorn", extra="serve")
        need("starlette", extra="serve")
        # These stand on the extra.
        from kerakit.serve.app import App
        from kerakit.serve.http_server import HttpServer
        from kerakit.serve.intake import Intake

        self.measures = Measures()
        self._computing = Threads(settings.threads)
        self._reading = concurrent.futures.ThreadPoolExecutor(
            settings.threads, "kerakit-serve-read"
        )
        self.repository = Repository(
            directory, load=self._version, poll_seconds=settings.poll_seconds
        )
        self._socket = _listening(host, port)
        shown = f"[{host}]" if ":" in host else host
        here = ipaddress.ip_address(self._socket.getsockname()[0]).is_loopback
        self._is_open = token is None and not here
        self.address = f"http://{shown}:{self._socket.getsockname()[1]}"
        app = App(
            self.repository,
            settings=settings,
            intake=Intake(settings),
            measures=self.measures,
            pool=self._reading,
            token=token,
        )
        self._server = HttpServer(app, settings=settings)

    def _version(self, name, number, folder):
        return Version(
            folder,
            number,
            settings=self._settings,
            threads=self._computing,
            on_batch=functools.partial(self.measures.batch, name),
        )

    def run(self):
        """Serves until it is stopped; SIGTERM and SIGINT stop it too.

        Returns:
            Whether all its threads have ended. One that computes for longer than it is waited for
            cannot be ended, and would keep the process.
        """
        if threading.current_thread() is threading.main_thread():
            # uvicorn stops at these, and then raises them again: the process shall end as it ought.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, _nothing)
        self.repository.start()
        _LOG.info("Listening on %s", self.address)
        if self._is_open:
            _LOG.warning("Anyone who can reach %s may ask; give a token.", self.address)
        try:
            self._server.run(sockets=[self._socket])
        finally:
            ended = self._close()
        _LOG.info("Stopped")
        return ended

    def stop(self):
        """Ends `run`, from another thread: requests under way are answered first."""
        self._server.stop()

    def _close(self):
        self._socket.close()
        pools = threading.Thread(target=self._close_pools, daemon=True)
        pools.start()
        ended = self.repository.stop(seconds=1.0)
        pools.join(1.0)
        return ended and not pools.is_alive()

    def _close_pools(self):
        self._reading.shutdown(cancel_futures=True)
        self._computing.pool.shutdown(cancel_futures=True)


def _listening(host, port):
    """A socket that listens."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = "it is in use already; give another --port"
        else:
            why = f"{error.strerror}; give another --host or --port"
        raise InputError(f"Cannot listen on {host}:{port}: {why}.") from error


def _nothing(number, frame):
    """Handles a signal by nothing."""
