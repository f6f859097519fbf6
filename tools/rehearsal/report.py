"""How the rehearsal prints, waits and fails."""

import time

STARTED = time.monotonic()


class Failure(Exception):
    """The rehearsal found a fault; the message names the place."""


def say(text):
    """Prints one line with the seconds since the start."""
    print(f"{time.monotonic() - STARTED:6.1f} s  {text}", flush=True)


def wait_for(what, seconds, ready, alive=lambda: None):
    """Polls `ready` until it returns something true, and returns that. `alive` may raise to end the wait early."""
    deadline = time.monotonic() + seconds
    while not (value := ready()):
        alive()
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.05)
    return value
