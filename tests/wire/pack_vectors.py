#!/usr/bin/env python3
"""Packs encodings made by Apache Kafka's own codec into the form kept here.

    pack_vectors.py VECTORS.jsonl vectors.bin.gz

Each line of the input is {"name": "FetchRequest", "version": 12, "json": {…}, "hex": "…", …}; what wire_vectors reads without packing, too.
The packed form, gzipped: "wire vectors 1\\n", then for each vector
    name, NUL · version int16 · length uint32, the encoded bytes · length uint32, the value as JSON (UTF-8)
with big-endian numbers. Bytes rather than hex, because then a string in the encoding compresses against the same string in the JSON.
"""
import gzip
import json
import struct
import sys


def main():
    out = bytearray(b'wire vectors 1\n')
    with open(sys.argv[1], encoding='utf-8') as lines:
        for line in lines:
            v = json.loads(line)
            value = json.dumps(v['json'], separators=(',', ':'), ensure_ascii=False).encode()
            data = bytes.fromhex(v['hex'])
            out += v['name'].encode() + b'\0' + struct.pack('>hI', v['version'], len(data)) + data
            out += struct.pack('>I', len(value)) + value
    with open(sys.argv[2], 'wb') as f, gzip.GzipFile(filename='', mode='wb', compresslevel=9, fileobj=f, mtime=0) as z:
        z.write(out)


if __name__ == '__main__':
    main()
