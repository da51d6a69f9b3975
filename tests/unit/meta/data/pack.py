#!/usr/bin/env python3
"""Packs the metadata of a log directory of Apache Kafka into one small file for test_takeover.c.

    pack.py DIR OUT.gz      DIR is a log directory of a broker that was stopped

Taken are the files of the root and of __cluster_metadata-0 that say something; partitions are not. Each file is
its path's length (2 bytes, big-endian), path, its size (4 bytes), content; all of it gzipped."""
import gzip, os, struct, sys

ROOT = ('meta.properties', 'bootstrap.checkpoint', '.kafka_cleanshutdown')
LOG = ('.log', '.checkpoint', 'quorum-state', 'leader-epoch-checkpoint', 'partition.metadata')

source, target = sys.argv[1:3]
names = [n for n in ROOT if os.path.exists(os.path.join(source, n))]
names += ['__cluster_metadata-0/' + n for n in sorted(os.listdir(os.path.join(source, '__cluster_metadata-0'))) if n.endswith(LOG)]
out = b''
for name in names:
    with open(os.path.join(source, name), 'rb') as f:
        content = f.read()
    out += struct.pack('>H', len(name)) + name.encode() + struct.pack('>I', len(content)) + content
with open(target, 'wb') as f:
    f.write(gzip.compress(out, 9, mtime=0))
print(len(names), 'files,', os.path.getsize(target), 'bytes')
