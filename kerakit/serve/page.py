"""The page at `/`, on which a model is tried: its files, read once."""

import functools
import hashlib
from pathlib import Path

from starlette.responses import Response
from starlette.routing import Route

_FOLDER = Path(__file__).with_name("page")
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    # Nothing from elsewhere, no script or style in the page itself; blob: is what a user chose.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; media-src blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Asked for each time, and sent only if it changed: a new version of kerakit shows at once.
    "Cache-Control": "no-cache",
    "Vary": "Accept",
}


def page_routes(*, otherwise):
    """Starlette's routes to the page, one a file, so that no path is looked up on the disk.

    Args:
        otherwise: Endpoint that answers at `/` those who do not ask for HTML, such as curl.

    Returns:
        List of `Route`.
    """
    files = {path.name: _sender(path) for path in sorted(_FOLDER.iterdir()) if path.is_file()}
    front = files.pop("index.html")

    async def at_root(request):
        wants_html = "text/html" in request.headers.get("accept", "")
        return await (front if wants_html else otherwise)(request)

    of_files = [Route(f"/page/{name}", send) for name, send in files.items()]
    return [Route("/", at_root), *of_files]


def _sender(path):
    """An endpoint that sends a file."""
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    answer = functools.partial(
        Response, headers={**_HEADERS, "ETag": tag}, media_type=_TYPES[path.suffix]
    )

    async def send(request):
        known = request.headers.get("if-none-match", "")
        # A proxy that compresses marks the tag as a weak one.
        if tag in (each.strip().removeprefix("W/") for each in known.split(",")):
            return answer(status_code=304)
        return answer(content)

    return send
