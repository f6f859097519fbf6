"""Leaves out what the local gateway cannot carry."""

import schemathesis


@schemathesis.hook
def filter_body(context, body):
    """cargo lambda watch itself answers 500 to a JSON body that is not UTF-8. The integration tests send such bodies."""
    if not isinstance(body, bytes):
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
