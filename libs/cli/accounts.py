"""``bluetick accounts``: provider accounts of a tenant, put and changed without a restart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer
from bluetick.v1 import admin_service_pb2 as pb
from bluetick.v1 import common_pb2
from bluetick.v1.admin_service_pb2_grpc import AdminServiceStub
from google.protobuf.duration_pb2 import Duration
from rich.console import Console

from libs.cli.accounts_view import account_lines, accounts_table
from libs.cli.gateway_channel import DEFAULT_GATEWAY, GatewayCaller
from libs.cli.plain_terminal import tolerate_plain_terminals

accounts = typer.Typer(
    no_args_is_help=True,
    help="List, put and change provider accounts; rotate their secrets.",
)

_PAGE = 500
_Gateway = Annotated[str, typer.Option(envvar="BLUETICK_GATEWAY", help="Gateway, host:port.")]
_ApiKey = Annotated[str, typer.Option(envvar="BLUETICK_API_KEY", help="API key, ADMIN.")]
_Provider = Annotated[str, typer.Argument(help="Provider, as docs/providers.md names it.")]
_Account = Annotated[str, typer.Argument(help="Account: the end of its callback address.")]
_Name = Annotated[str, typer.Argument(help='What the secret is for ("app_secret").')]


class Admin:
    """The accounts behind a gateway, as the owner of a key sees them."""

    def __init__(self, gateway: str, api_key: str) -> None:
        self._caller = GatewayCaller(gateway, api_key)
        self.stub = AdminServiceStub(self._caller.channel)

    def all(self) -> Iterator[pb.ProviderAccount]:
        """All accounts of the tenant."""
        token = ""
        while True:
            request = pb.ListAccountsRequest(page_size=_PAGE, page_token=token)
            page = self._caller.call(self.stub.ListAccounts, request)
            yield from page.accounts
            token = page.next_page_token
            if not token:
                return

    def find(self, provider: str, account: str) -> pb.ProviderAccount | None:
        """One account; None: there is none such."""
        found = (one for one in self.all() if (one.provider, one.account) == (provider, account))
        return next(found, None)

    def put(self, request: pb.PutAccountRequest) -> None:
        """Put an account, and show it."""
        self._show(self._caller.call(self.stub.PutAccount, request).account)

    def rotate(self, request: pb.RotateSecretRequest) -> None:
        """Add a secret, and show the account."""
        self._show(self._caller.call(self.stub.RotateSecret, request).account)

    def retire(self, request: pb.RetireSecretRequest) -> None:
        """End a secret, and show the account."""
        self._show(self._caller.call(self.stub.RetireSecret, request).account)

    def delete(self, request: pb.DeleteAccountRequest) -> None:
        """Remove an account."""
        self._caller.call(self.stub.DeleteAccount, request)

    def _show(self, account: pb.ProviderAccount) -> None:
        for line in account_lines(account):
            typer.echo(line)


@accounts.command("list")
def list_accounts(gateway: _Gateway = DEFAULT_GATEWAY, api_key: _ApiKey = "") -> None:
    """Show all accounts, those of the accounts file included; never a secret."""
    tolerate_plain_terminals()
    Console().print(accounts_table(list(Admin(gateway, api_key).all())))


@accounts.command("put")
def put(
    provider: _Provider,
    account: _Account,
    secret: Annotated[
        list[str] | None,
        typer.Option(help="Name of a secret; it is asked for, or read from stdin, a line each."),
    ] = None,
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE.")] = None,
    word: Annotated[
        list[str] | None, typer.Option(help="What a word without a meaning means: WORD=DELIVERED.")
    ] = None,
    requests_per_second: Annotated[float | None, typer.Option(help="0: no limit.")] = None,
    body_bytes_max: Annotated[int | None, typer.Option(help="Bytes; 0: no limit.")] = None,
    gateway: _Gateway = DEFAULT_GATEWAY,
    api_key: _ApiKey = "",
) -> None:
    """Put an account. Of one that is there, what is not named stays; a secret that is named takes
    the place of all of its name (`rotate` adds one beside it)."""
    admin = Admin(gateway, api_key)
    request = as_put(admin.find(provider, account), provider, account)
    named = secret or []
    kept = [one for one in request.secrets if one.name not in named]
    del request.secrets[:]
    request.secrets.extend(kept)
    for number, name in enumerate(named, 1):
        request.secrets.add(name=name, key_id=f"put-{number}", value=_ask(name))
    for text in option or []:
        name, value = _pair(text, "--option")
        request.options[name] = value
    for text in word or []:
        name, kind = _pair(text, "--word")
        request.words[name] = _kind(kind)
    if requests_per_second is not None:
        request.limits.requests_per_second = requests_per_second
    if body_bytes_max is not None:
        request.limits.body_bytes_max = body_bytes_max
    admin.put(request)


@accounts.command("rotate")
def rotate(
    provider: _Provider,
    account: _Account,
    name: _Name,
    retire_after_h: Annotated[
        float | None,
        typer.Option(help="Hours for which the old one is accepted yet; else until `retire`."),
    ] = None,
    gateway: _Gateway = DEFAULT_GATEWAY,
    api_key: _ApiKey = "",
) -> None:
    """Add a new secret beside the one in use: both are accepted. It is asked for, or read from
    stdin."""
    request = pb.RotateSecretRequest(provider=provider, account=account)
    request.secret.name = name
    request.secret.value = _ask(name)
    if retire_after_h is not None:
        request.retire_after.CopyFrom(Duration(seconds=round(retire_after_h * 3600)))
    Admin(gateway, api_key).rotate(request)


@accounts.command("retire")
def retire(
    provider: _Provider,
    account: _Account,
    name: _Name,
    key_id: Annotated[str, typer.Argument(help="Which one, as `list` shows it.")],
    gateway: _Gateway = DEFAULT_GATEWAY,
    api_key: _ApiKey = "",
) -> None:
    """End one secret at once."""
    request = pb.RetireSecretRequest(provider=provider, account=account, name=name, key_id=key_id)
    Admin(gateway, api_key).retire(request)


@accounts.command("disable")
def disable(
    provider: _Provider,
    account: _Account,
    gateway: _Gateway = DEFAULT_GATEWAY,
    api_key: _ApiKey = "",
) -> None:
    """Answer its callbacks 503 until it is enabled again."""
    _set_disabled(Admin(gateway, api_key), provider, account, is_disabled=True)


@accounts.command("enable")
def enable(
    provider: _Provider,
    account: _Account,
    gateway: _Gateway = DEFAULT_GATEWAY,
    api_key: _ApiKey = "",
) -> None:
    """Take its callbacks again."""
    _set_disabled(Admin(gateway, api_key), provider, account, is_disabled=False)


@accounts.command("delete")
def delete(
    provider: _Provider,
    account: _Account,
    gateway: _Gateway = DEFAULT_GATEWAY,
    api_key: _ApiKey = "",
) -> None:
    """Remove an account with its secrets; its address answers 404."""
    Admin(gateway, api_key).delete(pb.DeleteAccountRequest(provider=provider, account=account))
    typer.echo(f"{provider}/{account} is removed.")


def as_put(known: pb.ProviderAccount | None, provider: str, account: str) -> pb.PutAccountRequest:
    """Return the request that leaves an account as it is; of a new one, an empty account."""
    request = pb.PutAccountRequest(provider=provider, account=account)
    if known is None:
        return request
    for secret in known.secrets:
        added = request.secrets.add(name=secret.name, key_id=secret.key_id)
        if secret.HasField("expire_time"):
            added.expire_time.CopyFrom(secret.expire_time)
    request.options.update(known.options)
    request.words.update(known.words)
    request.limits.CopyFrom(known.limits)
    request.is_disabled = known.is_disabled
    return request


def _set_disabled(admin: Admin, provider: str, account: str, *, is_disabled: bool) -> None:
    known = admin.find(provider, account)
    if known is None:
        typer.echo(f"There is no account {provider}/{account}; `list` shows all.", err=True)
        raise typer.Exit(1)
    request = as_put(known, provider, account)
    request.is_disabled = is_disabled
    admin.put(request)


def _ask(name: str) -> str:
    """Return a secret from the terminal, unseen, or from stdin; never from the command line."""
    if sys.stdin.isatty():
        return str(typer.prompt(name, hide_input=True))
    value = sys.stdin.readline().rstrip("\r\n")
    if not value:
        typer.echo(f"{name}: nothing on stdin; write the secret there, a line each.", err=True)
        raise typer.Exit(2)
    return value


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        typer.echo(f"{option} {text}: write NAME=VALUE.", err=True)
        raise typer.Exit(2)
    return name, value


def _kind(name: str) -> common_pb2.EventKind.ValueType:
    try:
        return common_pb2.EventKind.Value(f"EVENT_KIND_{name.upper()}")
    except ValueError:
        typer.echo(f"--word: there is no kind {name}; DELIVERED is one.", err=True)
        raise typer.Exit(2) from None
