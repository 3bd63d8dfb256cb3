"""The recipe of the English table, from what was published to the file that isomem ships.

`make model` runs it; README.md beside this file has its parts.
"""
