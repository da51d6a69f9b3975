// kafkajs, to the contract of clients/payload.py: client.js BOOTSTRAP TOPIC GROUP
const { Kafka, CompressionTypes, CompressionCodecs, Partitioners, logLevel } = require("kafkajs");
const lz4 = require("lz4-napi");
const snappy = require("snappyjs");
const zstd = require("@bokuweb/zstd-wasm");

const [bootstrap, topic, group] = process.argv.slice(2);
const COUNT = 40;
const codecs = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 };
const levels = { 0: 0, 1: 1, all: -1 };

// Snappy as Java has always framed it: a header, then blocks with their length in front.
const XERIAL = Buffer.from([0x82, 83, 78, 65, 80, 80, 89, 0]);
function unsnappy(buffer) {
  if (!buffer.subarray(0, 8).equals(XERIAL)) return snappy.uncompress(buffer);
  const blocks = [];
  for (let at = 16; at < buffer.length; ) {
    const size = buffer.readInt32BE(at);
    blocks.push(snappy.uncompress(buffer.subarray(at + 4, at + 4 + size)));
    at += 4 + size;
  }
  return Buffer.concat(blocks);
}
const plugin = (compress, decompress) => () => ({
  compress: async (encoder) => Buffer.from(compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(decompress(buffer)),
});
CompressionCodecs[CompressionTypes.Snappy] = plugin((b) => snappy.compress(b), unsnappy);
CompressionCodecs[CompressionTypes.LZ4] = plugin((b) => lz4.compressFrameSync(b), (b) => lz4.decompressFrameSync(b));
CompressionCodecs[CompressionTypes.ZSTD] = plugin((b) => zstd.compress(b), (b) => zstd.decompress(b));

const text = (b) => (b === null || b === undefined ? "-" : "x" + Buffer.from(b).toString("hex"));

function messages(tag) {
  return Array.from({ length: COUNT }, (_, i) => ({
    key: i % 19 === 5 ? null : `${tag}/${i}`,
    value: i % 17 === 3 ? null
      : Buffer.concat([Buffer.from(`${tag}/${i}:`), Buffer.from(Array.from({ length: (i * 13) % 400 }, (_, j) => (i * 31 + j) & 255))]),
    headers: i % 5 === 0 ? { n: String(i), empty: "" } : undefined,
  }));
}

function report(how, partition, m) {
  const headers = Object.entries(m.headers || {}).map(([k, v]) => `${k}=${text(v)}`).join(",");
  console.log(how, partition, m.offset, text(m.key), text(m.value), headers || "-");
}

async function drain(kafka, how, groupId, total) {
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 200 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await new Promise((done, fail) => {
    consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: true,
      eachBatch: async ({ batch }) => {
        for (const m of batch.messages) report(how, batch.partition, m);
        if (groupId === group) {
          await consumer.commitOffsets([{ topic, partition: batch.partition, offset: String(BigInt(batch.lastOffset()) + 1n) }]);
        }
        if ((total -= batch.messages.length) <= 0) done();
      },
    }).catch(fail);
  });
  await consumer.disconnect();
}

async function main() {
  await zstd.init();
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR });
  for (const [codec, compression] of Object.entries(codecs)) {
    for (const [level, acks] of Object.entries(levels)) {
      const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, idempotent: level === "all", maxInFlightRequests: 1 });
      await producer.connect();
      await producer.send({ topic, acks, compression, messages: messages(`${codec}/${level}`) });
      await producer.disconnect();
    }
  }
  const total = Object.keys(codecs).length * Object.keys(levels).length * COUNT;
  // kafkajs reads only as a member of a group: the first one stands for reading from the beginning, the second one commits.
  await drain(kafka, "offset", group + "-reader", total);
  await drain(kafka, "group", group, total);
}

main().catch((error) => { console.error(error); process.exit(1); });
