'use strict';

// KafkaJS: the protocol in JavaScript. Reading is in groups alone; lz4 and zstd come as further packages with native parts.

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1';

const { Kafka, CompressionTypes, CompressionCodecs, logLevel, ConfigResourceTypes } = require('kafkajs');
const { message, consumeGroup, processGroup, TIMEOUT_MS } = require('./client.js');

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');

const COMPRESSIONS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy };

module.exports = (bootstrap) => {
  const kafka = new Kafka({
    clientId: 'odradek-test',
    brokers: [bootstrap],
    logLevel: process.env.CLIENT_LOG ? logLevel.DEBUG : logLevel.WARN,
    logCreator: () => ({ label, log, namespace }) => console.error(label, namespace, JSON.stringify(log)),
  });

  const administered = (does) => async (job) => {
    const admin = kafka.admin();
    await admin.connect();
    try {
      return await does(admin, job);
    } finally {
      await admin.disconnect();
    }
  };
  const entries = (settings) => Object.entries(settings ?? {}).map(([name, value]) => ({ name, value }));

  return {
    async produce(job) {
      const producer = kafka.producer({ idempotent: job.idempotent, maxInFlightRequests: 1 });
      await producer.connect();
      try {
        const messages = job.records.map((one) => message(one, job.partition));
        // one request holds at most a megabyte here, for a broker takes no larger batch
        const large = messages.findIndex(({ value }) => value !== null && value.length > 100000);
        const parts = large < 0 ? [messages] : [messages.slice(0, large), [messages[large]], messages.slice(large + 1)];
        for (const part of parts.filter((some) => some.length > 0)) {
          await producer.send({ topic: job.topic, acks: -1, compression: COMPRESSIONS[job.compression], messages: part });
        }
      } finally {
        await producer.disconnect();
      }
    },
    consume_group(job) {
      const consumer = kafka.consumer({ groupId: job.group, maxWaitTimeInMs: 100 });
      return consumeGroup(consumer, job, (offsets) => consumer.commitOffsets(offsets), { fromBeginning: true });
    },
    process(job) {
      const consumer = kafka.consumer({ groupId: job.group, maxWaitTimeInMs: 100, sessionTimeout: 6000, heartbeatInterval: 1000 });
      const producer = kafka.producer({ transactionalId: job.transactional_id, idempotent: true, maxInFlightRequests: 1 });
      return processGroup(consumer, producer, job, { consumerGroupId: job.group }, { fromBeginning: true });
    },

    create_topics: administered(async (admin, job) => {
      const topics = job.topics.map(({ name, partitions, configs }) => ({
        topic: name, numPartitions: partitions, replicationFactor: 1, configEntries: entries(configs),
      }));
      const created = await admin.createTopics({ topics, timeout: TIMEOUT_MS });
      if (!created) throw new Error('the topic exists already');
    }),
    delete_topics: administered((admin, job) => admin.deleteTopics({ topics: job.topics, timeout: TIMEOUT_MS })),
    list_topics: administered(async (admin) => ({ topics: await admin.listTopics() })),
    describe_topics: administered(async (admin, job) => {
      const { topics } = await admin.fetchTopicMetadata({ topics: job.topics });
      return {
        topics: Object.fromEntries(topics.map(({ name, partitions }) => [name, partitions
          .map((p) => [p.partitionId, p.leader, p.replicas, p.isr])
          .sort((a, b) => a[0] - b[0])])),
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
    describe_cluster: administered(async (admin) => {
      const { clusterId, controller, brokers } = await admin.describeCluster();
      return { cluster_id: clusterId, controller, brokers: brokers.map(({ nodeId, host, port }) => [nodeId, host, port]) };
    }),
    describe_configs: administered(async (admin, job) => {
      const resources = [{ type: ConfigResourceTypes.TOPIC, name: job.topic }];
      const { resources: [found] } = await admin.describeConfigs({ resources, includeSynonyms: false });
      return { configs: Object.fromEntries(found.configEntries.map(({ configName, configValue }) => [configName, configValue])) };
    }),
    alter_configs: administered((admin, job) => admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: job.topic, configEntries: entries(job.set) }],
    }).then(() => ({}))),
    create_partitions: administered(async (admin, job) => {
      await admin.createPartitions({ topicPartitions: [{ topic: job.topic, count: job.count }], timeout: TIMEOUT_MS });
    }),
    delete_records: administered(async (admin, job) => {
      await admin.fetchTopicOffsets(job.topic); // or else it does not know the topic's leaders
      await admin.deleteTopicRecords({ topic: job.topic, partitions: [{ partition: job.partition, offset: String(job.before) }] });
    }),
    list_groups: administered(async (admin) => ({ groups: (await admin.listGroups()).groups.map(({ groupId }) => groupId) })),
    describe_group: administered(async (admin, job) => {
      const { groups: [group] } = await admin.describeGroups([job.group]);
      return { state: group.state, members: group.members.length };
    }),
    committed_offsets: administered(async (admin, job) => {
      const [{ partitions }] = await admin.fetchOffsets({ groupId: job.group, topics: [job.topic] });
      return { offsets: job.partitions.map((id) => Number(partitions.find(({ partition }) => partition === id)?.offset ?? -1)) };
    }),
    delete_group: administered(async (admin, job) => { await admin.deleteGroups([job.group]); }),
  };
};
