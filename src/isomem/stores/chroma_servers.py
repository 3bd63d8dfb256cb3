"""Clients of chromadb for a server: how long they wait, and what is left of a closed one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from isomem.stores.engine_calls import Client, Options

_API = "chromadb.api.fastapi.FastAPI"
_CLOUD_DATABASE = "mem0"


def server_client(options: Options, settings: Callable[..., Any]) -> Client:
    """A client of a server, as `chromadb.HttpClient` makes one.

    Raises:
        Exception: what chromadb and httpx raise.
    """
    key = options["api_key"]
    return _timed_client(
        options["timeout_s"],
        settings=settings(
            chroma_api_impl=_API,
            chroma_server_host=options["host"],
            chroma_server_http_port=options["port"],
            chroma_server_ssl_enabled=options["ssl"],
            chroma_server_headers={"X-Chroma-Token": key} if key else None,
        ),
        **({"tenant": options["tenant"]} if options["tenant"] else {}),
    )


def cloud_client(options: Options, settings: Callable[..., Any]) -> Client:
    """A client of Chroma Cloud, as `chromadb.CloudClient` makes one.

    Raises:
        Exception: what chromadb and httpx raise.
    """
    from chromadb.auth.token_authn import TokenTransportHeader

    return _timed_client(
        options["timeout_s"],
        tenant=options["tenant"],
        database=_CLOUD_DATABASE,
        settings=settings(
            chroma_api_impl=_API,
            chroma_server_host="api.trychroma.com",
            chroma_server_http_port=443,
            chroma_server_ssl_enabled=True,
            chroma_client_auth_provider="chromadb.auth.token_authn.TokenAuthClientProvider",
            chroma_client_auth_credentials=options["api_key"],
            chroma_auth_token_transport_header=TokenTransportHeader.X_CHROMA_TOKEN,
            chroma_overwrite_singleton_tenant_database_access_from_auth=True,
        ),
    )


def _timed_client(timeout_s: float, **arguments: Any) -> Client:
    """A client whose calls end after a while, those with which it is made included.

    chromadb's own asks who it is and whether the tenant exists, waits for ever, and does not say
    whether nobody has answered or the answer was no.
    """
    from chromadb.api.client import Client as ChromaClient

    class TimedClient(ChromaClient):  # type: ignore[misc]  # chromadb is not installed everywhere
        def __init__(self) -> None:
            try:
                super().__init__(**arguments)
            except BaseException:
                close(self)
                raise

        def get_user_identity(self) -> Any:
            self._server._session.timeout = timeout_s
            return self._server.get_user_identity()

        def _validate_tenant_database(self, tenant: str, database: str) -> None:
            self._admin_client._server._session.timeout = timeout_s
            self._admin_client.get_tenant(name=tenant)
            self._admin_client.get_database(name=database, tenant=tenant)

    return TimedClient()


def close(client: Client) -> None:
    """Closes a client, also one that is half made, with what chromadb (1.5) leaves open.

    These are the connections of both its servers, of which one checks tenants; and an entry among
    the systems of chromadb, for ever.
    """
    from chromadb.api.shared_system_client import SharedSystemClient

    client.close()
    systems = SharedSystemClient._identifier_to_system
    for each in (client, getattr(client, "_admin_client", None)):
        server = getattr(each, "_server", None)
        if server is not None:
            server._session.close()
            for name in [name for name, system in [*systems.items()] if system is server._system]:
                systems.pop(name, None)
