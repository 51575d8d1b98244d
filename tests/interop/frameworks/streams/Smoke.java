import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.streams.tests.SmokeTestClient;
import org.apache.kafka.streams.tests.SmokeTestDriver;
import org.apache.kafka.streams.tests.SmokeTestUtil;

/**
 * The smoke test that comes with Kafka Streams, at a chosen size.
 *
 * <p>Smoke topics BOOTSTRAP PARTITIONS; Smoke process [SETTING=VALUE]...; Smoke drive BOOTSTRAP KEYS RECORDS_PER_KEY SECONDS
 * EXACTLY_ONCE, which writes the records over that time, and ends with 0 where it could verify all that the processes made of them.
 */
public final class Smoke {
    private Smoke() {}

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "topics" -> topics(args[1], Integer.parseInt(args[2]));
            case "process" -> process(Arrays.asList(args).subList(1, args.length));
            case "drive" -> {
                int records = Integer.parseInt(args[3]);
                Duration time = Duration.ofSeconds(Integer.parseInt(args[4]));
                Map<String, Set<Integer>> written = SmokeTestDriver.generate(args[1], Integer.parseInt(args[2]), records, time);
                System.exit(verified(args[1], written, records, Boolean.parseBoolean(args[5])) ? 0 : 1);
            }
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    /** Begins with a comparison of ends and last stable offsets, one after the other, which fails while the processes still write. */
    private static boolean verified(String bootstrap, Map<String, Set<Integer>> written, int records, boolean exactlyOnce)
            throws InterruptedException {
        SmokeTestUtil.VerificationResult result = SmokeTestDriver.verify(bootstrap, written, records, exactlyOnce);
        while (!result.passed() && result.result().contains("is larger than topic endOffset")) {
            Thread.sleep(2000);
            result = SmokeTestDriver.verify(bootstrap, written, records, exactlyOnce);
        }
        return result.passed();
    }

    private static void topics(String bootstrap, int partitions) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            List<NewTopic> wanted =
                    Arrays.stream(SmokeTestDriver.topics()).map(name -> new NewTopic(name, partitions, (short) 1)).toList();
            admin.createTopics(wanted).all().get();
        }
    }

    private static void process(List<String> args) {
        Properties settings = new Properties();
        for (String setting : args) {
            String[] words = setting.split("=", 2);
            settings.put(words[0], words[1]);
        }
        new SmokeTestClient("client").start(settings);
    }
}
