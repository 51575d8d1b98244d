import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;

/** The administrative jobs, with the Java library's admin client. */
final class JavaAdmin implements AutoCloseable {
    private final Admin admin;
    private final ObjectNode result = JavaClient.JSON.createObjectNode();

    JavaAdmin(Properties properties) {
        admin = Admin.create(properties);
    }

    @Override
    public void close() {
        admin.close();
    }

    ObjectNode result(JsonNode job) throws Exception {
        switch (job.get("do").asText()) {
            case "create_topics" -> createTopics(job);
            case "delete_topics" -> admin.deleteTopics(JavaClient.strings(job.get("topics"))).all().get();
            case "list_topics" -> admin.listTopics().names().get().forEach(result.putArray("topics")::add);
            case "describe_topics" -> describeTopics(job);
            case "list_offsets" -> listOffsets(job);
            case "describe_cluster" -> describeCluster();
            case "describe_configs" -> describeConfigs(job);
            case "incremental_alter_configs" -> alterConfigs(job);
            case "create_partitions" -> admin.createPartitions(
                Map.of(topic(job), NewPartitions.increaseTo(job.get("count").asInt()))).all().get();
            case "delete_records" -> admin.deleteRecords(
                Map.of(partition(job), RecordsToDelete.beforeOffset(job.get("before").asLong()))).all().get();
            case "list_groups" -> {
                ArrayNode groups = result.putArray("groups");
                for (GroupListing group : admin.listGroups().all().get()) {
                    groups.add(group.groupId());
                }
            }
            case "describe_group" -> describeGroup(group(job));
            case "committed_offsets" -> committedOffsets(job);
            case "delete_group" -> admin.deleteConsumerGroups(List.of(group(job))).all().get();
            default -> throw new IllegalArgumentException("unknown job");
        }
        return result;
    }

    private static String topic(JsonNode job) {
        return job.get("topic").asText();
    }

    private static String group(JsonNode job) {
        return job.get("group").asText();
    }

    private static TopicPartition partition(JsonNode job) {
        return new TopicPartition(topic(job), job.get("partition").asInt());
    }

    private static ConfigResource resource(JsonNode job) {
        return new ConfigResource(ConfigResource.Type.TOPIC, topic(job));
    }

    private void createTopics(JsonNode job) throws Exception {
        List<NewTopic> topics = new ArrayList<>();
        for (JsonNode topic : job.get("topics")) {
            Map<String, String> configs = new HashMap<>();
            topic.get("configs").properties().forEach(config -> configs.put(config.getKey(), config.getValue().asText()));
            topics.add(new NewTopic(topic.get("name").asText(), topic.get("partitions").asInt(), (short) 1).configs(configs));
        }
        admin.createTopics(topics).all().get();
    }

    private static void addIds(ArrayNode to, Collection<Node> nodes) {
        ArrayNode ids = to.addArray();
        nodes.forEach(node -> ids.add(node.id()));
    }

    private void describeTopics(JsonNode job) throws Exception {
        ObjectNode topics = result.putObject("topics");
        for (TopicDescription topic : admin.describeTopics(JavaClient.strings(job.get("topics"))).allTopicNames().get().values()) {
            ArrayNode partitions = topics.putArray(topic.name());
            for (TopicPartitionInfo partition : topic.partitions()) {
                ArrayNode out = partitions.addArray().add(partition.partition()).add(partition.leader().id());
                addIds(out, partition.replicas());
                addIds(out, partition.isr());
            }
        }
    }

    private void listOffsets(JsonNode job) throws Exception {
        long time = job.get("time").asLong();
        OffsetSpec spec = time == -2 ? OffsetSpec.earliest() : time == -1 ? OffsetSpec.latest() : OffsetSpec.forTimestamp(time);
        result.put("offset", admin.listOffsets(Map.of(partition(job), spec)).partitionResult(partition(job)).get().offset());
    }

    private void describeCluster() throws Exception {
        DescribeClusterResult cluster = admin.describeCluster();
        result.put("cluster_id", cluster.clusterId().get()).put("controller", cluster.controller().get().id());
        ArrayNode brokers = result.putArray("brokers");
        for (Node node : cluster.nodes().get()) {
            brokers.addArray().add(node.id()).add(node.host()).add(node.port());
        }
    }

    private void describeConfigs(JsonNode job) throws Exception {
        ObjectNode configs = result.putObject("configs");
        for (ConfigEntry entry : admin.describeConfigs(List.of(resource(job))).values().get(resource(job)).get().entries()) {
            configs.put(entry.name(), entry.value());
        }
    }

    private void alterConfigs(JsonNode job) throws Exception {
        List<AlterConfigOp> ops = new ArrayList<>();
        job.get("set").properties().forEach(config -> ops.add(new AlterConfigOp(
            new ConfigEntry(config.getKey(), config.getValue().asText()), AlterConfigOp.OpType.SET)));
        for (String name : JavaClient.strings(job.get("delete"))) {
            ops.add(new AlterConfigOp(new ConfigEntry(name, null), AlterConfigOp.OpType.DELETE));
        }
        admin.incrementalAlterConfigs(Map.of(resource(job), ops)).all().get();
    }

    private void describeGroup(String name) throws Exception {
        ConsumerGroupDescription group = admin.describeConsumerGroups(List.of(name)).describedGroups().get(name).get();
        result.put("state", group.groupState().toString()).put("members", group.members().size());
    }

    private void committedOffsets(JsonNode job) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> offsets =
            admin.listConsumerGroupOffsets(group(job)).partitionsToOffsetAndMetadata().get();
        ArrayNode out = result.putArray("offsets");
        for (JsonNode partition : job.get("partitions")) {
            OffsetAndMetadata found = offsets.get(new TopicPartition(topic(job), partition.asInt()));
            out.add(Optional.ofNullable(found).map(OffsetAndMetadata::offset).orElse(-1L));
        }
    }
}
