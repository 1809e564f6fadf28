// Server-sent events, as the standard for EventSource has them: text in, events out. Pure.

export type ServerEvent = { topic: string; data: string };

/** Longest and first pause before a stream is opened again. */
const PAUSES = [30_000, 1_000] as const;

/** Reads a stream in whatever pieces the network delivers it. */
export class StreamReader {
  /** The place that the stream has reached, to go on from. */
  lastId: string | null = null;
  /** Pause before another attempt that the portal asked for, in milliseconds. */
  retry: number | null = null;
  private rest = "";
  private isAfterReturn = false;
  private id: string | null = null;
  private topic = "";
  private data: string[] = [];

  push(text: string): ServerEvent[] {
    if (text === "") return [];
    // A carriage return at the end of the last piece has ended its line; a line feed that follows belongs to it.
    const piece = this.isAfterReturn && text.startsWith("\n") ? text.slice(1) : text;
    this.isAfterReturn = text.endsWith("\r");
    const lines = (this.rest + piece).split(/\r\n|\n|\r/);
    this.rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.line(line));
  }

  private line(line: string): ServerEvent[] {
    if (line === "") return this.end();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    // A line that begins with a colon has no field: a comment.
    if (field === "data") this.data.push(value);
    else if (field === "event") this.topic = value;
    else if (field === "id" && !value.includes("\0")) this.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
    return [];
  }

  /** The end of a block. One without data is no event, but its id counts. */
  private end(): ServerEvent[] {
    if (this.id !== null) this.lastId = this.id;
    const events = this.data.length > 0 ? [{ topic: this.topic || "message", data: this.data.join("\n") }] : [];
    this.topic = "";
    this.data = [];
    return events;
  }
}

/** Pause before the next attempt: at least what the portal asked for, else growing with failures, spread by `random`. */
export function pauseBefore(failures: number, retry: number | null, random: number): number {
  const [longest, first] = PAUSES;
  const grown = Math.min(longest, first * 2 ** Math.min(failures, 10)) * (0.5 + random / 2);
  if (retry === null) return grown;
  return failures > 1 ? Math.max(retry, grown) : retry;
}
