// What the page knows, read from the API: one place that asks, remembers and tells who shows it.
import { client, take, type Answer, type Failure, type Schemas } from "./api";

/** A part of the page's knowledge: the last good answer, and why the newest one is missing. */
export type Known<T> = { value: T | null; at: number; etag: string | null; failure: Failure | null; busy: boolean };

/** Nothing changes every second; main's own changes are seen within two of these. */
const POLL = 4_000;
const listeners = new Set<() => void>();
let agent: string | undefined;

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function changed() {
  for (const listener of listeners) listener();
}

export class Source<T> {
  known: Known<T> = { value: null, at: 0, etag: null, failure: null, busy: false };
  private round = 0;

  constructor(private readonly read: (etag: string | null) => Promise<Answer<T> | null>) {}

  /** Asks now. An older answer never replaces a newer one. */
  async refresh(): Promise<void> {
    const round = ++this.round;
    this.known = { ...this.known, busy: true };
    changed();
    try {
      const answer = await this.read(this.known.etag);
      if (round !== this.round) return;
      const value = answer ? answer.data : this.known.value;
      const etag = answer ? answer.etag : this.known.etag;
      this.known = { value, etag, at: Date.now(), failure: null, busy: false };
    } catch (failure) {
      if (round !== this.round) return;
      this.known = { ...this.known, failure: failure as Failure, busy: false };
    }
    changed();
  }

  forget() {
    this.round++;
    this.known = { value: null, at: 0, etag: null, failure: null, busy: false };
  }
}

const ofAgent = () => (agent ? { agent } : {});

export const me = new Source(() => take(client.GET("/api/portal/me")));
export const agents = new Source(() => take(client.GET("/api/portal/agents")));
export const domains = new Source(() => take(client.GET("/api/portal/domains")));
export const login = new Source(() => take(client.GET("/api/auth/me")));
export const settings = new Source(() => take(client.GET("/api/portal/settings")));
export const activity = new Source(() => take(client.GET("/api/portal/activity")));
export const about = new Source(() => take(client.GET("/api/portal/about")));
export const sessions = new Source(() => take(client.GET("/api/portal/sessions")));
export const documents = new Source(() => take(client.GET("/api/portal/workspace", { params: { query: ofAgent() } })));
export const jobs = new Source(() => take(client.GET("/api/portal/workspace/crons", { params: { query: ofAgent() } })));
export const space = new Source<Schemas["Namespace"]>(async (etag) => {
  const headers = etag ? { "If-None-Match": etag } : {};
  const call = client.GET("/api/portal/namespace", { headers });
  if ((await call).response.status === 304) return null;
  return take(call as never) as Promise<Answer<Schemas["Namespace"]>>;
});

const all = [me, agents, domains, login, settings, activity, about, sessions, documents, jobs, space];

export function chooseAgent(name: string | undefined) {
  agent = name;
  documents.forget();
  jobs.forget();
}

export function chosenAgent(): string | undefined {
  return agent;
}

/** The agent whose things are shown, by its own name. */
export function agentName(): string {
  return agent ?? login.known.value?.agent_id ?? "main";
}

export function forgetAll() {
  agent = undefined;
  for (const source of all) source.forget();
  changed();
}

let timer: ReturnType<typeof setTimeout> | undefined;
let wanted: { refresh(): Promise<void> }[] = [];

/** Keeps these parts fresh while the page can be seen; the others rest. */
export function keepFresh(sources: { refresh(): Promise<void> }[]) {
  wanted = sources;
  clearTimeout(timer);
  void poll();
}

async function poll() {
  if (document.visibilityState === "visible") await Promise.all(wanted.map((source) => source.refresh()));
  clearTimeout(timer);
  timer = setTimeout(() => void poll(), POLL);
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") void poll();
});
window.addEventListener("online", () => void poll());
