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

/** The token of this tab. It stays what it was when the page first asked for it: another login in another tab must not
 * mix two friends' things in one view (see `watchLogins`). Storage can be switched off in a browser; the session then
 * lasts as long as the page. */
let own: string | null = null;
const stored = (): string | null => {
  try {
    return localStorage.getItem(SESSION);
  } catch {
    return null;
  }
};
export const session = {
  get(): string | null {
    own ??= stored();
    return own;
  },
  set(token: string) {
    own = token;
    try {
      localStorage.setItem(SESSION, token);
    } catch {
      // Kept in memory only.
    }
  },
  clear() {
    try {
      // A token that another tab has put there meanwhile is not ours to remove.
      if (own !== null && stored() === own) localStorage.removeItem(SESSION);
    } catch {
      // Nothing is stored.
    }
    own = null;
  },
};

/** Tells of a login or logout in another tab: the new token, or null. */
export function watchLogins(told: (token: string | null) => void) {
  const compare = (token: string | null) => {
    if (own !== null && token !== own) told(token);
  };
  window.addEventListener("storage", (event) => {
    // A key of null says that everything was removed.
    if (event.key === SESSION || event.key === null) compare(event.key === null ? null : event.newValue);
  });
  // A page that comes back from the browser's history has missed what was told meanwhile.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) compare(stored());
  });
}

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
  throw refusal(response, error);
}

/** What an answer that is no success says. Ends the session here if the portal says that it is over. */
export function refusal(response: Response, body: unknown): Failure {
  const problem = (body ?? {}) as Partial<Schemas["Problem"]>;
  const code = problem.code ?? `status-${response.status}`;
  // Only the database's own word ends a session; a backend that is down never does.
  if (code === "session-invalid" || code === "session-missing") {
    session.clear();
    window.dispatchEvent(new CustomEvent("session-ended"));
  }
  return new Failure(
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
