"""Adding: from messages to memories."""

from __future__ import annotations

from isomem import log, prompts
from isomem.contract.arguments import (
    ANY_VALUE,
    check_ids,
    check_memory_type,
    check_supersede,
    check_text,
    refuse_wildcard_ids,
)
from isomem.contract.limits import EXISTING_MEMORIES, RECENT_MESSAGES
from isomem.contract.moments import EVENT_TIME, check_timestamp
from isomem.contract.payload import added_event, said_event, start_payload
from isomem.contract.plan import Plan, Record
from isomem.contract.profile import told_of
from isomem.contract.scope import session_key
from isomem.contract.visibility import expiry_fields
from isomem.dates import utc_text
from isomem.digest import md5_hex
from isomem.errors import (
    ConfigurationError,
    DependencyError,
    EmbeddingError,
    LLMError,
    UnusableReplyError,
    VectorStoreError,
)
from isomem.pipeline.embedding import embed_together
from isomem.pipeline.mentions import embed_mentions, mentions_in
from isomem.ports.guard import PartFailure
from isomem.text.messages import Conversation
from isomem.text.reply import read_facts, read_text
from isomem.types import PROCEDURAL, SUPERSEDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from isomem.contract.plan import Mention, Since, Supersession
    from isomem.contract.visibility import Visibility
    from isomem.ports.shapes import Message, Nlp, Payload, Ports, Stores, Vector
    from isomem.results import AddedMemory, AddResults

    Fact = dict[str, Any]

OFF = SUPERSEDING[0]
_NOBODY: Mapping[str, object] = {}


async def add(
    ports: Ports,
    messages: Any,
    *,
    ids: dict[str, Any],
    metadata: dict[str, Any] | None,
    infer: bool,
    memory_type: str | None,
    prompt: str | None,
    timestamp: object = None,
    expiration_date: object = None,
    supersede: str | None = None,
) -> AddResults:
    """One call of `add`: checks everything, then adds in the way that the arguments ask for.

    What the releases of mem0 decide differently is in the profile, which is `contract.v2_0_4` or,
    if that is configured, `contract.v2_2_1`.
    """
    scope, fields, mode, day, conversation = _checked(
        ports, messages, ids, metadata, memory_type, timestamp, expiration_date, supersede
    )
    if mode != OFF and supersede is not None and not infer:
        log.warning("add(infer=False) does nothing with supersede=: only facts supersede")
    if _is_procedural(memory_type, scope):
        return {"results": await _add_procedural(ports, conversation, fields, prompt)}
    for image in conversation.images:
        image.describe(await _description(ports, image.content, image.message))
    if infer:
        added = _add_inferred(ports, conversation, scope, fields, prompt, day, mode)
        return {"results": await added}
    return {"results": await _add_raw(ports, conversation, fields)}


def check(ports: Ports, messages: Any, *, ids: dict[str, Any], **asked: Any) -> None:
    """Raises what `add` would raise of its arguments, before it is made."""
    names = ("metadata", "memory_type", "timestamp", "expiration_date", "supersede")
    _checked(ports, messages, ids, *map(asked.get, names))


def _is_procedural(memory_type: str | None, scope: Mapping[str, str]) -> bool:
    """Whether an agent's steps are to be summed up: their messages are read in another way."""
    return memory_type == PROCEDURAL and "agent_id" in scope


def _checked(
    ports: Ports,
    messages: Any,
    ids: dict[str, Any],
    metadata: dict[str, Any] | None,
    memory_type: str | None,
    timestamp: object,
    expiration_date: object,
    supersede: str | None,
) -> tuple[dict[str, str], Payload, str, str | None, Conversation]:
    """The scope, the fields of each memory, the way to supersede, the day, and what was said."""
    profile = ports.profile
    scope = check_ids(ids, profile.read_id)
    if ANY_VALUE in scope.values() and not ports.takes_any_id:
        refuse_wildcard_ids(scope)
    fields = profile.stamp(metadata, scope)
    if memory_type is not None:
        check_memory_type(memory_type)
    mode = ports.settings.supersede
    if supersede is not None:
        mode = check_supersede(supersede)
    day = None
    if timestamp is not None:
        moment = check_timestamp(timestamp)
        fields[EVENT_TIME], day = utc_text(moment), moment.date().isoformat()
    if expiration_date is not None:
        fields.update(expiry_fields(expiration_date, profile.EXPIRATION_FIELDS))
    conversation = Conversation(messages, profile)
    if not _is_procedural(memory_type, scope):
        conversation.read(sees_images=ports.settings.enable_vision)
    return scope, fields, mode, day, conversation


# --- Images ----------------------------------------------------------------------------------


async def _description(ports: Ports, content: Any, message: Message) -> Any:
    """What the model says about a message with images, or about one image."""
    if isinstance(content, list):
        return await ports.generate([message])
    url = ports.profile.address_of(content)
    try:
        return await ports.generate([_image_question(url, ports.settings.vision_details)])
    except PartFailure as failure:
        from isomem.causes import caused

        fault = f"Error while downloading {url}."
        raise caused(LLMError, fault, failure.error) from failure.error


def _image_question(url: str, details: str | None) -> Message:
    question = {"type": "text", "text": prompts.text("VISION_DESCRIPTION")}
    image = {"type": "image_url", "image_url": {"url": url, "detail": details}}
    return {"role": "user", "content": [question, image]}


# --- Raw: every message is a memory ----------------------------------------------------------


async def _add_raw(ports: Ports, conversation: Conversation, fields: Payload) -> list[AddedMemory]:
    """Stores the messages by one plan.

    It is applied by `stores.embedded.EmbeddedSet`, unless another store is configured.
    """
    said = conversation.remembered()
    texts = [each.content for each in said]
    vectors = await _embed_all(ports, texts)
    lemmas = await ports.compute(_lemmatize_all, ports.nlp, texts) if texts else []
    records = []
    for each, vector, lemma in zip(said, vectors, lemmas, strict=True):
        speaker = {"role": each.role, "actor_id": each.name} if each.name else {"role": each.role}
        record = _record(ports, each.content, fields, vector, lemma, speaker)
        record.told = {"actor_id": each.name, "role": each.role}
        records.append(record)
    if records or ports.progress or ports.receipt:
        await ports.apply(_plan(ports, records))
    return _results(records)


async def _embed_all(ports: Ports, texts: list[str]) -> Sequence[Vector]:
    """The vectors of texts: one call, if the embedder gives each the vector that it has alone.

    Another embedder gets the calls that mem0 makes.
    """
    if len(texts) > 1 and ports.embeds_alike_in_batch:
        vectors = await embed_together(ports, texts, "add", f"{len(texts)} memories")
        if vectors is not None:
            return vectors
    return [await ports.embed(text, "add") for text in texts]


def _plan(ports: Ports, records: list[Record]) -> Plan:
    """A plan that stores all records or none."""
    return Plan(ports.clock, records=records, progress=ports.progress, receipt=ports.receipt)


def _results(records: Sequence[Record]) -> list[AddedMemory]:
    """What a caller is told: `id`, `memory`, `event`, and what `told` has."""
    results: list[Any] = [record.result() for record in records]
    return results


async def add_text(ports: Ports, text: str, fields: Payload, vector: Vector | None = None) -> str:
    """Stores one text as it is.

    Args:
        fields: of its payload; the ids are among them. A `created_at` is kept.
        vector: of the text, if it is known.

    Returns:
        The id of the memory.
    """
    text = check_text(text, "the memory")
    record = await _one_record(ports, text, fields, vector)
    await ports.apply(Plan(ports.clock, records=[record]))
    return record.id


async def _one_record(
    ports: Ports, text: str, fields: Payload, vector: Vector | None = None
) -> Record:
    if vector is None:
        vector = await ports.embed(text, "add")
    return _record(ports, text, fields, vector, await ports.compute(ports.nlp.lemmatize, text))


def _record(
    ports: Ports,
    text: str,
    fields: Payload,
    vector: Vector,
    lemma: str,
    speaker: Mapping[str, object] = _NOBODY,
) -> Record:
    """A memory that is a text as it is."""
    clock = ports.clock
    payload = start_payload(fields, clock, **speaker, data=text, hash=md5_hex(text))
    payload["text_lemmatized"] = lemma
    memory_id = clock.new_id()
    return Record(memory_id, text, vector, payload, said_event(memory_id, text, payload))


# --- Procedural: the whole conversation is one memory ----------------------------------------


async def _add_procedural(
    ports: Ports, conversation: Conversation, fields: Payload, prompt: str | None
) -> list[AddedMemory]:
    reply = await ports.generate(
        [
            {
                "role": "system",
                "content": prompt or prompts.PROCEDURAL_MEMORY_SYSTEM_PROMPT,
            },
            *conversation.messages,
            {"role": "user", "content": prompts.text("PROCEDURAL_REQUEST")},
        ]
    )
    profile = ports.profile
    text = check_text(read_text(profile.reply_text(reply)), "the procedural memory")
    text = profile.check_summary(text)
    said = {**fields, "memory_type": PROCEDURAL}
    record = await _one_record(ports, text, said)
    await ports.apply(_plan(ports, [record]))
    return _results([record])


# --- Inferred: the model says what to remember -----------------------------------------------


async def _add_inferred(
    ports: Ports,
    conversation: Conversation,
    scope: dict[str, str],
    fields: Payload,
    prompt: str | None,
    day: str | None,
    mode: str,
) -> list[AddedMemory]:
    since = await ports.store(_last_insertion) if ports.settings.dedup_concurrent else None
    session = session_key(scope)
    transcript = conversation.transcript()
    vector = await ports.embed(transcript, "search")
    profile = ports.profile
    shown = told_of(profile, ports.clock)
    recent, existing = await ports.store(_recall, session, transcript, vector, scope, shown)
    facts = await _facts(ports, scope, transcript, recent, existing, prompt, day)
    if facts is None:
        return []
    vectors = await _embed_facts(ports, [fact["text"] for fact in facts])
    known = {payload["hash"] for payload in existing if payload.get("hash")}
    records = await _inferred_records(ports, _new_facts(facts, vectors, known), vectors, fields)
    stale = await _stale(ports, facts, records, scope, mode)
    plan = Plan(
        ports.clock,
        records=records,
        partial=True,
        buffers_failed=ports.profile.BUFFERS_FAILED_ADDS,
        scope=scope,
        since=since,
        supersedes=stale,
        mentions=await _mentions(ports, records),
        session=session,
        messages=conversation.texts(),
        progress=ports.progress,
        receipt=ports.receipt,
    )
    stored = await ports.apply(plan)
    if plan.failed:
        raise VectorStoreError(
            f"Failed to insert any of the {len(records)} extracted memories into the vector store"
        )
    return _results(stored)


async def _stale(
    ports: Ports, facts: list[Fact], records: list[Record], scope: dict[str, str], mode: str
) -> Sequence[Supersession]:
    """The stored facts that the new ones supersede: `records` has those of `facts` that are new."""
    if mode == OFF:
        return ()
    for record in records:
        record.supersedes = ()  # Until they are stored, which a caller is told of.
    # Here: most memories supersede nothing, and importing isomem would take longer.
    from isomem.pipeline.superseding import supersessions

    said_again = {md5_hex(fact["text"]) for fact in facts}
    said_again.difference_update(record.payload["hash"] for record in records)
    return await supersessions(ports, records, said_again, scope, mode)


async def _facts(ports: Ports, *asked: Any) -> list[Fact] | None:
    """What the model found; None if the call failed and `add` goes on without it.

    If a reply cannot be used, there are no facts but the messages are stored, as in mem0, unless
    the caller wants an error.
    """
    question = _question(ports, *asked)
    try:
        reply = await _ask(ports, question)
    except PartFailure as failure:
        _model_failed(ports, failure.error)
        return None
    try:
        return read_facts(ports.profile.reply_text(reply))
    except UnusableReplyError as error:
        tolerant = ports.settings.replies == "tolerant"
        facts = await _salvage(ports, question, reply, error) if tolerant else None
        if facts is None and ports.settings.raise_on_llm_error:
            raise
        if facts is None:
            log.error("Error parsing extraction response: %s", error)
        return facts or []


async def _ask(ports: Ports, messages: list[Message]) -> Any:
    return await ports.generate(messages, response_format={"type": "json_object"})


async def _salvage(
    ports: Ports, question: list[Message], reply: Any, fault: UnusableReplyError
) -> list[Fact] | None:
    """The facts in an unusable reply, or else in the model's second one; None if none has any."""
    from isomem.text.salvage import reply_text, salvage_facts

    facts = salvage_facts(reply)
    if facts is None:
        fault_of = fault.details["fault"]
        log.warning("Asking the model once more, since its reply cannot be used: %s", fault_of)
        try:
            again = [*question, *_complaint(reply_text(reply), fault_of)]
            facts = salvage_facts(await _ask(ports, again))
        except PartFailure as failure:
            log.warning("Asking the model once more failed: %s", failure)
    if facts is not None:
        texts = [fact["text"] for fact in facts]
        log.warning("Salvaged %d facts from a reply that cannot be used: %r", len(facts), texts)
    return facts


def _complaint(reply: str, fault: str) -> list[Message]:
    """What is said to a model about its reply. A model does not see a reply without text."""
    request = (
        f"This reply cannot be used: {fault}. Send the whole answer again: one JSON object "
        'with the key "memory", and nothing before or after it.'
    )
    seen = [{"role": "assistant", "content": reply}] if reply.strip() else []
    return [*seen, {"role": "user", "content": request}]


def _last_insertion(stores: Stores) -> Since:
    """Read before the memories are: what is stored in between must count as stored later."""
    return stores.last_insertion()


def _recall(
    stores: Stores,
    session: str,
    transcript: str,
    vector: Vector,
    scope: dict[str, str],
    visibility: Visibility,
) -> tuple[list[Message], list[Payload]]:
    """The session's last messages, and the stored memories nearest to the new ones.

    A fact that equals a hidden memory is new: otherwise, it would be lost.
    """
    with stores.reading(filters=scope, session=session):
        recent = stores.ledger.get_last_messages(session, limit=RECENT_MESSAGES)
        hits = visibility.first_shown(
            lambda top_k: stores.with_payloads(
                stores.vectors.search(query=transcript, vectors=vector, top_k=top_k, filters=scope)
            ),
            EXISTING_MEMORIES,
        )
        return recent, [hit.payload or {} for hit in hits]


def _question(
    ports: Ports,
    scope: dict[str, str],
    transcript: str,
    recent: list[Message],
    existing: list[Payload],
    prompt: str | None,
    day: str | None,
) -> list[Message]:
    """What the model is asked. It sees numbers instead of ids, so that it cannot invent any.

    `day` is when it was said, so that the model knows what "yesterday" means; None means today.
    """
    system = prompts.ADDITIVE_EXTRACTION_PROMPT
    if "agent_id" in scope and "user_id" not in scope:
        system += prompts.AGENT_CONTEXT_SUFFIX
    request = prompts.build_user_prompt(
        existing_memories=[
            {"id": str(number), "text": payload.get("data", "")}
            for number, payload in enumerate(existing)
        ],
        new_messages=transcript,
        last_k_messages=recent,
        custom_instructions=prompt or ports.settings.custom_instructions,
        current_date=day or ports.clock.today(),
    )
    return [{"role": "system", "content": system}, {"role": "user", "content": request}]


def _model_failed(ports: Ports, error: Exception) -> None:
    if isinstance(error, (ConfigurationError, DependencyError)):
        raise error
    if not (ports.settings.raise_on_llm_error or ports.profile.RAISES_LLM_ERRORS):
        log.error("LLM extraction failed: %s", error)
        return
    if isinstance(error, LLMError):
        raise error
    from isomem.causes import caused, message_of

    message = f"{ports.profile.LLM_FAILURE}: {message_of(error)}"
    raise caused(LLMError, message, error) from error


async def _embed_facts(ports: Ports, texts: list[str]) -> dict[str, Vector]:
    """Vectors by text, in one call, or one by one if that fails. A text that fails has none.

    Raises:
        EmbeddingError: all of them failed, and `raise_on_llm_error` is set.
    """
    if not texts:
        return {}
    together = await embed_together(ports, texts, "add", f"{len(texts)} memories")
    if together is not None:
        return dict(zip(texts, together, strict=True))
    vectors, error = {}, None
    for text in texts:
        try:
            vectors[text] = await ports.embed(text, "add")
        except PartFailure as failure:
            error = failure.error
            log.warning("Failed to embed memory text: %s", error)
    if error is not None and not vectors:
        _embedder_failed(ports, len(texts), error)
    return vectors


def _embedder_failed(ports: Ports, facts: int, error: Exception) -> None:
    if ports.settings.raise_on_llm_error:
        from isomem.causes import caused, message_of

        message = f"none of {facts} facts could be embedded: {message_of(error)}"
        raise caused(EmbeddingError, message, error) from error
    log.error("None of %d facts could be embedded, so none is stored: %s", facts, error)


def _new_facts(facts: list[Fact], vectors: dict[str, Vector], known: set[str]) -> dict[str, Fact]:
    """The facts by hash, without known ones and repeats."""
    new: dict[str, Fact] = {}
    for fact in facts:
        digest = md5_hex(fact["text"])
        if fact["text"] in vectors and digest not in known:
            new.setdefault(digest, fact)
    return new


async def _inferred_records(
    ports: Ports, new: dict[str, Fact], vectors: dict[str, Vector], fields: Payload
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
        event = added_event(memory_id, text, payload)
        records.append(Record(memory_id, text, vectors[text], payload, event))
    return records


def _lemmatize_all(nlp: Nlp, texts: list[str]) -> list[str]:
    return [nlp.lemmatize(text) for text in texts]


async def _mentions(ports: Ports, records: list[Record]) -> list[Mention]:
    texts = [record.text for record in records]
    try:
        found = await ports.compute(ports.nlp.entities_batch, texts) if texts else []
    except PartFailure as failure:
        log.warning("Finding entities in %d memories failed: %s", len(texts), failure)
        return []
    of_each = zip([record.id for record in records], found, strict=False)
    mentions = mentions_in(of_each, ports.profile.entity_key)
    return await embed_mentions(ports, mentions)
