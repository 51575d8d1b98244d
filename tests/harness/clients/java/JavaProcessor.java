import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Reads, writes and commits what was read in one transaction: the job "process" of harness/clients/program.py. */
final class JavaProcessor {
    private static final long TIMEOUT_MS = 60_000;
    private static final int ABORTED = 2;
    private static final int DEADLY = 3;

    private JavaProcessor() { }

    static ObjectNode process(Properties common, JsonNode job) {
        Properties in = new Properties();
        common.forEach(in::put);
        in.put("group.id", job.get("group").asText());
        in.put("session.timeout.ms", "6000");
        in.put("enable.auto.commit", "false");
        in.put("auto.offset.reset", "earliest");
        in.put("isolation.level", "read_committed");
        in.put("max.poll.records", "7");
        Properties out = new Properties();
        common.forEach(out::put);
        out.put("transactional.id", job.get("transactional_id").asText());
        try (KafkaConsumer<byte[], byte[]> consumer =
                 new KafkaConsumer<>(in, new ByteArrayDeserializer(), new ByteArrayDeserializer());
             KafkaProducer<byte[], byte[]> producer =
                 new KafkaProducer<>(out, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
            consumer.subscribe(List.of(job.get("from").asText()));
            run(consumer, producer, job);
        }
        return JavaClient.JSON.createObjectNode();
    }

    private static void run(KafkaConsumer<byte[], byte[]> consumer, KafkaProducer<byte[], byte[]> producer, JsonNode job) {
        long deadline = System.currentTimeMillis() + TIMEOUT_MS;
        int number = 0;
        for (int left = job.get("count").asInt(); left > 0;) {
            if (System.currentTimeMillis() > deadline) {
                throw new IllegalStateException(left + " records are left");
            }
            ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(200));
            if (records.isEmpty()) {
                continue;
            }
            number++;
            Map<TopicPartition, Long> first = new HashMap<>();
            Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
            producer.beginTransaction();
            for (ConsumerRecord<byte[], byte[]> record : records) {
                TopicPartition partition = new TopicPartition(record.topic(), record.partition());
                first.putIfAbsent(partition, record.offset());
                next.put(partition, new OffsetAndMetadata(record.offset() + 1));
                producer.send(new ProducerRecord<>(job.get("topic").asText(), record.partition(), record.key(), record.value()));
            }
            producer.sendOffsetsToTransaction(next, consumer.groupMetadata());
            if (number == DEADLY && job.get("die").asBoolean()) {
                producer.flush();
                Runtime.getRuntime().halt(9);
            }
            if (number == ABORTED) {
                producer.abortTransaction();
                first.forEach(consumer::seek);
            } else {
                producer.commitTransaction();
                left -= records.count();
            }
        }
    }
}
