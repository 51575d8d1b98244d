// The Go clients, franz-go and sarama, behind the command form of harness/clients/program.py:
//
//	go-clients franz-go|sarama BOOTSTRAP <jobs.json >results.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

const timeout = 30 * time.Second

// Of a processor's transactions: which one is aborted, in which one it may die, and how.
const (
	abortedNumber = 2
	deadlyNumber  = 3
	deathStatus   = 9
	processedSize = 7 // records of a transaction
)

// record is [key, value, timestamp or null, [[header, value]...]]; encoding/json has bytes in base64 and nil as null.
type record struct {
	key, value []byte
	timestamp  *int64
	headers    []header
}

type header struct {
	name  string
	value []byte
}

func (r *record) UnmarshalJSON(data []byte) error {
	var headers [][2]json.RawMessage
	if err := json.Unmarshal(data, &[]any{&r.key, &r.value, &r.timestamp, &headers}); err != nil {
		return err
	}
	for _, pair := range headers {
		var h header
		if err := json.Unmarshal(pair[0], &h.name); err != nil {
			return err
		}
		if err := json.Unmarshal(pair[1], &h.value); err != nil {
			return err
		}
		r.headers = append(r.headers, h)
	}
	return nil
}

func (r record) MarshalJSON() ([]byte, error) {
	headers := make([][2]any, len(r.headers))
	for i, h := range r.headers {
		headers[i] = [2]any{h.name, h.value}
	}
	return json.Marshal([]any{r.key, r.value, r.timestamp, headers})
}

type newTopic struct {
	Name       string            `json:"name"`
	Partitions int32             `json:"partitions"`
	Configs    map[string]string `json:"configs"`
}

// job has the fields of every job; see program.py for which belongs to which.
type job struct {
	Do          string          `json:"do"`
	Topic       string          `json:"topic"`
	Partition   int32           `json:"partition"`
	Partitions  []int32         `json:"partitions"`
	Topics      json.RawMessage `json:"topics"`
	Compression string          `json:"compression"`
	Idempotent  bool            `json:"idempotent"`
	MaxBytes    int32           `json:"max_bytes"`
	Records     []record        `json:"records"`
	Offset      int64           `json:"offset"`
	Count       int             `json:"count"`
	Time        int64           `json:"time"`
	Before      int64           `json:"before"`
	Group       string          `json:"group"`
	Protocol    string          `json:"protocol"`
	// of a processor
	From            string `json:"from"`
	TransactionalID string `json:"transactional_id"`
	Die             bool   `json:"die"`
	// what to set and what to delete of a topic's settings
	Set    map[string]string `json:"set"`
	Delete []string          `json:"delete"`
}

func (j *job) topicNames() (names []string, err error) {
	return names, json.Unmarshal(j.Topics, &names)
}

func (j *job) newTopics() (topics []newTopic, err error) {
	return topics, json.Unmarshal(j.Topics, &topics)
}

// located is a record with where it was: [topic, partition, record].
type located struct {
	topic     string
	partition int32
	record    record
}

func (l located) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{l.topic, l.partition, l.record})
}

type object = map[string]any

// A library does jobs by name.
type library map[string]func(bootstrap string, j *job) (object, error)

func pointers(values map[string]string) map[string]*string {
	out := make(map[string]*string, len(values))
	for name, value := range values {
		out[name] = &value
	}
	return out
}

func main() {
	libraries := map[string]library{"franz-go": franzGo, "sarama": saramaLibrary}
	if len(os.Args) != 3 || libraries[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: go-clients franz-go|sarama BOOTSTRAP <jobs.json >results.json")
		os.Exit(2)
	}
	var jobs []job
	if err := json.NewDecoder(os.Stdin).Decode(&jobs); err != nil {
		fmt.Fprintln(os.Stderr, "jobs:", err)
		os.Exit(2)
	}
	results := make([]object, len(jobs))
	for i := range jobs {
		do := libraries[os.Args[1]][jobs[i].Do]
		if do == nil {
			fmt.Fprintln(os.Stderr, "no such job:", jobs[i].Do)
			os.Exit(2)
		}
		result, err := do(os.Args[2], &jobs[i])
		if err != nil {
			result = object{"error": fmt.Sprintf("%s %s: %v", jobs[i].Do, jobs[i].Topic, err)}
		} else if result == nil {
			result = object{}
		}
		results[i] = result
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
