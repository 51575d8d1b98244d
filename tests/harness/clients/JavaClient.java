import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Reads a JSON list of jobs from standard input, does them in order with the Java client library, and writes
 * the list of their results. A record is [key, value, timestamp or null, [[header, value]...]], bytes in base64.
 *
 * <pre>
 *   {"do": "produce", "topic": t, "partition": p, "settings": {...}, "records": [...]}   -> {"offsets": [...]}
 *   {"do": "consume", "topic": t, "partition": p, "offset": o, "count": n, "settings": {...}} -> {"records": [...]}
 * </pre>
 */
public final class JavaClient {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long TIMEOUT_MS = 30_000;

    private final String bootstrap;

    private JavaClient(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] args) throws Exception {
        JavaClient client = new JavaClient(args[0]);
        ArrayNode results = JSON.createArrayNode();
        for (JsonNode job : JSON.readTree(System.in)) {
            String what = job.get("do").asText();
            switch (what) {
                case "produce" -> results.add(client.produce(job));
                case "consume" -> results.add(client.consume(job));
                default -> throw new IllegalArgumentException("unknown job: " + what);
            }
        }
        JSON.writeValue(System.out, results);
    }

    private Properties properties(JsonNode job) {
        Properties out = new Properties();
        out.put("bootstrap.servers", bootstrap);
        for (Map.Entry<String, JsonNode> setting : job.get("settings").properties()) {
            out.put(setting.getKey(), setting.getValue().asText());
        }
        return out;
    }

    private static byte[] bytes(JsonNode node) throws Exception {
        return node.isNull() ? null : node.binaryValue();
    }

    private ObjectNode produce(JsonNode job) throws Exception {
        Properties properties = properties(job);
        properties.putIfAbsent("linger.ms", "5");
        properties.putIfAbsent("delivery.timeout.ms", Long.toString(TIMEOUT_MS));
        properties.putIfAbsent("request.timeout.ms", "20000");
        ArrayNode offsets = JSON.createArrayNode();
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (JsonNode record : job.get("records")) {
                Long timestamp = record.get(2).isNull() ? null : record.get(2).asLong();
                ProducerRecord<byte[], byte[]> out = new ProducerRecord<>(job.get("topic").asText(),
                    job.get("partition").asInt(), timestamp, bytes(record.get(0)), bytes(record.get(1)));
                for (JsonNode header : record.get(3)) {
                    out.headers().add(header.get(0).asText(), bytes(header.get(1)));
                }
                sent.add(producer.send(out));
            }
            producer.flush();
            for (Future<RecordMetadata> one : sent) {
                offsets.add(one.get().offset());
            }
        }
        ObjectNode result = JSON.createObjectNode();
        result.set("offsets", offsets);
        return result;
    }

    private ObjectNode consume(JsonNode job) {
        ArrayNode records = JSON.createArrayNode();
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(properties(job), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            TopicPartition partition = new TopicPartition(job.get("topic").asText(), job.get("partition").asInt());
            consumer.assign(List.of(partition));
            consumer.seek(partition, job.get("offset").asLong());
            long deadline = System.currentTimeMillis() + TIMEOUT_MS;
            int count = job.get("count").asInt();
            while (records.size() < count) {
                if (System.currentTimeMillis() > deadline) {
                    throw new IllegalStateException(records.size() + " of " + count + " records of " + partition);
                }
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    if (records.size() < count) {
                        records.add(json(record));
                    }
                }
            }
        }
        ObjectNode result = JSON.createObjectNode();
        result.set("records", records);
        return result;
    }

    private static ArrayNode json(ConsumerRecord<byte[], byte[]> record) {
        ArrayNode out = JSON.createArrayNode();
        out.add(record.key()).add(record.value()).add(record.timestamp());
        ArrayNode headers = out.addArray();
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(header.value());
        }
        return out;
    }
}
