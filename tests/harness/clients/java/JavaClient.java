import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
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

/** The Java client library behind the command form of harness/clients/program.py. */
public final class JavaClient {
    static final ObjectMapper JSON = new ObjectMapper();
    private static final long TIMEOUT_MS = 30_000;

    private final String bootstrap;

    private JavaClient(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] args) throws Exception {
        JavaClient client = new JavaClient(args[0]);
        ArrayNode results = JSON.createArrayNode();
        for (JsonNode job : JSON.readTree(System.in)) {
            try {
                results.add(client.result(job));
            } catch (Exception problem) {
                results.add(JSON.createObjectNode().put("error", job.get("do").asText() + ": " + problem));
            }
        }
        JSON.writeValue(System.out, results);
    }

    private ObjectNode result(JsonNode job) throws Exception {
        return switch (job.get("do").asText()) {
            case "produce" -> produce(job);
            case "consume" -> consume(job);
            case "consume_group" -> consumeGroup(job);
            case "process" -> JavaProcessor.process(properties(), job);
            default -> {
                try (JavaAdmin admin = new JavaAdmin(properties())) {
                    yield admin.result(job);
                }
            }
        };
    }

    private Properties properties() {
        Properties out = new Properties();
        out.put("bootstrap.servers", bootstrap);
        return out;
    }

    private static byte[] bytes(JsonNode node) throws Exception {
        return node.isNull() ? null : node.binaryValue();
    }

    static List<String> strings(JsonNode array) {
        List<String> out = new ArrayList<>();
        array.forEach(one -> out.add(one.asText()));
        return out;
    }

    private ObjectNode produce(JsonNode job) throws Exception {
        Properties properties = properties();
        properties.put("compression.type", job.get("compression").asText());
        properties.put("enable.idempotence", job.get("idempotent").asText());
        properties.put("linger.ms", "5");
        properties.put("delivery.timeout.ms", Long.toString(TIMEOUT_MS));
        properties.put("request.timeout.ms", "20000");
        if (job.hasNonNull("max_bytes")) {
            properties.put("max.request.size", job.get("max_bytes").asText());
        }
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
                one.get();
            }
        }
        return JSON.createObjectNode();
    }

    private interface Taker {
        void take(ConsumerRecord<byte[], byte[]> record);
    }

    private static void poll(KafkaConsumer<byte[], byte[]> consumer, int count, Taker taker) {
        long deadline = System.currentTimeMillis() + TIMEOUT_MS;
        int got = 0;
        while (got < count) {
            if (System.currentTimeMillis() > deadline) {
                throw new IllegalStateException(got + " of " + count + " records");
            }
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                if (got < count) {
                    taker.take(record);
                    got++;
                }
            }
        }
    }

    private KafkaConsumer<byte[], byte[]> consumer(Properties properties) {
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private ObjectNode consume(JsonNode job) {
        ObjectNode result = JSON.createObjectNode();
        ArrayNode records = result.putArray("records");
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(properties())) {
            TopicPartition partition = new TopicPartition(job.get("topic").asText(), job.get("partition").asInt());
            consumer.assign(List.of(partition));
            consumer.seek(partition, job.get("offset").asLong());
            poll(consumer, job.get("count").asInt(), record -> records.add(json(record)));
        }
        return result;
    }

    private ObjectNode consumeGroup(JsonNode job) {
        Properties properties = properties();
        properties.put("group.id", job.get("group").asText());
        properties.put("group.protocol", job.get("protocol").asText());
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "earliest");
        ObjectNode result = JSON.createObjectNode();
        ArrayNode records = result.putArray("records");
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(properties)) {
            consumer.subscribe(strings(job.get("topics")));
            poll(consumer, job.get("count").asInt(),
                record -> records.addArray().add(record.topic()).add(record.partition()).add(json(record)));
            consumer.commitSync();
        }
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
