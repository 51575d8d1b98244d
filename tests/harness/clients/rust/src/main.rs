//! The Rust client, rdkafka (librdkafka underneath), behind the command form of harness/clients/program.py:
//!
//!     rust-client BOOTSTRAP <jobs.json >results.json

mod admin;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use std::error::Error;
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub const TIMEOUT: Duration = Duration::from_secs(30);

pub type Answer = Result<Value, Box<dyn Error>>;

/// Complaints go to standard error; all of librdkafka's log where CLIENT_LOG asks for it.
pub struct Context {
    undelivered: Mutex<Vec<String>>,
}

impl Context {
    pub fn new() -> Self {
        Context { undelivered: Mutex::new(Vec::new()) }
    }
}

fn wants_log() -> bool {
    std::env::var_os("CLIENT_LOG").is_some()
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        if wants_log() || (level as i32) <= RDKafkaLogLevel::Notice as i32 {
            eprintln!("{level:?} {facility} {text}");
        }
    }
    fn error(&self, error: KafkaError, reason: &str) {
        eprintln!("{error} {reason}");
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if let Err((error, _)) = result {
            self.undelivered.lock().unwrap().push(error.to_string());
        }
    }
}

pub fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    if wants_log() {
        config.set("debug", "all").set_log_level(RDKafkaLogLevel::Debug);
    }
    config
}

pub fn text<'a>(job: &'a Value, field: &str) -> &'a str {
    job[field].as_str().unwrap_or_default()
}

pub fn number(job: &Value, field: &str) -> i64 {
    job[field].as_i64().unwrap_or_default()
}

pub fn texts(array: &Value) -> Vec<&str> {
    array.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn decoded(value: &Value) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
    Ok(value.as_str().map(|text| BASE64.decode(text)).transpose()?)
}

fn encoded(data: Option<&[u8]>) -> Value {
    data.map(|bytes| BASE64.encode(bytes)).into()
}

fn record(message: &BorrowedMessage) -> Value {
    let headers: Vec<Value> =
        message.headers().into_iter().flat_map(|all| all.iter()).map(|h| json!([h.key, encoded(h.value)])).collect();
    json!([encoded(message.key()), encoded(message.payload()), message.timestamp().to_millis(), headers])
}

fn produce(bootstrap: &str, job: &Value) -> Answer {
    let mut settings = config(bootstrap);
    settings
        .set("compression.type", text(job, "compression"))
        .set("enable.idempotence", job["idempotent"].to_string())
        .set("linger.ms", "5")
        .set("message.timeout.ms", TIMEOUT.as_millis().to_string());
    if let Some(most) = job["max_bytes"].as_i64() {
        settings.set("message.max.bytes", most.to_string());
    }
    let producer: ThreadedProducer<Context> = settings.create_with_context(Context::new())?;
    for fields in job["records"].as_array().into_iter().flatten() {
        let (key, value) = (decoded(&fields[0])?, decoded(&fields[1])?);
        let mut headers = OwnedHeaders::new();
        for pair in fields[3].as_array().into_iter().flatten() {
            let value = decoded(&pair[1])?;
            headers = headers.insert(Header { key: pair[0].as_str().unwrap_or_default(), value: value.as_ref() });
        }
        let mut record = BaseRecord::to(text(job, "topic")).partition(number(job, "partition") as i32).headers(headers);
        record.key = key.as_deref();
        record.payload = value.as_deref();
        record.timestamp = fields[2].as_i64();
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(TIMEOUT)?;
    let undelivered = producer.context().undelivered.lock().unwrap();
    if undelivered.is_empty() { Ok(json!({})) } else { Err(undelivered.join("; ").into()) }
}

/// Polls until count messages came.
fn poll(consumer: &BaseConsumer<Context>, count: usize, take: impl Fn(&BorrowedMessage) -> Value) -> Result<Vec<Value>, Box<dyn Error>> {
    let (mut got, deadline) = (Vec::new(), Instant::now() + TIMEOUT);
    while got.len() < count {
        if Instant::now() > deadline {
            return Err(format!("{} of {count} records", got.len()).into());
        }
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            got.push(take(&message?));
        }
    }
    Ok(got)
}

fn consume(bootstrap: &str, job: &Value) -> Answer {
    let consumer: BaseConsumer<Context> = config(bootstrap)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "true")
        .create_with_context(Context::new())?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(text(job, "topic"), number(job, "partition") as i32, Offset::Offset(number(job, "offset")))?;
    consumer.assign(&partitions)?;
    Ok(json!({"records": poll(&consumer, number(job, "count") as usize, record)?}))
}

fn consume_group(bootstrap: &str, job: &Value) -> Answer {
    let consumer: BaseConsumer<Context> = config(bootstrap)
        .set("group.id", text(job, "group"))
        .set("group.protocol", text(job, "protocol"))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .create_with_context(Context::new())?;
    consumer.subscribe(&texts(&job["topics"]))?;
    let records = poll(&consumer, number(job, "count") as usize, |m| json!([m.topic(), m.partition(), record(m)]))?;
    consumer.commit_consumer_state(CommitMode::Sync)?;
    Ok(json!({"records": records}))
}

fn main() -> Result<(), Box<dyn Error>> {
    let bootstrap = std::env::args().nth(1).ok_or("usage: rust-client BOOTSTRAP <jobs.json >results.json")?;
    let jobs: Vec<Value> = serde_json::from_reader(std::io::stdin())?;
    let mut results = Vec::new();
    for job in &jobs {
        let answer = match text(job, "do") {
            "produce" => produce(&bootstrap, job),
            "consume" => consume(&bootstrap, job),
            "consume_group" => consume_group(&bootstrap, job),
            _ => admin::job(&bootstrap, job),
        };
        results.push(answer.unwrap_or_else(|problem| json!({"error": format!("{}: {problem}", text(job, "do"))})));
    }
    serde_json::to_writer(std::io::stdout(), &results)?;
    Ok(())
}
