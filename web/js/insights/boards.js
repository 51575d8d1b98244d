// Boards of charts. They live in a topic of the cluster itself, a record a board, so that everybody sees the same and they move with the data.
// docs/dashboard.md has their form.
import { ApiError, get, path, post } from "../api.js";
import { MEASURES } from "./measure.js";

const TOPIC = "__odradek_boards";
const PAGE = 1000;

const isText = (value) => typeof value === "string" && value !== "";

function isChart(chart) {
  return isText(chart?.id) && isText(chart.title) && isText(chart.topic) && Object.hasOwn(MEASURES, chart.measure) && Number.isInteger(chart.windowSeconds) && chart.windowSeconds > 0 &&
    (chart.delaySeconds === undefined || (Number.isInteger(chart.delaySeconds) && chart.delaySeconds >= 0)) && (!MEASURES[chart.measure][1] || isText(chart.field)) &&
    (chart.weight === undefined || (isText(chart.weight) && chart.measure === "top"));
}

// A record may come from anybody: what is no board is left out, and so is a chart that is none.
function parse({ key, value }) {
  try {
    const board = JSON.parse(value.text);
    return { id: key.text, name: isText(board.name) ? board.name : key.text, charts: board.charts.filter(isChart) };
  } catch {
    return null;
  }
}

let there = false; // the topic is, as far as this page knows

/** Says which topics there are, before boards are loaded or saved: the one of the boards is made with the first of them. */
export function topicsAre(topics) {
  there = topics.some(({ name }) => name === TOPIC);
}

/** All boards, by name. */
export async function loadBoards(signal) {
  const latest = new Map();
  let cursor = null;
  if (!there) return [];
  do {
    const answer = await get(`${path("topics", TOPIC)}/records`, { signal, query: { limit: PAGE, ...(cursor ? { cursor } : { from: "earliest" }) } });
    const [lost] = answer.partitionsMissing; // a board that is not read would be written anew, without its charts
    if (lost) throw new ApiError(503, lost.error, lost.message);
    for (const record of answer.records) {
      if (record.key === null) continue;
      if (record.value === null) latest.delete(record.key.text);
      else latest.set(record.key.text, parse(record));
    }
    cursor = answer.stoppedBy === "end" ? null : answer.cursor;
  } while (cursor);
  return [...latest.values()].filter(Boolean).sort((a, b) => a.name.localeCompare(b.name, "en"));
}

async function makeTopic() {
  try {
    await post("/topics", { name: TOPIC, partitions: 1, configs: { "cleanup.policy": "compact" } });
  } catch (problem) {
    if (problem.code !== "TOPIC_ALREADY_EXISTS") throw problem;
  }
}

async function write(key, value) {
  if (!there) await makeTopic();
  there = true;
  await post(`${path("topics", TOPIC)}/records`, { key, value });
}

export const saveBoard = ({ id, name, charts }) => write(id, JSON.stringify({ version: 1, name, charts }));
export const deleteBoard = (id) => write(id, null);
