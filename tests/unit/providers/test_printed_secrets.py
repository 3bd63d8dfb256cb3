"""No part of a provider shows a secret when it is printed, whatever holds the secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from isomem.errors import MemoryError as IsomemError
from isomem.options import Option
from isomem.providers.registry import create_embedder, create_llm, create_reranker
from isomem.providers.routes import proxy_for
from isomem.reference import names_in, table_in
from tests.unit.providers.clouds import access, is_installed

MAKERS = {"llm": create_llm, "embedder": create_embedder}
SECRET = "geheim"
ADDRESS = f"http://me:{SECRET}-1@127.0.0.1:9/v1"  # where nothing answers
VALUES: dict[str, tuple[Any, ...]] = {
    "http_client_proxies": (ADDRESS, {"all://": ADDRESS}),
    "headers": ({"X-Key": f"{SECRET}-2"},),
    "api_key": (f"{SECRET}-3",),
}


def values_of(option: Option) -> tuple[Any, ...]:
    """Values of an option that hold a secret; none where it takes no such value."""
    if option.name in VALUES:
        return VALUES[option.name]
    return (ADDRESS,) if option.name.endswith("_url") else ()


NEEDS_ADDRESS = {
    *("aws_bedrock", "azure_openai", "azure_openai_structured", "huggingface", "vertexai")
}
"""Without an address, they cannot be made here, or they run in this process."""

CASES = [
    pytest.param(section, name, option, value, id=f"{section}.{name}.{option.name}-{number}")
    for section in MAKERS
    for name in names_in(section)
    if is_installed(name) and name not in {"fastembed", "langchain", "litellm"}  # libraries send
    for option in table_in(section, name) or ()
    if not option.idle
    for number, value in enumerate(values_of(option))
]


def parts_of(thing: object, seen: dict[int, object]) -> Iterator[object]:
    """An object of the package and all of the package that it is made of."""
    if id(thing) in seen:
        return
    seen[id(thing)] = thing
    if isinstance(thing, dict):
        inner = list(thing.values())
    elif type(thing).__module__.startswith("isomem."):
        yield thing
        names = {*getattr(thing, "__slots__", ()), *getattr(thing, "__dict__", ())}
        inner = [getattr(thing, name, None) for name in names]
    else:
        return
    for each in inner:
        yield from parts_of(each, seen)


def use(provider: Any) -> list[BaseException]:
    """Sends a request, which nobody answers; the errors that come of it."""
    try:
        if hasattr(provider, "generate_response"):
            provider.generate_response([{"role": "user", "content": "hello"}])
        elif hasattr(provider, "embed"):
            provider.embed("hello", "add")
        else:
            provider.rerank("hello", [{"memory": "hello"}], 1)
    except IsomemError as error:
        causes = (error.__cause__, error.__context__)
        return [error, *(each for each in causes if isinstance(each, IsomemError))]
    return []


@pytest.mark.parametrize(("section", "name", "option", "value"), CASES)
def test_nothing_that_a_provider_is_made_of_or_raises_shows_a_secret(
    section: str, name: str, option: Option, value: Any
) -> None:
    table = {each.name for each in table_in(section, name) or ()}
    is_remote = "headers" in table
    offline = {"http_client_proxies": ADDRESS, "max_retries": 0} if is_remote else {}
    own = access(name, ADDRESS, f"{SECRET}-0") if name in NEEDS_ADDRESS else {}
    given = {"api_key": f"{SECRET}-0", **own, **offline, option.name: value}
    made = MAKERS[section](name, given)
    check(made, is_remote=is_remote)


def test_neither_does_the_model_of_a_reranker() -> None:
    config = {"api_key": f"{SECRET}-0", "http_client_proxies": ADDRESS, "max_retries": 0}
    given = {"llm": {"provider": "openai", "config": config}}
    check(create_reranker("llm_reranker", given), is_remote=True)


def check(made: Any, *, is_remote: bool) -> None:
    errors = use(made)
    parts = list(parts_of(made, {}))
    assert (len(parts) > 2) == is_remote  # What sends the requests is there.
    for part in (*parts, *errors):
        assert SECRET not in f"{part}{part!r}{vars(part) if part in errors else ''}", type(part)
    getattr(made, "close", lambda: None)()


@pytest.mark.parametrize("configured", VALUES["http_client_proxies"], ids=["address", "pattern"])
def test_a_proxy_that_was_chosen_shows_none_either(configured: Any) -> None:
    proxy = proxy_for("http://other.test", configured)
    assert proxy is not None
    assert SECRET in proxy.url
    assert SECRET not in f"{proxy}{proxy!r}"
