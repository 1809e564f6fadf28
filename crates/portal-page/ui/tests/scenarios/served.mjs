// The page before a configured portal, whose backends fail one after the other: nothing is lost, nothing is shown that is
// not known, the place that failed says what to do, and everything comes back by itself.
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { api, equal, fail, settle, until } from "../browser.mjs";
import { crash, given, served } from "../served.mjs";

const MEMORY = "/api/portal/workspace/memory";

export default async function scenario({ used, data }) {
  const facts = given();
  const portal = await served(data, facts);
  const person = await used.person(portal.base);
  for (const status of ["503", "412", "428", "429", "401", "offline"]) person.expected.add(status);
  try {
    const page = await person.tab("/", facts.tokens.alice);
    const all = { page, person, portal, base: portal.base, token: facts.tokens.alice, data };
    await page.getByRole("heading", { level: 1, name: "Everything runs." }).waitFor();
    await inTheCluster(all);
    // What the portal knows of its cluster is shown until it is too old to be true, which takes 20 seconds.
    portal.cluster.down();
    const downSince = Date.now();
    await workspace(all);
    await lost(all);
    await preconditions(all);
    await database(all);
    await clusterDown(all, downSince);
    await zone(all);
    await deliveries(all);
    await offline(all);
    await limited(all);
    await revoked(all);
    await person.close();
  } finally {
    await portal.close();
  }
}

/** What happens in the cluster is shown while it is looked at. */
async function inTheCluster({ page, portal }) {
  portal.kubernetes.change("Pod", "site-1", crash);
  portal.kubernetes.change("Deployment", "site", (object) => ({ ...object, status: { replicas: 1, readyReplicas: 0 } }));
  await page.getByText(/site stops right after starting \(12 times/).waitFor();
  await page.getByText(/It ended with exit code 1/).waitFor();
}

/** The agent's folder is away: no editor, a draft to take away, and the other views go on. */
async function workspace({ page, data }) {
  await page.goto("/portal/memory");
  await settle(page);
  await page.getByRole("textbox").fill("A draft from before the outage\n");
  const folder = join(data, "main");
  await rename(folder, `${folder}.away`);
  await page.reload();
  await page.getByText("The agent's files can't be reached right now; nothing was changed.").first().waitFor();
  equal(await page.getByRole("textbox").count(), 0, "editors over a text that could not be read");
  await page.getByRole("button", { name: /Download the draft/ }).waitFor();
  await page.goto("/portal/schedule");
  await page.getByText(/No tasks yet/).waitFor();
  await page.goto("/portal/memory");
  await page.getByRole("alert").first().waitFor();
  await rename(`${folder}.away`, folder);
  await page.getByRole("button", { name: "Try again", exact: true }).click();
  await page.getByRole("textbox").waitFor();
  equal(await page.getByRole("textbox").inputValue(), "A draft from before the outage\n", "the draft after the outage");
}

async function save(page) {
  await page.getByRole("button", { name: "Save", exact: true }).click();
}

const stored = async ({ base, token }) => (await api(base, token, "GET", MEMORY)).body.content;

/** The portal saves, and its answer is lost: saving again finds it done, without a conflict with oneself. */
async function lost({ page, portal, base, token }) {
  const mend = portal.front.lose("PUT", MEMORY);
  await page.getByRole("textbox").fill("Saved with a lost answer\n");
  await save(page);
  await page.getByText(/can't be reached right now/).first().waitFor();
  equal(await stored({ base, token }), "Saved with a lost answer\n", "the stored text");
  mend();
  await save(page);
  await page.locator("#said", { hasText: "Saved." }).waitFor({ state: "attached" });
  equal(await page.getByText(/while you wrote/).count(), 0, "conflicts with oneself");
}

/** Another writer came first (412), or a proxy swallowed the condition (428): both texts are shown. */
async function preconditions({ page, portal, base, token }) {
  await page.getByRole("textbox").fill("Mine\n");
  const { headers } = await api(base, token, "GET", MEMORY);
  const theirs = await api(base, token, "PUT", MEMORY, { body: { content: "Theirs\n" }, headers: { "If-Match": headers.get("etag") } });
  equal(theirs.status, 200, "the other writer");
  await save(page);
  await page.getByRole("alert").getByText(/while you wrote/).waitFor();
  await page.getByRole("button", { name: "Keep both" }).click();
  await until(async () => (await stored({ base, token })) === "Theirs\n\nMine\n", "both texts are stored");
  await page.getByRole("textbox").fill("Without a condition\n");
  const mend = portal.front.strip("PUT", MEMORY, "if-match", "if-none-match");
  await save(page);
  await page.getByRole("alert").getByText(/while you wrote/).waitFor();
  mend();
  await page.getByRole("button", { name: "Mine" }).click();
  await until(async () => (await stored({ base, token })) === "Without a condition\n", "mine is stored");
}

/** Too many writes: the page says how long to wait, and saves then. */
async function limited({ page, base, token }) {
  const isLimited = async () => (await api(base, token, "POST", "/api/portal/workspace/crons/preview", { body: { every: "1d", count: 1 } })).status === 429;
  const sentence = page.getByText(/That was too much in a short time/);
  let text = "";
  // A write is allowed again every second, so a save may slip through.
  for (let attempt = 1; (await sentence.count()) === 0; attempt++) {
    text = `Written in a hurry ${attempt}\n`;
    await page.getByRole("textbox").fill(text);
    await until(isLimited, "the limit is reached");
    await save(page);
    await until(async () => (await sentence.count()) > 0 || (await stored({ base, token })) === text, "the save is answered");
  }
  await page.getByRole("button", { name: "Try again", exact: true }).click();
  await until(async () => (await stored({ base, token })) === text, "saved after the wait");
}

/** The database is away: nobody is logged out, what is known stays, and the page comes back by itself. */
async function database({ page, portal }) {
  await page.goto("/portal/schedule/new?name=kept&message=hello&when=every&every=3");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "kept" }).waitFor();
  await page.getByRole("link", { name: "Schedule", exact: true }).click();
  await page.getByRole("link", { name: "kept" }).waitFor();
  portal.database.down();
  await page.getByText("The portal's database can't be reached right now; nothing was changed.").first().waitFor();
  await page.getByText(/^As of \d\d:\d\d/).first().waitFor();
  await page.getByRole("link", { name: "kept" }).waitFor();
  equal(await page.getByRole("switch").first().isDisabled(), true, "a switch that cannot be used");
  equal(await page.getByText(/No tasks yet/).count(), 0, "outages shown as an empty schedule");
  if (!(await page.evaluate(() => localStorage.getItem("portal-session")))) fail("an outage of the database logs the friend out");
  portal.database.up();
  await until(async () => !(await page.getByRole("switch").first().isDisabled()), "the schedule comes back by itself");
}

/** The cluster is away for longer than its word is good: what was seen stays, grey and dated. */
async function clusterDown({ page, portal }, downSince) {
  await page.goto("/");
  await page.getByRole("heading", { level: 1, name: /can't be reached right now/ }).waitFor({ timeout: 60_000 });
  console.log(`the page says that the cluster is away after ${((Date.now() - downSince) / 1000).toFixed(1)} s`);
  equal(await page.getByText(/Nothing runs|Everything runs/).count(), 0, "an outage shown as a state");
  // The other blocks go on.
  await page.getByRole("link", { name: "kept" }).waitFor();
  portal.cluster.up();
  await page.getByText(/site stops right after starting/).waitFor();
}

/** The zone's provider is away: the address is promised, the reason is said, and it is there once the provider is back. */
async function zone({ page, portal, base, token }) {
  portal.zone.down();
  await page.goto("/portal/apps/site/publish?name=photos");
  await page.getByText("This name is free.").waitFor();
  await page.getByRole("button", { name: "Publish" }).click();
  await page.getByText(/The name can't be set up right now, because its provider does not answer|The provider of the names can't be reached/).first().waitFor();
  portal.zone.up();
  const exposure = async () => (await api(base, token, "GET", "/api/portal/namespace/expose")).body.exposures[0];
  if (!(await exposure())) {
    await page.getByRole("button", { name: "Publish" }).click();
    await page.getByRole("link", { name: "photos-alice.example.org" }).first().waitFor();
  }
  await page.locator(".card p", { hasText: /^Published$/ }).waitFor({ timeout: 60_000 });
  equal((await exposure()).status, "active", "the address after the outage");
}

/** Nobody takes the message: the task says so, and is tried again. */
async function deliveries({ page, portal }) {
  portal.deliveries.down();
  await page.goto("/portal/schedule/kept");
  await page.getByRole("button", { name: "Run now" }).click();
  await page.getByText("will be tried again").first().waitFor();
  portal.deliveries.up();
  await page.getByText("accepted").first().waitFor();
}

/** Without a network the page says so, and what was typed stays. */
async function offline({ person, page, base, token, data }) {
  await page.goto("/portal/memory");
  await settle(page);
  await person.context.setOffline(true);
  await page.getByRole("textbox").fill("Written on a train\n");
  await save(page);
  await page.getByText(/Check your connection/).first().waitFor();
  await person.context.setOffline(false);
  await save(page);
  await until(async () => (await stored({ base, token })) === "Written on a train\n", "saved after the train");
  // What the agent writes past the portal is shown while nothing is typed.
  await writeFile(join(data, "main", "friends", "alice", "MEMORY.md"), "Written by main\n");
  await until(async () => (await page.getByRole("textbox").inputValue()) === "Written by main\n", "the agent's text");
}

/** A session that was ended elsewhere leads to the way back in; a draft stays. */
async function revoked({ page, base, token }) {
  await page.getByRole("textbox").fill("A draft of a session that ended\n");
  await until(async () => (await api(base, token, "DELETE", "/api/portal/sessions/current")).status === 200, "the session is ended");
  await page.getByText(/You were logged out/).waitFor();
  equal(await page.evaluate(() => localStorage.getItem("portal-session")), null, "the token of an ended session");
  equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("portal-draft:")).length), 1, "drafts of a session that ended");
}
