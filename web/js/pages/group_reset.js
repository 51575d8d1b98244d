// A group's offsets set anew: what would change is shown before it is done.
import { path, post } from "../api.js";
import { h } from "../dom.js";
import { count, plural } from "../format.js";
import { choice, field, form, openDialog } from "../parts/dialog.js";
import { toast } from "../parts/say.js";
import { dataTable } from "../parts/table.js";

const TYPING_MS = 300;
const TO = [["earliest", "the oldest record"], ["latest", "the end: skip what waits"], ["timestamp", "a time"], ["shift", "forward or back by"], ["offset", "an offset"]];

const changes = (p) => p.before !== p.after;

const COLUMNS = [
  { name: "Topic", show: (p) => p.topic },
  { name: "Partition", num: true, width: "6.5rem", narrow: "5.5rem", show: (p) => String(p.partition) },
  { name: "Now", num: true, width: "7.5rem", narrow: "5rem", show: (p) => (p.before === null ? "nothing" : count(p.before)) },
  { name: "Then", num: true, width: "7.5rem", narrow: "5rem", show: (p) => (changes(p) ? { text: count(p.after), badge: "accent" } : count(p.after)) },
  { name: "To read then", num: true, wide: true, width: "8rem", show: (p) => count(p.lagAfter) },
];

/** Opens the dialog; `done` is called when offsets were changed. */
export function openReset(id, group, done) {
  const where = `${path("groups", id)}/offsets`;
  const topics = [...new Set(group?.partitions.map(({ topic }) => topic))];
  let end = () => {};
  openDialog(`Reset the offsets of ${id}`, (close) => {
    let to = "earliest", timer = 0, asked = 0;
    const value = h("input", { oninput: plan });
    const valueField = field("Which", value);
    const toField = field("To", choice(TO, to, (chosen) => {
      to = chosen;
      value.type = to === "timestamp" ? "datetime-local" : "number";
      value.value = "";
      arrange();
      plan();
    }));
    const topic = field("Of", choice([["", "all its topics"], ...topics.map((name) => [name, name])], "", plan));
    const words = h("p", { role: "status" }), table = dataTable({ caption: "What would change", columns: COLUMNS, key: (p) => `${p.topic} ${p.partition}` });
    table.element.hidden = true;
    end = table.destroy;

    function arrange() {
      valueField.element.hidden = !["timestamp", "shift", "offset"].includes(to);
    }

    function body() {
      const given = to === "timestamp" ? new Date(value.value).getTime() : Number(value.value);
      return { to, ...(valueField.element.hidden ? {} : { [to]: given }), ...(topic.input.value && { topic: topic.input.value }) };
    }

    function plan() {
      clearTimeout(timer);
      timer = setTimeout(preview, TYPING_MS);
    }

    async function preview() {
      const mine = ++asked;
      made.button.disabled = true;
      if (!valueField.element.hidden && !value.value) {
        words.textContent = "Say which, and what would change is shown here.";
        table.element.hidden = true;
        return;
      }
      try {
        const answer = await post(where, body(), { query: { validateOnly: true } });
        if (mine !== asked) return;
        const changing = answer.partitions.filter(changes);
        words.className = answer.applicable ? "" : "wrong";
        words.textContent = answer.applicable ? (changing.length ? `${plural(changing.length, "partition")} of ${count(answer.partitions.length)} would change:` : "Nothing would change.")
          : "The group has members: stop its consumers first, then reset. This is what would change:";
        table.element.hidden = false;
        table.show([...changing, ...answer.partitions.filter((p) => !changes(p))]);
        made.button.disabled = !answer.applicable || !changing.length;
      } catch (problem) {
        if (mine !== asked) return;
        words.className = "wrong";
        words.textContent = problem.message;
        table.element.hidden = true;
      }
    }

    const made = form([h("div", { class: "fields" }, toField.element, valueField.element, topic.element), words, table.element], { action: "Reset", close, danger: true, send: async () => {
      const answer = await post(where, body());
      close();
      toast(`The offsets of ${plural(answer.partitions.length, "partition")} are set.`);
      done();
    } });
    arrange();
    made.button.disabled = true;
    preview();
    return made.element;
  }, { wide: true, onClose: () => end() });
}
