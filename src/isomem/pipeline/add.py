"""Adding: from messages to memories."""

from __future__ import annotations

from isomem import log, prompts
from isomem.contract.arguments import (
    check_ids,
    check_memory_type,
    check_text,
    refuse_wildcard_ids,
)
from isomem.digest import md5_hex
from isomem.errors import ConfigurationError, LLMError
from isomem.pipeline.link import Mention, embed_mentions, link, mentions_in
from isomem.pipeline.records import Record, added, insert, start_payload
from isomem.scope import session_key, stamp
from isomem.text.messages import as_messages, text_of, transcript, with_content
from isomem.text.reply import facts_of, strip_wrapping
from isomem.types import PROCEDURAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from isomem.clock import Clock
    from isomem.ports import Message, Nlp, Payload, Ports, Stores, Vector

    Result = dict[str, Any]

EXISTING_MEMORIES = 10
"""How many stored memories the model is shown, and new ones are compared with."""

RECENT_MESSAGES = 10
"""How many messages before the new ones the model is shown."""


async def add(
    ports: Ports,
    messages: Any,
    *,
    ids: dict[str, Any],
    metadata: dict[str, Any] | None,
    infer: bool,
    memory_type: str | None,
    prompt: str | None,
) -> Result:
    """One call of `add`: checks everything, then takes the way that the arguments ask for."""
    scope = check_ids(ids)
    if not ports.takes_any_id:
        refuse_wildcard_ids(scope)
    fields = stamp(metadata, scope)
    check_memory_type(memory_type)
    conversation = as_messages(messages)
    if memory_type == PROCEDURAL and "agent_id" in scope:
        return {"results": await _add_procedural(ports, conversation, fields, prompt)}
    spoken = with_content(conversation)
    texts = await _described(ports, spoken) if ports.settings.enable_vision else _texts_of(spoken)
    if infer:
        return {"results": await _add_inferred(ports, texts, scope, fields, prompt)}
    return {"results": await _add_raw(ports, texts, fields)}


# --- Images ----------------------------------------------------------------------------------


def _texts_of(messages: list[Message]) -> list[Message]:
    return [text for message in messages if (text := text_of(message)) is not None]


async def _described(ports: Ports, messages: list[Message]) -> list[Message]:
    """The messages with every image replaced by a description of it."""
    texts = []
    for message in messages:
        seen = message["role"] != "system"
        text = await _describe(ports, message) if seen else text_of(message)
        if text is not None:
            texts.append(text)
    return texts


async def _describe(ports: Ports, message: Message) -> Message | None:
    content = message["content"]
    if isinstance(content, list):
        return {"role": message["role"], "content": await ports.generate([message])}
    if not (isinstance(content, dict) and content.get("type") == "image_url"):
        return text_of(message)
    url = content["image_url"]["url"]
    try:
        description = await ports.generate([_image_question(url, ports.settings.vision_details)])
    except Exception as error:
        raise LLMError(f"Error while downloading {url}.") from error
    return {"role": message["role"], "content": description}


def _image_question(url: str, details: str | None) -> Message:
    question = {"type": "text", "text": prompts.text("VISION_DESCRIPTION")}
    image = {"type": "image_url", "image_url": {"url": url, "detail": details}}
    return {"role": "user", "content": [question, image]}


# --- Raw: every message is a memory ----------------------------------------------------------


async def _add_raw(ports: Ports, messages: list[Message], fields: Payload) -> list[Result]:
    records, results = [], []
    for message in messages:
        content, role, name = message["content"], message["role"], message.get("name") or None
        if content is None:
            log.warning("Skipping a message of role %r without content", role)
        elif role != "system":
            said = {**fields, "role": role}
            if name:
                said["actor_id"] = name
            record = await _record(ports, check_text(content, "message content"), said)
            records.append(record)
            results.append({**_told(record), "actor_id": name, "role": role})
    await ports.store(_write_raw, records)
    return results


def _told(record: Record) -> Result:
    return {"id": record.id, "memory": record.text, "event": "ADD"}


async def _record(ports: Ports, text: str, fields: Payload) -> Record:
    vector = await ports.embed(text, "add")
    clock = ports.clock
    payload = start_payload(fields, clock, data=text, hash=md5_hex(text))
    payload["text_lemmatized"] = await ports.compute(ports.nlp.lemmatize, text)
    return Record(clock.new_id(), text, vector, payload)


def _write_raw(stores: Stores, records: Sequence[Record]) -> None:
    """All of them with their history, or none (divergence D-09)."""
    if not records:
        return
    with stores.atomic():
        stores.vectors.insert(
            vectors=[record.vector for record in records],
            ids=[record.id for record in records],
            payloads=[record.payload for record in records],
        )
        stores.ledger.batch_add_history(
            [added(record, "updated_at", "actor_id", "role") for record in records]
        )


# --- Procedural: the whole conversation is one memory ----------------------------------------


async def _add_procedural(
    ports: Ports, messages: list[Message], fields: Payload, prompt: str | None
) -> list[Result]:
    reply = await ports.generate(
        [
            {
                "role": "system",
                "content": prompt or prompts.PROCEDURAL_MEMORY_SYSTEM_PROMPT,
            },
            *messages,
            {"role": "user", "content": prompts.text("PROCEDURAL_REQUEST")},
        ]
    )
    if not isinstance(reply, str):
        raise LLMError(f"the model answered with {type(reply).__name__} where text was asked for")
    text = check_text(strip_wrapping(reply), "the procedural memory")
    record = await _record(ports, text, {**fields, "memory_type": PROCEDURAL})
    await ports.store(_write_raw, [record])
    return [_told(record)]


# --- Inferred: the model says what to remember -----------------------------------------------


async def _add_inferred(
    ports: Ports,
    messages: list[Message],
    scope: dict[str, str],
    fields: Payload,
    prompt: str | None,
) -> list[Result]:
    session = session_key(scope)
    conversation = transcript(messages)
    vector = await ports.embed(conversation, "search")
    recent, existing = await ports.store(_recall, session, conversation, vector, scope)
    try:
        reply = await _extract(ports, scope, conversation, recent, existing, prompt)
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 - any model may stand here
        return _model_failed(ports, error)
    facts = facts_of(reply)
    vectors = await _embed_facts(ports, [fact["text"] for fact in facts])
    known = {payload["hash"] for payload in existing if payload.get("hash")}
    records = await _inferred_records(ports, _new_facts(facts, vectors, known), vectors, fields)
    mentions = await _mentions(ports, records)
    stored = await ports.store(
        _write_inferred, records, mentions, scope, messages, session, ports.clock
    )
    return [_told(record) for record in stored]


def _recall(
    stores: Stores, session: str, conversation: str, vector: Vector, scope: dict[str, str]
) -> tuple[list[Message], list[Payload]]:
    """The session's last messages, and the stored memories nearest to the new ones."""
    with stores.reading():
        recent = stores.ledger.get_last_messages(session, limit=RECENT_MESSAGES)
        hits = stores.vectors.search(
            query=conversation, vectors=vector, top_k=EXISTING_MEMORIES, filters=scope
        )
        return recent, [hit.payload or {} for hit in hits]


async def _extract(
    ports: Ports,
    scope: dict[str, str],
    conversation: str,
    recent: list[Message],
    existing: list[Payload],
    prompt: str | None,
) -> str:
    """The model's reply. It sees numbers for ids, so that it cannot make one up."""
    system = prompts.ADDITIVE_EXTRACTION_PROMPT
    if "agent_id" in scope and "user_id" not in scope:
        system += prompts.AGENT_CONTEXT_SUFFIX
    question = prompts.build_user_prompt(
        existing_memories=[
            {"id": str(number), "text": payload.get("data", "")}
            for number, payload in enumerate(existing)
        ],
        new_messages=conversation,
        last_k_messages=recent,
        custom_instructions=prompt or ports.settings.custom_instructions,
        current_date=ports.clock.today(),
    )
    return await ports.generate(
        [{"role": "system", "content": system}, {"role": "user", "content": question}],
        response_format={"type": "json_object"},
    )


def _model_failed(ports: Ports, error: Exception) -> list[Result]:
    if not ports.settings.raise_on_llm_error:
        log.error("LLM extraction failed: %s", error)
        return []
    if isinstance(error, LLMError):
        raise error
    raise LLMError(f"the model call failed: {error}") from error


async def _embed_facts(ports: Ports, texts: list[str]) -> dict[str, Vector]:
    """Vectors by text, all in one call or else one by one; a text that fails has none."""
    if not texts:
        return {}
    try:
        return dict(zip(texts, await ports.embed_batch(texts, "add"), strict=False))
    except Exception as error:  # noqa: BLE001 - any embedder may stand here
        log.warning("Embedding %d memories one by one: %s", len(texts), error)
    vectors = {}
    for text in texts:
        try:
            vectors[text] = await ports.embed(text, "add")
        except Exception as error:  # noqa: BLE001 - any embedder may stand here
            log.warning("Failed to embed memory text: %s", error)
    return vectors


def _new_facts(
    facts: list[dict[str, Any]], vectors: dict[str, Vector], known: set[str]
) -> dict[str, dict[str, Any]]:
    """The facts that are neither among the known hashes nor said twice, by hash."""
    new: dict[str, dict[str, Any]] = {}
    for fact in facts:
        digest = md5_hex(fact["text"])
        if fact["text"] in vectors and digest not in known:
            new.setdefault(digest, fact)
    return new


async def _inferred_records(
    ports: Ports, new: dict[str, dict[str, Any]], vectors: dict[str, Vector], fields: Payload
) -> list[Record]:
    texts = [fact["text"] for fact in new.values()]
    lemmas = await ports.compute(_lemmatize_all, ports.nlp, texts) if texts else []
    records = []
    for (digest, fact), lemma in zip(new.items(), lemmas, strict=True):
        text = fact["text"]
        memory_id = ports.clock.new_id()
        payload = start_payload(fields, ports.clock, data=text, text_lemmatized=lemma, hash=digest)
        if fact.get("attributed_to"):
            payload["attributed_to"] = fact["attributed_to"]
        records.append(Record(memory_id, text, vectors[text], payload))
    return records


def _lemmatize_all(nlp: Nlp, texts: list[str]) -> list[str]:
    return [nlp.lemmatize(text) for text in texts]


async def _mentions(ports: Ports, records: list[Record]) -> list[Mention]:
    texts = [record.text for record in records]
    try:
        found = await ports.compute(ports.nlp.entities_batch, texts) if texts else []
    except Exception as error:  # noqa: BLE001 - any language model may stand here
        log.warning("Finding entities in %d memories failed: %s", len(texts), error)
        return []
    mentions = mentions_in(zip([record.id for record in records], found, strict=False))
    return await embed_mentions(ports, mentions)


def _write_inferred(
    stores: Stores,
    records: list[Record],
    mentions: list[Mention],
    scope: dict[str, str],
    messages: list[Message],
    session: str,
    clock: Clock,
) -> Sequence[Record]:
    """The whole plan of one inferred add, in one transaction where the stores have one."""
    with stores.atomic():
        stored = insert(stores, records) if records else ()
        if stored:
            stores.ledger.batch_add_history([added(record) for record in stored])
            link(stores, _of_stored(mentions, stored), dict(scope), clock)
        stores.ledger.save_messages(messages, session)
    return stored


def _of_stored(mentions: list[Mention], stored: Sequence[Record]) -> list[Mention]:
    """The mentions in memories that are stored, without the memories that are not."""
    ids = {record.id for record in stored}
    for mention in mentions:
        mention.memory_ids &= ids
    return [mention for mention in mentions if mention.memory_ids]
