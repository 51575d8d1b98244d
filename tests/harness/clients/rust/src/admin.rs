//! The administrative jobs. What rdkafka's admin client does not offer, its consumer answers.

use crate::{Answer, Context, TIMEOUT, config, number, text, texts};
use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::Metadata;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Map, Value, json};
use std::error::Error;

pub fn job(bootstrap: &str, job: &Value) -> Answer {
    let admin: AdminClient<Context> = config(bootstrap).create_with_context(Context::new())?;
    let group = job["group"].as_str().unwrap_or("unused");
    let consumer = || config(bootstrap).set("group.id", group).create_with_context(Context::new());
    match text(job, "do") {
        "create_topics" => create_topics(&admin, job),
        "delete_topics" => done(block_on(admin.delete_topics(&texts(&job["topics"]), &options()))?),
        "list_topics" => Ok(json!({"topics": names(&admin.inner().fetch_metadata(None, TIMEOUT)?)})),
        "describe_topics" => describe_topics(&admin, job),
        "list_offsets" => list_offsets(&consumer()?, job),
        "describe_cluster" => describe_cluster(&admin),
        "describe_configs" => describe_configs(&admin, job),
        "alter_configs" => alter_configs(&admin, job),
        "create_partitions" => {
            let partitions = NewPartitions::new(text(job, "topic"), number(job, "count") as usize);
            done(block_on(admin.create_partitions([&partitions], &options()))?)
        }
        "delete_records" => {
            let before = at(job, Offset::Offset(number(job, "before")))?;
            let deleted = block_on(admin.delete_records(&before, &options()))?;
            deleted.elements().iter().try_for_each(|one| one.error())?;
            Ok(json!({}))
        }
        "list_groups" => {
            let groups = admin.inner().fetch_group_list(None, TIMEOUT)?;
            Ok(json!({"groups": groups.groups().iter().map(|group| group.name()).collect::<Vec<_>>()}))
        }
        "describe_group" => {
            let groups = admin.inner().fetch_group_list(Some(text(job, "group")), TIMEOUT)?;
            let group = groups.groups().first().ok_or("no such group")?;
            Ok(json!({"state": group.state(), "members": group.members().len()}))
        }
        "committed_offsets" => committed_offsets(&consumer()?, job),
        "delete_group" => done(block_on(admin.delete_groups(&[text(job, "group")], &options()))?),
        other => Err(format!("no such job: {other}").into()),
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

/// Each topic's or group's result: none may have failed.
fn done<E: std::fmt::Debug>(results: Vec<Result<String, (String, E)>>) -> Answer {
    for result in results {
        result.map_err(|(name, code)| format!("{name}: {code:?}"))?;
    }
    Ok(json!({}))
}

fn at(job: &Value, offset: Offset) -> Result<TopicPartitionList, Box<dyn Error>> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(text(job, "topic"), number(job, "partition") as i32, offset)?;
    Ok(list)
}

fn names(metadata: &Metadata) -> Vec<&str> {
    metadata.topics().iter().map(|topic| topic.name()).collect()
}

fn create_topics(admin: &AdminClient<Context>, job: &Value) -> Answer {
    let mut topics = Vec::new();
    for wanted in job["topics"].as_array().into_iter().flatten() {
        let mut topic = NewTopic::new(text(wanted, "name"), number(wanted, "partitions") as i32, TopicReplication::Fixed(1));
        for (name, value) in wanted["configs"].as_object().into_iter().flatten() {
            topic = topic.set(name, value.as_str().unwrap_or_default());
        }
        topics.push(topic);
    }
    done(block_on(admin.create_topics(&topics, &options()))?)
}

fn describe_topics(admin: &AdminClient<Context>, job: &Value) -> Answer {
    let mut topics = Map::new();
    for name in texts(&job["topics"]) {
        let metadata = admin.inner().fetch_metadata(Some(name), TIMEOUT)?;
        let topic = &metadata.topics()[0];
        if let Some(error) = topic.error() {
            return Err(format!("{name}: {error:?}").into());
        }
        let partitions = topic.partitions().iter().map(|p| json!([p.id(), p.leader(), p.replicas(), p.isr()])).collect();
        topics.insert(name.to_string(), Value::Array(partitions));
    }
    Ok(json!({"topics": topics}))
}

fn list_offsets(consumer: &BaseConsumer<Context>, job: &Value) -> Answer {
    let time = number(job, "time");
    let (low, high) = consumer.fetch_watermarks(text(job, "topic"), number(job, "partition") as i32, TIMEOUT)?;
    let offset = match time {
        -2 => low,
        -1 => high,
        _ => {
            let found = consumer.offsets_for_times(at(job, Offset::Offset(time))?, TIMEOUT)?;
            found.elements()[0].error()?;
            found.elements()[0].offset().to_raw().unwrap_or(-1)
        }
    };
    Ok(json!({"offset": offset}))
}

fn describe_cluster(admin: &AdminClient<Context>) -> Answer {
    let metadata = admin.inner().fetch_metadata(None, TIMEOUT)?;
    let brokers: Vec<Value> = metadata.brokers().iter().map(|b| json!([b.id(), b.host(), b.port()])).collect();
    Ok(json!({"cluster_id": admin.inner().fetch_cluster_id(TIMEOUT), "controller": null, "brokers": brokers}))
}

fn describe_configs(admin: &AdminClient<Context>, job: &Value) -> Answer {
    let found = block_on(admin.describe_configs(&[ResourceSpecifier::Topic(text(job, "topic"))], &options()))?;
    let mut configs = Map::new();
    for resource in found {
        for entry in resource.map_err(|code| format!("{code:?}"))?.entries {
            configs.insert(entry.name, entry.value.into());
        }
    }
    Ok(json!({"configs": configs}))
}

fn alter_configs(admin: &AdminClient<Context>, job: &Value) -> Answer {
    let mut altered = AlterConfig::new(ResourceSpecifier::Topic(text(job, "topic")));
    for (name, value) in job["set"].as_object().into_iter().flatten() {
        altered = altered.set(name, value.as_str().unwrap_or_default());
    }
    for result in block_on(admin.alter_configs([&altered], &options()))? {
        result.map_err(|(resource, code)| format!("{resource:?}: {code:?}"))?;
    }
    Ok(json!({}))
}

fn committed_offsets(consumer: &BaseConsumer<Context>, job: &Value) -> Answer {
    let mut wanted = TopicPartitionList::new();
    let partitions: Vec<i32> = job["partitions"].as_array().into_iter().flatten().filter_map(|p| p.as_i64()).map(|p| p as i32).collect();
    for partition in &partitions {
        wanted.add_partition(text(job, "topic"), *partition);
    }
    let found = consumer.committed_offsets(wanted, TIMEOUT)?;
    let offset = |partition| found.find_partition(text(job, "topic"), partition).and_then(|one| one.offset().to_raw()).unwrap_or(-1);
    Ok(json!({"offsets": partitions.into_iter().map(offset).collect::<Vec<i64>>()}))
}
