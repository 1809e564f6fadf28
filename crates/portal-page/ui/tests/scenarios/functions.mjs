// Every function, clicked through as a friend would.
import { api, equal, fail, settle, until } from "../browser.mjs";

export default async function functions({ used, base }) {
  const person = await used.person(base);
  await enter(person, base);
  const page = await person.tab("/", "demo-alice");
  await home(page);
  await ask(page, base);
  person.expected.add("422");
  await apps(page, base);
  person.expected.add("412");
  await memory(page, base);
  await schedule(page, base);
  await gateway(person, page, base);
  person.expected.clear();
  await twoTabs(person, page);
  person.expected.add("422");
  await others(page, base);
  person.expected.clear();
  await person.close();
}

/** A link: loading it spends nothing, a tap does, a second use is told, somebody else's asks first. */
async function enter(person, base) {
  const link = async (friend) => {
    const { portal_url: url } = (await api(base, "demo-agent", "POST", "/api/auth/portal-session", { body: { friend_id: friend } })).body;
    return `${base}${new URL(url).pathname}${new URL(url).hash}`;
  };
  const url = await link("bob");
  const page = await person.tab(new URL(url).pathname + new URL(url).hash);
  await page.getByRole("button", { name: "Open my portal" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Copy this link" }).click();
  equal(await page.evaluate(() => navigator.clipboard.readText()), url, "the copied link");
  await page.getByRole("button", { name: "Open my portal" }).click();
  await page.getByText("Bob", { exact: true }).waitFor();
  if (page.url().includes("fpl_")) fail("the code stays in the address");
  // The same link again: the reason, and a field for another one.
  person.expected.add("401");
  await page.evaluate((hash) => window.open(`/portal/enter${hash}`, "_self"), new URL(url).hash);
  await page.getByRole("button", { name: "Open my portal" }).click();
  await page.getByText(/already used or is older than 10 minutes/).waitFor();
  await page.getByLabel(/Paste the link/).fill("https://example.org/");
  await page.getByRole("button", { name: "Use this link" }).click();
  await page.getByText(/not a link to a portal/).waitFor();
  // Another friend's link asks before it replaces this one.
  await page.getByLabel(/Paste the link/).fill(await link("alice"));
  await page.getByRole("button", { name: "Use this link" }).click();
  await page.getByRole("button", { name: "Open my portal" }).click();
  await page.getByRole("heading", { name: /You are Bob here/ }).waitFor();
  await page.getByRole("button", { name: /Switch to/ }).click();
  await page.getByText("Alice", { exact: true }).waitFor();
  await page.getByText("Alice", { exact: true }).click();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("button", { name: "Demo: come in as Alice" }).waitFor();
  person.expected.clear();
  await page.close();
}

async function home(page) {
  await page.getByRole("heading", { level: 1, name: /need.* your attention/ }).waitFor();
  await page.getByRole("heading", { name: "Needs attention" }).waitFor();
  await until(async () => /^4 things need your attention/.test(await page.title()), "the tab's title says that something is wrong");
  // The browser's time zone is offered once.
  await page.getByText(/planned in UTC. Your device is in Europe\/Berlin/).waitFor();
  await page.getByRole("button", { name: "No, keep UTC" }).click();
  await page.reload();
  await page.getByRole("heading", { name: "Last changes" }).waitFor();
  await settle(page);
  equal(await page.getByText(/planned in UTC/).count(), 0, "offers of the time zone after a no");
  await page.getByText(/mailer stops right after starting.*It ran out of memory/).waitFor();
  await page.getByText(/gallery can't start another copy: your space has room for 5, and all 5 are in use.*\(since .*11 Mar/).waitFor();
  await page.getByText(/set up but does not answer yet: your app does not reply/).waitFor();
  await page.getByText(/The last time: missed \(.*It was not repeated/).waitFor();
}

/** "Ask main" shows what it would send, sends it on Send only, and the answer can be followed. */
async function ask(page, base) {
  const messages = async () => (await api(base, "demo-alice", "GET", "/api/portal/workspace/crons")).body.jobs.filter((job) => job.name.startsWith("Message "));
  await page.getByRole("button", { name: "Ask main: mailer" }).click();
  const text = page.getByLabel(/Main gets this/);
  if (!/App: mailer/.test(await text.inputValue()) || !/CrashLoopBackOff/.test(await text.inputValue())) fail(`the facts are not told: ${await text.inputValue()}`);
  equal((await messages()).length, 0, "messages before Send");
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Ask main: mailer" }).click();
  await text.fill("What is wrong with mailer?");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText(/Sent to main/).waitFor();
  equal((await messages()).map((job) => job.message), ["What is wrong with mailer?"], "messages after Send");
  await page.getByRole("link", { name: "See what became of it" }).click();
  await page.getByRole("heading", { level: 1, name: "Message" }).waitFor();
  await page.getByText("accepted").first().waitFor();
}

/** Publish, move, take offline; what is wrong with a name is said while it is typed. */
async function apps(page, base) {
  await page.getByRole("link", { name: "Apps" }).click();
  await page.getByRole("link", { name: /^my-app/ }).click();
  await page.getByRole("link", { name: "Publish", exact: true }).click();
  await page.getByLabel("Name").fill("-");
  await page.getByText(/begin and end with a letter or digit/).waitFor();
  await page.getByLabel("Name").fill("photos");
  await page.getByText("This name is free.").waitFor();
  await page.getByText("photos-alice.your-domain.net").waitFor();
  await page.getByRole("button", { name: "Publish" }).click();
  const address = page.getByRole("link", { name: "photos-alice.your-domain.net", exact: true });
  await address.waitFor();
  await page.getByText(/Online: it answers from the internet/).waitFor();
  await page.getByRole("button", { name: /^Copy/ }).click();
  equal(await page.evaluate(() => navigator.clipboard.readText()), "https://photos-alice.your-domain.net", "the copied address");
  await page.getByRole("button", { name: "QR code" }).click();
  await page.getByRole("img", { name: /QR code/ }).waitFor();
  // The demo has an address of its own, which does not answer.
  const exposures = async () => (await api(base, "demo-alice", "GET", "/api/portal/namespace/expose")).body.exposures.filter((one) => one.name !== "letters");
  equal((await exposures()).map((one) => one.hostname), ["photos-alice.your-domain.net"], "exposures");

  // A link of main's fills the form in; nothing happens until the button is pressed, and moving asks.
  await page.goto("/portal/apps/my-app/publish?name=photos&domain=example.org");
  await page.getByRole("button", { name: "Publish" }).waitFor();
  equal((await exposures()).map((one) => one.hostname), ["photos-alice.your-domain.net"], "exposures after a link was opened");
  await page.getByRole("button", { name: "Publish" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  equal((await exposures())[0].domain, "your-domain.net", "the domain before the friend agreed");
  await page.getByRole("button", { name: "Publish" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Move" }).click();
  await page.getByRole("link", { name: "photos-alice.example.org", exact: true }).waitFor();
  await page.getByRole("button", { name: "Take offline" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Take offline" }).click();
  await page.getByRole("link", { name: "Publish", exact: true }).waitFor();
  equal(await exposures(), [], "exposures at the end");
}

/** Write, find the draft again after a reload, meet a conflict and keep both, restore; notes are only shown. */
async function memory(page, base) {
  await page.getByRole("link", { name: "Memory", exact: true }).click();
  const text = page.getByRole("textbox");
  await page.getByText(/^Main read this version/).waitFor();
  await text.fill("Draft of mine\n");
  await page.reload();
  await settle(page);
  equal(await text.inputValue(), "Draft of mine\n", "the draft after a reload");
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("#said", { hasText: "Saved." }).waitFor({ state: "attached" });
  await text.fill("Mine\n");
  await api(base, "demo-alice", "PUT", "/api/portal/workspace/memory", { body: { content: "Theirs\n" } });
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("alert").getByText(/while you wrote/).waitFor();
  await page.getByRole("button", { name: "Keep both" }).click();
  await until(async () => (await text.count()) > 0 && (await text.inputValue()) === "Theirs\n\nMine\n", "both texts are kept");
  await page.locator("summary", { hasText: "History" }).click();
  await page.getByRole("button", { name: "Compare" }).first().click();
  await page.locator("portal-memory li pre").waitFor();
  await page.getByRole("button", { name: "Restore" }).last().click();
  await page.getByRole("dialog").getByRole("button", { name: "Restore" }).click();
  await until(async () => (await text.count()) > 0 && !(await text.inputValue()).includes("Mine"), "an earlier version is restored");
  await page.getByRole("link", { name: "Notes", exact: true }).click();
  await page.getByText("Alice likes short answers.").waitFor();
  await page.getByRole("link", { name: "On its own" }).click();
  await until(async () => (await page.getByRole("textbox").count()) === 1, "the heartbeat can be edited");
}

async function schedule(page, base) {
  await page.getByRole("link", { name: "Schedule", exact: true }).click();
  await page.getByRole("link", { name: "morning news" }).click();
  await page.getByText("It was not repeated.").waitFor();
  await page.getByText("Main did not get it").waitFor();
  await page.getByRole("button", { name: "Run it now" }).click();
  await page.getByText("accepted").first().waitFor();
  // The demo's receiver says that it has the message, and nothing else.
  await page.getByText("Main got it").waitFor();
  await page.getByText("Not known whether main finished").waitFor();
  await page.getByText("Not known whether an answer was sent").waitFor();
  equal(await page.getByText("Show answer").count(), 0, "answers that nobody gives");
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText(/No tasks yet/).waitFor();
  await page.getByRole("link", { name: "New task" }).click();
  await page.getByLabel("Name").fill("weekly");
  await page.getByLabel(/should do/).fill("Plan the week");
  await page.getByLabel("Once").check();
  await page.getByLabel("On", { exact: true }).fill("2026-01-01");
  await page.getByText(/moment in the future/).waitFor();
  await page.getByLabel("Every …").check();
  await page.getByLabel("Every", { exact: true }).fill("3");
  await until(async () => (await page.locator(".times li").count()) === 5, "five next times of an interval");
  await page.getByLabel("Timetable", { exact: true }).check();
  await page.getByLabel(/five fields/).fill("0 9 * *");
  await page.getByText(/This is no timetable/).waitFor();
  await page.getByLabel(/five fields/).fill("30 2 * * *");
  await page.getByText(/Every day at 02:30/).waitFor();
  await page.getByLabel("Every week").check();
  await page.getByLabel("On", { exact: true }).selectOption({ label: "Sunday" });
  await until(async () => (await page.locator(".times li").allInnerTexts()).filter((text) => text.startsWith("Sun")).length >= 4, "the next Sundays");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "weekly" }).waitFor();
  const job = async () => (await api(base, "demo-alice", "GET", "/api/portal/workspace/crons")).body.jobs.find((one) => one.name === "weekly");
  equal((await job()).cron, "0 9 * * 0", "the timetable");
  await page.getByRole("button", { name: "Run now" }).click();
  await page.getByText("accepted").first().waitFor();
  await page.getByRole("link", { name: "Change", exact: true }).click();
  await page.getByLabel("At", { exact: true }).fill("10:15");
  await page.getByLabel("Weekdays").check();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { level: 1, name: "weekly", exact: true }).waitFor();
  equal((await job()).cron, "15 10 * * 1-5", "the changed timetable");
  await page.getByRole("link", { name: "Schedule", exact: true }).click();
  await page.getByRole("switch").first().uncheck();
  await until(async () => !(await job()).enabled, "the task is switched off");
  await page.getByRole("link", { name: "weekly" }).click();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText(/No tasks yet/).waitFor();
  await page.getByRole("link", { name: /every morning/ }).click();
  equal(await page.getByLabel("Name").inputValue(), "morning", "an example fills the form in");
  await page.getByRole("button", { name: "Create and try it now" }).click();
  await page.getByRole("heading", { level: 1, name: "morning" }).waitFor();
  await page.getByText("accepted").first().waitFor();
}

/** What an agent's gateway tells more than the demo's receiver: the answer, its delivery, and the agent's own reminders.
 * The portal's own answers are used, with the members that a gateway fills in. */
async function gateway(person, page, base) {
  const crons = "/api/portal/workspace/crons";
  await api(base, "demo-alice", "POST", crons, { body: { name: "reminder", message: "Tea time", cron: "0 9 * * *" } });
  await api(base, "demo-alice", "POST", `${crons}/reminder/run`);
  await until(async () => (await api(base, "demo-alice", "GET", `${crons}/reminder/runs`)).body.runs[0].status === "delivered", "the run has ended");
  const fill = async (path, change) => {
    const answer = async (route) => {
      const response = await route.fetch();
      const body = await response.json();
      change(body);
      await route.fulfill({ response, json: body });
    };
    await page.route((url) => url.pathname === path, answer);
  };
  const answer = "Tea is ready.\n<img src=x onerror=alert(1)>";
  await fill(`${crons}/reminder/runs`, ({ runs }) => Object.assign(runs[0], { finished: true, sent: "pending", answer, error: "the agent has answered, and the answer is not sent to your chat yet" }));
  await fill(crons, ({ jobs }) => Object.assign(jobs.find((job) => job.name === "reminder"), { read_only: true }));
  await fill(`${crons}/reminder`, (job) => Object.assign(job, { read_only: true }));
  await page.goto("/portal/schedule");
  const row = page.locator("li.task", { hasText: "reminder" });
  await row.getByText("Main's own reminder").waitFor();
  equal(await row.getByRole("switch").count(), 0, "switches of main's own reminder");
  await row.getByRole("link").click();
  await page.getByRole("heading", { level: 1, name: "reminder" }).waitFor();
  await page.getByText("Main's own reminder").waitFor();
  for (const fact of ["Main got it", "Main finished", "Not sent yet"]) await page.getByText(fact, { exact: true }).waitFor();
  // The fact stands once, and the sentence of the run would say it a second time.
  equal(await page.getByText(/is not sent to your chat/).count(), 0, "sentences beside the fact");
  for (const name of ["Run now", "Switch off", "Delete"]) equal(await page.getByRole("button", { name }).count(), 0, `buttons ${name}`);
  equal(await page.getByRole("link", { name: "Change", exact: true }).count(), 0, "links to change it");
  const shown = page.getByText("Tea is ready.");
  equal(await shown.isVisible(), false, "the answer before it is asked for");
  await page.getByText("Show answer").click();
  await shown.waitFor();
  equal(await shown.innerText(), answer, "the answer, as text");
  await person.inspect(page, "reminder");
  // A link to its form leads to the task.
  await page.goto("/portal/schedule/reminder/change");
  await page.getByText("Main's own reminder").waitFor();
  await page.unrouteAll({ behavior: "wait" });
  await api(base, "demo-alice", "DELETE", `${crons}/reminder`);
}

/** What one tab changes the other shows. */
async function twoTabs(person, page) {
  await page.goto("/portal/schedule");
  const other = await person.tab("/portal/schedule/new?name=agreed&message=x");
  await other.getByRole("button", { name: "Create", exact: true }).click();
  await other.getByRole("heading", { level: 1, name: "agreed" }).waitFor();
  const created = Date.now();
  await page.bringToFront();
  await page.getByRole("link", { name: "agreed" }).waitFor({ timeout: 10_000 });
  console.log(`two tabs agree after ${Date.now() - created} ms`);
  await other.close();
}

async function menu(page, name) {
  await page.locator("header summary").click();
  await page.getByRole("link", { name }).click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
}

async function others(page, base) {
  const token = async () => (await api(base, "demo-agent", "POST", "/api/auth/portal-session", { body: { friend_id: "alice" } })).body;
  const code = new URL((await token()).portal_url).hash.match(/fpl_[0-9a-f]+/)[0];
  await api(base, "", "POST", "/api/auth/exchange", { body: { code } });
  await menu(page, "Devices");
  await page.getByText("this device").waitFor();
  await page.getByRole("button", { name: "End all others" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End all others" }).click();
  await until(async () => (await api(base, "demo-alice", "GET", "/api/portal/sessions")).body.sessions.length === 1, "the others are ended");
  await menu(page, "Activity");
  await page.getByText("A message sent").waitFor();
  await page.getByText("An earlier version of Memory restored").waitFor();
  await menu(page, "Settings");
  await page.getByLabel("Your name").fill("Al");
  await page.getByLabel("Time zone").fill("Mars/Olympus");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText(/There is no such time zone/).waitFor();
  await page.getByRole("button", { name: /clock of this device/ }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("#said", { hasText: "Saved." }).waitFor({ state: "attached" });
  equal((await api(base, "demo-alice", "GET", "/api/portal/settings")).body, { time_zone: "Europe/Berlin", display_name: "Al", preferred_channel: "signal" }, "settings");
  await page.getByRole("link", { name: "Friend Portal" }).click();
  await page.locator("header summary", { hasText: "Al" }).click();
  await page.getByRole("link", { name: "Help" }).click();
  await page.getByRole("heading", { level: 1, name: "Help" }).waitFor();
  await page.locator("header summary").click();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("button", { name: "Demo: come in as Alice" }).waitFor();
}
