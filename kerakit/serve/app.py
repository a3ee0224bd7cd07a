"""The addresses of the server, and what answers at each."""

import asyncio
import functools
import hmac
import json
import logging
import time
from typing import NamedTuple

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kerakit.errors import InputError
from kerakit.serve import protocol
from kerakit.serve.answer_body import answer_text
from kerakit.serve.page import page_routes
from kerakit.serve.protocol import Refusal
from kerakit.serve.request_body import inputs_of, parsed, signature_name

_LOG = logging.getLogger(__name__)
_SMALL_BODY, _SMALL_ANSWER = 2**14, 1000  # bytes, values
_CLOSED = 499  # TensorFlow Serving's status of requests whose clients have gone; none reads it
_LISTED = ("task", "classes", "signatures", "sampling", "frame_rate")  # of a card
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_WELCOME = (
    "kerakit serves models here, by TensorFlow Serving's REST API: GET /v1/models lists them with "
    "what each takes and gives, and POST /v1/models/NAME:predict asks one. Counts and latencies "
    "are at /monitoring/prometheus/metrics, health at /healthz, readiness at /readyz.\n"
)


class App:
    """Answers requests with the models of a repository.

    Args:
        repository: `Repository`.
        settings: `Settings`.
        intake: `Intake`.
        measures: `Measures`.
        pool: Executor in which requests are read and answers written.
        token: What requests must bear, or None for any.

    Attributes:
        stopping: Whether requests are turned away, as the server is being stopped.
    """

    def __init__(self, repository, *, settings, intake, measures, pool, token=None):
        self._repository, self._settings = repository, settings
        self._intake, self._measures, self._pool = intake, measures, pool
        self._token = token
        self.stopping = False

    def routes(self):
        """Starlette's routes; those that come first are tried first."""
        return [
            *page_routes(otherwise=self._endpoint(self._welcome, is_open=True)),
            Route("/healthz", self._endpoint(self._healthy, is_open=True)),
            Route("/readyz", self._endpoint(self._ready, is_open=True)),
            Route("/monitoring/prometheus/metrics", self._endpoint(self._metrics)),
            Route("/v1/models", self._endpoint(self._models)),
            Route("/{rest:path}", self._endpoint(self._api), methods=_METHODS),
        ]

    def asgi(self):
        """The application, for a server."""
        return Starlette(routes=self.routes(), exception_handlers={HTTPException: _no_method})

    def _endpoint(self, answer, *, is_open=False):
        """Tells clients in JSON what is wrong, and nothing of a fault."""

        async def endpoint(request):
            try:
                if self._token is not None and not is_open:
                    _check_token(request, self._token)
                return await answer(request)
            except Refusal as refusal:
                if refusal.status != 408:  # whose body does not come
                    await self._intake.discard(request)
                return _error(refusal.status, refusal.message, refusal.headers)
            except ClientDisconnect:
                return _error(_CLOSED, "The client has gone.")
            except Exception:
                _LOG.exception("%s %s failed", request.method, request.scope["path"])
                return _error(500, "internal error")

        return endpoint

    async def _welcome(self, request):
        return PlainTextResponse(_WELCOME)

    async def _healthy(self, request):
        return PlainTextResponse("ok\n")

    async def _ready(self, request):
        if self.stopping:
            raise Refusal(503, "The server is being stopped.")
        if not (self._repository.looked.is_set() and self._repository.served()):
            raise Refusal(503, "No model is loaded yet.")
        return PlainTextResponse("ok\n")

    async def _metrics(self, request):
        waiting = {
            (model, signature): batcher.waiting
            for model, version in self._repository.served().items()
            for signature, batcher in version.batchers.items()
        }
        return PlainTextResponse(
            self._measures.text(waiting), media_type="text/plain; version=0.0.4"
        )

    async def _models(self, request):
        models = [
            {
                "name": name,
                "version": str(version.number),
                **{key: version.card.get(key) for key in _LISTED},
            }
            for name, version in sorted(self._repository.served().items())
        ]
        return _json({"models": models})

    async def _api(self, request):
        path = request.scope["path"]
        if not path.lower().startswith("/v1/"):
            raise Refusal(404, f"Not Found: {request.method} {path}")
        asked = protocol.asked_by(request.method, path)
        if asked.action == "status":
            states = self._repository.states(asked.model, asked.version)
            return _json(protocol.statuses(states))
        if asked.action == "metadata":
            version = self._repository.version(asked.model, asked.version)
            content = protocol.metadata(asked.model, version.number, version.signature_defs)
            return _json(content)
        return await self._measured(request, asked)

    async def _measured(self, request, asked):
        start, status = time.perf_counter(), 500
        try:
            response = await self._asked(request, asked)
            status = response.status_code
        except Refusal as refusal:
            status = refusal.status
            raise
        except (ClientDisconnect, asyncio.CancelledError):
            status = _CLOSED
            raise
        finally:
            # Of unknown names there is no end.
            known = asked.model if asked.model in self._repository.served() else ""
            self._measures.request(known, status, time.perf_counter() - start)
        return response

    async def _asked(self, request, asked):
        if self.stopping:
            raise Refusal(503, "The server is being stopped.", {"Retry-After": "5"})
        version = self._repository.version(asked.model, asked.version)
        async with self._intake.body_of(request) as body:
            try:
                async with asyncio.timeout(self._settings.answer_seconds):
                    text = await self._answered(version, asked.action, body)
            except TimeoutError:
                raise Refusal(
                    504, f"There was no answer within {self._settings.answer_seconds:g} seconds."
                ) from None
            except InputError as error:
                raise Refusal(400, str(error)) from None
        return Response(text, media_type="application/json")

    async def _answered(self, version, action, body):
        # Who is alone can spoil nobody's batch, and is answered a good deal sooner without a look.
        # If one comes yet before the batch leaves, what fails is computed again in halves.
        is_alone = self._intake.under_way <= 1
        read = functools.partial(self._read, version, action, body, look=not is_alone)
        # What is small is read sooner than a thread wakes for it.
        ask = read() if is_alone and len(body) <= _SMALL_BODY else await self._in_thread(read)
        try:
            rows = await version.batchers[ask.signature].answer(ask.inputs, ask.weights)
        except InputError:
            # Which of its images it is, the batch does not know.
            signature = version.signature(ask.signature)
            await self._in_thread(functools.partial(signature.check, ask.inputs, ask.form))
            raise
        write = functools.partial(answer_text, rows, ask.form)
        is_small = sum(np.size(value) for row in rows for value in row.values()) <= _SMALL_ANSWER
        return write() if is_small else await self._in_thread(write)

    def _in_thread(self, function):
        return asyncio.get_running_loop().run_in_executor(self._pool, function)

    def _read(self, version, action, body, *, look):
        content = parsed(body, nesting=self._settings.nesting)
        name = signature_name(content)
        signature = version.signature(name)
        if action != "predict":
            raise protocol.not_of_method(action, version.signature_defs[name]["method_name"])
        inputs, form = inputs_of(content, signature.specs)
        weights = signature.weights(inputs, form)
        if look:
            signature.check(inputs, form)
        return _Ask(name, form, inputs, weights)


class _Ask(NamedTuple):
    """A request to predict that was read."""

    signature: str
    form: str
    inputs: dict
    weights: np.ndarray


def _check_token(request, token):
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # As bytes, in a time that does not tell how much of it is right.
    is_right = hmac.compare_digest(given.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not is_right:
        raise Refusal(
            401,
            "Send the server's token in a header: Authorization: Bearer TOKEN.",
            {"WWW-Authenticate": "Bearer"},
        )


async def _no_method(request, error):
    return _error(error.status_code, f"{error.detail}: {request.method}")


def _error(status, message, headers=None):
    return _json({"error": message}, status, headers)


def _json(content, status=200, headers=None):
    # In ASCII: a client's text, and a folder's name, may hold what is no Unicode.
    text = json.dumps(content)
    return Response(text, status, headers, media_type="application/json")
