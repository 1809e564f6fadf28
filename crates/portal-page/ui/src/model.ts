// What the page knows, read from the API: one place that asks, remembers and tells who shows it.
import { client, take, type Answer, type Failure, type Schemas } from "./api";
import { EventStream, type Hint } from "./events";

/** A part of the page's knowledge: the last good answer, and why the newest one is missing. */
export type Known<T> = { value: T | null; at: number; etag: string | null; failure: Failure | null; busy: boolean };

/** Pause between two readings while no stream tells of changes. */
const POLL = 4_000;
/** The same while one does: for what it does not tell, and for what it may have lost. */
const SAFETY_POLL = 60_000;
/** The same while an address does not answer: the portal asks it again only if somebody looks. */
const UNANSWERED_POLL = 15_000;
/** Time after a change during which an address may still be on its way. */
const SETTLING = 120_000;
/** Longest time for which an ended session may still be taken. */
const BELIEVED = 1_100;
/** Hints that come together lead to one reading. */
const GATHER = 100;
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
  keepFresh([]);
  for (const source of all) source.forget();
  changed();
}

type Part = { refresh(): Promise<void>; known: { failure: Failure | null } };

let timer: ReturnType<typeof setTimeout> | undefined;
let wanted: Part[] = [];
let changedAt = 0;

/** Keeps these parts fresh while the page can be seen; the others rest. */
export function keepFresh(sources: Part[], { watchesMemory = false } = {}) {
  wanted = sources;
  clearTimeout(timer);
  if (sources.length === 0) stream.stop();
  else stream.start(watchesMemory);
  void poll();
}

/** True while a stream tells of changes. */
export function isLive(): boolean {
  return stream.isLive;
}

async function poll() {
  if (document.visibilityState === "visible") await Promise.all(wanted.map((source) => source.refresh()));
  wait();
}

function wait() {
  clearTimeout(timer);
  if (wanted.length > 0) timer = setTimeout(() => void poll(), pause());
}

function pause(): number {
  // No hint tells that a backend is back.
  if (!stream.isLive || wanted.some((part) => part.known.failure)) return POLL;
  const addresses = wanted.includes(space) ? (space.known.value?.ingressRoutes ?? []) : [];
  const shown = addresses.flatMap((one) => (one.exposure ? [one.exposure] : []));
  const isOnItsWay = shown.some((one) => one.status === "pending" || one.status === "removing" || (one.status === "active" && one.reachable.state === "unknown"));
  if (isOnItsWay && Date.now() - changedAt < SETTLING) return POLL;
  return shown.some((one) => one.reachable.state === "no") ? UNANSWERED_POLL : SAFETY_POLL;
}

/** The parts that a hint is about. Activity grows with everything that somebody does. */
const TOPICS: Record<string, Part[]> = {
  namespace: [space],
  exposure: [space, activity],
  document: [documents, activity],
  job: [jobs, activity],
  run: [jobs, activity],
  "session-ended": [sessions, activity],
};

const hintListeners = new Set<(topics: Set<string>) => void>();
let gathered = new Set<string>();
let gathering: ReturnType<typeof setTimeout> | undefined;

/** Calls back with the topics of hints, gathered; `reset` among them says that anything may have changed. */
export function onHints(listener: (topics: Set<string>) => void): () => void {
  hintListeners.add(listener);
  return () => hintListeners.delete(listener);
}

function heard({ topic, data }: Hint) {
  changedAt = Date.now();
  // The session of this very device has ended. The portal may take it for a moment longer.
  if (topic === "session-ended" && data["id"] === login.known.value?.session_id) setTimeout(() => void login.refresh(), BELIEVED);
  gathered.add(topic);
  gathering ??= setTimeout(() => {
    const topics = gathered;
    gathered = new Set();
    gathering = undefined;
    const isReset = topics.has("reset");
    const parts = new Set([...topics].flatMap((one) => TOPICS[one] ?? []));
    void Promise.all(wanted.filter((source) => isReset || parts.has(source)).map((source) => source.refresh())).then(wait);
    for (const listener of hintListeners) listener(topics);
  }, GATHER);
}

const stream = new EventStream(heard, (isOpen) => {
  // What changed before the stream began is told by nobody.
  if (isOpen) {
    changedAt = Date.now();
    void poll();
    for (const listener of hintListeners) listener(new Set(["reset"]));
  } else wait();
});

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") void poll();
});
window.addEventListener("online", () => void poll());
