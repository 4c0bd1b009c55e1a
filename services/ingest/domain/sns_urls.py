"""Which addresses a callback of Amazon SNS may name: its own service, and nothing that looks so.

A callback names the certificate that proves it, and the address that confirms a subscription. Both
are written by whoever calls, so the whole text must match: no other scheme, host, port, user,
escape or path. What does not match is never called.
"""

import re

_HOST = r"sns\.[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?"
_CERTIFICATE = re.compile(rf"https://{_HOST}/SimpleNotificationService-[A-Za-z0-9]{{1,64}}\.pem")
_SUBSCRIBE = re.compile(
    rf"https://{_HOST}/\?Action=ConfirmSubscription(?:&[A-Za-z0-9=&:%._~+/-]{{0,2048}})?"
)


def is_certificate_url(url: str) -> bool:
    """Say whether ``url`` is that of a certificate with which SNS signs."""
    return _CERTIFICATE.fullmatch(url) is not None


def is_subscribe_url(url: str) -> bool:
    """Say whether ``url`` confirms a subscription at SNS."""
    return _SUBSCRIBE.fullmatch(url) is not None
