import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.testing.TestingHBaseCluster;
import org.apache.hadoop.hbase.testing.TestingHBaseClusterOption;
import org.apache.hadoop.hbase.util.Bytes;

/**
 * HBase within this process, with a table "counts" of the one family "c", until it is ended.
 *
 * <p>Prints "SERVES http-port zookeeper-port"; over HTTP it answers with the table's rows, a line each: key, tab, value.
 */
public final class HBaseServer {
    private static final TableName COUNTS = TableName.valueOf("counts");
    private static final byte[] FAMILY = Bytes.toBytes("c");
    private static final byte[] COUNT = Bytes.toBytes("count");

    private HBaseServer() {}

    public static void main(String[] args) throws Exception {
        TestingHBaseCluster cluster = TestingHBaseCluster.create(TestingHBaseClusterOption.builder().build());
        cluster.start();
        Connection connection = ConnectionFactory.createConnection(cluster.getConf());
        try (Admin admin = connection.getAdmin()) {
            admin.createTable(
                    TableDescriptorBuilder.newBuilder(COUNTS).setColumnFamily(ColumnFamilyDescriptorBuilder.of(FAMILY)).build());
        }
        HttpServer http = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        http.createContext(
                "/",
                exchange -> {
                    byte[] answer = rows(connection).getBytes(StandardCharsets.UTF_8);
                    exchange.sendResponseHeaders(200, answer.length == 0 ? -1 : answer.length);
                    exchange.getResponseBody().write(answer);
                    exchange.close();
                });
        http.start();
        System.out.println("SERVES " + http.getAddress().getPort() + " " + cluster.getConf().get("hbase.zookeeper.property.clientPort"));
    }

    private static String rows(Connection connection) throws IOException {
        StringBuilder out = new StringBuilder();
        try (Table table = connection.getTable(COUNTS);
                ResultScanner rows = table.getScanner(new Scan())) {
            for (Result row : rows) {
                out.append(Bytes.toString(row.getRow())).append('\t');
                out.append(Bytes.toString(row.getValue(FAMILY, COUNT))).append('\n');
            }
        }
        return out.toString();
    }
}
