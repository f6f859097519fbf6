"""Sends the requests of a client: with token, lab and idempotency keys, and again when that is safe."""

import random
import time
import uuid
from collections.abc import Callable

import httpx

from .error import LhcmsError, retry_after

# The longest pause between two attempts, in seconds.
LONGEST_PAUSE = 20.0
UNAVAILABLE = (502, 503, 504)


class Transport(httpx.BaseTransport):
    """A transport that raises LhcmsError for each answer that is not a success or a redirect.

    A request is sent again after 429, and after 409 with `Retry-After` (a lost race), because nothing was done; and after 502,
    503, 504 or no answer, if doing it twice does no harm: reads, PUT, and requests with an `Idempotency-Key`.
    """

    def __init__(self, inner: httpx.BaseTransport, token: Callable[[bool], str], lab_id: int | None, attempts: int,
                 sleep: Callable[[float], None] = time.sleep) -> None:
        self._inner = inner
        self._token = token
        self._lab_id = lab_id
        self._attempts = attempts
        self._sleep = sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request until there is an answer to keep."""
        request.read()
        if self._lab_id is not None:
            request.headers.setdefault("X-Lab-Id", str(self._lab_id))
        if request.method == "POST":
            request.headers.setdefault("Idempotency-Key", str(uuid.uuid4()))
        for attempt in range(1, self._attempts + 1):
            is_last = attempt == self._attempts
            wait = random.uniform(0, 0.5 * 2**attempt)
            try:
                response = self._send(request)
            except httpx.TransportError:
                if is_last or not is_harmless_twice(request):
                    raise
            else:
                if response.status_code < 400:
                    return response
                response.read()
                response.close()
                if is_last or not may_repeat(request, response):
                    raise LhcmsError.of(response)
                wait = max(wait, retry_after(response) or 0)
            self._sleep(min(wait, LONGEST_PAUSE))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _send(self, request: httpx.Request) -> httpx.Response:
        """Sends a request with the token, and after 401 once more with another one."""
        request.headers["Authorization"] = f"Bearer {self._token(False)}"
        response = self._inner.handle_request(request)
        if response.status_code != 401:
            return response
        response.close()
        request.headers["Authorization"] = f"Bearer {self._token(True)}"
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Closes the connections."""
        self._inner.close()


def may_repeat(request: httpx.Request, response: httpx.Response) -> bool:
    """Whether a request may be sent again after this answer."""
    if response.status_code == 409:
        return "Retry-After" in response.headers
    return response.status_code == 429 or (response.status_code in UNAVAILABLE and is_harmless_twice(request))


def is_harmless_twice(request: httpx.Request) -> bool:
    """Whether a request may be done twice."""
    return request.method in ("GET", "HEAD", "PUT") or "Idempotency-Key" in request.headers
