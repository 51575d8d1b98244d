// A headless Chromium for the tests in Python: each line of input is a command, {"do": ..., ...}; each line of output its answer,
// {"value": ...} or {"error": ...}. Run with NODE_PATH at the packages of package.json.
"use strict";
const fs = require("node:fs");
const readline = require("node:readline");
const { chromium } = require("playwright-core");

const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const LIMIT_MS = 60_000, POLL_MS = 50;

let browser, context, page, problems, transferred;

// What the browser itself writes when a request is refused or the broker is away is none of the dashboard's errors.
const NETWORK = /^Failed to load resource: /;

const commands = {
  async open({ url, width, height, scheme }) {
    await context?.close();
    context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: "reduce" });
    page = await context.newPage();
    page.setDefaultTimeout(LIMIT_MS);
    problems = [];
    transferred = 0;
    page.on("pageerror", (error) => problems.push(`${error.stack ?? error}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && !NETWORK.test(message.text())) problems.push(message.text());
    });
    const cdp = await context.newCDPSession(page);
    await cdp.send("Network.enable");
    cdp.on("Network.loadingFinished", ({ encodedDataLength }) => {
      transferred += encodedDataLength;
    });
    await page.goto(url);
  },
  async go({ hash }) {
    await page.evaluate((where) => {
      location.hash = where;
    }, hash);
  },
  click: ({ selector }) => page.click(selector),
  fill: ({ selector, value }) => page.fill(selector, value),
  select: ({ selector, value }) => page.selectOption(selector, value).then(() => null),
  press: ({ key }) => page.keyboard.press(key),
  text: ({ selector }) => page.innerText(selector),
  see: ({ selector }) => page.waitForSelector(selector).then(() => null),
  // Asks the page for the expression until it is true; gives its value. (The page's policy forbids waitForFunction, which evaluates a text.)
  async until({ expression }) {
    for (const end = Date.now() + LIMIT_MS; ; await new Promise((go) => setTimeout(go, POLL_MS))) {
      const value = await page.evaluate(expression);
      if (value) return value;
      if (Date.now() > end) throw new Error(`it is not so: ${expression}`);
    }
  },
  value: ({ expression }) => page.evaluate(expression),
  // From now on the window gets this for a path, whatever the broker would say.
  answer: ({ path, json }) => page.route(`**${path}`, (route) => route.fulfill({ json })),
  // From now on every text in an answer has this behind it, other than these and those of these names; and so have the live stream's.
  async spoil({ text, except }) {
    const spoiled = (value, name) => {
      if (typeof value === "string") return except.includes(name) || except.includes(value) ? value : value + text;
      if (Array.isArray(value)) return value.map((one) => spoiled(one, name));
      if (value === null || typeof value !== "object") return value;
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, spoiled(one, key)]));
    };
    const give = (path, made) => page.route(path, async (route) => {
      try {
        await route.fulfill(await made(route));
      } catch {
        await route.abort().catch(() => {}); // the broker is away, or the window closed
      }
    });
    await give(/\/api\/v1\/(?!live)(?!.*\/tail)/, async (route) => {
      const response = await route.fetch();
      return { response, json: spoiled(await response.json()) };
    });
    await give("**/api/v1/live", async (route) => {
      const response = await route.fetch({ url: new URL("/api/v1/overview", page.url()).href });
      return { contentType: "text/event-stream", body: `event: overview\ndata: ${JSON.stringify(spoiled(await response.json()))}\n\n` };
    });
  },
  // What a screen reader is given: [{ role, name, within: roles of its descendants }].
  async speech() {
    const cdp = await context.newCDPSession(page);
    const { nodes } = await cdp.send("Accessibility.getFullAXTree");
    await cdp.detach();
    const all = new Map(nodes.map((node) => [node.nodeId, node]));
    const below = (node) => (node.childIds ?? []).map((id) => all.get(id)).filter(Boolean).flatMap((child) => [child.role.value, ...below(child)]);
    return nodes.filter(({ ignored }) => !ignored).map((node) => ({ role: node.role.value, name: node.name?.value ?? "", within: [...new Set(below(node))] }));
  },
  // From now on it does not get that path; it does again.
  refuse: ({ path }) => page.route(`**${path}`, (route) => route.abort()),
  allow: ({ path }) => page.unroute(`**${path}`),
  reload: () => page.reload().then(() => null),
  screenshot: ({ path, full }) => page.screenshot({ path, fullPage: full }).then(() => null),
  async axe() {
    const cdp = await context.newCDPSession(page); // the page's policy allows no script of ours
    await cdp.send("Runtime.evaluate", { expression: AXE });
    await cdp.detach();
    const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map(({ target, any }) => `${target.join(" ")} ${any[0]?.message ?? ""}`).join("; ")}`);
  },
  problems: () => problems,
  transferred: () => transferred,
};

async function main() {
  browser = await chromium.launch({ executablePath: process.argv[2], args: ["--no-sandbox", "--disable-dev-shm-usage"], timeout: 60_000 });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { do: name, ...given } = JSON.parse(line);
    let answer;
    try {
      answer = { value: (await commands[name](given)) ?? null };
    } catch (error) {
      answer = { error: `${error.message}\n${await page?.innerText("body").catch(() => "")}` };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await browser.close();
}

main().catch((error) => {
  process.stdout.write(`${JSON.stringify({ error: String(error.stack ?? error) })}\n`);
  process.exit(1);
});
