package org.apache.kafka.storage.internals.log;

/* Makes cleaned.txt.gz: what Apache Kafka's own cleaner leaves of logs made here, for test_clean_golden.c to compare with.
 *
 *   javac -cp "$LIBS/*" -d out MakeCleaned.java && java -cp "out:$LIBS/*" org.apache.kafka.storage.internals.log.MakeCleaned cleaned.txt.gz
 *
 * with the jars of Kafka 4.3.1 in $LIBS. Lines of the output:
 *   case NAME key=value …      a new log; its topic settings, `load` is the map's load factor with 1 MiB of map
 *   seg BASE MTIME HEX         a new segment behind the others (the last one is active)
 *   clean NOW FROM TO          the cleaner ran at wall time NOW from the dirty offset FROM; its map reached TO
 *   out BASE HEX TXN           then the log's segments: content of .log, and of .txnindex or - */
import java.io.*;
import java.nio.ByteBuffer;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.ScheduledFuture;
import java.util.zip.GZIPOutputStream;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.utils.*;
import org.apache.kafka.server.util.Scheduler;
import org.apache.kafka.storage.internals.utils.Throttler;
import org.apache.kafka.storage.log.metrics.BrokerTopicStats;

public class MakeCleaned {
    static final long T0 = 1750000000000L;
    static PrintStream out;
    static long now = T0;

    static class Clock implements Time {
        public long milliseconds() { return now; }
        public long nanoseconds() { return now * 1000000; }
        public void sleep(long ms) { }
        public void waitObject(Object o, java.util.function.Supplier<Boolean> c, long d) { }
    }
    static final java.util.concurrent.ScheduledExecutorService POOL = java.util.concurrent.Executors.newScheduledThreadPool(1);
    static class NoScheduler implements Scheduler {
        public void startup() { }
        public void shutdown() { }
        public ScheduledFuture<?> schedule(String n, Runnable r, long d, long p) { return POOL.schedule(() -> { }, 0, java.util.concurrent.TimeUnit.SECONDS); }
        public void resizeThreadPool(int n) { }
    }

    static String hex(byte[] b) { return b.length == 0 ? "-" : HexFormat.of().formatHex(b); }

    /* One log, growing and cleaned. */
    static class Case {
        final Path dir;
        final LogConfig conf;
        final double load;
        long offset, dirty, recovered;
        ByteArrayOutputStream seg = new ByteArrayOutputStream();
        long base;
        final Random rnd;
        long ts = T0 - 100000;
        boolean logAppend;

        Case(String name, long seed, String... kvs) throws Exception {
            dir = Files.createTempDirectory("clean").resolve("t-0");
            Files.createDirectory(dir);
            Properties p = new Properties();
            double l = 0.9;
            StringBuilder line = new StringBuilder("case " + name);
            for (String kv : kvs) {
                String[] x = kv.split("=");
                line.append(" ").append(kv);
                if (x[0].equals("load")) l = Double.parseDouble(x[1]);
                else p.put(x[0].equals("segment.bytes") ? "internal.segment.bytes" : x[0], x[1]);
            }
            p.put("cleanup.policy", "compact");
            load = l;
            conf = new LogConfig(p);
            rnd = new Random(seed);
            out.println(line);
        }

        void add(MemoryRecords r) {
            ByteBuffer b = r.buffer();
            byte[] x = new byte[b.remaining()];
            b.get(x);
            seg.writeBytes(x);
        }

        static final String[] KEYS = new String[64];
        static { for (int i = 0; i < 64; i++) KEYS[i] = "key-" + i; }

        byte[] key(int keys) { return KEYS[rnd.nextInt(keys)].getBytes(); }
        byte[] value(int tombs) {
            if (tombs > 0 && rnd.nextInt(100) < tombs) return null;
            return ("v" + offset + "-" + "x".repeat(rnd.nextInt(30))).getBytes();
        }

        /* A batch of n records of magic 2. pid -1: none. */
        void batch(Compression c, int n, int keys, int tombs, long pid, short epoch, int seq, boolean txn) {
            ByteBuffer buf = ByteBuffer.allocate(65536);
            MemoryRecordsBuilder b = new MemoryRecordsBuilder(buf, (byte) 2, c, logAppend ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME,
                offset, logAppend ? ts + 5 : -1, pid, epoch, seq, txn, false, 0, buf.capacity());
            for (int i = 0; i < n; i++) {
                Header[] h = rnd.nextInt(4) == 0 ? new Header[] { new RecordHeader("h" + i, rnd.nextBoolean() ? null : "hv".getBytes()) } : new Header[0];
                ts += rnd.nextInt(50) - 10;
                b.appendWithOffset(offset++, ts, keys > 0 ? key(keys) : null, value(tombs), h);
            }
            add(b.build());
        }
        void plain(int n, int keys, int tombs) { batch(Compression.NONE, n, keys, tombs, -1, (short) -1, -1, false); }
        void marker(long pid, short epoch, boolean commit) {
            ts += 3;
            add(MemoryRecords.withEndTransactionMarker(offset++, ts, 0, pid, epoch,
                new EndTransactionMarker(commit ? ControlRecordType.COMMIT : ControlRecordType.ABORT, 7)));
        }
        void legacy(byte magic, Compression c, int n, int keys, int tombs) {
            ByteBuffer buf = ByteBuffer.allocate(65536);
            MemoryRecordsBuilder b = new MemoryRecordsBuilder(buf, magic, c, magic == 0 ? TimestampType.NO_TIMESTAMP_TYPE : TimestampType.CREATE_TIME, offset,
                -1, -1, (short) -1, -1, false, false, -1, buf.capacity());
            for (int i = 0; i < n; i++) {
                ts += rnd.nextInt(50);
                b.appendWithOffset(offset++, magic == 0 ? -1 : ts, key(keys), value(tombs));
            }
            add(b.build());
        }
        void roll() throws Exception { roll(now); }
        void roll(long mtime) throws Exception {
            Path f = dir.resolve(String.format("%020d.log", base));
            Files.write(f, seg.toByteArray());
            f.toFile().setLastModified(mtime);
            out.println("seg " + base + " " + mtime + " " + hex(seg.toByteArray()));
            seg.reset();
            base = offset;
        }
        void clean() throws Exception {
            Time time = new Clock();
            UnifiedLog log = UnifiedLog.create(dir.toFile(), conf, 0, recovered, new NoScheduler(), new BrokerTopicStats(), time, 3600000,
                new ProducerStateManagerConfig(86400000, false), 600000, new LogDirFailureChannel(1), false, Optional.empty());
            log.updateHighWatermark(log.logEndOffset());
            LogCleanerManager.OffsetsToClean o = LogCleanerManager.cleanableOffsets(log, Optional.of(dirty), now);
            LogToClean ltc = new LogToClean(log, o.firstDirtyOffset(), o.firstUncleanableDirtyOffset(), false);
            Cleaner cleaner = new Cleaner(0, new SkimpyOffsetMap(1 << 20), 65536, 1 << 20, load, new Throttler(Double.MAX_VALUE, 300, "x", "y", time), time, tp -> { });
            long from = ltc.firstDirtyOffset(), to = from;
            if (ltc.cleanableBytes() > 0) to = cleaner.doClean(ltc, now).getKey();
            out.println("clean " + now + " " + from + " " + to);
            for (LogSegment s : log.logSegments()) {
                Path t = dir.resolve(String.format("%020d.txnindex", s.baseOffset()));
                out.println("out " + s.baseOffset() + " " + hex(Files.readAllBytes(s.log().file().toPath())) + " " +
                    (Files.exists(t) ? hex(Files.readAllBytes(t)) : "-"));
            }
            dirty = to;
            recovered = log.logEndOffset();
            log.close();
        }
    }

    static Compression[] codecs = { Compression.NONE, Compression.gzip().build(), Compression.snappy().build(), Compression.lz4().build(), Compression.zstd().build() };

    /* Transactions of several producers, interleaved, over several segments. */
    static class Txns {
        final Case c;
        final int n;
        final boolean[] open;
        final int[] seq;
        Txns(Case c, int n) { this.c = c; this.n = n; open = new boolean[n]; seq = new int[n]; }
        void step(int keys, int tombs, boolean compressed) {
            int p = c.rnd.nextInt(n);
            if (open[p] && c.rnd.nextInt(3) == 0) {
                c.marker(p + 1, (short) 0, c.rnd.nextInt(2) == 0);
                open[p] = false;
                return;
            }
            int k = 1 + c.rnd.nextInt(4);
            boolean txn = p > 0; /* producer 1 is only idempotent */
            c.batch(compressed ? codecs[c.rnd.nextInt(5)] : Compression.NONE, k, keys, tombs, p + 1, (short) 0, seq[p], txn);
            seq[p] += k;
            open[p] = txn;
        }
        void endAll() {
            for (int p = 1; p < n; p++)
                if (open[p]) { c.marker(p + 1, (short) 0, c.rnd.nextBoolean()); open[p] = false; }
        }
    }

    public static void main(String[] args) throws Exception {
        out = new PrintStream(new GZIPOutputStream(new FileOutputStream(args[0])));
        Case c;
        for (int seed = 1; seed <= 2; seed++) {
            c = new Case("plain-" + seed, seed, "delete.retention.ms=60000", "segment.bytes=4000");
            for (int round = 0; round < 4; round++) {
                for (int s = 0; s < 3; s++) {
                    for (int i = 0; i < 8; i++) c.plain(1 + c.rnd.nextInt(5), 20, 20);
                    c.roll();
                }
                c.plain(2, 20, 30);
                c.roll();
                c.clean();
                now += 40000;
                c.ts = now - 1000;
            }
        }
        for (int seed = 11; seed <= 13; seed++) {
            c = new Case("transactions-" + seed, seed, "delete.retention.ms=60000", "segment.bytes=3000");
            c.ts = now - 1000;
            Txns t = new Txns(c, 5);
            for (int round = 0; round < 5; round++) {
                for (int s = 0; s < 4; s++) {
                    for (int i = 0; i < 12; i++) t.step(15, 15, false);
                    c.roll();
                }
                if (round != 2) t.endAll();
                c.plain(1, 15, 0);
                c.roll();
                c.clean();
                now += 45000;
                c.ts = now - 1000;
            }
        }
        c = new Case("codecs", 21, "delete.retention.ms=60000", "segment.bytes=3000");
        c.ts = now - 1000;
        Txns tc = new Txns(c, 4);
        for (int round = 0; round < 3; round++) {
            for (int s = 0; s < 3; s++) {
                for (int i = 0; i < 12; i++) tc.step(12, 20, true);
                c.roll();
            }
            tc.endAll();
            c.plain(1, 5, 0);
            c.roll();
            c.clean();
            now += 45000;
            c.ts = now - 1000;
        }
        c = new Case("log-append-time", 22, "delete.retention.ms=60000", "segment.bytes=3000");
        c.ts = now - 1000;
        c.logAppend = true;
        for (int round = 0; round < 3; round++) {
            for (int s = 0; s < 2; s++) {
                for (int i = 0; i < 10; i++) c.batch(codecs[round == 0 ? 0 : c.rnd.nextInt(5)], 1 + c.rnd.nextInt(4), 10, 25, -1, (short) -1, -1, false);
                c.roll();
            }
            c.plain(1, 5, 0);
            c.roll();
            c.clean();
            now += 45000;
            c.ts = now - 1000;
        }
        c = new Case("legacy", 23, "delete.retention.ms=60000", "segment.bytes=1500");
        c.ts = now - 1000;
        for (int round = 0; round < 4; round++) {
            for (int s = 0; s < 4; s++) {
                for (int i = 0; i < 10; i++)
                    c.legacy((byte) (s % 2), i % 3 == 0 ? codecs[s < 2 ? 1 : 2] : Compression.NONE, i % 3 == 0 ? 4 : 1, 10, 25);
                c.legacy((byte) 1, Compression.NONE, 1, 10, 0); /* a round that ends with an emptied batch of magic 1 is one Kafka gives up */
                c.roll(now + s * 30000);
            }
            c.plain(1, 10, 0);
            c.roll(now + 150000);
            c.clean();
            now += 300000;
            c.ts = now - 1000;
        }
        c = new Case("no-keys", 24, "delete.retention.ms=60000", "segment.bytes=3000");
        c.ts = now - 1000;
        for (int s = 0; s < 3; s++) {
            for (int i = 0; i < 10; i++) c.plain(1 + c.rnd.nextInt(4), c.rnd.nextInt(3) == 0 ? 0 : 10, 10);
            c.roll();
        }
        c.plain(1, 5, 0);
        c.roll();
        c.clean();
        c = new Case("small-map", 25, "delete.retention.ms=60000", "segment.bytes=3000", "load=0.0005");
        c.ts = now - 1000;
        for (int s = 0; s < 4; s++) {
            for (int i = 0; i < 10; i++) c.plain(1 + c.rnd.nextInt(4), 60, 10);
            c.roll();
        }
        c.plain(1, 5, 0);
        c.roll();
        for (int i = 0; i < 6; i++) c.clean();
        c = new Case("old-keys-only", 26, "delete.retention.ms=60000", "segment.bytes=100000");
        c.ts = now - 1000;
        for (int i = 0; i < 30; i++) c.plain(3, 4, 10);
        c.roll();
        for (int i = 0; i < 30; i++) c.plain(3, 4, 10);
        c.roll();
        for (int s = 0; s < 3; s++) { /* idempotent producers, whose last sequence must stay */
            for (int p = 0; p < 6; p++) c.batch(codecs[p % 5], 2, 3, 0, 100 + p, (short) 1, 2 * s, false);
            c.roll();
        }
        c.plain(1, 3, 0);
        c.roll();
        c.clean();
        for (int i = 0; i < 5; i++) c.plain(3, 4, 50);
        c.roll();
        c.plain(1, 3, 0);
        c.roll();
        now += 61000;
        c.clean();
        c = new Case("young-segments", 27, "delete.retention.ms=60000", "segment.bytes=3000", "min.compaction.lag.ms=50000");
        c.ts = now - 120000;
        for (int s = 0; s < 6; s++) {
            for (int i = 0; i < 10; i++) c.plain(2, 6, 10);
            c.ts += 25000;
            c.roll();
        }
        c.plain(1, 5, 0);
        c.roll();
        c.clean();
        out.close();
        POOL.shutdown();
    }
}
