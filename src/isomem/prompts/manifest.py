"""Which texts upstream sends to models, by digest; the texts themselves are not in this repo.

Each `Pin` names one string constant of one module in one upstream wheel by its length and
SHA-256. The first five carry upstream's own names. The others are sentences that upstream
writes inline; their names are ours.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def sha256_hex(data: bytes) -> str:
    """The SHA-256 of `data`, in hex."""
    # hashlib would load OpenSSL, which takes more memory than everything else in this package.
    for name in ("_sha2", "_sha256"):
        try:
            return str(__import__(name).sha256(data).hexdigest())
        except ImportError:
            continue
    import hashlib

    return hashlib.sha256(data).hexdigest()


class Pin:
    """One pinned text.

    Attributes:
        name: what we call it; also its file name.
        path: the file inside upstream's wheel that holds it.
        length: of the text in UTF-8, in bytes.
        sha256: of the text in UTF-8, in hex.
    """

    __slots__ = ("length", "name", "path", "sha256")

    def __init__(self, name: str, path: str, length: int, sha256: str) -> None:
        self.name = name
        self.path = path
        self.length = length
        self.sha256 = sha256

    def matches(self, data: bytes) -> bool:
        """Whether `data` is the pinned text, to the byte."""
        return len(data) == self.length and sha256_hex(data) == self.sha256


class Edition:
    """One upstream release, and the texts of it that are pinned.

    Attributes:
        requirement: the release as pip names it.
        wheel: the wheel's file name.
        sha256: the wheel's digest, in hex.
        licence: the licence file in the wheel; it accompanies the texts.
        texts: the pinned texts.
    """

    __slots__ = ("licence", "requirement", "sha256", "texts", "wheel")

    def __init__(
        self, requirement: str, wheel: str, sha256: str, licence: Pin, texts: Sequence[Pin]
    ) -> None:
        self.requirement = requirement
        self.wheel = wheel
        self.sha256 = sha256
        self.licence = licence
        self.texts = texts


_PROMPTS = "mem0/configs/prompts.py"
_OLLAMA = "mem0/llms/ollama.py"

UPSTREAM = Edition(
    requirement="mem0ai==2.0.4",
    wheel="mem0ai-2.0.4-py3-none-any.whl",
    sha256="920a39474bf4c2a5a7d4bb814e237aacd699c435d8e20db257c3b43568e7175e",
    licence=Pin(
        "LICENSE",
        "mem0ai-2.0.4.dist-info/licenses/LICENSE",
        11349,
        "0bbcbe931c353293a2fafce08326181dfeea0e568c566afd4ce8337a70f5e219",
    ),
    texts=(
        Pin(
            "ADDITIVE_EXTRACTION_PROMPT",
            _PROMPTS,
            33831,
            "ad19187a37813ef77ee156e714c0650e6ec749e0264bdc07d499bc9b24115155",
        ),
        Pin(
            "DEFAULT_UPDATE_MEMORY_PROMPT",
            _PROMPTS,
            5310,
            "d68a6ef706f5477c156e69b40f55c81d9fdc17704952d679e9658da7e15749dd",
        ),
        Pin(
            "AGENT_CONTEXT_SUFFIX",
            _PROMPTS,
            563,
            "04d709c8ef32bb65ea74c5a91ca99d283d76bea2ee1b25059cb94956c96230ad",
        ),
        Pin(
            "PROCEDURAL_MEMORY_SYSTEM_PROMPT",
            _PROMPTS,
            5108,
            "9ed026ae3bcc12e1e9986e5964edfc25e52a350ad80023462eadfdcfe8e1df2a",
        ),
        Pin(
            "MEMORY_ANSWER_PROMPT",
            _PROMPTS,
            547,
            "bee61c590c7200b8bfcb65c759968d48e047f6f64c94ad29c50c6158b53194e5",
        ),
        Pin(
            "LANGUAGE_REQUIREMENT",
            _PROMPTS,
            854,
            "ef1fa4fd61aa7f4c42d30973d2f3f24ded578aa92978b8931d54485a0ec93aad",
        ),
        Pin(
            "VISION_DESCRIPTION",
            "mem0/memory/utils.py",
            115,
            "a21528de052ff8a86283c702d48c491687edaac5437a9641d807e9ca14c644f7",
        ),
        Pin(
            "PROCEDURAL_REQUEST",
            "mem0/memory/main.py",
            51,
            "2a13c13aa688287b48129b5a877d1423e39b9cf3ec5f8e2aa6bf0b5718349469",
        ),
        Pin(
            "RERANK_SYSTEM",
            "mem0/reranker/llm_reranker.py",
            570,
            "f28fcefa649a2bb4e5281176a7c593109e37a855deffb9c2331100fb70732d59",
        ),
        Pin(
            "OLLAMA_JSON_SUFFIX",
            _OLLAMA,
            38,
            "f6d139573fbcb7b6b15eca39c6132b086d6f2845cb17dc0cdeeaf56ee2d15f23",
        ),
        Pin(
            "OLLAMA_JSON_MESSAGE",
            _OLLAMA,
            36,
            "7d7a5716c24dd83549a542e5e02f2894e904688b97c249770f00ce9830e602d6",
        ),
        Pin(
            "FACT_RETRIEVAL_PROMPT_BEFORE_DATE",
            _PROMPTS,
            2167,
            "13ce6e1fd0614dfffde6fc3fd792459ce8032ab44c3b94a51cd22575bbd38f48",
        ),
        Pin(
            "FACT_RETRIEVAL_PROMPT_AFTER_DATE",
            _PROMPTS,
            996,
            "f5891d527fe94dfd8f4459112ca25ea3b1f08cdb318b996207e076c46b944dc0",
        ),
        Pin(
            "USER_MEMORY_EXTRACTION_PROMPT_BEFORE_DATE",
            _PROMPTS,
            3174,
            "f993126b5a655484f064b9de745f2857b1a91f373bf52e49b323a5180fdf95c3",
        ),
        Pin(
            "USER_MEMORY_EXTRACTION_PROMPT_AFTER_DATE",
            _PROMPTS,
            997,
            "672c0a525a227aa4f33aebe1ac291f89d08b8ad16efd6492ece7cf7ef8a8beae",
        ),
        Pin(
            "AGENT_MEMORY_EXTRACTION_PROMPT_BEFORE_DATE",
            _PROMPTS,
            2866,
            "79bf583fc96bc95bb7bd58b56b2f5d7a057b2fd82d9bc1855212db17fc206cd3",
        ),
        Pin(
            "AGENT_MEMORY_EXTRACTION_PROMPT_AFTER_DATE",
            _PROMPTS,
            1007,
            "0aa430eab5721adde2ab564dd8371442daca2501fc65ca49c1ea1ef2ea1fb2a9",
        ),
        Pin(
            "UPDATE_MEMORY_FACTS_BEFORE",
            _PROMPTS,
            212,
            "29caff38e1055dd3c6f5a2eba5b77940338d7284c76b06b0015cfa3eeae3195c",
        ),
        Pin(
            "UPDATE_MEMORY_FACTS_AFTER",
            _PROMPTS,
            1288,
            "11cb64043d7904daad9e8ef2d6caa44246808fed0e12a8184a6563e622fe83d4",
        ),
        Pin(
            "UPDATE_MEMORY_CURRENT_BEFORE",
            _PROMPTS,
            145,
            "7c467b3a85f88fdf29ae9d8e61e47da36a9fec9e3cb7e5b0c8abd4d3355b43ca",
        ),
        Pin(
            "UPDATE_MEMORY_EMPTY",
            _PROMPTS,
            35,
            "affd9fcbcda0ab3c37d15aa765f5e82eb2eef64c2c6eda67085e68148dcbae1d",
        ),
        Pin(
            "JSON_INSTRUCTION",
            "mem0/memory/utils.py",
            103,
            "7065643fed875d8d4101530c74ec0d192c6116bf3b5e78ec7a8e3b2aeb29019c",
        ),
    ),
)
