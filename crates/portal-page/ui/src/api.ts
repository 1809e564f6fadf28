// The portal's API, typed from openapi/portal.json. Every failure is a `Failure` with the sentence to show.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";
import { texts } from "./text";

export type Schemas = components["schemas"];
const SESSION = "portal-session";

/** A request that did not succeed: a problem document, or no answer at all. */
export class Failure extends Error {
  constructor(
    readonly sentence: string,
    /** Stable error code, `offline` without an answer. */
    readonly code: string,
    readonly status: number,
    readonly requestId: string,
    /** Time from which another attempt makes sense, in milliseconds since 1970. */
    readonly retryAt: number | null,
    readonly etag: string | null,
    readonly errors: Schemas["FieldError"][],
  ) {
    super(sentence);
  }
}

/** Storage can be switched off in a browser; the session then lasts as long as the page. */
let memory: string | null = null;
export const session = {
  get(): string | null {
    try {
      return localStorage.getItem(SESSION) ?? memory;
    } catch {
      return memory;
    }
  },
  set(token: string) {
    memory = token;
    try {
      localStorage.setItem(SESSION, token);
    } catch {
      // Kept in memory only.
    }
  },
  clear() {
    memory = null;
    try {
      localStorage.removeItem(SESSION);
    } catch {
      // Nothing is stored.
    }
  },
};

export const client = createClient<paths>({ baseUrl: "" });
client.use({
  onRequest({ request }) {
    const token = session.get();
    if (token && !request.headers.has("Authorization")) request.headers.set("Authorization", `Bearer ${token}`);
    return request;
  },
});

function retryAt(response: Response): number | null {
  const seconds = Number(response.headers.get("Retry-After"));
  return Number.isFinite(seconds) && seconds > 0 ? Date.now() + seconds * 1000 : null;
}

/** Turns the answer of openapi-fetch into the value, or throws a `Failure`. */
export async function take<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<Answer<T>> {
  let result;
  try {
    result = await call;
  } catch {
    throw new Failure(texts().offline, "offline", 0, "", null, null, []);
  }
  const { data, error, response } = result;
  if (response.ok && data !== undefined) return { data, etag: response.headers.get("ETag"), response };
  const problem = (error ?? {}) as Partial<Schemas["Problem"]>;
  const code = problem.code ?? `status-${response.status}`;
  // Only the database's own word ends a session; a backend that is down never does.
  if (code === "session-invalid" || code === "session-missing") {
    session.clear();
    window.dispatchEvent(new CustomEvent("session-ended"));
  }
  throw new Failure(
    problem.error ?? texts().noAnswer(response.status),
    code,
    response.status,
    problem.request_id ?? "",
    retryAt(response),
    response.headers.get("ETag"),
    problem.errors ?? [],
  );
}

export type Answer<T> = { data: T; etag: string | null; response: Response };
