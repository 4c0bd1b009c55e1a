"""The id by which one call is found in the logs of every service it passes."""

import re

# Short and plain: it is written to logs and headers as it comes.
_FORM = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def is_request_id(text: object) -> bool:
    """Tell whether a caller's own id can be taken: 1 to 64 letters, digits and ``._:-``."""
    return isinstance(text, str) and _FORM.fullmatch(text) is not None
