// Every view with what the demo shows, in both themes, at the width of a phone and of a desk, in both languages.
import { api } from "../browser.mjs";

const VIEWS = {
  home: "/",
  apps: "/portal/apps",
  app: "/portal/apps/my-app",
  broken: "/portal/apps/mailer",
  waiting: "/portal/apps/gallery",
  publish: "/portal/apps/shop/publish",
  memory: "/portal/memory",
  notes: "/portal/memory/notes",
  heartbeat: "/portal/memory/heartbeat",
  schedule: "/portal/schedule",
  task: "/portal/schedule/daily-check",
  missed: "/portal/schedule/morning%20news",
  "new-task": "/portal/schedule/new",
  activity: "/portal/activity",
  devices: "/portal/devices",
  settings: "/portal/settings",
  help: "/portal/help",
  nothing: "/portal/nothing-of-that-name",
};

export default async function views({ used, base }) {
  await fill(base);
  for (const [theme, width, language] of [["light", 360, "en-GB"], ["dark", 1280, "de-DE"], ["dark", 360, "de-DE"], ["light", 1280, "en-GB"]]) {
    const person = await used.person(base, { theme, width, height: width === 360 ? 740 : 900, language });
    const page = await person.tab("/portal/enter");
    await person.inspect(page, "enter");
    await page.getByRole("button", { name: /alice/i }).click();
    for (const [name, path] of Object.entries(VIEWS)) {
      await page.goto(path);
      await person.inspect(page, name);
    }
    await person.close();
  }
  await few(used, base);
  await many(used, base);
}

/** A friend who has almost nothing. */
async function few(used, base) {
  const person = await used.person(base, { width: 360, height: 740 });
  const page = await person.tab("/", "demo-bob");
  for (const [name, path] of Object.entries({ home: "/", apps: "/portal/apps", memory: "/portal/memory", notes: "/portal/memory/notes", schedule: "/portal/schedule", activity: "/portal/activity" })) {
    await page.goto(path);
    await person.inspect(page, `few-${name}`);
  }
  await person.close();
}

/** As many tasks as one may have, with names as long as they may be. */
async function many(used, base) {
  for (let number = 0; number < 60; number++) {
    const name = `${number} ${"n".repeat(61 - String(number).length)}`;
    const { status } = await api(base, "demo-alice", "POST", "/api/portal/workspace/crons", { body: { name, message: "x", cron: "0 9 * * *" } });
    if (status === 409) break;
  }
  for (const width of [360, 1280]) {
    const person = await used.person(base, { theme: "dark", width, language: "de-DE" });
    const page = await person.tab("/portal/schedule", "demo-alice");
    await page.getByRole("switch").nth(40).waitFor();
    await person.inspect(page, "many-schedule");
    await page.goto("/");
    await person.inspect(page, "many-home");
    await person.close();
  }
}

/** Something for every view to show. */
async function fill(base) {
  const alice = (method, path, body) => api(base, "demo-alice", method, `/api/portal${path}`, { body });
  await alice("POST", "/namespace/expose", { name: "my-app", service: "my-app", domain: "your-domain.net" });
  for (const job of [
    { name: "daily-check", message: "Check my portfolio", cron: "0 9 * * *", tz: "Europe/Berlin" },
    { name: "a task with a name that is as long as names may become by the rules", message: `${"long ".repeat(200)}`, cron: "*/7 8-18 * * 1-5", tz: "America/New_York" },
  ]) await alice("POST", "/workspace/crons", { ...job, name: job.name.slice(0, 64).trim() });
  await alice("PUT", "/workspace/memory", { content: "# Me\n\nCall me Al.\n" });
}
