"""The connection to a service, and lists that go on by themselves."""

from collections.abc import Callable, Iterator

import httpx

from .generated import Client
from .generated.api.cases import list_cases
from .generated.types import UNSET
from .transport import Transport

# The service answers within ten seconds.
TIMEOUT = httpx.Timeout(15.0)


def connect(base_url: str, token: Callable[[bool], str], *, lab_id: int | None = None, attempts: int = 4,
            transport: httpx.BaseTransport | None = None) -> Client:
    """A client for the functions of `lhcms.generated`; a context manager.

    token gives the access token. It is asked for each request, and with True when the service has rejected the token.
    lab_id is the lab of all requests, if the user has several. attempts is how often a request is sent at most.
    """
    inner = transport or httpx.HTTPTransport()
    return Client(base_url=base_url, timeout=TIMEOUT, raise_on_unexpected_status=True,
                  httpx_args={"transport": Transport(inner, token, lab_id, attempts)})


def cases(client: Client, **filters) -> Iterator:
    """All cases of a list, page by page. The filters are the parameters of `list_cases`."""
    cursor = filters.pop("cursor", UNSET)
    while True:
        page = list_cases.sync(client=client, cursor=cursor, **filters)
        yield from page.cases
        cursor = page.pagination.next_cursor
        if not cursor:
            return
