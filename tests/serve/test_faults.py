"""Clients that are wrong, slow, hostile or gone, each with the status that is its due."""

import asyncio
import contextlib
import json
import socket
import sys
import threading
import time

import pytest

from kerakit.serve.http_server import _FewAtATime, _has_gone
from kerakit.serve.intake import Intake
from kerakit.serve.protocol import Refusal
from kerakit.serve.settings import Settings
from tests.export.tiny import encoded
from tests.serve.client import b64, serving
from tests.serve.test_image_check import png_bomb

GOOD = {"instances": [b64(encoded(9, 9))]}


@pytest.fixture(scope="module")
def strict(models):
    """A server with tight bounds, and a token."""
    bounds = {"request_bytes": 200_000, "image_pixels": 10_000, "read_seconds": 1.0}
    with serving(models / "tiny", token="open sesame", **bounds) as client:
        client.headers = {"Authorization": "Bearer open sesame"}
        yield client


def answered(connection):
    """All that a server says until it closes."""
    said = b""
    while part := connection.recv(65536):
        said += part
    return said


def wrapped(client, before):
    """Has the model do something before it computes."""
    signature = client.service.repository.version("tiny").signature("serving_default")
    compute = signature._function

    def function(**inputs):
        before()
        return compute(**inputs)

    signature._function = function


def eventually(holds):
    """Whether something is so within half a minute."""
    for _ in range(600):
        if holds():
            return True
        time.sleep(0.05)
    return False


def waiting(client):
    return client.service.repository.version("tiny").batchers["serving_default"].waiting


def wait_until_computing(client):
    batcher = client.service.repository.version("tiny").batchers["serving_default"]
    while not batcher._tasks:
        time.sleep(0.01)


def head(body_length, token="open sesame"):
    return (
        f"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {body_length}\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer wrong", "Basic open sesame", "open sesame", "Bearer é"]
)
def test_token(strict, header):
    headers = {} if header is None else {"Authorization": header}
    known, strict.headers = strict.headers, headers
    try:
        for path in ("/v1/models/tiny:predict", "/v1/models", "/monitoring/prometheus/metrics"):
            status, content, answer = strict.ask(path, GOOD if "predict" in path else None)
            assert status == 401
            assert content["error"].startswith("Send the server's token in a header")
            assert answer["www-authenticate"] == "Bearer"
        assert strict.get("/healthz")[0] == strict.get("/readyz")[0] == 200
    finally:
        strict.headers = known
    assert strict.predict(GOOD)[0] == 200


def test_a_request_that_is_too_large(strict):
    body = b'{"instances": ["' + b"a" * 8_000_000 + b'"]}'
    for _ in range(5):  # the client sends all of it before it reads, and yet gets its answer
        assert strict.error(body, status=413) == "A request may have at most 200,000 bytes."
    # Without a length it is known only while it comes.
    with strict.connected() as connection:
        start = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        connection.sendall(start)
        for _ in range(4):
            connection.sendall(b"fde8\r\n" + b"a" * 65000 + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert strict.predict(GOOD)[0] == 200


def test_a_bomb(strict):
    assert len(png_bomb(3000)) < 20_000
    assert strict.error({"instances": [b64(encoded(9, 9)), b64(png_bomb(3000))]}) == (
        "Image 1 of `instances` (counted from 0) has 9,000,000 pixels, and at most 10,000 are "
        "taken."
    )


def half_sent(client, stack):
    """Connections on which half a request's body was sent, or half its head."""
    connections = [stack.enter_context(client.connected()) for _ in range(20)]
    for connection in connections[:10]:
        connection.sendall(head(100) + b'{"instances": [')
    for connection in connections[10:]:
        connection.sendall(head(100)[:40])
    return connections[:10], connections[10:]


def test_clients_that_stop_in_the_middle_are_cut_off(strict):
    with contextlib.ExitStack() as stack:
        bodies, heads = half_sent(strict, stack)
        for connection in bodies:
            said = answered(connection)
            assert said.startswith(b"HTTP/1.1 408 ")
            assert b"The request did not come whole within 1 seconds." in said
        for connection in heads:
            with contextlib.suppress(ConnectionResetError):
                assert answered(connection) == b""


def test_clients_that_stop_in_the_middle_keep_nobody_waiting(client):
    with contextlib.ExitStack() as stack:
        bodies, heads = half_sent(client, stack)
        assert client.predict(GOOD)[0] == 200
        for connection in (*bodies, *heads):  # while each of them is waited for
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)


def test_a_byte_now_and_then_is_too_slow(strict):
    def send(connection):
        for byte in b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 200:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    start = time.perf_counter()
    cut_off = pytest.raises((BrokenPipeError, ConnectionResetError))
    with strict.connected() as connection, cut_off:
        send(connection)
    assert time.perf_counter() - start < 5


def test_clients_that_go_away(strict):
    for _ in range(5):
        with strict.connected() as connection:
            connection.sendall(head(1000) + b'{"instances": [')
    assert strict.predict(GOOD)[0] == 200
    for _ in range(100):
        if 'status="499"} 5' in strict.get("/monitoring/prometheus/metrics")[1]:
            break
        time.sleep(0.05)
    else:
        raise AssertionError(strict.get("/monitoring/prometheus/metrics")[1])


def test_a_client_that_takes_no_answers_is_cut_off(strict):
    connections = strict.service._server.server_state.connections
    with strict.connected() as connection:
        connection.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        assert eventually(lambda: not connections)
    assert strict.predict(GOOD)[0] == 200


def test_what_waits_for_clients_that_go_away_is_not_computed(models):
    with serving(models / "tiny", threads=1) as client, contextlib.ExitStack() as stack:
        may_compute, computed = threading.Event(), []
        wrapped(client, lambda: computed.append(may_compute.wait(60)))
        body = json.dumps(GOOD).encode()
        connections = [stack.enter_context(client.connected()) for _ in range(6)]
        for number, connection in enumerate(connections):
            connection.sendall(head(len(body)) + body)
            assert eventually(lambda n=number: waiting(client) == n or n == 0)
            if number == 0:
                wait_until_computing(client)
        stack.close()
        assert eventually(lambda: waiting(client) == 0)
        may_compute.set()
        assert client.predict(GOOD)[0] == 200
        assert len(computed) == 2
        text = client.get("/monitoring/prometheus/metrics")[1]
    assert 'kerakit_requests_total{model="tiny",status="499"} 6' in text


def test_too_many_at_once_are_turned_away_and_it_recovers(models):
    with serving(models / "tiny", queue=8, threads=1) as client:
        may_compute, found = threading.Event(), []
        wrapped(client, lambda: may_compute.wait(60))

        def ask():
            found.append(client.ask("/v1/models/tiny:predict", GOOD))

        askers = [threading.Thread(target=ask) for _ in range(40)]
        for asker in askers:
            asker.start()
        while len(found) < 32:
            time.sleep(0.01)
        for status, content, headers in found:
            assert status == 429
            assert content == {"error": "Too many requests are under way; try again."}
            assert headers["retry-after"] == "1"
        may_compute.set()
        for asker in askers:
            asker.join()
        assert sorted(status for status, _, _ in found) == [200] * 8 + [429] * 32
        assert client.predict(GOOD)[0] == 200
        text = client.get("/monitoring/prometheus/metrics")[1]
    assert 'kerakit_rejected_total{model="tiny",status="429"} 32' in text


def test_an_answer_that_takes_too_long(models):
    with serving(models / "tiny", answer_seconds=0.3) as client:
        may_compute = threading.Event()
        wrapped(client, lambda: may_compute.wait(60))
        message = client.error(GOOD, status=504)
        may_compute.set()
    assert message == "There was no answer within 0.3 seconds."


def test_a_fault_is_not_told(models, caplog):
    def fault():
        raise RuntimeError("secret")

    with serving(models / "tiny") as client:
        wrapped(client, fault)
        assert client.error(GOOD, status=500) == "internal error"
    assert "secret" in caplog.text
    assert "Traceback" in caplog.text


def test_what_computes_holds_no_other_address_up(models):
    with serving(models / "tiny", threads=1) as client:
        may_compute, found = threading.Event(), []
        wrapped(client, lambda: may_compute.wait(60))
        asker = threading.Thread(target=lambda: found.append(client.predict(GOOD)[0]))
        asker.start()
        wait_until_computing(client)
        assert client.get("/healthz")[0] == 200
        assert client.get("/v1/models/tiny")[0] == 200
        assert not found
        may_compute.set()
        asker.join()
    assert found == [200]


def test_a_broken_image_does_not_come_to_a_model_that_others_wait_for(models):
    with serving(models / "tiny", threads=1, answer_seconds=8) as client:
        may_compute, found = threading.Event(), []
        wrapped(client, lambda: may_compute.wait(60))
        asker = threading.Thread(target=lambda: found.append(client.predict(GOOD)[0]))
        asker.start()
        wait_until_computing(client)
        cut = b64(encoded(40, 40, kind="JPEG")[:200])
        assert "is damaged or cut short" in client.error({"instances": [cut]})
        may_compute.set()
        asker.join()
    assert found == [200]


def test_what_is_no_http(strict):
    for content in (b"\0" * 100 + b"\r\n\r\n", b"GET / FTP\r\n\r\n", b"GET " + b"x" * 100_000):
        with strict.connected() as connection:
            connection.sendall(content)
            try:
                said = answered(connection)
            except ConnectionResetError:
                continue
            assert said.startswith(b"HTTP/1.1 400 ") or said == b""
    assert strict.predict(GOOD)[0] == 200


def test_bodies_held_together_have_a_bound():
    class Request:
        def __init__(self, *chunks):
            self.headers, self.chunks = {}, chunks

        async def stream(self):
            for chunk in self.chunks:
                yield chunk

    async def main():
        intake = Intake(Settings(request_bytes=100, held_bytes=150, queue=3))
        async with intake.body_of(Request(b"a" * 60, b"b" * 40)) as first:
            assert bytes(first) == b"a" * 60 + b"b" * 40
            with pytest.raises(Refusal, match="Too much is being sent at once") as caught:
                async with intake.body_of(Request(b"c" * 30, b"c" * 30)):
                    raise AssertionError
            assert caught.value.status == 429
            async with intake.body_of(Request(b"d" * 50)), intake.body_of(Request()):
                with pytest.raises(Refusal, match="Too many requests are under way"):
                    async with intake.body_of(Request()):
                        raise AssertionError
        assert (intake.held, intake.under_way) == (0, 0)

    asyncio.run(main())


def test_the_event_loop_reads_from_a_few_at_a_time():
    with contextlib.ExitStack() as stack:
        selector, read = stack.enter_context(contextlib.closing(_FewAtATime())), set()
        for _ in range(150):
            near, far = (stack.enter_context(end) for end in socket.socketpair())
            selector.register(near, 1)
            far.send(b"x")
        for count in (64, 64, 22):
            ready = [key.fileobj for key, _ in selector.select(1)]
            assert len(ready) == count
            read.update(connection for connection in ready if connection.recv(1))
        assert len(read) == 150


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell")
def test_a_client_that_has_gone_is_known_though_its_request_is_there():
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as stack:
        far = socket.create_connection(server.getsockname())
        near = stack.enter_context(server.accept()[0])
        far.sendall(b"GET / HTTP/1.1")
        assert not _has_gone(near)
        far.close()
        assert eventually(lambda: _has_gone(near))
        assert near.recv(100) == b"GET / HTTP/1.1"
