#!/usr/bin/env python3
"""Writes docs/openapi.json as C, without its blanks: openapi.py IN.json OUT.c. Standard library only."""

import json
import pathlib
import sys

BYTES_A_LINE = 32


def main(source, out):
    data = json.dumps(json.loads(pathlib.Path(source).read_text()), separators=(",", ":")).encode()
    rows = (data[at:at + BYTES_A_LINE] for at in range(0, len(data), BYTES_A_LINE))
    body = ",\n".join(",".join(map(str, row)) for row in rows)
    pathlib.Path(out).write_text(f'#include "http/openapi.h"\n\nconst char openapi_json[] = {{\n{body}}};\n'
                                 f"const size_t openapi_json_bytes = {len(data)};\n")


main(*sys.argv[1:])
