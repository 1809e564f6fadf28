// Memory: what the agent should know, what it noted, what it does on its own. Nothing typed here is lost:
//
// 1. Every stroke goes into a draft on this device, with the tag of the text that it began from.
// 2. Saving always sends that tag. If the text has changed since, the portal refuses, and both texts are shown.
// 3. A failed read shows no editor, so that nobody saves an empty one over a text that could not be read.
// 4. The draft goes only when the portal has said that it is saved, or when its owner discards it.
import { html, nothing } from "lit";
import { client, Failure, take, type Answer, type Schemas } from "../api";
import { byteLength, bytes, capital, moment } from "../format";
import { agentName, chosenAgent, documents, keepFresh, me } from "../model";
import { markdown } from "../markdown";
import { texts } from "../text";
import { announce, ask, failed, View } from "../view";

type Change = { value: string; added?: boolean; removed?: boolean };
type Kind = "memory" | "heartbeat";
type Draft = { text: string; base: string | null };
type Version = Schemas["VersionList"]["versions"][number];
const FILES: Record<Kind, string> = { memory: "MEMORY.md", heartbeat: "HEARTBEAT.md" };
const query = () => ({ query: chosenAgent() ? { agent: chosenAgent() as string } : {} });

const drafts = {
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

function read(kind: Kind): Promise<Answer<Schemas["Document"]>> {
  return kind === "memory"
    ? take(client.GET("/api/portal/workspace/memory", { params: query() }))
    : take(client.GET("/api/portal/workspace/heartbeat", { params: query() }));
}

function write(kind: Kind, content: string, base: string | null) {
  const headers: Record<string, string> = base ? { "If-Match": base } : { "If-None-Match": "*" };
  return kind === "memory"
    ? take(client.PUT("/api/portal/workspace/memory", { params: query(), headers, body: { content } }))
    : take(client.PUT("/api/portal/workspace/heartbeat", { params: query(), headers, body: { content } }));
}

/** Who wrote a version, as people say it. */
function authorOf(author: string): string {
  const t = texts();
  const [kind, name] = author.split(":");
  if (kind === "agent") return name ?? agentName();
  return kind === "friend" && name === me.known.value?.id ? t.byYou : t.byFriend;
}

class Memory extends View {
  static override properties = {
    name: { type: String },
    stored: { state: true },
    failure: { state: true },
    saveFailure: { state: true },
    text: { state: true },
    theirs: { state: true },
    busy: { state: true },
    isSaved: { state: true },
    notes: { state: true },
    versions: { state: true },
    shown: { state: true },
    differences: { state: true },
  };
  declare name: string;
  /** The stored text as it was last read, and its tag; null while it is not known. */
  declare stored: { content: string; exists: boolean; etag: string | null } | null;
  declare failure: Failure | null;
  declare saveFailure: Failure | null;
  declare text: string;
  declare theirs: { content: string; etag: string | null } | null;
  declare busy: boolean;
  declare isSaved: boolean;
  declare notes: string | null;
  declare versions: Version[] | null;
  declare shown: { id: string; changes: Change[] } | null;
  /** Lines of both texts of a conflict. */
  declare differences: Change[] | null;
  private base: string | null = null;

  constructor() {
    super();
    this.reset();
  }

  private reset() {
    this.stored = null;
    this.failure = null;
    this.saveFailure = null;
    this.text = "";
    this.theirs = null;
    this.differences = null;
    this.busy = false;
    this.isSaved = false;
    this.notes = null;
    this.versions = null;
    this.shown = null;
  }

  private get kind(): Kind {
    return this.name === "heartbeat" ? "heartbeat" : "memory";
  }

  override connectedCallback() {
    super.connectedCallback();
    keepFresh([documents]);
  }

  protected override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("name")) {
      this.reset();
      if (this.name === "notes") void this.loadNotes();
      else void this.load();
    }
  }

  private async load() {
    this.failure = null;
    try {
      if (me.known.value === null) await me.refresh();
      const { data, etag } = await read(this.kind);
      const draft = drafts.get(this.kind);
      this.stored = { content: data.content, exists: data.exists, etag };
      this.text = draft?.text ?? data.content;
      this.base = draft ? draft.base : data.exists ? etag : null;
      if (draft && draft.text === data.content) this.keep(null);
    } catch (failure) {
      this.failure = failure as Failure;
    }
  }

  private async loadNotes() {
    this.failure = null;
    try {
      const { data } = await take(client.GET("/api/portal/workspace/friend-notes", { params: query() }));
      this.notes = data.exists ? data.content : "";
    } catch (failure) {
      this.failure = failure as Failure;
    }
  }

  private keep(draft: Draft | null) {
    drafts.set(this.kind, draft);
    if (!draft && this.stored) this.base = this.stored.exists ? this.stored.etag : null;
  }

  private typed(text: string) {
    this.text = text;
    this.isSaved = false;
    this.saveFailure = null;
    this.keep({ text, base: this.base });
  }

  private async save(text: string, base: string | null) {
    const before = this.text;
    this.busy = true;
    this.saveFailure = null;
    try {
      const { etag } = await write(this.kind, text, base);
      this.stored = { content: text, exists: true, etag };
      this.base = etag;
      this.theirs = null;
      this.isSaved = true;
      // What was typed while the answer was under way is a draft of its own.
      if (this.text === before) this.text = text;
      this.keep(this.text === text ? null : { text: this.text, base: etag });
      announce(texts().saved);
      void documents.refresh();
      if (this.versions) void this.loadVersions();
    } catch (caught) {
      const failure = caught as Failure;
      if (failure.status === 412 || failure.status === 428) await this.conflict();
      else this.saveFailure = failure;
    }
    this.busy = false;
  }

  private async conflict() {
    try {
      const { data, etag } = await read(this.kind);
      // The refusal was about a save of our own whose answer was lost.
      if (data.content === this.text) {
        this.stored = { content: data.content, exists: data.exists, etag };
        this.isSaved = true;
        this.keep(null);
        announce(texts().saved);
        return;
      }
      this.theirs = { content: data.content, etag: data.exists ? etag : null };
      void documents.refresh();
      void this.compareTexts(data.content);
    } catch (failure) {
      this.saveFailure = failure as Failure;
    }
  }

  private async loadVersions() {
    try {
      const answer =
        this.kind === "memory"
          ? await take(client.GET("/api/portal/workspace/memory/versions", { params: query() }))
          : await take(client.GET("/api/portal/workspace/heartbeat/versions", { params: query() }));
      this.versions = answer.data.versions;
    } catch (failure) {
      this.saveFailure = failure as Failure;
    }
  }

  private async compare(id: string) {
    try {
      const params = { path: { id }, ...query() };
      const answer =
        this.kind === "memory"
          ? await take(client.GET("/api/portal/workspace/memory/versions/{id}", { params }))
          : await take(client.GET("/api/portal/workspace/heartbeat/versions/{id}", { params }));
      const { diffLines } = await import("diff");
      this.shown = { id, changes: diffLines(answer.data.content, this.stored?.content ?? "") };
    } catch (failure) {
      this.saveFailure = failure as Failure;
    }
  }

  private async restore(id: string) {
    const t = texts();
    if (!(await ask(t.restoreAsk, t.restore))) return;
    try {
      const params = { path: { id }, ...query() };
      if (this.kind === "memory") await take(client.POST("/api/portal/workspace/memory/versions/{id}/restore", { params }));
      else await take(client.POST("/api/portal/workspace/heartbeat/versions/{id}/restore", { params }));
      this.keep(null);
      this.shown = null;
      await this.load();
      await this.loadVersions();
      announce(t.saved);
    } catch (failure) {
      this.saveFailure = failure as Failure;
    }
  }

  protected override render() {
    const t = texts();
    const tab = (name: string, text: string) =>
      html`<a href="/portal/memory${name ? `/${name}` : ""}" aria-current=${this.name === name ? "page" : nothing}>${text}</a>`;
    return html`<nav class="tabs" aria-label=${t.memory}>
        ${tab("", t.memoryTitle(agentName()))} ${tab("notes", t.notesTitle(agentName()))} ${tab("heartbeat", t.heartbeatTitle(agentName()))}
      </nav>
      ${this.name === "notes" ? this.showNotes() : this.editor()}`;
  }

  private showNotes() {
    const t = texts();
    return html`<h1 tabindex="-1">${t.notesTitle(agentName())}</h1>
      ${this.failure
        ? failed(this.failure, () => this.loadNotes())
        : this.notes === null
          ? html`<p class="muted" data-loading>${t.loading}</p>`
          : this.notes === ""
            ? html`<p>${t.notesNone(agentName())}</p>`
            : html`<article>${markdown(this.notes)}</article>`}`;
  }

  private editor() {
    const t = texts();
    const title = this.kind === "memory" ? t.memoryTitle(agentName()) : t.heartbeatTitle(agentName());
    const draft = drafts.get(this.kind);
    if (this.failure) {
      return html`<h1 tabindex="-1">${title}</h1>
        ${failed(this.failure, () => this.load())}
        ${draft ? html`<p><a class="button" download=${FILES[this.kind]} href=${`data:text/markdown;charset=utf-8,${encodeURIComponent(draft.text)}`}>${t.memoryDownload}</a></p>` : nothing}`;
    }
    if (!this.stored) return html`<h1 tabindex="-1">${title}</h1><p class="muted" data-loading>${t.loading}</p>`;
    if (this.theirs) return this.comparison(title, this.theirs);
    const about = documents.known.value?.documents.find((one) => one.name === this.kind);
    const max = about?.max_bytes ?? 262_144;
    const size = byteLength(this.text);
    const isChanged = this.text !== this.stored.content;
    const isWritable = about?.writable ?? true;
    return html`<h1 tabindex="-1">${title}</h1>
      <p class="truth" role="status">${this.truth(isChanged, about)}</p>
      ${this.kind === "heartbeat" ? html`<p class="small">${about && about.shared_with > 0 ? t.memoryShared(about.shared_with) : t.memorySharedNobody}</p>` : nothing}
      ${this.kind === "heartbeat" && about?.updated_by && about.updated_at ? html`<p class="small">${t.memoryLast(authorOf(about.updated_by), moment(about.updated_at))}</p>` : nothing}
      ${isWritable ? nothing : html`<p>${t.memoryReadOnly}</p>`}
      <label class="hidden" for="text">${title}</label>
      <textarea id="text" rows="16" .value=${this.text} ?readonly=${!isWritable}
        @input=${(event: Event) => this.typed((event.target as HTMLTextAreaElement).value)}></textarea>
      ${size > max * 0.8 ? html`<p class="small" aria-live="polite">${size > max ? t.memoryTooLong : t.memoryLeft(bytes(max - size))}</p>` : nothing}
      <p class="small">${t.memoryPrivacy(agentName())}</p>
      ${this.saveFailure ? failed(this.saveFailure, () => this.save(this.text, this.base)) : nothing}
      <div class="row">
        <button class="main" ?disabled=${!isChanged || this.busy || size > max || !isWritable} @click=${() => this.save(this.text, this.base)}>${t.save}</button>
        ${isChanged ? html`<button @click=${this.discard}>${t.memoryDiscard}</button>` : nothing}
      </div>
      ${this.kind === "memory" && this.text === "" ? this.examples() : nothing}
      ${this.history()}`;
  }

  private truth(isChanged: boolean, about: Schemas["DocumentList"]["documents"][number] | undefined) {
    const t = texts();
    if (isChanged) return t.memoryUnsaved;
    const main = capital(agentName());
    if (about?.read && about.read.etag === this.stored?.etag) return t.memoryReadAt(main, moment(about.read.at));
    if (about?.agent_reads === "no") return this.isSaved ? `${t.saved} ${t.memoryNotRead(main)}` : t.memoryNotRead(main);
    if (this.isSaved) return t.memoryNext(main);
    return about ? t.memoryReads(main) : "";
  }

  private discard = () => {
    this.text = this.stored?.content ?? "";
    this.keep(null);
    this.requestUpdate();
  };

  private examples() {
    const t = texts();
    return html`<p>${t.memoryEmpty}</p>
      ${t.memoryExamples.map((line) => html`<button class="quiet" @click=${() => this.typed(`${this.text}${line}\n`)}>${line}</button>`)}`;
  }

  /** Who changed the text meanwhile: the agent, another device of the friend's, or another friend. */
  private otherAuthor(): string {
    const t = texts();
    const author = documents.known.value?.documents.find((one) => one.name === this.kind)?.updated_by;
    if (!author) return agentName();
    return author === `friend:${me.known.value?.id ?? ""}` ? t.otherDevice : authorOf(author);
  }

  private async compareTexts(theirs: string) {
    const { diffLines } = await import("diff");
    this.differences = diffLines(this.text, theirs);
  }

  /** One of two texts, with the lines marked that the other one lacks. */
  private differing(text: string, only: "added" | "removed") {
    if (!this.differences) return text;
    const other = only === "added" ? "removed" : "added";
    return this.differences.filter((change) => !change[other]).map((change) => (change[only] ? html`<ins>${change.value}</ins>` : change.value));
  }

  private comparison(title: string, theirs: { content: string; etag: string | null }) {
    const t = texts();
    const both = `${theirs.content.replace(/\n*$/, "\n\n")}${this.text}`;
    const takeTheirs = () => {
      this.stored = { content: theirs.content, exists: theirs.etag !== null, etag: theirs.etag };
      this.text = theirs.content;
      this.theirs = null;
      this.keep(null);
    };
    return html`<h1 tabindex="-1">${title}</h1>
      <p role="alert">${t.conflict(this.otherAuthor())}</p>
      ${this.saveFailure ? failed(this.saveFailure) : nothing}
      <div class="columns">
        <section aria-labelledby="mine"><h2 id="mine">${t.conflictMine}</h2><pre tabindex="0">${this.differing(this.text, "removed")}</pre></section>
        <section aria-labelledby="theirs"><h2 id="theirs">${t.conflictTheirs}</h2><pre tabindex="0">${this.differing(theirs.content, "added")}</pre></section>
      </div>
      <div class="row">
        <button ?disabled=${this.busy} @click=${() => this.save(this.text, theirs.etag)}>${t.conflictMine}</button>
        <button ?disabled=${this.busy} @click=${takeTheirs}>${t.conflictTheirs}</button>
        <button class="main" ?disabled=${this.busy} @click=${() => this.save(both, theirs.etag)}>${t.conflictBoth}</button>
      </div>`;
  }

  private history() {
    const t = texts();
    return html`<details @toggle=${(event: Event) => (event.target as HTMLDetailsElement).open && this.loadVersions()}>
      <summary>${t.history}</summary>
      ${this.versions === null
        ? html`<p class="muted" data-loading>${t.loading}</p>`
        : this.versions.length === 0
          ? html`<p>${t.historyNone}</p>`
          : html`<ul class="rows">
              ${this.versions.map(
                (version) => html`<li>
                  <time datetime=${version.saved_at}>${moment(version.saved_at)}</time> <span class="muted">${authorOf(version.saved_by)} · ${bytes(version.bytes)}</span>
                  <button class="quiet" @click=${() => this.compare(version.id)}>${t.compare}</button>
                  <button class="quiet" @click=${() => this.restore(version.id)}>${t.restore}</button>
                  ${this.shown?.id === version.id
                    ? html`<pre>${this.shown.changes.map((change) => (change.added ? html`<ins>${change.value}</ins>` : change.removed ? html`<del>${change.value}</del>` : change.value))}</pre>`
                    : nothing}
                </li>`,
              )}
            </ul>`}
    </details>`;
  }
}
customElements.define("portal-memory", Memory);
