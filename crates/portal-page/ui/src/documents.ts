// The documents that friend and agent share: reading and writing them, drafts of them on this device, files added to them.
import { client, take, type Answer, type Schemas } from "./api";
import { agentName, chosenAgent, documents, me } from "./model";
import { texts } from "./text";

export type Kind = "memory" | "heartbeat";
export type Item = Schemas["DocumentList"]["documents"][number];
export type Version = Schemas["VersionList"]["versions"][number];
export type Draft = { text: string; base: string | null };

export const FILES: Record<Kind, string> = { memory: "MEMORY.md", heartbeat: "HEARTBEAT.md" };
const query = () => ({ query: chosenAgent() ? { agent: chosenAgent() as string } : {} });

export const drafts = {
  key: (kind: Kind) => `portal-draft:${me.known.value?.id ?? ""}:${chosenAgent() ?? ""}:${kind}`,
  get(kind: Kind): Draft | null {
    try {
      return JSON.parse(localStorage.getItem(this.key(kind)) ?? "null");
    } catch {
      return null;
    }
  },
  set(kind: Kind, draft: Draft | null) {
    try {
      if (draft) localStorage.setItem(this.key(kind), JSON.stringify(draft));
      else localStorage.removeItem(this.key(kind));
    } catch {
      // Without storage the draft lives as long as the page.
    }
  },
};

/** What the portal says of a document, as of when all of them were last listed. */
export function listed(name: string): Item | undefined {
  return documents.known.value?.documents.find((one) => one.name === name);
}

export function read(kind: Kind): Promise<Answer<Schemas["Document"]>> {
  return kind === "memory"
    ? take(client.GET("/api/portal/workspace/memory", { params: query() }))
    : take(client.GET("/api/portal/workspace/heartbeat", { params: query() }));
}

export function readNotes() {
  return take(client.GET("/api/portal/workspace/friend-notes", { params: query() }));
}

export function write(kind: Kind, content: string, base: string | null) {
  const headers: Record<string, string> = base ? { "If-Match": base } : { "If-None-Match": "*" };
  return kind === "memory"
    ? take(client.PUT("/api/portal/workspace/memory", { params: query(), headers, body: { content } }))
    : take(client.PUT("/api/portal/workspace/heartbeat", { params: query(), headers, body: { content } }));
}

export function readVersions(kind: Kind) {
  return kind === "memory"
    ? take(client.GET("/api/portal/workspace/memory/versions", { params: query() }))
    : take(client.GET("/api/portal/workspace/heartbeat/versions", { params: query() }));
}

export function readVersion(kind: Kind, id: string) {
  const params = { path: { id }, ...query() };
  return kind === "memory"
    ? take(client.GET("/api/portal/workspace/memory/versions/{id}", { params }))
    : take(client.GET("/api/portal/workspace/heartbeat/versions/{id}", { params }));
}

export function restoreVersion(kind: Kind, id: string) {
  const params = { path: { id }, ...query() };
  return kind === "memory"
    ? take(client.POST("/api/portal/workspace/memory/versions/{id}/restore", { params }))
    : take(client.POST("/api/portal/workspace/heartbeat/versions/{id}/restore", { params }));
}

/** Who wrote a version, as people say it. */
export function authorOf(author: string): string {
  const t = texts();
  const [kind, name] = author.split(":");
  if (kind === "agent") return name ?? agentName();
  return kind === "friend" && name === me.known.value?.id ? t.byYou : t.byFriend;
}

/** Compares two tags of texts. Proxies may have marked one of them as weak or as compressed. */
export function isSameText(one: string | null | undefined, other: string | null | undefined): boolean {
  const hash = (tag: string | null | undefined) => /[0-9a-f]{64}/.exec(tag ?? "")?.[0] ?? tag;
  return one !== null && one !== undefined && hash(one) === hash(other);
}

/** The text of a file; null if it is none: not UTF-8, or with a character that no text has. */
export function textOf(file: ArrayBuffer): string | null {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(file);
    return text.includes("\0") ? null : text.replace(/\r\n?/g, "\n");
  } catch {
    return null;
  }
}

/** A text with another one below it. */
export function addText(text: string, added: string): string {
  return text.trim() === "" ? added : `${text.replace(/\n*$/, "\n\n")}${added}`;
}
