// Hints of what changed, as the portal's stream of events sends them. Read by fetch: EventSource can send no token.
//
// 1. While the stream is open, nothing needs to be polled. Where it is not, for whatever reason, the page polls as before.
// 2. A stream that ends is opened again at the place that it had reached, after the pause that the portal asked for or a
//    growing one of our own.
// 3. A portal without such a stream is asked again after minutes only.
// 4. The stream is closed while nobody looks, so that a forgotten tab costs nothing.
import { refusal, session, type Failure } from "./api";
import { pauseBefore, StreamReader } from "./stream";

export type Hint = { topic: string; data: Record<string, string> };

/** The portal says something every 15 seconds; a stream that is silent for longer is dead. */
const SILENCE = 40_000;
/** Pause where the portal offers no stream. */
const ABSENT_PAUSE = 600_000;
/** A stream that lived this long counts as working. */
const WORKING = 10_000;
/** A tab that is hidden for longer closes its stream. */
const HIDDEN = 60_000;

export class EventStream {
  /** True while a stream is open, and so while nothing needs to be polled. */
  isLive = false;
  private isWanted = false;
  private watchesMemory = false;
  private connection: AbortController | null = null;
  private lastId: string | null = null;
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private hiddenTimer: ReturnType<typeof setTimeout> | undefined;

  /** `heard` is called for each hint, `turned` when a stream begins or ends. */
  constructor(
    private readonly heard: (hint: Hint) => void,
    private readonly turned: (isLive: boolean) => void,
  ) {
    document.addEventListener("visibilitychange", () => this.lookedAt(document.visibilityState === "visible"));
    window.addEventListener("online", () => {
      if (this.isWanted && !this.isLive) this.open();
    });
  }

  /** Opens the stream. What the agent itself writes is told only where it is asked for: the portal has to look for it. */
  start(watchesMemory: boolean) {
    if (this.isWanted && this.watchesMemory === watchesMemory) return;
    this.isWanted = true;
    this.watchesMemory = watchesMemory;
    this.open();
  }

  /** Closes the stream, and forgets whose it was. */
  stop() {
    this.isWanted = false;
    this.lastId = null;
    this.failures = 0;
    this.close();
  }

  private lookedAt(isVisible: boolean) {
    clearTimeout(this.hiddenTimer);
    if (!this.isWanted) return;
    if (!isVisible) this.hiddenTimer = setTimeout(() => this.close(), HIDDEN);
    else if (!this.connection && !this.timer) this.open();
  }

  private close() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.connection?.abort();
    this.connection = null;
    this.turn(false);
  }

  private turn(isLive: boolean) {
    if (this.isLive === isLive) return;
    this.isLive = isLive;
    this.turned(isLive);
  }

  private open() {
    const token = session.get();
    this.close();
    if (!token) return;
    const connection = new AbortController();
    this.connection = connection;
    void this.read(connection, token).then((pause) => {
      if (this.connection !== connection) return;
      this.connection = null;
      this.turn(false);
      this.timer = setTimeout(() => {
        this.timer = undefined;
        if (document.visibilityState === "visible") this.open();
      }, pause);
    });
  }

  /** Reads one stream to its end; returns the pause before the next one. */
  private async read(connection: AbortController, token: string): Promise<number> {
    const reader = new StreamReader();
    const begun = Date.now();
    let silence: ReturnType<typeof setTimeout> | undefined;
    const expectMore = () => {
      clearTimeout(silence);
      silence = setTimeout(() => connection.abort(), SILENCE);
    };
    let asked: number | null = null;
    try {
      expectMore();
      const headers: Record<string, string> = { Authorization: `Bearer ${token}`, Accept: "text/event-stream" };
      if (this.lastId !== null) headers["Last-Event-ID"] = this.lastId;
      const path = `/api/portal/events${this.watchesMemory ? "?watch=memory" : ""}`;
      const response = await fetch(path, { headers, signal: connection.signal, cache: "no-store" });
      const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
      if (response.status === 404 || response.status === 501 || (response.ok && !isStream)) return ABSENT_PAUSE;
      if (!response.ok || !response.body) throw refusal(response, await response.json().catch(() => null));
      this.turn(true);
      const decoder = new TextDecoder();
      const chunks = response.body.getReader();
      for (;;) {
        const { done, value } = await chunks.read();
        if (done || this.connection !== connection) break;
        expectMore();
        const events = reader.push(decoder.decode(value, { stream: true }));
        this.lastId = reader.lastId ?? this.lastId;
        for (const { topic, data } of events) this.heard({ topic, data: parse(data) });
      }
    } catch (failure) {
      const retryAt = (failure as Partial<Failure>).retryAt ?? null;
      asked = retryAt === null ? null : retryAt - Date.now();
    } finally {
      clearTimeout(silence);
    }
    // A stream that ends as soon as it begins would otherwise be opened again and again.
    this.failures = Date.now() - begun < WORKING ? this.failures + 1 : 0;
    return pauseBefore(this.failures, reader.retry ?? asked, Math.random());
  }
}

/** A hint whose data cannot be read still says that something of its topic changed. */
function parse(data: string): Record<string, string> {
  try {
    return JSON.parse(data) as Record<string, string>;
  } catch {
    return {};
  }
}
