"""Every engine, beside mem0 on the same engine, call by call.

    python -m bench.engines                                     # 2,000 memories, every engine
    python -m bench.engines --sizes 2000,100000 --engines pgvector,postgres
    python -m bench.engines --sizes 1000000 --engines embedded --keep   # and keep the others
    python -m bench.engines --engines pgvector,postgres --rtt-ms 1  # a server further away
    python -m bench.engines --again                             # the tables once more
    python -m bench.engines --write-docs docs/scaling.md        # put them there

Half of the memories are in scopes of 100, half in scopes of 10,000. Each system is a process that
opens its store, is filled, and stays; the systems then take turns, round after round, so that a
ratio is made of neighbours. `rows.py` has a row for each engine.
"""
