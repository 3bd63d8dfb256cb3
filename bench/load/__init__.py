"""How many calls so many machines make over one database: a model, and how far it can be trusted.

    python -m bench.load                         # the constants, measured here, and the check
    python -m bench.load --model --machines 4 --processes 4 --cores 8 --rtt-ms 0.5 --rate 800

The first form needs a PostgreSQL server, which it starts itself. It measures what one call costs:
time on the processor of the client and of the server, round trips, and the wait for the disk. With
these it predicts what eight threads do, measures that, and says how far off the prediction was. The
second form takes the constants from the file that the first one wrote, and simulates machines that
are not here. What it prints is a model's, not a measurement.
"""
