// Whole tasks by keyboard alone: nothing is clicked.
import { api, equal, settle, until } from "../browser.mjs";

export default async function keyboard({ used, base }) {
  const person = await used.person(base);
  const page = await person.tab("/portal/enter");
  await settle(page);
  await tabTo(page, "Demo: come in as Alice");
  await page.keyboard.press("Enter");

  // 1. Publish an app.
  await page.waitForSelector("portal-home h1");
  await tabTo(page, "Apps");
  await page.keyboard.press("Enter");
  await page.waitForSelector("portal-apps .cards");
  await tabTo(page, /^shop/);
  await page.keyboard.press("Enter");
  await tabTo(page, "Publish");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#name");
  await tabTo(page, "", "name");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("market");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "market-alice.your-domain.net" }).first().waitFor();

  // 2. Take it offline.
  await tabTo(page, "Take offline");
  await page.keyboard.press("Enter");
  await page.waitForSelector("dialog[open]");
  await page.keyboard.press("Enter");
  await until(async () => (await api(base, "demo-alice", "GET", "/api/portal/namespace/expose")).body.exposures.every((one) => one.name === "letters"), "the address is taken offline");

  // 3. Tell main something.
  await tabTo(page, "Memory");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#text");
  await tabTo(page, "", "text");
  await page.keyboard.press("Control+End");
  await page.keyboard.type("\nBy keyboard.");
  await tabTo(page, "Save");
  await page.keyboard.press("Enter");
  await until(async () => (await api(base, "demo-alice", "GET", "/api/portal/workspace/memory")).body.content.endsWith("By keyboard."), "the text is saved");

  // 4. Plan a task.
  await tabTo(page, "Schedule");
  await page.keyboard.press("Enter");
  await page.waitForSelector("portal-schedule h1");
  await tabTo(page, "New task");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#name");
  await tabTo(page, "", "name");
  await page.keyboard.type("by keyboard");
  await page.keyboard.press("Tab");
  await page.keyboard.type("Say hello");
  await tabTo(page, "Create");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "by keyboard", level: 1 }).waitFor();

  // 5. Run it now.
  await tabTo(page, "Run now");
  await page.keyboard.press("Enter");
  await until(async () => (await api(base, "demo-alice", "GET", "/api/portal/workspace/crons/by%20keyboard/runs")).body.runs.length === 1, "the task ran");

  // Every view begins with its heading, for who does not see that the view has changed.
  await tabTo(page, "Home");
  await page.keyboard.press("Enter");
  await page.waitForSelector("portal-home h1");
  equal(await page.evaluate(() => document.activeElement?.tagName), "H1", "focus after a change of views");
  await person.close();
}

/** Presses Tab until the element of that name, or of that id, has the focus and shows it. */
async function tabTo(page, name, id = "") {
  for (let presses = 0; presses < 120; presses++) {
    await page.keyboard.press("Tab");
    const found = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return null;
      const isShown = getComputedStyle(element).outlineStyle !== "none";
      return { name: (element.getAttribute("aria-label") ?? element.textContent ?? "").trim().replace(/\s+/g, " "), id: element.id, isShown };
    });
    if (!found) continue;
    const isIt = id ? found.id === id : name instanceof RegExp ? name.test(found.name) : found.name === name;
    if (isIt) return equal(found.isShown, true, `the focus on ${name || id} can be seen`);
  }
  throw new Error(`Tab never reaches ${name || id}`);
}
