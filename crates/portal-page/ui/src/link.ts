// A login link, as it is opened or pasted. Pure.

export type Link = { code: string; friend: string | null };

/** Reads code and friend of a whole link, of its fragment, or of a bare code; null if there is no code. */
export function parseLink(text: string): Link | null {
  const fragment = text.includes("#") ? text.slice(text.indexOf("#") + 1) : text;
  const parameters = new URLSearchParams(fragment.includes("=") ? fragment : `code=${fragment}`);
  const code = (parameters.get("code") ?? "").trim();
  return /^fpl_[0-9a-f]{64}$/.test(code) ? { code, friend: parameters.get("friend") } : null;
}
