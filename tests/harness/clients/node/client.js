'use strict';

// The clients of Node.js behind the command form of harness/clients/program.py:
//
//     node client.js kafkajs|confluent BOOTSTRAP <jobs.json >results.json

const TIMEOUT_MS = 30000;

const bytes = (text) => (text === null ? null : Buffer.from(text, 'base64'));
const text = (data) => (data === null || data === undefined ? null : Buffer.from(data).toString('base64'));

/** A record of a job as KafkaJS and its likenesses write it: repeated headers are an array, and a header's value is never null. */
function message([key, value, timestamp, headers], partition) {
  const out = { key: bytes(key), value: bytes(value), partition, headers: {} };
  if (timestamp !== null) out.timestamp = String(timestamp);
  for (const [name, data] of headers) {
    const some = bytes(data) ?? Buffer.alloc(0);
    out.headers[name] = name in out.headers ? [].concat(out.headers[name], [some]) : some;
  }
  return out;
}

/** A message that was consumed, as the record of a result. */
function record({ key, value, timestamp, headers }) {
  const pairs = Object.entries(headers ?? {}).flatMap(([name, data]) =>
    (Array.isArray(data) ? data : [data]).map((one) => [name, text(one)]));
  return [text(key), text(value), Number(timestamp), pairs];
}

/** Waits for a promise, and fails with what it was for. */
function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`after ${TIMEOUT_MS} ms: ${what()}`)), TIMEOUT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Runs a consumer in its group until count messages came, commits what was read and leaves. */
async function consumeGroup(consumer, job, commit, subscription = {}) {
  const records = [];
  await consumer.connect();
  try {
    let enough;
    const done = new Promise((resolve) => { enough = resolve; });
    const next = new Map(); // the offset to commit of each partition
    await consumer.subscribe({ topics: job.topics, ...subscription });
    await consumer.run({
      eachMessage: async ({ topic, partition, message: got }) => {
        if (records.length >= job.count) return;
        records.push([topic, partition, record(got)]);
        next.set(`${topic}/${partition}`, { topic, partition, offset: String(BigInt(got.offset) + 1n) });
        if (records.length >= job.count) enough();
      },
    });
    if (job.count > 0) await within(done, () => `${records.length} of ${job.count} records`);
    await commit([...next.values()]);
  } finally {
    await consumer.disconnect();
  }
  return { records };
}

/** Reads job.count records in the group and writes each in a transaction with its offset: the second one is aborted at first, and
 * in the third the process may end. sendOffsets says which the library wants to know the group by. */
async function processGroup(consumer, producer, job, group, subscription = {}) {
  let [number, left] = [0, job.count];
  await producer.connect();
  await consumer.connect();
  try {
    let enough;
    let failed;
    const done = new Promise((resolve, reject) => { [enough, failed] = [resolve, reject]; });
    const transact = async (partition, got) => {
      number += 1;
      const transaction = await producer.transaction();
      await transaction.send({ topic: job.topic, messages: [{ key: got.key, value: got.value, partition }] });
      const offset = String(BigInt(got.offset) + 1n);
      await transaction.sendOffsets({ ...group, topics: [{ topic: job.from, partitions: [{ partition, offset }] }] });
      if (number === 3 && job.die) process.exit(9);
      if (number === 2) {
        await transaction.abort();
        await transact(partition, got);
      } else {
        await transaction.commit();
      }
    };
    await consumer.subscribe({ topics: [job.from], ...subscription });
    await consumer.run({
      eachMessage: async ({ partition, message: got }) => {
        if (left <= 0) return;
        try {
          await transact(partition, got);
        } catch (problem) {
          failed(problem);
          return;
        }
        left -= 1;
        if (left <= 0) enough();
      },
    });
    if (left > 0) await within(done, () => `${left} records are left`);
  } finally {
    await consumer.disconnect();
    await producer.disconnect();
  }
}

async function main() {
  const [library, bootstrap] = process.argv.slice(2);
  if (!['kafkajs', 'confluent'].includes(library) || !bootstrap) {
    throw new Error('usage: client.js kafkajs|confluent BOOTSTRAP <jobs.json >results.json');
  }
  const jobs = JSON.parse(require('fs').readFileSync(0));
  const does = require(`./${library}.js`)(bootstrap);
  const results = [];
  for (const job of jobs) {
    try {
      results.push((await does[job.do](job)) ?? {});
    } catch (problem) {
      results.push({ error: `${job.do} ${job.topic ?? ''}: ${problem.stack ?? problem}` });
    }
  }
  require('fs').writeSync(1, JSON.stringify(results));
}

module.exports = { TIMEOUT_MS, bytes, text, message, record, within, consumeGroup, processGroup };

if (require.main === module) {
  main().then(() => process.exit(0), (problem) => {
    console.error(problem);
    process.exit(1);
  });
}
