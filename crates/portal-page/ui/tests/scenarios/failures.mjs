// What happens when something behind the page fails: nothing is lost, nothing is shown that is not known, and the place
// that failed says what to do.
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { api, breakDown, equal, fail, settle, until } from "../browser.mjs";

export default async function failures({ used, base, data }) {
  const person = await used.person(base);
  for (const status of ["503", "412", "428", "429", "401", "offline"]) person.expected.add(status);
  const page = await person.tab("/", "demo-alice");
  await settle(page);
  await unreachable(page);
  await unread(page, data);
  await lost(page, base);
  await refused(page, base);
  await offline(person, page, base);
  await slowDown(page, base);
  await typedMeanwhile(page);
  await revoked(page, base);
  await person.close();
}

/** The cluster is down: what was seen stays, grey and dated; nothing says zero. */
async function unreachable(page) {
  await page.getByText(/mailer stops right after starting/).waitFor();
  const mend = await breakDown(page, "/api/portal/namespace", { code: "cluster-unavailable", error: "The cluster cannot be asked; nothing was changed.", retryAfter: "3" });
  await page.getByRole("heading", { level: 1, name: /can't be reached right now/ }).waitFor();
  await page.getByText(/^As of \d\d:\d\d/).first().waitFor();
  await page.getByText(/mailer stops right after starting/).waitFor();
  await page.getByText("test-request").first().waitFor();
  await page.getByRole("button", { name: /Try again in \d+ s/ }).waitFor();
  await page.goto("/portal/apps");
  await page.getByText("Your space can't be reached right now; nothing was changed.").waitFor();
  if (await page.getByText(/Nothing runs/).count()) fail("an outage is shown as an empty space");
  await mend();
  await page.getByRole("button", { name: "Try again", exact: true }).click();
  await page.getByRole("link", { name: /^my-app/ }).waitFor();
  const tasks = await breakDown(page, "/api/portal/workspace/crons");
  await page.goto("/portal/schedule");
  await page.getByText("The service is not reachable; nothing was changed.").waitFor();
  if (await page.getByText(/No tasks yet/).count()) fail("an outage is shown as an empty schedule");
  await tasks();
}

/** The agent's folder is away: no editor is shown, and a draft can be taken away. */
async function unread(page, data) {
  await page.goto("/portal/memory");
  await page.getByRole("textbox").fill("A draft from before the outage\n");
  const folder = join(data, "agents", "main");
  await rename(folder, `${folder}.away`);
  await page.reload();
  await page.getByRole("alert").first().waitFor();
  equal(await page.getByRole("textbox").count(), 0, "editors over a text that could not be read");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: /Download the draft/ }).click()]);
  equal(download.suggestedFilename(), "MEMORY.md", "the draft's file");
  await rename(`${folder}.away`, folder);
  await page.getByRole("button", { name: /Try again/ }).click();
  await until(async () => (await page.getByRole("textbox").count()) === 1, "the editor comes back");
  equal(await page.getByRole("textbox").inputValue(), "A draft from before the outage\n", "the draft after the outage");
}

/** A save arrives and its answer does not: saving again finds it done, without a conflict with oneself. */
async function lost(page, base) {
  const memory = "**/api/portal/workspace/memory";
  await page.route(memory, async (route) => {
    if (route.request().method() !== "PUT") return route.fallback();
    await route.fetch();
    await route.abort("connectionreset");
  });
  await page.getByRole("textbox").fill("Saved with a lost answer\n");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText(/can't be reached right now/).waitFor();
  equal((await api(base, "demo-alice", "GET", "/api/portal/workspace/memory")).body.content, "Saved with a lost answer\n", "the stored text");
  await page.unroute(memory);
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("#said", { hasText: "Saved." }).waitFor({ state: "attached" });
  equal(await page.getByText(/while you wrote/).count(), 0, "conflicts with oneself");
}

/** 412 shows both texts; theirs is taken without a trace of mine in the file. */
async function refused(page, base) {
  await page.getByRole("textbox").fill("Mine\n");
  await api(base, "demo-alice", "PUT", "/api/portal/workspace/memory", { body: { content: "Theirs\n" } });
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText(/while you wrote/).waitFor();
  await page.getByRole("button", { name: "Theirs" }).click();
  await until(async () => (await page.getByRole("textbox").count()) === 1, "the editor comes back");
  equal(await page.getByRole("textbox").inputValue(), "Theirs\n", "the text that was taken");
  equal((await api(base, "demo-alice", "GET", "/api/portal/workspace/memory")).body.content, "Theirs\n", "the stored text");
  // Bob was the last to write what all share: the tag that alice read is asked for, and sent.
  await page.goto("/portal/memory/heartbeat");
  await settle(page);
  await api(base, "demo-bob", "PUT", "/api/portal/workspace/heartbeat", { body: { content: "Bob's\n" } });
  await page.getByRole("textbox").fill("Alice's\n");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText(/while you wrote/).waitFor();
  await page.getByRole("button", { name: "Mine" }).click();
  await until(async () => (await api(base, "demo-alice", "GET", "/api/portal/workspace/heartbeat")).body.content === "Alice's\n", "mine is stored");
}

/** Without a network the page says so, and what was typed stays. */
async function offline(person, page, base) {
  await page.goto("/portal/memory");
  await settle(page);
  await person.context.setOffline(true);
  await page.getByRole("textbox").fill("Written on a train\n");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText(/Check your connection/).first().waitFor();
  await person.context.setOffline(false);
  await page.getByRole("button", { name: "Save" }).click();
  await until(async () => (await api(base, "demo-alice", "GET", "/api/portal/workspace/memory")).body.content === "Written on a train\n", "saved after the train");
}

/** 429: the button counts down, and works when it is done. */
async function slowDown(page, base) {
  const mend = await breakDown(page, "/api/portal/workspace/memory", { status: 429, code: "rate-limited", error: "Too many requests; wait a moment.", retryAfter: "2", method: "PUT" });
  await page.getByRole("textbox").fill("Too fast\n");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText(/That was too much in a short time/).waitFor();
  await page.getByRole("button", { name: /Try again in \d s/ }).waitFor();
  await mend();
  await page.getByRole("button", { name: "Try again", exact: true }).click();
  await until(async () => (await api(base, "demo-alice", "GET", "/api/portal/workspace/memory")).body.content === "Too fast\n", "saved after the wait");
}

/** What is typed while a save is under way is not replaced by what was saved. */
async function typedMeanwhile(page) {
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  await page.route("**/api/portal/workspace/memory", async (route) => {
    if (route.request().method() === "PUT") await held;
    await route.fallback();
  });
  await page.getByRole("textbox").fill("First\n");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("textbox").fill("First\nSecond\n");
  letGo();
  await page.locator("#said", { hasText: "Saved." }).waitFor({ state: "attached" });
  await page.unroute("**/api/portal/workspace/memory");
  equal(await page.getByRole("textbox").inputValue(), "First\nSecond\n", "the text typed during a save");
  await page.reload();
  await settle(page);
  equal(await page.getByRole("textbox").inputValue(), "First\nSecond\n", "the draft typed during a save");
}

/** A session that was ended elsewhere leads to the way back in; a draft is still there afterwards. */
async function revoked(page, base) {
  await page.getByRole("textbox").fill("A draft of a session that ended\n");
  await api(base, "demo-alice", "DELETE", "/api/portal/sessions/current");
  await page.getByText(/You were logged out/).waitFor();
  equal(await page.evaluate(() => localStorage.getItem("portal-session")), null, "the token of an ended session");
  const { body } = await api(base, "demo-agent", "POST", "/api/auth/portal-session", { body: { friend_id: "alice", open: "/portal/memory" } });
  await page.getByLabel(/Paste the link/).fill(body.portal_url);
  await page.getByRole("button", { name: "Use this link" }).click();
  await page.getByRole("button", { name: "Open my portal" }).click();
  await until(async () => (await page.getByRole("textbox").count()) === 1 && (await page.getByRole("textbox").inputValue()) === "A draft of a session that ended\n", "the draft after a new login");
}
