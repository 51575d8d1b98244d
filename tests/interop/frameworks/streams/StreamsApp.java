import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;

/**
 * An application of Kafka Streams, which runs until it is ended: StreamsApp TOPOLOGY [SETTING=VALUE]...
 *
 * <p>count: the words of "lines", counted in "counts". join: pairs of "left" and "right" with one key, at most five seconds apart, in
 * "pairs". Prints RUNNING when it has its partitions and their state.
 */
public final class StreamsApp {
    private static final Duration APART = Duration.ofSeconds(5);
    private static final Duration LATE = Duration.ofDays(1);

    private StreamsApp() {}

    public static void main(String[] args) {
        Properties settings = new Properties();
        settings.put("default.key.serde", Serdes.StringSerde.class.getName());
        settings.put("default.value.serde", Serdes.StringSerde.class.getName());
        for (String setting : Arrays.asList(args).subList(1, args.length)) {
            String[] words = setting.split("=", 2);
            settings.put(words[0], words[1]);
        }
        StreamsBuilder builder = new StreamsBuilder();
        switch (args[0]) {
            case "count" -> count(builder);
            case "join" -> join(builder);
            default -> throw new IllegalArgumentException(args[0]);
        }
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.setStateListener(
                (now, before) -> {
                    System.out.println(now);
                    if (now == KafkaStreams.State.ERROR) {
                        Runtime.getRuntime().halt(1);
                    }
                });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private static void count(StreamsBuilder builder) {
        KStream<String, String> lines = builder.stream("lines");
        lines.flatMapValues(line -> Arrays.asList(line.split(" ")))
                .groupBy((key, word) -> word, Grouped.as("words"))
                .count(Materialized.as("counts"))
                .toStream()
                .mapValues(count -> Long.toString(count))
                .to("counts");
    }

    private static void join(StreamsBuilder builder) {
        KStream<String, String> left = builder.stream("left");
        KStream<String, String> right = builder.stream("right");
        left.join(right, (one, other) -> one + "+" + other, JoinWindows.ofTimeDifferenceAndGrace(APART, LATE)).to("pairs");
    }
}
