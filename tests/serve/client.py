"""A server in a thread, and a client of the standard library for it."""

import base64
import contextlib
import json
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request

from kerakit.serve import Service, Settings


class Client:
    def __init__(self, service):
        self.service = service
        self.headers = {}

    def ask(self, path, body=None, *, method=None):
        """Status, content and headers of an answer; a dict or list is sent as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        request = urllib.request.Request(
            self.service.address + path, body, headers=self.headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return self._read(answer, answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return self._read(error, error.code)

    def _read(self, answer, status):
        text = answer.read().decode()
        is_json = answer.headers["content-type"] == "application/json"
        return status, json.loads(text) if is_json else text, answer.headers

    def get(self, path):
        return self.ask(path)[:2]

    def predict(self, body, model="tiny"):
        return self.ask(f"/v1/models/{model}:predict", body)[:2]

    def error(self, body, model="tiny", *, status=400):
        """The message of a request that must be refused."""
        found, content = self.predict(body, model)
        assert found == status, content
        assert list(content) == ["error"]
        return content["error"]

    def connected(self):
        """A bare socket, for clients that behave badly."""
        where = urllib.parse.urlsplit(self.service.address)
        return socket.create_connection((where.hostname, where.port), timeout=10)


@contextlib.contextmanager
def serving(directory, *, token=None, **settings):
    """A `Client` of a server of the models in a folder, once they are loaded."""
    settings = Settings(**{"poll_seconds": 0.05, **settings})
    service = Service(directory, port=0, token=token, settings=settings)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        assert service.repository.looked.wait(300)  # where the machine is busy
        yield Client(service)
    finally:
        service.stop()
        thread.join(60)
        assert not thread.is_alive(), "the server does not stop"


def b64(content):
    return {"b64": base64.b64encode(content).decode()}
