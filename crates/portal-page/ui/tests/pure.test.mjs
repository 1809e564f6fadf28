// The parts that need no browser: which apps a space has and what is wrong with them, names, links.
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
globalThis.document = { documentElement: {} };

async function load(name) {
  const outfile = join(folder, `${name.replace("/", "-")}.mjs`);
  await build({ entryPoints: [new URL(`../src/${name}.ts`, import.meta.url).pathname], bundle: true, format: "esm", platform: "node", outfile, logLevel: "error" });
  return import(pathToFileURL(outfile).href);
}

const { appsOf, factsOf, publishName } = await load("apps");
const { formOf, KINDS, timingOf } = await load("when");
const pod = (name, more = {}) => ({ name, status: "Running", ready: true, restarts: 0, image: null, age: null, reason: null, message: null, exitCode: null, lastReason: null, lastMessage: null, ...more });
const space = (more) => ({ phase: "Active", pods: [], services: [], deployments: [], quota: null, ingressRoutes: [], observedAt: "", ...more });
const deployment = (name, replicas, more = {}) => ({ name, replicas, image: null, age: null, secretRefs: [], reason: null, message: null, ...more });

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

test("a code of a link is found in all that people paste", async () => {
  const { parseLink } = await load("link");
  const code = `fpl_${"0".repeat(64)}`;
  for (const text of [code, `code=${code}`, `https://x.example/portal/enter#code=${code}&friend=bob`, `#code=${code}`]) assert.equal(parseLink(text)?.code, code, text);
  for (const text of ["", "https://x.example/", "fpl_1", `code=${code}0`]) assert.equal(parseLink(text), null, text);
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
