package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var franzGo = library{
	"produce":       franzProduce,
	"consume":       franzConsume,
	"consume_group": franzConsumeGroup,
	"process":       franzProcess,

	"create_topics":             administered(franzCreateTopics),
	"delete_topics":             administered(franzDeleteTopics),
	"list_topics":               administered(franzListTopics),
	"describe_topics":           administered(franzDescribeTopics),
	"list_offsets":              administered(franzListOffsets),
	"describe_cluster":          administered(franzDescribeCluster),
	"describe_configs":          administered(franzDescribeConfigs),
	"alter_configs":             administered(franzAlterConfigs),
	"incremental_alter_configs": administered(franzIncrementalAlterConfigs),
	"create_partitions":         administered(franzCreatePartitions),
	"delete_records":            administered(franzDeleteRecords),
	"list_groups":               administered(franzListGroups),
	"describe_group":            administered(franzDescribeGroup),
	"committed_offsets":         administered(franzCommittedOffsets),
	"delete_group":              administered(franzDeleteGroup),
}

func franzClient(bootstrap string, options ...kgo.Opt) (*kgo.Client, error) {
	level := kgo.LogLevelWarn
	if os.Getenv("CLIENT_LOG") != "" {
		level = kgo.LogLevelDebug
	}
	return kgo.NewClient(append(options, kgo.SeedBrokers(bootstrap), kgo.WithLogger(kgo.BasicLogger(os.Stderr, level, nil)))...)
}

func franzProduce(bootstrap string, j *job) (object, error) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	options := []kgo.Opt{
		kgo.ProducerBatchCompression(codecs[j.Compression]),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(5 * time.Millisecond),
	}
	if !j.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	if j.MaxBytes > 0 {
		options = append(options, kgo.ProducerBatchMaxBytes(j.MaxBytes))
	}
	client, err := franzClient(bootstrap, options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var records []*kgo.Record
	for _, r := range j.Records {
		out := &kgo.Record{Topic: j.Topic, Partition: j.Partition, Key: r.key, Value: r.value}
		if r.timestamp != nil {
			out.Timestamp = time.UnixMilli(*r.timestamp)
		}
		for _, h := range r.headers {
			out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.name, Value: h.value})
		}
		records = append(records, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return nil, client.ProduceSync(ctx, records...).FirstErr()
}

func franzRecord(r *kgo.Record) record {
	timestamp := r.Timestamp.UnixMilli()
	out := record{key: r.Key, value: r.Value, timestamp: &timestamp}
	for _, h := range r.Headers {
		out.headers = append(out.headers, header{h.Key, h.Value})
	}
	return out
}

// franzPoll polls until count records came, and gives each to add.
func franzPoll(client *kgo.Client, count int, add func(*kgo.Record)) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for got := 0; got < count; {
		fetches := client.PollRecords(ctx, count-got)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%d of %d records: %w", got, count, err)
		}
		fetches.EachRecord(add)
		got += fetches.NumRecords()
	}
	return nil
}

func franzConsume(bootstrap string, j *job) (object, error) {
	from := map[string]map[int32]kgo.Offset{j.Topic: {j.Partition: kgo.NewOffset().At(j.Offset)}}
	client, err := franzClient(bootstrap, kgo.ConsumePartitions(from))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	records := []record{}
	err = franzPoll(client, j.Count, func(r *kgo.Record) { records = append(records, franzRecord(r)) })
	return object{"records": records}, err
}

func franzConsumeGroup(bootstrap string, j *job) (object, error) {
	topics, err := j.topicNames()
	if err != nil {
		return nil, err
	}
	options := []kgo.Opt{
		kgo.ConsumerGroup(j.Group), kgo.ConsumeTopics(topics...), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}
	if j.Protocol == "consumer" {
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	}
	client, err := franzClient(bootstrap, options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	records := []located{}
	err = franzPoll(client, j.Count, func(r *kgo.Record) {
		records = append(records, located{r.Topic, r.Partition, franzRecord(r)})
	})
	if err == nil {
		err = client.CommitUncommittedOffsets(context.Background())
	}
	if err == nil {
		err = client.LeaveGroupContext(context.Background())
	}
	return object{"records": records}, err
}

func franzProcess(bootstrap string, j *job) (object, error) {
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(bootstrap), kgo.TransactionalID(j.TransactionalID), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumerGroup(j.Group), kgo.ConsumeTopics(j.From), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.SessionTimeout(6*time.Second),
		kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelError, nil)),
	)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*timeout)
	defer cancel()
	number := 0
	for left := j.Count; left > 0; {
		fetches := session.PollRecords(ctx, processedSize)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("%d records are left: %w", left, err)
		}
		if fetches.NumRecords() == 0 {
			continue
		}
		number++
		if err := session.Begin(); err != nil {
			return nil, err
		}
		promise := kgo.AbortingFirstErrPromise(session.Client())
		fetches.EachRecord(func(r *kgo.Record) {
			out := &kgo.Record{Topic: j.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value}
			session.Produce(ctx, out, promise.Promise())
		})
		if err := promise.Err(); err != nil {
			return nil, err
		}
		if number == deadlyNumber && j.Die {
			os.Exit(deathStatus)
		}
		committed, err := session.End(ctx, kgo.TransactionEndTry(number != abortedNumber))
		if err != nil {
			return nil, err
		}
		if committed {
			left -= fetches.NumRecords()
		}
	}
	return nil, nil
}

// administered makes a job of what needs an admin client.
func administered(do func(context.Context, *kadm.Client, *job) (object, error)) func(string, *job) (object, error) {
	return func(bootstrap string, j *job) (object, error) {
		client, err := franzClient(bootstrap)
		if err != nil {
			return nil, err
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		return do(ctx, kadm.NewClient(client), j)
	}
}

func franzCreateTopics(ctx context.Context, admin *kadm.Client, j *job) (object, error) {
	topics, err := j.newTopics()
	for _, topic := range topics {
		if err == nil {
			_, err = admin.CreateTopic(ctx, topic.Partitions, 1, pointers(topic.Configs), topic.Name)
		}
	}
	return nil, err
}

func franzDeleteTopics(ctx context.Context, admin *kadm.Client, j *job) (object, error) {
	topics, err := j.topicNames()
	if err != nil {
		return nil, err
	}
	deleted, err := admin.DeleteTopics(ctx, topics...)
	return nil, errors.Join(err, deleted.Error())
}

func franzListTopics(ctx context.Context, admin *kadm.Client, _ *job) (object, error) {
	topics, err := admin.ListTopics(ctx)
	return object{"topics": topics.Names()}, err
}

func franzDescribeTopics(ctx context.Context, admin *kadm.Client, j *job) (object, error) {
	names, err := j.topicNames()
	if err != nil {
		return nil, err
	}
	topics, err := admin.ListTopics(ctx, names...)
	if err == nil {
		err = topics.Error()
	}
	out := object{}
	for _, topic := range topics.Sorted() {
		partitions := [][]any{}
		for _, p := range topic.Partitions.Sorted() {
			partitions = append(partitions, []any{p.Partition, p.Leader, p.Replicas, p.ISR})
		}
		out[topic.Topic] = partitions
	}
	return object{"topics": out}, err
}

func franzListOffsets(ctx context.Context, admin *kadm.Client, j *job) (object, error) {
	var listed kadm.ListedOffsets
	var err error
	switch j.Time {
	case -2:
		listed, err = admin.ListStartOffsets(ctx, j.Topic)
	case -1:
		listed, err = admin.ListEndOffsets(ctx, j.Topic)
	default:
		listed, err = admin.ListOffsetsAfterMilli(ctx, j.Time, j.Topic)
	}
	if err == nil {
		err = listed.Error()
	}
	found, _ := listed.Lookup(j.Topic, j.Partition)
	return object{"offset": found.Offset}, err
}

func franzDescribeCluster(ctx context.Context, admin *kadm.Client, _ *job) (object, error) {
	metadata, err := admin.BrokerMetadata(ctx)
	brokers := [][]any{}
	for _, b := range metadata.Brokers {
		brokers = append(brokers, []any{b.NodeID, b.Host, b.Port})
	}
	return object{"cluster_id": metadata.Cluster, "controller": metadata.Controller, "brokers": brokers}, err
}

func franzDescribeConfigs(ctx context.Context, admin *kadm.Client, j *job) (object, error) {
	described, err := admin.DescribeTopicConfigs(ctx, j.Topic)
	if err != nil {
		return nil, err
	}
	configs := object{}
	for _, config := range described[0].Configs {
		configs[config.Key] = config.Value
	}
	return object{"configs": configs}, described[0].Err
}

func franzAltered(altered kadm.AlterConfigsResponses, err error) (object, error) {
	for _, one := range altered {
		err = errors.Join(err, one.Err)
	}
	return nil, err
}

func franzAlterConfigs(ctx context.Context, admin *kadm.Client, j *job) (object, error) {
	var configs []kadm.AlterConfig
	for name, value := range pointers(j.Set) {
		configs = append(configs, kadm.AlterConfig{Name: name, Value: value})
	}
	return franzAltered(admin.AlterTopicConfigsState(ctx, configs, j.Topic))
}

func franzIncrementalAlterConfigs(ctx context.Context, admin *kadm.Client, j *job) (object, error) {
	var configs []kadm.AlterConfig
	for name, value := range pointers(j.Set) {
		configs = append(configs, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: value})
	}
	for _, name := range j.Delete {
		configs = append(configs, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: name})
	}
	return franzAltered(admin.AlterTopicConfigs(ctx, configs, j.Topic))
}

func franzCreatePartitions(ctx context.Context, admin *kadm.Client, j *job) (object, error) {
	updated, err := admin.UpdatePartitions(ctx, j.Count, j.Topic)
	return nil, errors.Join(err, updated.Error())
}

func franzDeleteRecords(ctx context.Context, admin *kadm.Client, j *job) (object, error) {
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: j.Topic, Partition: j.Partition, At: j.Before})
	deleted, err := admin.DeleteRecords(ctx, offsets)
	return nil, errors.Join(err, deleted.Error())
}

func franzListGroups(ctx context.Context, admin *kadm.Client, _ *job) (object, error) {
	groups, err := admin.ListGroups(ctx)
	return object{"groups": groups.Groups()}, err
}

func franzDescribeGroup(ctx context.Context, admin *kadm.Client, j *job) (object, error) {
	groups, err := admin.DescribeGroups(ctx, j.Group)
	if err == nil {
		err = groups.Error()
	}
	group := groups[j.Group]
	return object{"state": group.State, "members": len(group.Members)}, err
}

func franzCommittedOffsets(ctx context.Context, admin *kadm.Client, j *job) (object, error) {
	fetched, err := admin.FetchOffsets(ctx, j.Group)
	offsets := []int64{}
	for _, partition := range j.Partitions {
		found, _ := fetched.Lookup(j.Topic, partition)
		offsets = append(offsets, found.At)
	}
	return object{"offsets": offsets}, err
}

func franzDeleteGroup(ctx context.Context, admin *kadm.Client, j *job) (object, error) {
	_, err := admin.DeleteGroup(ctx, j.Group)
	return nil, err
}
