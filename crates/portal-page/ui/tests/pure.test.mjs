// The parts that need no browser: which apps a space has and what is wrong with them, names, links, the stream of events, files.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const folder = await mkdtemp(join(tmpdir(), "portal-page-"));
after(() => rm(folder, { recursive: true }));
// The texts ask the browser for its languages, and the document for its element.
Object.defineProperty(globalThis, "navigator", { value: { languages: ["en"] }, configurable: true });
globalThis.document = { documentElement: {}, addEventListener: () => undefined };
globalThis.window = { addEventListener: () => undefined };

async function load(name) {
  const outfile = join(folder, `${name.replace("/", "-")}.mjs`);
  await build({ entryPoints: [new URL(`../src/${name}.ts`, import.meta.url).pathname], bundle: true, format: "esm", platform: "node", outfile, logLevel: "error" });
  return import(pathToFileURL(outfile).href);
}

const { appsOf, factsOf, publishName } = await load("apps");
const { formOf, KINDS, timingOf } = await load("when");
const pod = (name, more = {}) => ({ name, status: "Running", ready: true, restarts: 0, image: null, age: null, reason: null, message: null, exitCode: null, lastReason: null, lastMessage: null, ...more });
const space = (more) => ({ phase: "Active", pods: [], services: [], deployments: [], quota: null, ingressRoutes: [], observedAt: "", ...more });
const deployment = (name, replicas, more = {}) => ({ name, replicas, image: null, age: null, secretRefs: [], reason: null, message: null, since: null, ...more });

test("a pod belongs to the deployment with the longest name that its own begins with", () => {
  const apps = appsOf(space({ deployments: [deployment("web", "1/1"), deployment("web-admin", "1/1")], pods: [pod("web-admin-1"), pod("web-1"), pod("lone")] }));
  assert.deepEqual(apps.map((app) => [app.name, app.pods.map((one) => one.name)]), [["lone", ["lone"]], ["web", ["web-1"]], ["web-admin", ["web-admin-1"]]]);
});

test("a crash, a lack of room and a missing image are said as what they are", () => {
  const say = (pods, replicas = "0/1", more = {}) => appsOf(space({ deployments: [deployment("app", replicas, more)], pods }))[0];
  assert.match(say([pod("app-1", { ready: false, reason: "CrashLoopBackOff", restarts: 12 })]).problem, /stops right after starting \(12 times\)/);
  assert.match(say([pod("app-1", { ready: false, reason: "CrashLoopBackOff", restarts: 12, lastReason: "OOMKilled" })]).problem, /ran out of memory/);
  assert.match(say([pod("app-1", { ready: false, status: "Pending", reason: "ImagePullBackOff" })]).problem, /can't be fetched/);
  assert.match(say([], "0/1", { reason: "FailedCreate", message: "pods is forbidden: exceeded quota: friend-portal" }).problem, /no room/);
  assert.match(say([], "0/1", { reason: "FailedCreate", message: "violates PodSecurity" }).problem, /violates PodSecurity/);
  assert.equal(say([pod("app-1")], "1/2", { reason: "FailedCreate", message: "exceeded quota" }).state, "partly");
  assert.equal(say([pod("app-1")], "1/1").state, "running");
  assert.equal(say([], "0/0").state, "switchedOff");
  assert.equal(say([pod("app-1", { ready: false })]).state, "starting");
});

test("a crash that keeps its last words shows those and not the back-off", () => {
  const [app] = appsOf(space({ deployments: [deployment("app", "0/1")], pods: [pod("app-1", { ready: false, reason: "CrashLoopBackOff", message: "back-off 5m0s", lastMessage: "panic: no database" })] }));
  assert.equal(app.lastWords, "panic: no database");
});

test("a full space is said with its numbers", () => {
  const quota = { hard: { pods: "3" }, used: { pods: "3" } };
  const refused = deployment("app", "0/1", { reason: "FailedCreate", message: "exceeded quota" });
  assert.match(appsOf(space({ quota, deployments: [refused] }))[0].problem, /room for 3, and all 3 are in use/);
});

test("a Deployment that gets no further copies says since when, and a crash does not borrow its time", () => {
  const since = "2026-03-01T09:10:00Z";
  const app = (pods, more) => appsOf(space({ deployments: [deployment("app", "0/1", { since, ...more })], pods }))[0];
  assert.equal(app([], { reason: "FailedCreate", message: "exceeded quota" }).since, since);
  assert.equal(app([pod("app-1", { ready: false, reason: "CrashLoopBackOff" })], { reason: "ProgressDeadlineExceeded" }).since, null);
  assert.equal(app([], { reason: "FailedCreate", since: null }).since, null);
});

test("accepted, finished and sent are three facts, and what is not known is never shown as well", async () => {
  const { factsOfRun } = await load("runs");
  const run = (more) => ({ status: "delivered", accepted: true, finished: true, sent: "sent", answer: null, ...more });
  const said = (more) => factsOfRun(run(more), "main").map(({ sign, words }) => `${sign} ${words}`);
  assert.deepEqual(said({}), ["✓ Main got it", "✓ Main finished", "✓ Sent to your chat"]);
  assert.equal(said({ sent: "pending" })[2], "… Not sent yet");
  assert.equal(said({ sent: "silent" })[2], "– Main chose to say nothing");
  assert.equal(said({ sent: "nowhere" })[2], "– No answer was to be sent");
  assert.deepEqual(said({ finished: null, sent: null }), ["✓ Main got it", "? Not known whether main finished", "? Not known whether an answer was sent"]);
  assert.deepEqual(said({ status: "failed", finished: false, sent: null })[1], "✗ Main did not finish");
  assert.deepEqual(said({ status: "missed", accepted: false, finished: null, sent: null }), ["✗ Main did not get it"]);
  const unknown = said({ status: "unknown", accepted: null, finished: null, sent: null });
  assert.equal(unknown.length, 3);
  for (const fact of unknown) assert.match(fact, /^\? Not known/);
  for (const status of ["queued", "running", "retrying"]) assert.deepEqual(said({ status, accepted: null, finished: null, sent: null }), []);
});

test("what an app said is quoted and cut in a message to the agent", () => {
  const [app] = appsOf(space({ deployments: [deployment("app", "0/1")], pods: [pod("app-1", { ready: false, reason: "CrashLoopBackOff", exitCode: 1, lastMessage: `first\n${"x".repeat(5000)}` })] }));
  const facts = factsOf(app, space({}));
  assert.ok(facts.includes("> first") && facts.includes("Exit code: 1") && facts.length < 1200, facts);
});

test("the form's choices are timings, and a timing fills the form in", () => {
  const form = { when: "daily", date: "2026-12-24", time: "14:30", day: "0", every: "90", unit: "m", cron: "@hourly" };
  const expected = { once: { at: "2026-12-24T14:30" }, daily: { cron: "30 14 * * *" }, weekdays: { cron: "30 14 * * 1-5" }, weekly: { cron: "30 14 * * 0" }, every: { every: "90m" }, cron: { cron: "@hourly" } };
  for (const when of KINDS) assert.deepEqual(timingOf({ ...form, when }), expected[when], when);
  for (const part of [{ when: "once", date: "" }, { when: "daily", time: "" }, { when: "every", every: "0" }, { when: "cron", cron: " " }]) assert.equal(timingOf({ ...form, ...part }), null);
  const job = (cron, schedule = { kind: "cron" }) => ({ cron, schedule, tz: "Europe/Berlin" });
  const told = (one) => { const { when, time, day, every, unit, date } = formOf(one, form); return { when, time, day, every, unit, date }; };
  assert.deepEqual(told(job("5 8 * * 1-5")), { ...told(job("5 8 * * 1-5")), when: "weekdays", time: "08:05" });
  assert.equal(told(job("*/5 8 * * *")).when, "cron");
  assert.deepEqual(told(job(null, { kind: "every", everyMs: 7_200_000 })), { ...told(job(null, { kind: "every", everyMs: 7_200_000 })), when: "every", every: "2", unit: "h" });
  assert.equal(told(job(null, { kind: "at", at: "2026-12-24T13:30:00Z" })).time, "14:30");
});

test("a plain timetable is said in plain words, and a missed window in the reader's own", async () => {
  const { cronWords, missedWords } = await load("when");
  const words = ["0 9 * * *", "30 8 * * 1-5", "5 18 * * 0", "*/7 8 * * *"].map((cron) => cronWords(cron, (other) => `words of ${other}`));
  assert.deepEqual(words, ["Every day at 09:00", "On weekdays at 08:30", "Every Sunday at 18:05", "words of */7 8 * * *"]);
  assert.equal(missedWords("1 run, due at 2026-03-01T08:00:00Z, was missed"), "");
  assert.match(missedWords("3 runs, due from 2026-03-01T08:00:00Z to 2026-03-01T10:00:00Z, were missed"), /^3 times, from .* to .*$/);
  assert.equal(missedWords("the receiver did not answer in time"), "the receiver did not answer in time");
});

test("a code of a link is found in all that people paste", async () => {
  const { parseLink } = await load("link");
  const code = `fpl_${"0".repeat(64)}`;
  for (const text of [code, `code=${code}`, `https://x.example/portal/enter#code=${code}&friend=bob`, `#code=${code}`]) assert.equal(parseLink(text)?.code, code, text);
  for (const text of ["", "https://x.example/", "fpl_1", `code=${code}0`]) assert.equal(parseLink(text), null, text);
});

test("a stream of events is read in any pieces", async () => {
  const { StreamReader } = await load("stream");
  const text = ": hello\r\nretry: 250\r\n\r\nid: 7\nevent: job\ndata: {\"id\":\ndata:  \"x\"}\n\nid: 8\n\nevent: run\rdata: {}\r\rid: 9\nevent: ended\n\ndata: cut";
  const expected = [{ topic: "job", data: '{"id":\n "x"}' }, { topic: "run", data: "{}" }];
  for (let size = 1; size <= text.length; size++) {
    const reader = new StreamReader();
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...reader.push(text.slice(at, at + size)));
    assert.deepEqual([events, reader.lastId, reader.retry], [expected, "9", 250], `pieces of ${size}`);
  }
});

test("an id counts only once its block has ended", async () => {
  const { StreamReader } = await load("stream");
  const reader = new StreamReader();
  reader.push("id: 1\n\nid: 2\ndata: x\n");
  assert.equal(reader.lastId, "1");
  assert.deepEqual(reader.push("\n"), [{ topic: "message", data: "x" }]);
  assert.equal(reader.lastId, "2");
});

test("a pause before the next stream is the portal's, or grows and is spread", async () => {
  const { pauseBefore } = await load("stream");
  assert.equal(pauseBefore(0, 250, 1), 250);
  assert.equal(pauseBefore(0, null, 1), 1_000);
  assert.equal(pauseBefore(0, null, 0), 500);
  assert.equal(pauseBefore(3, null, 1), 8_000);
  assert.equal(pauseBefore(5, 250, 1), 30_000);
  assert.equal(pauseBefore(1_000, null, 1), 30_000);
});

test("a file is added below what is written, if it is a text", async () => {
  const { addText, isSameText, textOf } = await load("documents");
  const file = (...bytes) => new Uint8Array(bytes).buffer;
  assert.equal(textOf(new TextEncoder().encode("\ufeffGr\u00fc\u00dfe\r\n").buffer), "Gr\u00fc\u00dfe\n");
  assert.equal(textOf(file(0xff, 0xfe, 0x41, 0x00)), null, "UTF-16");
  assert.equal(textOf(file(0x41, 0x00)), null, "a zero");
  assert.equal(addText(" \n", "new"), "new");
  assert.equal(addText("old\n\n\n", "new"), "old\n\nnew");
  const tag = `"${"a".repeat(64)}"`;
  assert.ok(isSameText(tag, `W/${tag}`) && isSameText(tag, tag.replace(/"$/, '-gzip"')));
  assert.ok(!isSameText(null, null) && !isSameText(tag, null) && !isSameText(tag, tag.replaceAll("a", "b")));
});

test("a distance in time is said in its largest unit", async () => {
  const { relative } = await load("format");
  const at = (minutes) => relative(new Date(minutes * 60_000).toISOString(), 0);
  assert.deepEqual([at(1), at(59), at(60), at(23 * 60), at(24 * 60), at(-180), at(15 * 1440)], ["in 1 minute", "in 59 minutes", "in 1 hour", "in 23 hours", "tomorrow", "3 hours ago", ""]);
  assert.equal(relative("never"), "");
});

test("any name becomes one that can be published", () => {
  assert.equal(publishName("My App!"), "my-app");
  assert.equal(publishName("a-name-with--more-than-twenty-letters"), "a-name-with-more-tha");
  assert.equal(publishName("ends-with-a-hyphen---"), "ends-with-a-hyphen");
});

test("both languages have every text, of the same kind", async () => {
  const [{ en }, { de }] = await Promise.all([load("text/en"), load("text/de")]);
  for (const [key, value] of Object.entries(en)) {
    assert.equal(typeof de[key], typeof value, key);
    if (typeof value === "function") assert.equal(de[key].length, value.length, key);
  }
  assert.deepEqual(Object.keys(de).sort(), Object.keys(en).sort());
});
