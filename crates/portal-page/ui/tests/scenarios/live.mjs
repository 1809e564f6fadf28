// What changes elsewhere is shown as the portal's stream of events tells of it, and without a stream as well.
import { between } from "../between.mjs";
import { api, breakDown, equal, fail, settle, until } from "../browser.mjs";

const CRONS = "/api/portal/workspace/crons";
const MEMORY = "/api/portal/workspace/memory";
/** Longer than the page's pause without a stream, and shorter than the one with a stream. */
const SEVERAL_POLLS = 30_000;
/** Half of the time for which a hidden tab keeps its stream, and a little more. */
const HIDDEN = 35_000;
/** Longer than the portal is ever silent. */
const SILENCE = 41_000;

export default async function live({ used, base }) {
  const front = await between(base);
  try {
    await scripted(used, front, base);
    await documents(used, front, base);
    await absent(used, front, base);
    await logins(used, front, base);
    await real(used, base);
  } finally {
    front.close();
  }
}

const create = async (base, name) => equal((await api(base, "demo-alice", "POST", CRONS, { body: { name, message: "x", cron: "0 9 * * *" } })).status, 201, `the task ${name}`);
const stream = (front, number) => until(() => front.streams[number], `stream ${number}`);
const told = (topic, data) => `event: ${topic}\ndata: ${JSON.stringify(data)}\n\n`;

/** The stream is spoken by the test: no polls while it is open, hints in pieces, its end, its silence. */
async function scripted(used, front, base) {
  front.events("script");
  const person = await used.person(front.base);
  const page = await person.tab("/portal/enter");
  await page.clock.install();
  await page.evaluate(() => localStorage.setItem("portal-session", "demo-alice"));
  await page.goto("/portal/schedule");
  const first = await stream(front, 0);
  equal([first.headers.authorization, first.headers["last-event-id"], first.url], ["Bearer demo-alice", undefined, "/api/portal/events"], "the request of the stream");
  await settle(page);
  await page.getByRole("link", { name: "morning news" }).waitFor();
  // It reads once for the view, and once more when the stream begins.
  await until(() => front.count("GET", CRONS) === 2, "the first readings");
  await page.clock.fastForward(SEVERAL_POLLS);
  await create(base, "told");
  for (const piece of [": hello\r\n\r\nid: 7\r\nevent: jo", "b\r\ndata: {\"agent_id\":", '"main",\r\ndata: "id":"x"}\r', "\n\r\n"]) first.write(piece);
  await page.getByRole("link", { name: "told" }).waitFor();
  equal(front.count("GET", CRONS), 3, "readings after one hint and no poll");
  // Hints that come together lead to one reading.
  await create(base, "burst");
  first.write(told("job", { agent_id: "main", id: "x" }).repeat(20));
  await page.getByRole("link", { name: "burst" }).waitFor();
  equal(front.count("GET", CRONS), 4, "readings after twenty hints");

  first.write("retry: 1\n\n");
  first.end();
  const second = await stream(front, 1);
  equal(second.headers["last-event-id"], "7", "the place from which the next stream goes on");
  await create(base, "again");
  second.write(told("reset", {}));
  await page.getByRole("link", { name: "again" }).waitFor();
  await page.clock.fastForward(SILENCE);
  await until(() => !second.isOpen, "a silent stream is given up");
  await page.clock.fastForward(5_000);
  const third = await stream(front, 2);

  // The times that a task ran are read again, too.
  await page.getByRole("link", { name: "told" }).click();
  await page.getByText("It has not run yet.").waitFor();
  equal((await api(base, "demo-alice", "POST", `${CRONS}/told/run`)).status, 202, "the run");
  third.write(told("run", { agent_id: "main", id: "x" }));
  await page.locator("#runs ~ ul li").first().waitFor();

  // Nobody looks: the stream is closed after a while, and goes on where it was once somebody looks again.
  await look(page, "hidden");
  await page.clock.fastForward(HIDDEN);
  // It is not silent meanwhile: it is closed because nobody looks.
  const readings = front.count("GET", CRONS);
  third.write(`id: 9\n${told("job", { agent_id: "main", id: "x" })}`);
  await until(() => front.count("GET", CRONS) > readings, "the hint is followed");
  await page.clock.fastForward(HIDDEN);
  await until(() => third.write(":\n") && !third.isOpen, "the stream of a hidden tab is closed");
  await page.clock.fastForward(SEVERAL_POLLS);
  equal(front.streams.length, 3, "streams of a hidden tab");
  await look(page, "visible");
  equal((await stream(front, 3)).headers["last-event-id"], "9", "the place where a hidden tab goes on");
  await person.close();
}

/** Stands in for a reader who turns to another tab; a browser without windows shows all of them. */
async function look(page, state) {
  await page.evaluate((value) => {
    Object.defineProperty(document, "visibilityState", { value, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);
}

/** A text that is saved elsewhere is shown while nothing is typed; else both are compared when the writer wants to. */
async function documents(used, front, base) {
  front.events("script");
  const person = await used.person(front.base);
  const before = front.streams.length;
  const page = await person.tab("/portal/memory", "demo-alice");
  const said = await stream(front, before);
  equal(said.url, "/api/portal/events?watch=memory", "the stream of this view");
  await settle(page);
  const text = page.getByRole("textbox");
  const save = async (content) => equal((await api(base, "demo-alice", "PUT", MEMORY, { body: { content } })).status, 200, "a save elsewhere");
  await save("Saved elsewhere\n");
  said.write(told("document", { agent_id: "main", name: "memory" }));
  await until(async () => (await text.inputValue()) === "Saved elsewhere\n", "the text of elsewhere");
  await text.fill("Typed here\n");
  await save("Saved elsewhere again\n");
  said.write(told("document", { agent_id: "main", name: "memory" }));
  await page.getByText(/while you wrote/).waitFor();
  equal(await text.inputValue(), "Typed here\n", "what was typed");
  await page.getByRole("button", { name: "See both" }).click();
  await page.locator("#theirs ~ pre", { hasText: "Saved elsewhere again" }).waitFor();
  await page.getByRole("button", { name: "Keep both" }).click();
  await until(async () => (await api(base, "demo-alice", "GET", MEMORY)).body.content === "Saved elsewhere again\n\nTyped here\n", "both texts");
  await files(page, base);
  await person.close();
}

/** A file is added to the draft; one that is no text is refused. */
async function files(page, base) {
  const choose = (name, buffer) => page.locator('input[type="file"]').setInputFiles({ name, mimeType: "text/plain", buffer });
  await page.getByRole("textbox").fill("Typed\n");
  await choose("about me.md", Buffer.from("From a file\n"));
  await until(async () => (await page.getByRole("textbox").inputValue()) === "Typed\n\nFrom a file\n", "the draft with the file");
  if ((await api(base, "demo-alice", "GET", MEMORY)).body.content.includes("From a file")) fail("a file is saved before anybody says so");
  await choose("photo.txt", Buffer.from([0xff, 0xd8, 0xff, 0xe0]));
  await page.getByText(/photo.txt is no plain text/).waitFor();
  await choose("long.txt", Buffer.alloc(300 * 1024, "x"));
  await page.getByText(/long.txt is longer than 256 KiB/).waitFor();
  equal(await page.getByRole("textbox").inputValue(), "Typed\n\nFrom a file\n", "the draft after two refusals");
  // A file may be dropped on the text as well.
  await page.getByRole("textbox").evaluate((text) => {
    const dropped = new DataTransfer();
    dropped.items.add(new File(["Dropped\n"], "dropped.md", { type: "text/markdown" }));
    text.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
  });
  await until(async () => (await page.getByRole("textbox").inputValue()) === "Typed\n\nFrom a file\n\nDropped\n", "the draft with the dropped file");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download", exact: true }).click()]);
  equal(download.suggestedFilename(), "MEMORY.md", "the downloaded file");
}

/** Without a stream, and while it is refused, the page polls. */
async function absent(used, front, base) {
  for (const status of [404, 501, 503]) {
    front.events(status);
    const person = await used.person(front.base);
    person.expected.add(String(status));
    const page = await person.tab("/portal/schedule", "demo-alice");
    await settle(page);
    await create(base, `polled ${status}`);
    await page.getByRole("link", { name: `polled ${status}` }).waitFor();
    await person.close();
  }
}

/** Another login in another tab takes this tab along: no view ever mixes two friends. */
async function logins(used, front, base) {
  front.events("script");
  const person = await used.person(front.base);
  person.expected.add("401");
  const page = await person.tab("/portal/memory", "demo-alice");
  await page.getByRole("textbox").fill("Alice's draft\n");
  const other = await person.tab("/portal/help");
  await other.evaluate(() => localStorage.setItem("portal-session", "demo-bob"));
  await page.locator("header summary", { hasText: "Bob" }).waitFor();
  await until(async () => (await page.getByRole("textbox").count()) === 1 && !/Alice/.test(await page.getByRole("textbox").inputValue()), "bob's own text");
  await other.evaluate(() => localStorage.removeItem("portal-session"));
  await page.getByText(/You were logged out/).waitFor();
  await other.close();
  // The stream tells that this session has ended: what is asked next finds it so.
  const before = front.streams.length;
  const { body } = await api(base, "demo-agent", "POST", "/api/auth/portal-session", { body: { friend_id: "alice" } });
  const code = new URL(body.portal_url).hash.match(/fpl_[0-9a-f]+/)[0];
  const session = (await api(base, "", "POST", "/api/auth/exchange", { body: { code } })).body.session_token;
  await page.evaluate((token) => localStorage.setItem("portal-session", token), session);
  await page.goto("/portal/help");
  const said = await stream(front, before);
  await settle(page);
  const { session_id: id } = (await api(base, session, "GET", "/api/auth/me")).body;
  equal((await api(base, "demo-alice", "DELETE", `/api/portal/sessions/${id}`)).status, 200, "the end of the session");
  // The portal may believe a session for a second after its end.
  await until(async () => (await api(base, session, "GET", "/api/auth/me")).status === 401, "the session is over");
  said.write(told("session-ended", { id }));
  await page.getByText(/You were logged out/).waitFor();
  await person.close();
}

/** The portal's own stream: a change in one tab reaches the other. */
async function real(used, base) {
  const person = await used.person(base);
  const page = await person.tab("/portal/schedule", "demo-alice");
  await settle(page);
  const created = Date.now();
  await create(base, "agreed");
  await page.getByRole("link", { name: "agreed" }).waitFor({ timeout: 10_000 });
  console.log(`a change of elsewhere is shown after ${Date.now() - created} ms`);
  // Nothing is lost while the stream is refused meanwhile.
  const mend = await breakDown(page, "/api/portal/events", { retryAfter: "1" });
  person.expected.add("503");
  await page.reload();
  await create(base, "agreed again");
  await page.getByRole("link", { name: "agreed again" }).waitFor({ timeout: 10_000 });
  await mend();
  await person.close();
}
