"""Writes the fields of tests/vectors/produce.txt.gz as a corpus for fuzz_batch: batch_corpus.py VECTORS FOLDER"""
import gzip
import os
import sys

vectors, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)
SETTINGS = (0x80, 0x00, 0x14, 0x88, 0xA0)  # kept, uncompressed, zstd with LogAppendTime, compacted, young records only
for number, line in enumerate(line for line in gzip.open(vectors, "rt") if not line.startswith("#")):
    field = line.split("\t")[5]
    with open(os.path.join(folder, f"produce-{number:04}"), "wb") as out:
        out.write(bytes([SETTINGS[number % len(SETTINGS)]]) + (b"" if field == "-" else bytes.fromhex(field)))
