#!/usr/bin/env python3
"""Writes the dashboard's files as C, each compressed and with its ETag; src/http/static.c serves them.

    embed.py OUT.c OUT.d FOLDER [PATH=FILE...]     all of FOLDER, and FILE under PATH

Standard library only. The same files give the same output, byte for byte. OUT.d lists what was read for ninja, the folders too: a file
that is added or removed changes its folder.
"""

import gzip
import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
BYTES_A_LINE = 32


def c_bytes(data):
    rows = (data[at:at + BYTES_A_LINE] for at in range(0, len(data), BYTES_A_LINE))
    return ",\n".join(",".join(map(str, row)) for row in rows)


def embed(files):
    """The text of the C file. files: path -> bytes."""
    arrays, table = [], []
    for number, (path, data) in enumerate(sorted(files.items())):
        packed = gzip.compress(data, 9, mtime=0)
        tag = hashlib.sha256(data).hexdigest()[:20]
        kind = TYPES[pathlib.PurePosixPath(path).suffix]
        arrays.append(f"static const unsigned char file_{number}[] = {{\n{c_bytes(packed)}}};\n")
        table.append(f'    {{"{path}", "{kind}", "\\"{tag}\\"", file_{number}, sizeof file_{number}, {len(data)}}},\n')
    return ('// Written by web/embed.py.\n#include "http/static.h"\n\n' + "".join(arrays)
            + "\nconst struct web_file web_files[] = {\n" + "".join(table)
            + f"}};\nconst size_t web_file_count = {len(table)};\n")


def main(out, dependencies, folder, *pairs):
    top = pathlib.Path(folder)
    sources = {f"/{path.relative_to(top)}": path for path in top.rglob("*") if path.suffix in TYPES}
    for pair in pairs:
        path, _, source = pair.partition("=")
        sources[path] = pathlib.Path(source)
    read = sorted({top, *(path for path in top.rglob("*") if path.is_dir()), *sources.values()})
    pathlib.Path(out).write_text(embed({path: source.read_bytes() for path, source in sources.items()}))
    pathlib.Path(dependencies).write_text(f"{out}: {' '.join(str(path.resolve()) for path in read)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
