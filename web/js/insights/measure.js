// What a chart measures: records into buckets of time, buckets into figures. No page, no network.

const BUCKETS = 60; // of a window
const SAMPLED = 2000; // values of a bucket, for percentiles
const DISTINCT = 2000; // different values of a bucket, for the top ones

export const WINDOWS = [["60", "1 min"], ["300", "5 min"], ["900", "15 min"], ["3600", "1 h"], ["21600", "6 h"], ["86400", "1 d"]];

/** measure: [words, needs a field, kind] */
export const MEASURES = {
  count: ["Count of records", false],
  sum: ["Sum", true],
  average: ["Average", true],
  min: ["Least", true],
  max: ["Greatest", true],
  p50: ["Median (p50)", true],
  p95: ["95th percentile", true],
  p99: ["99th percentile", true],
  top: ["Top values", true],
};

/** How long a bucket of a window is. */
export const bucketMs = (windowSeconds) => (windowSeconds * 1000) / BUCKETS;

/** What is at "customer.country" or "items.0.price"; undefined where nothing is. */
export function fieldOf(value, path) {
  for (const part of path.split(".")) {
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, part)) return undefined;
    value = value[part];
  }
  return value;
}

const numberOf = (value) => (typeof value === "number" ? value : typeof value === "string" && value.trim() !== "" ? Number(value) : NaN);
const isNumbers = (value) => value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length > 0 && Object.values(value).every(Number.isFinite);
const nameOf = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function bucket() {
  return { records: 0, count: 0, sum: 0, min: Infinity, max: -Infinity, values: [], names: new Map() };
}

function addNumber(into, value) {
  into.count++;
  into.sum += value;
  into.min = Math.min(into.min, value);
  into.max = Math.max(into.max, value);
  if (into.values.length < SAMPLED) into.values.push(value);
  else { // each value of the bucket is in the sample with the same chance
    const at = Math.floor(Math.random() * into.count);
    if (at < SAMPLED) into.values[at] = value;
  }
}

function addName(into, name, weight) {
  if (into.names.size < DISTINCT || into.names.has(name)) into.names.set(name, (into.names.get(name) ?? 0) + weight);
}

/** What a record says for the top values: [[name, weight], ...]; null where it says nothing. */
function weighed(record, field, weight) {
  const value = fieldOf(record, field);
  if (value === undefined) return null;
  if (weight) {
    const by = numberOf(fieldOf(record, weight));
    return Number.isFinite(by) ? [[nameOf(value), by]] : null;
  }
  return isNumbers(value) ? Object.entries(value) : [[nameOf(value), 1]];
}

function percentile(values, share) {
  if (!values.length) return null;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}

/** The figure of some buckets together. */
function figure(measure, buckets) {
  const count = buckets.reduce((n, one) => n + one.count, 0);
  const all = () => buckets.flatMap((one) => one.values);
  switch (measure) {
    case "count": return buckets.reduce((n, one) => n + one.records, 0);
    case "sum": return buckets.reduce((n, one) => n + one.sum, 0);
    case "average": return count ? buckets.reduce((n, one) => n + one.sum, 0) / count : null;
    case "min": return count ? Math.min(...buckets.map((one) => one.min)) : null;
    case "max": return count ? Math.max(...buckets.map((one) => one.max)) : null;
    default: return percentile(all(), Number(measure.slice(1)) / 100);
  }
}

/** What a chart knows: add(timestamp, value or undefined), and read. chart: { measure, field, weight, windowSeconds }. */
export class Series {
  constructor({ measure, field, weight, windowSeconds }) {
    Object.assign(this, { measure, field, weight, stepMs: bucketMs(windowSeconds), windowMs: windowSeconds * 1000, buckets: new Map(), records: 0, without: 0, weighed: weight !== undefined });
  }

  /** A record: its timestamp, and the text of its value (null: none). */
  add(timestamp, text) {
    const at = Math.floor(timestamp / this.stepMs);
    let into = this.buckets.get(at);
    if (!into) this.buckets.set(at, into = bucket());
    into.records++;
    this.records++;
    if (!MEASURES[this.measure][1]) return;
    let record;
    try {
      record = JSON.parse(text);
    } catch {
      record = undefined;
    }
    if (this.measure === "top") {
      const found = weighed(record, this.field, this.weight);
      if (found) for (const [name, by] of found) addName(into, name, by);
      else this.without++;
      this.weighed ||= isNumbers(fieldOf(record, this.field));
    } else {
      const value = numberOf(fieldOf(record, this.field));
      if (Number.isNaN(value)) this.without++;
      else addNumber(into, value);
    }
  }

  /** Forgets what the window has left behind, and returns [[number, bucket], ...] of what is in it. */
  within(now) {
    const oldest = Math.floor((now - this.windowMs) / this.stepMs);
    for (const at of this.buckets.keys()) if (at < oldest) this.buckets.delete(at);
    return [...this.buckets].filter(([at]) => at * this.stepMs <= now).sort(([a], [b]) => a - b);
  }

  /** [[time, figure], ...]: a point a bucket that is over, as a bucket under way would look like a fall. */
  points(now) {
    const found = new Map(this.within(now));
    const last = Math.floor(now / this.stepMs), first = Math.ceil((now - this.windowMs) / this.stepMs);
    const empty = this.measure === "count" || this.measure === "sum" ? 0 : null;
    return Array.from({ length: last - first }, (_, n) => first + n).map((at) => [at * this.stepMs, found.has(at) ? figure(this.measure, [found.get(at)]) : empty]);
  }

  /** The figure of the whole window. */
  total(now) {
    return figure(this.measure, this.within(now).map(([, one]) => one));
  }

  /** The values that weigh most (without a weight: the most frequent ones): [[value, sum], ...], and of how many. */
  top(now, most) {
    const sums = new Map();
    for (const [, { names }] of this.within(now)) for (const [name, times] of names) sums.set(name, (sums.get(name) ?? 0) + times);
    const sorted = [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    return { top: sorted.slice(0, most), all: sorted.reduce((n, [, times]) => n + times, 0), distinct: sorted.length, weighed: this.weighed };
  }
}
