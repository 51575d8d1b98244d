import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * End-to-end latency through the Java clients, one record at a time: from send() to the return of the poll() that
 * brings it, in microseconds. Kafka's own EndToEndLatency tool rounds to milliseconds.
 * Arguments: bootstrap server, topic (one partition), warm-up records, measured records, bytes of a record.
 */
public class EndToEnd {
    private static volatile boolean done;

    public static void main(String[] args) throws Exception {
        Properties common = new Properties();
        common.put("bootstrap.servers", args[0]);
        TopicPartition partition = new TopicPartition(args[1], 0);
        int warmup = Integer.parseInt(args[2]), count = Integer.parseInt(args[3]);
        byte[] value = new byte[Integer.parseInt(args[4])];
        Arrays.fill(value, (byte) 'A');
        SynchronousQueue<Long> received = new SynchronousQueue<>();
        Thread reader = new Thread(() -> read(common, partition, received));
        reader.start();
        Properties properties = new Properties();
        properties.putAll(common);
        properties.put("linger.ms", "0");
        double[] us = new double[count];
        try (KafkaProducer<byte[], byte[]> producer =
                 new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            take(received); // the reader stands at the end
            for (int i = -warmup; i < count; i++) {
                ByteBuffer.wrap(value).putInt(i);
                long start = System.nanoTime();
                producer.send(new ProducerRecord<>(partition.topic(), 0, null, value));
                long end = take(received);
                if (i >= 0)
                    us[i] = (end - start) / 1e3;
            }
        }
        done = true;
        reader.join();
        Arrays.sort(us);
        System.out.printf("{\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"mean_us\": %.1f}%n", at(us, 0.5),
            at(us, 0.99), at(us, 0.999), Arrays.stream(us).average().orElseThrow());
    }

    private static double at(double[] sorted, double quantile) {
        return sorted[Math.min(sorted.length - 1, (int) (sorted.length * quantile))];
    }

    private static long take(SynchronousQueue<Long> received) throws InterruptedException {
        Long at = received.poll(30, TimeUnit.SECONDS);
        if (at == null)
            throw new IllegalStateException("a record did not come within 30 s");
        return at;
    }

    private static void read(Properties common, TopicPartition partition, SynchronousQueue<Long> received) {
        Properties properties = new Properties();
        properties.putAll(common);
        properties.put("enable.auto.commit", "false");
        try (KafkaConsumer<byte[], byte[]> consumer =
                 new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(List.of(partition));
            consumer.seekToEnd(List.of(partition));
            consumer.position(partition);
            received.put(0L);
            while (!done)
                for (ConsumerRecord<byte[], byte[]> ignored : consumer.poll(Duration.ofMillis(200)))
                    received.put(System.nanoTime());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
