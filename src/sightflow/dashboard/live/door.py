"""Who may come in: browsers of this machine, or those who know the token."""

import hmac
import ipaddress
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Door"]

_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Door:
    """Lets requests through to an application, or answers that they may not come in.

    Without a token only names of this machine are answered: a page of another site could otherwise
    give its own name the address of this machine, and read along. With a token each request needs
    it: as `?token=`, which is exchanged for a cookie, or as `Authorization: Bearer`.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, port: int) -> None:
        """Take the application; the port tells the cookies of several pages apart."""
        self._app = app
        self._token = token
        self._cookie = f"sightflow-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        answer = self._refusal(scope) if self._token is None else self._asking(scope, self._token)
        await (self._app if answer is None else answer)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to who does not call this machine by a name of its own."""
        host = Headers(scope=scope).get("host", "")
        name = host if host.endswith("]") else host.rsplit(":", 1)[0]
        if name == "localhost" or _is_loopback(name.strip("[]")):
            return None
        return PlainTextResponse(
            f"This page answers to localhost and loopback addresses only; got {host!r}.\n", 421
        )

    def _asking(self, scope: Scope, token: str) -> Response | None:
        """Return the answer to who does not show the token yet."""
        request = Request(scope)
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if _is_same(shown, token) or _is_same(request.cookies.get(self._cookie, ""), token):
            return None
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if not _is_same(query.pop("token", ""), token):
            return PlainTextResponse(
                "This page needs its token: open the address that the command has printed, which "
                "ends in ?token=...\n",
                401,
            )
        rest = urlencode(query)
        path = f"/{scope['path'].lstrip('/')}"
        answer = RedirectResponse(f"{path}{'?' if rest else ''}{rest}", 303)
        # A link in a chat is a way from another site, where a strict cookie would stay behind.
        answer.set_cookie(self._cookie, token, httponly=True, samesite="lax")
        return answer


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_same(shown: str, token: str) -> bool:
    return hmac.compare_digest(shown.encode(), token.encode())
