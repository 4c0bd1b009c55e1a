"""Name the message that a sender means, as callbacks name it."""

from typing import Final, Protocol

from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Accounts
from libs.runtime.message_ids import ANSWERED, PER_ACCOUNT, names_of
from services.ingest.domain.record_rules import Faulty

NO_ACCOUNTS: Final = Accounts([])
ID_FORMAT_OPTION: Final = "id_format"


class NamesMessage(Protocol):
    """What names a message by a provider's id."""

    @property
    def account(self) -> str:
        """Account at the provider; may be empty."""

    @property
    def provider_message_id(self) -> str:
        """The provider's id; may be empty."""


class MessageNames:
    """Names messages of one tenant."""

    def __init__(self, tenant_id: str, accounts: Accounts) -> None:
        """Know the tenant's among ``accounts``."""
        self.tenant_id = tenant_id
        self._accounts = accounts

    def account_of(self, provider: str, record: NamesMessage) -> str:
        """Return the account of ``record``, also where it names none and only one can be meant.

        Raises:
            Faulty: the id alone does not say which message is meant.
        """
        if record.account or not record.provider_message_id or provider not in PER_ACCOUNT:
            return record.account
        known = [
            account.account
            for account in self._accounts
            if account.provider == provider and account.tenant_id == self.tenant_id
        ]
        if len(known) > 1:
            raise Faulty(
                "ACCOUNT_AMBIGUOUS",
                f"account: empty, and you have {len(known)} accounts of the provider {provider!r}, "
                "which may give the same id; send the account that took the message.",
            )
        return known[0] if known else ""

    def name(self, event: Event, provider_message_id: str, recipient: str) -> None:
        """Say that ``event`` is of the message that its provider answered with this id.

        Args:
            event: with provider and account.
            provider_message_id: in any spelling.
            recipient: address of the message.
        """
        account = self._accounts.find(event.provider, event.account)
        event.provider_message_id, event.message_key, event.batch_key = names_of(
            self.tenant_id,
            event.provider,
            event.account,
            provider_message_id,
            recipient,
            id_format=account.options.get(ID_FORMAT_OPTION, "auto") if account else "auto",
            side=ANSWERED,
        )
