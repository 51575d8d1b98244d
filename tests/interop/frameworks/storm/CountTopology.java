import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.storm.Config;
import org.apache.storm.LocalCluster;
import org.apache.storm.kafka.spout.FirstPollOffsetStrategy;
import org.apache.storm.kafka.spout.KafkaSpout;
import org.apache.storm.kafka.spout.KafkaSpoutConfig;
import org.apache.storm.task.TopologyContext;
import org.apache.storm.topology.BasicOutputCollector;
import org.apache.storm.topology.OutputFieldsDeclarer;
import org.apache.storm.topology.TopologyBuilder;
import org.apache.storm.topology.base.BaseBasicBolt;
import org.apache.storm.tuple.Fields;
import org.apache.storm.tuple.Tuple;
import org.apache.storm.tuple.Values;

/** CountTopology BOOTSTRAP ZOOKEEPER_PORT: counts the words of the topic "lines" into HBase's table "counts", until it is ended. */
public final class CountTopology {
    private static final int PATIENCE_S = 600;

    /** Nobody is taken for dead, and its work given to another, because the machine is busy. */
    private static final Map<String, Object> PATIENT =
            Map.of(
                    "nimbus.task.timeout.secs", PATIENCE_S,
                    "nimbus.task.launch.secs", PATIENCE_S,
                    "nimbus.supervisor.timeout.secs", PATIENCE_S,
                    "supervisor.worker.timeout.secs", PATIENCE_S,
                    "supervisor.worker.start.timeout.secs", PATIENCE_S);

    private CountTopology() {}

    public static void main(String[] args) throws Exception {
        KafkaSpoutConfig<String, String> lines =
                KafkaSpoutConfig.builder(args[0], "lines")
                        .setProp("group.id", "storm")
                        .setFirstPollOffsetStrategy(FirstPollOffsetStrategy.UNCOMMITTED_EARLIEST)
                        .setOffsetCommitPeriodMs(500)
                        .build();
        TopologyBuilder builder = new TopologyBuilder();
        builder.setSpout("lines", new KafkaSpout<>(lines), 2);
        builder.setBolt("split", new Split(), 2).shuffleGrouping("lines");
        builder.setBolt("count", new Count(Integer.parseInt(args[1])), 2).fieldsGrouping("split", new Fields("word"));
        Config config = new Config();
        config.setMaxSpoutPending(500);
        config.setMessageTimeoutSecs(PATIENCE_S); // what a busy machine has not counted in time would be counted twice
        try (LocalCluster cluster = new LocalCluster.Builder().withDaemonConf(PATIENT).build();
                LocalCluster.LocalTopology topology = cluster.submitTopology("count", config, builder.createTopology())) {
            System.out.println("SUBMITTED " + topology);
            Thread.currentThread().join();
        }
    }

    static final class Split extends BaseBasicBolt {
        private static final long serialVersionUID = 1L;

        @Override
        public void execute(Tuple line, BasicOutputCollector out) {
            for (String word : line.getStringByField("value").split(" ")) {
                out.emit(new Values(word));
            }
        }

        @Override
        public void declareOutputFields(OutputFieldsDeclarer declarer) {
            declarer.declare(new Fields("word"));
        }
    }

    /** Goes on from the counts that the table has. */
    static final class Count extends BaseBasicBolt {
        private static final long serialVersionUID = 1L;
        private static final byte[] FAMILY = Bytes.toBytes("c");
        private static final byte[] COUNT = Bytes.toBytes("count");

        private final int zookeeperPort;
        private transient Map<String, Long> counts;
        private transient Connection connection;
        private transient Table table;

        Count(int zookeeperPort) {
            this.zookeeperPort = zookeeperPort;
        }

        @Override
        public void prepare(Map<String, Object> settings, TopologyContext context) {
            Configuration configuration = HBaseConfiguration.create();
            configuration.set("hbase.zookeeper.quorum", "127.0.0.1");
            configuration.setInt("hbase.zookeeper.property.clientPort", zookeeperPort);
            counts = new HashMap<>();
            try {
                connection = ConnectionFactory.createConnection(configuration);
                table = connection.getTable(TableName.valueOf("counts"));
            } catch (IOException problem) {
                throw new UncheckedIOException(problem);
            }
        }

        @Override
        public void execute(Tuple tuple, BasicOutputCollector out) {
            String word = tuple.getStringByField("word");
            byte[] row = Bytes.toBytes(word);
            try {
                if (!counts.containsKey(word)) {
                    byte[] before = table.get(new Get(row)).getValue(FAMILY, COUNT);
                    counts.put(word, before == null ? 0 : Long.parseLong(Bytes.toString(before)));
                }
                long count = counts.merge(word, 1L, Long::sum);
                table.put(new Put(row).addColumn(FAMILY, COUNT, Bytes.toBytes(Long.toString(count))));
            } catch (IOException problem) {
                throw new UncheckedIOException(problem);
            }
        }

        @Override
        public void declareOutputFields(OutputFieldsDeclarer declarer) {}
    }
}
