"""A reader of the change feed, as the contract tells clients to be one: it keeps the cases, and follows the feed by its cursor."""


class Reader:
    """What a reader knows."""

    def __init__(self, client):
        self.client = client
        self.cases = {}  # by id: (time of the last change, the case, or None if it is deleted)
        self.cursor = None
        self.restarts = 0

    def follow(self):
        """Reads all changes since the last time."""
        while True:
            query = {"limit": 5, **({"since": self.cursor} if self.cursor else {})}
            operation = self.client.operations["caseChanges"]
            reply = self.client.request("GET", operation.path + "?" + "&".join(f"{name}={value}" for name, value in query.items()),
                                        operation=operation)
            if reply.status == 410 and reply.json["code"] == "feed_restarted":
                self._restart(reply.json)
                continue
            if reply.status != 200:
                raise self.client.failure(operation, "the feed fails", reply)
            for change in reply.json["changes"]:
                self.cases[change["id"]] = (change["at"], change["case"])
            self.cursor = reply.json["next_cursor"]
            if not reply.json["has_more"]:
                return

    def _restart(self, problem):
        """Reads again what may be gone, and goes on."""
        self.restarts += 1
        for case in [case for case, (at, _) in self.cases.items() if at >= problem["restored_to"]]:
            operation = self.client.operations["getCase"]
            reply = self.client.request("GET", operation.path.format(id=case), operation=operation)
            if reply.status == 404:
                del self.cases[case]
            else:
                self.cases[case] = (reply.json["updated_at"], reply.json)
        self.cursor = problem["next_cursor"]

    def state(self):
        """The cases, by id."""
        return {case: state for case, (_, state) in self.cases.items() if state}
