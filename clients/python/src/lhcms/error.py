"""Answers that are not a success."""

import json

import httpx


class LhcmsError(Exception):
    """A problem of the service, or a message of the gateway.

    status: the HTTP status.
    code: the stable word for the cause, such as `not_found`; None in answers of the gateway.
    errors: what is wrong with single fields of the request, each with pointer, code, detail and params.
    request_id: the id of the request, which support can look up in the log.
    retry_after: the seconds after which the request may be sent again, or None.
    problem: all members of the problem, for those that only some problems have.
    """

    def __init__(self, status: int, problem: dict, retry_after: int | None) -> None:
        super().__init__(problem.get("detail") or problem.get("title") or problem.get("message") or f"The answer has the status {status}.")
        self.status = status
        self.problem = problem
        self.retry_after = retry_after
        self.code: str | None = problem.get("code")
        self.errors: list[dict] = problem.get("errors") or []
        self.request_id: str | None = problem.get("request_id")

    @classmethod
    def of(cls, response: httpx.Response) -> "LhcmsError":
        """The error of an answer that was read."""
        try:
            body = json.loads(response.content)
        except ValueError:
            body = None
        return cls(response.status_code, body if isinstance(body, dict) else {}, retry_after(response))


def retry_after(response: httpx.Response) -> int | None:
    """The seconds in `Retry-After`. The service never sends a date."""
    text = response.headers.get("Retry-After", "")
    return int(text) if text.isdecimal() else None
