// A real browser on the page, and everything that it complains about.
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

/** Debian's place, and those of other systems. */
const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** A busy machine with two cores needs several seconds for what takes half of one elsewhere. */
const PATIENCE = 30_000;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.PAGE_SHOTS ?? "";

export function fail(sentence) {
  throw new Error(sentence);
}

export function equal(actual, expected, what) {
  const [a, b] = [actual, expected].map((value) => JSON.stringify(value));
  if (a !== b) fail(`${what}: ${a} instead of ${b}`);
}

/** Waits until `test` returns something true, and returns it. */
export async function until(test, what, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const value = await test();
    if (value) return value;
    if (Date.now() > end) fail(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Starts the browser. */
export async function browser() {
  const executablePath = process.env.TEST_BROWSER ?? PROGRAMS.find((program) => existsSync(program)) ?? fail("no chromium");
  const started = await chromium.launch({ executablePath, args: FLAGS });
  return {
    close: () => started.close(),
    /** A person with a device of their own: storage, theme, width and language. */
    async person(base, { theme = "light", width = 1280, height = 800, language = "en-GB", zone = "Europe/Berlin" } = {}) {
      const context = await started.newContext({
        baseURL: base,
        colorScheme: theme,
        viewport: { width, height },
        locale: language,
        timezoneId: zone,
        reducedMotion: "reduce",
        permissions: ["clipboard-read", "clipboard-write"],
      });
      context.setDefaultTimeout(PATIENCE);
      return new Person(context, base, `${theme}-${width}-${language.slice(0, 2)}`);
    },
  };
}

/** A tab, and the complaints that no test asked for. */
class Person {
  complaints = [];
  /** Statuses of failures that the test brings about; the browser logs each of them. */
  expected = new Set();

  constructor(context, base, label) {
    this.context = context;
    this.base = base;
    this.label = label;
  }

  /** Opens a tab at `path`, logged in with `token` if there is one. */
  async tab(path, token = null) {
    if (token) {
      await this.context.addInitScript((value) => {
        if (!sessionStorage.getItem("tried")) localStorage.setItem("portal-session", value);
        sessionStorage.setItem("tried", "yes");
      }, token);
    }
    const page = await this.context.newPage();
    await page.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI}`));
    });
    page.on("console", (message) => {
      if (message.type() !== "error" && message.type() !== "warning") return;
      const status = /status of (\d+)/.exec(message.text())?.[1] ?? (/net::ERR_/.test(message.text()) ? "offline" : "");
      // A friend has four streams of events, and the portal notices a closed tab some seconds later. The page polls then.
      if (["429", "503"].includes(status) && message.location().url.includes("/api/portal/events")) return;
      if (!this.expected.has(status)) this.complaints.push(`${message.text()} (${message.location().url})`);
    });
    page.on("pageerror", (error) => this.complaints.push(`uncaught: ${error.stack}`));
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(`${this.base}/`) && !url.startsWith("data:") && !url.startsWith("blob:")) this.complaints.push(`unexpected request: ${url}`);
    });
    await page.goto(path);
    return page;
  }

  /** Fails if anything was complained about. */
  content() {
    if (this.complaints.length > 0) fail(`${this.label}:\n  ${this.complaints.join("\n  ")}`);
  }

  async close() {
    this.content();
    await this.context.close();
  }

  /** Runs axe on what is shown, and refuses what does not fit into the width. */
  async inspect(page, name) {
    await settle(page);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (overflow > 0) fail(`${name} (${this.label}): ${overflow} px wider than the window`);
    const small = await page.evaluate(smallTargets);
    if (small.length > 0) fail(`${name} (${this.label}): targets below 44 px: ${small.join(", ")}`);
    // Playwright evaluates outside the page's content security policy.
    await page.evaluate(axe);
    const found = await page.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ["violations"] })).violations);
    const serious = found.filter((one) => ["serious", "critical"].includes(one.impact));
    const told = serious.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).join(" | ")}`);
    if (told.length > 0) fail(`${name} (${this.label}):\n  ${told.join("\n  ")}`);
    if (shots) {
      await mkdir(shots, { recursive: true });
      await page.screenshot({ path: join(shots, `${name}-${this.label}.png`), fullPage: true });
    }
  }
}

/** Buttons and inputs that a thumb would miss; links within a text are exempt. */
function smallTargets() {
  const inline = (element) => getComputedStyle(element).display === "inline";
  return [...document.querySelectorAll("a, button, input, select, textarea, summary")]
    .filter((element) => element.checkVisibility() && !inline(element) && !element.closest(".skip"))
    .map((element) => ({ element, box: (element.closest("label") ?? element).getBoundingClientRect() }))
    .filter(({ box }) => box.width > 1 && box.height < 43.5)
    .map(({ element, box }) => `${element.outerHTML.slice(0, 80)} (${Math.round(box.height)})`);
}

/** Waits until a heading is shown and nothing says that it still loads. */
export async function settle(page) {
  await page.waitForFunction(() => document.querySelector("h1") && ![...document.querySelectorAll("[data-loading]")].some((element) => element.checkVisibility()));
}

/** Answers requests to `path` as a portal whose backend is down would, until the returned function is called. */
export async function breakDown(page, path, { status = 503, code = "backend-unavailable", error = "The service is not reachable; nothing was changed.", retryAfter = "1", method = null } = {}) {
  const matches = (url) => url.pathname === path || (path.endsWith("*") && url.pathname.startsWith(path.slice(0, -1)));
  const answer = (route) => {
    if (method && route.request().method() !== method) return route.fallback();
    const problem = { type: `urn:friend-portal:problem:${code}`, title: code, status, detail: error, error, code, request_id: "test-request", errors: [] };
    return route.fulfill({ status, contentType: "application/problem+json", headers: { "Retry-After": retryAfter }, body: JSON.stringify(problem) });
  };
  await page.route(matches, answer);
  return () => page.unroute(matches, answer);
}

/** Asks the portal without the browser. */
export async function api(base, token, method, path, { body, headers = {} } = {}) {
  const json = body === undefined ? {} : { "Content-Type": "application/json" };
  const response = await fetch(`${base}${path}`, { method, headers: { Authorization: `Bearer ${token}`, ...json, ...headers }, body: body === undefined ? undefined : JSON.stringify(body) });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** A folder for downloads that ends with the run. */
export async function scratch() {
  const folder = join(tmpdir(), `portal-page-${process.pid}`);
  await mkdir(folder, { recursive: true });
  process.on("exit", () => void rm(folder, { recursive: true, force: true }));
  return folder;
}
