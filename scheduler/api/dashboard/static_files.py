"""The static files of the dashboard, and the redirect from the host name to it.

The style sheets are served as one file. The path contains a digest of all files, so that a browser may cache them for
good, and a page never gets the script of another version. Scripts are ES modules, which import each other by relative
paths: the function key of the request, if it has one, is added to these.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from mimetypes import guess_type
from pathlib import Path
from typing import Final
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.negotiation import accepts_gzip, compress
from scheduler.api.routing import FUNCTION_KEY, ApiRouter
from scheduler.api.scopes import STATIC_PATH

STYLE_SHEET: Final = "styles.css"
_FOLDER: Final = Path(__file__).parent / "static"
_STYLES: Final = ("tokens", "base", "components")
"""The style sheets that precede those of pages, in order."""
_IMPORT: Final = re.compile(r"""((?:\bfrom|\bimport)\s*\(?\s*")(\.{1,2}/[^"]+\.js)(")""")
_CACHED: Final = "public, max-age=31536000, immutable"

router = ApiRouter(accepts_unknown_query=True, in_schema=False, by_tag=True)


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """`files`: the content by relative path; `digest`: of all of them."""

    files: Mapping[str, bytes]
    digest: str


@cache
def load_static_files() -> StaticFiles:
    """Read the files, once a process: some 100 kB."""
    files = {
        path.relative_to(_FOLDER).as_posix(): path.read_bytes() for path in sorted(_FOLDER.rglob("*")) if path.is_file()
    }
    sheets = {name: files.pop(name) for name in list(files) if name.startswith("css/")}
    ordered = [f"css/{name}.css" for name in _STYLES]
    files[STYLE_SHEET] = b"\n".join(sheets[name] for name in (*ordered, *sorted(set(sheets) - set(ordered))))
    digest = hashlib.sha256(b"".join(name.encode() + content for name, content in sorted(files.items())))
    return StaticFiles(files, digest.hexdigest()[:16])


def static_path(name: str) -> str:
    """Return the URL path of a static file."""
    return f"{STATIC_PATH}/{load_static_files().digest}/{name}"


@router.sign_in("GET", f"{STATIC_PATH}/{{digest}}/{{path:path}}")
async def get_static_file(request: Request, digest: str, path: str) -> Response:
    """Return a style sheet, a script or an icon. Only the files of this version are cached."""
    static = load_static_files()
    content = static.files.get(path)
    if content is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    key = request.query_params.get(FUNCTION_KEY)
    if path.endswith(".js") and key:
        content = _add_key(content, key)
    headers = {"Vary": "Accept-Encoding"}
    if accepts_gzip(request.headers.get("accept-encoding", "")):
        content, headers["Content-Encoding"] = await compress(content), "gzip"
    if digest == static.digest:
        request.scope["state"]["cache_control"] = _CACHED
    media_type = "text/javascript" if path.endswith(".js") else guess_type(path)[0]
    return Response(content, headers=headers, media_type=media_type or "application/octet-stream")


@router.read("/")
async def redirect_to_dashboard() -> RedirectResponse:
    """Redirect a user who typed only the host name."""
    return RedirectResponse(DASHBOARD_PATH)


def _add_key(script: bytes, key: str) -> bytes:
    """Add the function key to the paths of imported modules."""
    return _IMPORT.sub(rf"\1\2?{FUNCTION_KEY}={quote(key, safe='')}\3", script.decode()).encode()
