package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"regexp"
	"time"

	"github.com/IBM/sarama"
)

var saramaLibrary = library{
	"produce":       saramaProduce,
	"consume":       saramaConsume,
	"consume_group": saramaConsumeGroup,
	"process":       saramaProcess,

	"create_topics":             saramaAdministered(saramaCreateTopics),
	"delete_topics":             saramaAdministered(saramaDeleteTopics),
	"list_topics":               saramaAdministered(saramaListTopics),
	"describe_topics":           saramaAdministered(saramaDescribeTopics),
	"list_offsets":              saramaAdministered(saramaListOffsets),
	"describe_cluster":          saramaAdministered(saramaDescribeCluster),
	"describe_configs":          saramaAdministered(saramaDescribeConfigs),
	"alter_configs":             saramaAdministered(saramaAlterConfigs),
	"incremental_alter_configs": saramaAdministered(saramaIncrementalAlterConfigs),
	"create_partitions":         saramaAdministered(saramaCreatePartitions),
	"delete_records":            saramaAdministered(saramaDeleteRecords),
	"list_groups":               saramaAdministered(saramaListGroups),
	"describe_group":            saramaAdministered(saramaDescribeGroup),
	"committed_offsets":         saramaAdministered(saramaCommittedOffsets),
	"delete_group":              saramaAdministered(saramaDeleteGroup),
}

// What sarama logs when all is well.
var saramaUsual = regexp.MustCompile(`starting up|selected broker|shut down|shutting down\.|input chan closed|` +
	`state change to \[(open|closed)\]|(added|closed dead) subscription|maximum request accumulated|accumulated \d+ new subscriptions|obtained a ProducerId|heartbeat loop stopped|released\s*$`)

// saramaComplaints writes what is not usual to standard error.
type saramaComplaints struct{}

func (saramaComplaints) Write(line []byte) (int, error) {
	if saramaUsual.Match(line) {
		return len(line), nil
	}
	return os.Stderr.Write(line)
}

func saramaConfig() *sarama.Config {
	sarama.Logger = log.New(saramaComplaints{}, "sarama: ", log.Lmicroseconds)
	sarama.DebugLogger = log.New(nowhere{}, "", 0)
	if os.Getenv("CLIENT_LOG") != "" {
		sarama.Logger = log.New(os.Stderr, "sarama: ", log.Lmicroseconds)
		sarama.DebugLogger = sarama.Logger
	}
	config := sarama.NewConfig()
	config.ClientID = "odradek-test"
	config.Version = sarama.MaxVersion
	config.Consumer.MaxWaitTime = 100 * time.Millisecond // closing waits for the fetch that is on its way
	return config
}

type nowhere struct{}

func (nowhere) Write(line []byte) (int, error) { return len(line), nil }

func saramaProduce(bootstrap string, j *job) (object, error) {
	config := saramaConfig()
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.MaxMessageBytes = max(1_000_000, int(j.MaxBytes))
	if err := config.Producer.Compression.UnmarshalText([]byte(j.Compression)); err != nil {
		return nil, err
	}
	config.Net.MaxOpenRequests = 1 // which keeps the order
	config.Producer.Idempotent = j.Idempotent
	producer, err := sarama.NewSyncProducer([]string{bootstrap}, config)
	if err != nil {
		return nil, err
	}
	var messages []*sarama.ProducerMessage
	for _, r := range j.Records {
		out := &sarama.ProducerMessage{Topic: j.Topic, Partition: j.Partition}
		if r.key != nil {
			out.Key = sarama.ByteEncoder(r.key)
		}
		if r.value != nil {
			out.Value = sarama.ByteEncoder(r.value)
		}
		if r.timestamp != nil {
			out.Timestamp = time.UnixMilli(*r.timestamp)
		}
		for _, h := range r.headers {
			out.Headers = append(out.Headers, sarama.RecordHeader{Key: []byte(h.name), Value: h.value})
		}
		messages = append(messages, out)
	}
	err = producer.SendMessages(messages)
	var failed sarama.ProducerErrors
	if errors.As(err, &failed) { // which itself says only how many
		err = failed[0]
	}
	return nil, errors.Join(err, producer.Close())
}

func saramaRecord(m *sarama.ConsumerMessage) record {
	timestamp := m.Timestamp.UnixMilli()
	out := record{key: m.Key, value: m.Value, timestamp: &timestamp}
	for _, h := range m.Headers {
		out.headers = append(out.headers, header{string(h.Key), h.Value})
	}
	return out
}

func saramaConsume(bootstrap string, j *job) (object, error) {
	config := saramaConfig()
	config.Consumer.Return.Errors = true
	consumer, err := sarama.NewConsumer([]string{bootstrap}, config)
	if err != nil {
		return nil, err
	}
	partition, err := consumer.ConsumePartition(j.Topic, j.Partition, j.Offset)
	if err != nil {
		return nil, errors.Join(err, consumer.Close())
	}
	records := []record{}
	for deadline := time.After(timeout); err == nil && len(records) < j.Count; {
		select {
		case message := <-partition.Messages():
			records = append(records, saramaRecord(message))
		case err = <-partition.Errors():
		case <-deadline:
			err = fmt.Errorf("%d of %d records", len(records), j.Count)
		}
	}
	return object{"records": records}, errors.Join(err, partition.Close(), consumer.Close())
}

// saramaMember passes what its claims bring to one channel, and marks it as done.
type saramaMember struct{ messages chan *sarama.ConsumerMessage }

func (saramaMember) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (saramaMember) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (m saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			select {
			case m.messages <- message:
				session.MarkMessage(message, "")
			case <-session.Context().Done():
				return nil
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func saramaConsumeGroup(bootstrap string, j *job) (object, error) {
	topics, err := j.topicNames()
	if err != nil {
		return nil, err
	}
	config := saramaConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	group, err := sarama.NewConsumerGroup([]string{bootstrap}, j.Group, config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	member := saramaMember{make(chan *sarama.ConsumerMessage)}
	ended := make(chan error, 1)
	go func() { ended <- group.Consume(ctx, topics, member) }()
	records := []located{}
	for err == nil && len(records) < j.Count {
		select {
		case m := <-member.messages:
			records = append(records, located{m.Topic, m.Partition, saramaRecord(m)})
		case err = <-ended:
			err = fmt.Errorf("%d of %d records: the session ended: %w", len(records), j.Count, err)
		case <-ctx.Done():
			err = fmt.Errorf("%d of %d records", len(records), j.Count)
		}
	}
	return object{"records": records}, errors.Join(err, group.Close())
}

// saramaProcessor takes one partition after the other, from where its group has come to.
type saramaProcessor struct {
	job      *job
	producer sarama.SyncProducer
	consumer sarama.Consumer
	number   int
}

func saramaProcess(bootstrap string, j *job) (object, error) {
	config := saramaConfig()
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Idempotent = true
	config.Producer.Transaction.ID = j.TransactionalID
	config.Net.MaxOpenRequests = 1
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	client, err := sarama.NewClient([]string{bootstrap}, config)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	p := saramaProcessor{job: j}
	if p.producer, err = sarama.NewSyncProducerFromClient(client); err != nil {
		return nil, err
	}
	defer p.producer.Close()
	if p.consumer, err = sarama.NewConsumerFromClient(client); err != nil {
		return nil, err
	}
	defer p.consumer.Close()
	fetched, err := saramaCommitted(bootstrap, j)
	if err != nil {
		return nil, err
	}
	for _, partition := range j.Partitions {
		end, err := client.GetOffset(j.From, partition, sarama.OffsetNewest)
		if err == nil {
			err = p.process(partition, max(fetched[partition], 0), end)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func saramaCommitted(bootstrap string, j *job) (map[int32]int64, error) {
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig())
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	fetched, err := admin.ListConsumerGroupOffsets(j.Group, map[string][]int32{j.From: j.Partitions})
	if err != nil {
		return nil, err
	}
	offsets := map[int32]int64{}
	for _, partition := range j.Partitions {
		offsets[partition] = fetched.Blocks[j.From][partition].Offset
	}
	return offsets, nil
}

func (p *saramaProcessor) process(partition int32, next, end int64) error {
	for next < end {
		messages, err := p.read(partition, next, int(min(end-next, processedSize)))
		if err != nil {
			return err
		}
		p.number++
		committed, err := p.transact(partition, messages)
		if err != nil {
			return err
		}
		if committed {
			next += int64(len(messages))
		}
	}
	return nil
}

func (p *saramaProcessor) read(partition int32, from int64, count int) ([]*sarama.ConsumerMessage, error) {
	reader, err := p.consumer.ConsumePartition(p.job.From, partition, from)
	if err != nil {
		return nil, err
	}
	var messages []*sarama.ConsumerMessage
	for deadline := time.After(timeout); err == nil && len(messages) < count; {
		select {
		case message := <-reader.Messages():
			messages = append(messages, message)
		case <-deadline:
			err = fmt.Errorf("%d of %d records", len(messages), count)
		}
	}
	return messages, errors.Join(err, reader.Close())
}

func (p *saramaProcessor) transact(partition int32, messages []*sarama.ConsumerMessage) (bool, error) {
	if err := p.producer.BeginTxn(); err != nil {
		return false, err
	}
	var out []*sarama.ProducerMessage
	for _, m := range messages {
		one := &sarama.ProducerMessage{Topic: p.job.Topic, Partition: partition, Value: sarama.ByteEncoder(m.Value)}
		if m.Key != nil {
			one.Key = sarama.ByteEncoder(m.Key)
		}
		out = append(out, one)
	}
	if err := p.producer.SendMessages(out); err != nil {
		return false, err
	}
	next := messages[len(messages)-1].Offset + 1
	offsets := map[string][]*sarama.PartitionOffsetMetadata{p.job.From: {{Partition: partition, Offset: next}}}
	if err := p.producer.AddOffsetsToTxn(offsets, p.job.Group); err != nil {
		return false, err
	}
	if p.number == deadlyNumber && p.job.Die {
		os.Exit(deathStatus)
	}
	if p.number == abortedNumber {
		return false, p.producer.AbortTxn()
	}
	return true, p.producer.CommitTxn()
}

// saramaAdministered makes a job of what needs an admin client.
func saramaAdministered(do func(sarama.ClusterAdmin, *job) (object, error)) func(string, *job) (object, error) {
	return func(bootstrap string, j *job) (object, error) {
		admin, err := sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig())
		if err != nil {
			return nil, err
		}
		result, err := do(admin, j)
		return result, errors.Join(err, admin.Close())
	}
}

func saramaCreateTopics(admin sarama.ClusterAdmin, j *job) (object, error) {
	topics, err := j.newTopics()
	for _, topic := range topics {
		detail := &sarama.TopicDetail{NumPartitions: topic.Partitions, ReplicationFactor: 1, ConfigEntries: pointers(topic.Configs)}
		err = errors.Join(err, admin.CreateTopic(topic.Name, detail, false))
	}
	return nil, err
}

func saramaDeleteTopics(admin sarama.ClusterAdmin, j *job) (object, error) {
	topics, err := j.topicNames()
	for _, topic := range topics {
		err = errors.Join(err, admin.DeleteTopic(topic))
	}
	return nil, err
}

func saramaListTopics(admin sarama.ClusterAdmin, _ *job) (object, error) {
	topics, err := admin.ListTopics()
	names := []string{}
	for name := range topics {
		names = append(names, name)
	}
	return object{"topics": names}, err
}

func saramaDescribeTopics(admin sarama.ClusterAdmin, j *job) (object, error) {
	names, err := j.topicNames()
	if err != nil {
		return nil, err
	}
	topics, err := admin.DescribeTopics(names)
	out := object{}
	for _, topic := range topics {
		if topic.Err != sarama.ErrNoError {
			err = errors.Join(err, topic.Err)
		}
		partitions := [][]any{}
		for _, p := range topic.Partitions {
			partitions = append(partitions, []any{p.ID, p.Leader, p.Replicas, p.Isr})
		}
		out[topic.Name] = partitions
	}
	return object{"topics": out}, err
}

func saramaListOffsets(admin sarama.ClusterAdmin, j *job) (object, error) {
	listed, err := admin.ListOffsets(map[string]map[int32]int64{j.Topic: {j.Partition: j.Time}}, nil)
	if err != nil {
		return nil, err
	}
	found := listed[j.Topic][j.Partition]
	if found.Err != sarama.ErrNoError {
		err = found.Err
	}
	return object{"offset": found.Offset}, err
}

func saramaDescribeCluster(admin sarama.ClusterAdmin, _ *job) (object, error) {
	found, controller, err := admin.DescribeCluster()
	brokers := [][]any{}
	for _, b := range found {
		var host string
		var port int
		if _, err := fmt.Sscanf(b.Addr(), "%9s:%d", &host, &port); err != nil {
			return nil, err
		}
		brokers = append(brokers, []any{b.ID(), host, port})
	}
	return object{"cluster_id": nil, "controller": controller, "brokers": brokers}, err
}

func saramaDescribeConfigs(admin sarama.ClusterAdmin, j *job) (object, error) {
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: j.Topic})
	configs := object{}
	for _, entry := range entries {
		configs[entry.Name] = entry.Value
	}
	return object{"configs": configs}, err
}

func saramaAlterConfigs(admin sarama.ClusterAdmin, j *job) (object, error) {
	return nil, admin.AlterConfig(sarama.TopicResource, j.Topic, pointers(j.Set), false)
}

func saramaIncrementalAlterConfigs(admin sarama.ClusterAdmin, j *job) (object, error) {
	entries := map[string]sarama.IncrementalAlterConfigsEntry{}
	for name, value := range pointers(j.Set) {
		entries[name] = sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: value}
	}
	for _, name := range j.Delete {
		entries[name] = sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationDelete}
	}
	return nil, admin.IncrementalAlterConfig(sarama.TopicResource, j.Topic, entries, false)
}

func saramaCreatePartitions(admin sarama.ClusterAdmin, j *job) (object, error) {
	return nil, admin.CreatePartitions(j.Topic, int32(j.Count), nil, false)
}

func saramaDeleteRecords(admin sarama.ClusterAdmin, j *job) (object, error) {
	return nil, admin.DeleteRecords(j.Topic, map[int32]int64{j.Partition: j.Before})
}

func saramaListGroups(admin sarama.ClusterAdmin, _ *job) (object, error) {
	groups, err := admin.ListConsumerGroups()
	names := []string{}
	for name := range groups {
		names = append(names, name)
	}
	return object{"groups": names}, err
}

func saramaDescribeGroup(admin sarama.ClusterAdmin, j *job) (object, error) {
	groups, err := admin.DescribeConsumerGroups([]string{j.Group})
	if err != nil {
		return nil, err
	}
	if groups[0].Err != sarama.ErrNoError {
		err = groups[0].Err
	}
	return object{"state": groups[0].State, "members": len(groups[0].Members)}, err
}

func saramaCommittedOffsets(admin sarama.ClusterAdmin, j *job) (object, error) {
	fetched, err := admin.ListConsumerGroupOffsets(j.Group, map[string][]int32{j.Topic: j.Partitions})
	if err != nil {
		return nil, err
	}
	offsets := []int64{}
	for _, partition := range j.Partitions {
		offsets = append(offsets, fetched.Blocks[j.Topic][partition].Offset)
	}
	return object{"offsets": offsets}, nil
}

func saramaDeleteGroup(admin sarama.ClusterAdmin, j *job) (object, error) {
	return nil, admin.DeleteConsumerGroup(j.Group)
}
