'use strict';

// @confluentinc/kafka-javascript: librdkafka for Node.js. Its promises (KafkaJS) write, administer and read in groups; its
// callbacks (RdKafka) read from assigned partitions.

const { KafkaJS: { Kafka }, KafkaConsumer } = require('@confluentinc/kafka-javascript');
const { message, record, within, consumeGroup, processGroup, TIMEOUT_MS } = require('./client.js');

module.exports = (bootstrap) => {
  const complain = (label) => (text, more) => console.error(label, text, more ? JSON.stringify(more) : '');
  const silent = () => {};
  const all = Boolean(process.env.CLIENT_LOG);
  const logger = {
    error: complain('ERROR'), warn: complain('WARN'), info: all ? complain('INFO') : silent,
    debug: all ? complain('DEBUG') : silent, setLogLevel: silent, namespace: () => logger,
  };
  const common = { 'bootstrap.servers': bootstrap, ...(all ? { debug: 'all' } : {}) };
  const kafka = new Kafka({ ...common, kafkaJS: { logger } });

  const administered = (does) => async (job) => {
    const admin = kafka.admin();
    await admin.connect();
    try {
      return await does(admin, job);
    } finally {
      await admin.disconnect();
    }
  };

  const readAssigned = async (consumer, job) => {
    const records = [];
    const next = () => new Promise((resolve, reject) => {
      consumer.consume(job.count - records.length, (error, messages) => (error ? reject(error) : resolve(messages)));
    });
    const deadline = Date.now() + TIMEOUT_MS;
    while (records.length < job.count) {
      if (Date.now() > deadline) throw new Error(`${records.length} of ${job.count} records`);
      for (const got of await next()) {
        const headers = {};
        for (const [name, data] of (got.headers ?? []).flatMap(Object.entries)) {
          headers[name] = name in headers ? [].concat(headers[name], [data]) : data;
        }
        records.push(record({ ...got, headers }));
      }
    }
    return { records };
  };

  return {
    async produce(job) {
      const producer = kafka.producer({
        'linger.ms': 5, 'message.timeout.ms': TIMEOUT_MS, ...(job.max_bytes ? { 'message.max.bytes': job.max_bytes } : {}),
        kafkaJS: { idempotent: job.idempotent, compression: job.compression, maxInFlightRequests: 1 },
      });
      await producer.connect();
      try {
        await producer.send({ topic: job.topic, messages: job.records.map((one) => message(one, job.partition)) });
      } finally {
        await producer.disconnect();
      }
    },
    async consume(job) {
      const consumer = new KafkaConsumer({ ...common, 'group.id': 'unused', 'enable.auto.commit': false, 'check.crcs': true }, {});
      consumer.on('event.log', ({ message: said }) => (all || /error|fail/i.test(said)) && console.error(said));
      consumer.on('event.error', (error) => console.error('ERROR', error));
      consumer.setDefaultConsumeTimeout(200);
      const call = (does) => new Promise((resolve, reject) => does((error, value) => (error ? reject(error) : resolve(value))));
      await within(call((done) => consumer.connect({ timeout: TIMEOUT_MS }, done)), () => 'connecting');
      try {
        consumer.assign([{ topic: job.topic, partition: job.partition, offset: job.offset }]);
        return await readAssigned(consumer, job);
      } finally {
        await call((done) => consumer.disconnect(done));
      }
    },
    consume_group(job) {
      const consumer = kafka.consumer({
        'group.protocol': job.protocol,
        kafkaJS: { groupId: job.group, autoCommit: false, fromBeginning: true },
      });
      return consumeGroup(consumer, job, (offsets) => consumer.commitOffsets(offsets));
    },
    process(job) {
      const consumer = kafka.consumer({ kafkaJS: { groupId: job.group, autoCommit: false, fromBeginning: true, sessionTimeout: 6000 } });
      const producer = kafka.producer({ kafkaJS: { transactionalId: job.transactional_id } });
      return processGroup(consumer, producer, job, { consumer });
    },

    create_topics: administered(async (admin, job) => {
      const topics = job.topics.map(({ name, partitions, configs }) => ({
        topic: name, numPartitions: partitions, replicationFactor: 1,
        configEntries: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
      }));
      const created = await admin.createTopics({ topics });
      if (!created) throw new Error('the topic exists already');
    }),
    delete_topics: administered((admin, job) => admin.deleteTopics({ topics: job.topics })),
    list_topics: administered(async (admin) => ({ topics: await admin.listTopics() })),
    describe_topics: administered(async (admin, job) => {
      const topics = await admin.fetchTopicMetadata({ topics: job.topics });
      const nodes = (some) => some.map((node) => node.id ?? node);
      return {
        topics: Object.fromEntries(topics.map(({ name, partitions }) =>
          [name, partitions.map((p) => [p.partitionId, p.leader.id ?? p.leader, nodes(p.replicas), nodes(p.isr)])])),
      };
    }),
    list_offsets: administered(async (admin, job) => {
      const find = (some) => some.find(({ partition }) => partition === job.partition);
      if (job.time >= 0) {
        return { offset: Number(find(await admin.fetchTopicOffsetsByTimestamp(job.topic, job.time)).offset) };
      }
      const found = find(await admin.fetchTopicOffsets(job.topic));
      return { offset: Number(job.time === -1 ? found.high : found.low) };
    }),
    delete_records: administered(async (admin, job) => {
      await admin.deleteTopicRecords({ topic: job.topic, partitions: [{ partition: job.partition, offset: String(job.before) }] });
    }),
    list_groups: administered(async (admin) => ({ groups: (await admin.listGroups()).groups.map(({ groupId }) => groupId) })),
    describe_group: administered(async (admin, job) => {
      const { groups: [group] } = await admin.describeGroups([job.group]);
      const names = ['Unknown', 'PreparingRebalance', 'CompletingRebalance', 'Stable', 'Dead', 'Empty', 'Assigning', 'Reconciling'];
      return { state: names[group.state] ?? group.state, members: group.members.length };
    }),
    committed_offsets: administered(async (admin, job) => {
      const topics = [{ topic: job.topic, partitions: job.partitions }];
      const [{ partitions }] = await admin.fetchOffsets({ groupId: job.group, topics });
      return { offsets: job.partitions.map((id) => Number(partitions.find(({ partition }) => partition === id)?.offset ?? -1)) };
    }),
    delete_group: administered(async (admin, job) => { await admin.deleteGroups([job.group]); }),
  };
};
