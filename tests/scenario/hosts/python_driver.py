"""A host in Python: its own sqlite3, or apsw, which brings an SQLite of its own.

Usage: python_driver.py sqlite3|apsw MODULE; then one request a line, as ../hosts.py sends them.
"""
import importlib
import json
import sys

KIND, MODULE = sys.argv[1], sys.argv[2]
library = importlib.import_module(KIND)


def connect(path):
    if KIND == "apsw":
        flags = library.SQLITE_OPEN_READWRITE | library.SQLITE_OPEN_CREATE | library.SQLITE_OPEN_URI
        return library.Connection(path, flags=flags)
    return library.connect(path, uri=True, isolation_level=None)


def load():
    connection = connect(":memory:")
    if KIND == "apsw":
        connection.enableloadextension(True)
        connection.loadextension(MODULE)
    else:
        connection.enable_load_extension(True)
        connection.load_extension(MODULE)
    return connection


connections = {}


def answer(verb, name, text):
    if verb == "load":
        connections[name] = load()
    elif verb == "open":
        connections[name] = connect(text)
    elif verb == "close":
        connections.pop(name).close()
    else:
        row = next(iter(connections[name].cursor().execute(text)), None)
        return row and row[0]
    return None


for line in sys.stdin:
    try:
        reply = {"value": answer(*json.loads(line))}
    except Exception as error:  # whatever the library raises is the answer
        reply = {"error": str(error)}
    print(json.dumps(reply), "end of answer", sep="\n", flush=True)
