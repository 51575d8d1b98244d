"""What the tests run in Spark: spark_app.py MODE BOOTSTRAP CHECKPOINT JARS.

batch: prints {partition: [count, first offset, last offset, sum of the values]} of "events" as JSON, and writes the sums by key to "sums".
stream: the values of "events" summed by key and window of ten seconds, into "totals", until it is ended.
"""

import json
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

mode, bootstrap, checkpoint, jars = sys.argv[1:]
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.jars", jars)
    .config("spark.ui.enabled", "false")
    .config("spark.driver.memory", "600m")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.warehouse.dir", f"{checkpoint}-warehouse")
    .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    .getOrCreate()
)
print("JVM", spark.sparkContext._gateway.proc.pid, flush=True)
KAFKA = {"kafka.bootstrap.servers": bootstrap}
COLUMNS = ("CAST(key AS STRING) AS key", "CAST(CAST(value AS STRING) AS LONG) AS amount", "partition", "offset", "timestamp")


def batch():
    events = spark.read.format("kafka").options(**KAFKA, subscribe="events").load().selectExpr(*COLUMNS)
    rows = events.groupBy("partition").agg(f.count("*"), f.min("offset"), f.max("offset"), f.sum("amount")).collect()
    print("BATCH", json.dumps({row[0]: list(row[1:]) for row in rows}), flush=True)
    sums = events.groupBy("key").agg(f.sum("amount").cast("string").alias("value"))
    sums.write.format("kafka").options(**KAFKA, topic="sums").save()


def stream():
    source = spark.readStream.format("kafka").options(**KAFKA, subscribe="events", startingOffsets="earliest", maxOffsetsPerTrigger="700")
    events = source.load().selectExpr(*COLUMNS)
    window = f.window("timestamp", "10 seconds")
    totals = events.withWatermark("timestamp", "1 minute").groupBy("key", window).agg(f.sum("amount").alias("total"))
    out = totals.select(
        f.concat_ws("@", "key", f.unix_millis(f.col("window.start"))).alias("key"), f.col("total").cast("string").alias("value")
    )
    query = out.writeStream.format("kafka").options(**KAFKA, topic="totals", checkpointLocation=checkpoint)
    query.outputMode("update").trigger(processingTime="0 seconds").start().awaitTermination()


{"batch": batch, "stream": stream}[mode]()
spark.stop()
