// Memory: what the agent should know, what it noted, what it does on its own. Nothing typed here is lost:
//
// 1. Every stroke goes into a draft on this device, with the tag of the text that it began from.
// 2. Saving always sends that tag. If the text has changed since, the portal refuses, and both texts are shown.
// 3. A failed read shows no editor, so that nobody saves an empty one over a text that could not be read.
// 4. The draft goes only when the portal has said that it is saved, or when its owner discards it.
// 5. A text that changes elsewhere is shown as it is now while nothing is typed here; else the reader is told, and both
//    texts can be compared. What is typed is never replaced.
import { html, nothing, type PropertyValues } from "lit";
import type { Failure } from "../api";
import {
  addText,
  authorOf,
  drafts,
  FILES,
  isSameText,
  listed,
  read,
  readNotes,
  readVersion,
  readVersions,
  restoreVersion,
  textOf,
  write,
  type Draft,
  type Item,
  type Kind,
  type Version,
} from "../documents";
import { byteLength, bytes, capital, moment } from "../format";
import { agentName, documents, keepFresh, me } from "../model";
import { markdown } from "../markdown";
import { texts } from "../text";
import { announce, ask, details, failed, saveAs, View } from "../view";

type Change = { value: string; added?: boolean; removed?: boolean };
type Stored = { content: string; exists: boolean; etag: string | null };

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
    newer: { state: true },
    wrongFile: { state: true },
  };
  declare name: string;
  /** The stored text as it was last read, and its tag; null while it is not known. */
  declare stored: Stored | null;
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
  /** The text as somebody else saved it while this one was being written; null if nobody did. */
  declare newer: Stored | null;
  /** Why a chosen file was not added. */
  declare wrongFile: string | null;
  private base: string | null = null;
  /** The tag in the list of documents that has been followed. */
  private followed: string | null | undefined;
  private isFollowing = false;

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
    this.newer = null;
    this.wrongFile = null;
    this.followed = undefined;
  }

  private get kind(): Kind {
    return this.name === "heartbeat" ? "heartbeat" : "memory";
  }

  override connectedCallback() {
    super.connectedCallback();
    keepFresh([documents], { watchesMemory: true });
  }

  protected override willUpdate(changed: PropertyValues<this>) {
    if (changed.has("name")) {
      this.reset();
      if (this.name === "notes") void this.loadNotes();
      else void this.load();
    }
  }

  protected override updated() {
    void this.follow();
  }

  /** Reads the text again where the list of documents has another one than is shown. */
  private async follow() {
    const item = listed(this.name === "notes" ? "friend-notes" : this.kind);
    if (!item || this.busy || this.isFollowing || this.failure || this.theirs || item.etag === this.followed) return;
    if (this.name === "notes") {
      // The first reading of the notes is not this one's.
      const isFirst = this.followed === undefined;
      this.followed = item.etag;
      if (!isFirst) await this.loadNotes();
      return;
    }
    if (!this.stored) return;
    if (isSameText(item.etag, this.stored.etag) || (!item.exists && !this.stored.exists)) {
      this.followed = item.etag;
      return;
    }
    const { name } = this;
    this.isFollowing = true;
    try {
      const { data, etag } = await read(this.kind);
      // The view may show another document by now, or have saved this one.
      if (name === this.name && !this.busy && !this.theirs) {
        this.followed = item.etag;
        this.follows({ content: data.content, exists: data.exists, etag });
      }
    } catch {
      // What is shown stays; the next change of the list is followed again.
    } finally {
      this.isFollowing = false;
    }
  }

  private follows(newer: Stored) {
    const { stored } = this;
    if (!stored || newer.content === stored.content) return;
    const isTyped = this.text !== stored.content && this.text !== newer.content;
    if (isTyped) {
      this.newer = newer;
      return;
    }
    this.stored = newer;
    this.text = newer.content;
    this.newer = null;
    this.isSaved = false;
    this.keep(null);
    announce(texts().memoryNewer(this.otherAuthor()));
    if (this.versions) void this.loadVersions();
  }

  private async load() {
    this.failure = null;
    try {
      if (me.known.value === null) await me.refresh();
      const { data, etag } = await read(this.kind);
      const draft = drafts.get(this.kind);
      this.stored = { content: data.content, exists: data.exists, etag: data.exists ? etag : null };
      this.text = draft?.text ?? data.content;
      this.base = draft ? draft.base : data.exists ? etag : null;
      if (draft && draft.text === data.content) this.keep(null);
      // The text was saved elsewhere while the draft lay here.
      else if (draft && draft.base !== this.stored.etag && !isSameText(draft.base, this.stored.etag)) this.newer = this.stored;
    } catch (failure) {
      this.failure = failure as Failure;
    }
  }

  private async loadNotes() {
    this.failure = null;
    try {
      const { data } = await readNotes();
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
      this.newer = null;
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
      this.newer = null;
      this.theirs = { content: data.content, etag: data.exists ? etag : null };
      void documents.refresh();
      void this.compareTexts(data.content);
    } catch (failure) {
      this.saveFailure = failure as Failure;
    }
  }

  private async loadVersions() {
    try {
      const { data } = await readVersions(this.kind);
      this.versions = data.versions;
    } catch (failure) {
      this.saveFailure = failure as Failure;
    }
  }

  private async compare(id: string) {
    try {
      const { data } = await readVersion(this.kind, id);
      const { diffLines } = await import("diff");
      this.shown = { id, changes: diffLines(data.content, this.stored?.content ?? "") };
    } catch (failure) {
      this.saveFailure = failure as Failure;
    }
  }

  private async restore(id: string) {
    const t = texts();
    if (!(await ask(t.restoreAsk, t.restore))) return;
    try {
      await restoreVersion(this.kind, id);
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
        ${tab("", t.tabMemory)} ${tab("notes", t.tabNotes)} ${tab("heartbeat", t.tabHeartbeat)}
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
        ${draft ? html`<p><button @click=${() => saveAs(FILES[this.kind], draft.text)}>${t.memoryDownload}</button></p>` : nothing}`;
    }
    if (!this.stored) return html`<h1 tabindex="-1">${title}</h1><p class="muted" data-loading>${t.loading}</p>`;
    if (this.theirs) return this.comparison(title, this.theirs);
    const about = listed(this.kind);
    const max = about?.max_bytes ?? 262_144;
    const size = byteLength(this.text);
    const isChanged = this.text !== this.stored.content;
    const isWritable = about?.writable ?? true;
    return html`<h1 tabindex="-1">${title}</h1>
      <p class="truth" role="status">${this.truth(isChanged, about)}</p>
      ${this.kind === "heartbeat" ? html`<p class="small">${about && about.shared_with > 0 ? t.memoryShared(about.shared_with) : t.memorySharedNobody}</p>` : nothing}
      ${about?.updated_by && about.updated_at ? html`<p class="small">${t.memoryLast(authorOf(about.updated_by), moment(about.updated_at))}</p>` : nothing}
      ${isWritable ? nothing : html`<p>${t.memoryReadOnly}</p>`}
      ${this.newer ? this.notice(this.newer) : nothing}
      <label class="hidden" for="text">${title}</label>
      <textarea id="text" rows="16" .value=${this.text} ?readonly=${!isWritable}
        @dragover=${(event: DragEvent) => isWritable && event.dataTransfer?.types.includes("Files") && event.preventDefault()}
        @drop=${(event: DragEvent) => this.dropped(event, isWritable, max)}
        @input=${(event: Event) => this.typed((event.target as HTMLTextAreaElement).value)}></textarea>
      ${size > max * 0.8 ? html`<p class="small" aria-live="polite">${size > max ? t.memoryTooLong : t.memoryLeft(bytes(max - size))}</p>` : nothing}
      <p class="small">${t.memoryPrivacy(agentName())}</p>
      ${this.saveFailure ? failed(this.saveFailure, () => this.save(this.text, this.base)) : nothing}
      <div class="row">
        <button class="main" ?disabled=${!isChanged || this.busy || size > max || !isWritable} @click=${() => this.save(this.text, this.base)}>${t.save}</button>
        ${isChanged ? html`<button @click=${this.discard}>${t.memoryDiscard}</button>` : nothing}
        ${isWritable
          ? html`<label class="button">${t.memoryAddFile}
              <input class="hidden" type="file" accept=".md,.markdown,.txt,text/plain,text/markdown" @change=${(event: Event) => this.chosen(event.target as HTMLInputElement, max)} />
            </label>`
          : nothing}
        ${this.text === "" ? nothing : html`<button @click=${() => saveAs(FILES[this.kind], this.text)}>${t.memorySaveAs}</button>`}
      </div>
      ${this.wrongFile ? html`<p class="failure" role="alert">${this.wrongFile}</p>` : nothing}
      ${this.kind === "memory" && this.text === "" ? this.examples() : nothing}
      ${this.history()}
      ${details([["Agent", agentName()], ["File", this.kind === "memory" ? `friends/${me.known.value?.id ?? "…"}/MEMORY.md` : "HEARTBEAT.md"]])}`;
  }

  private truth(isChanged: boolean, about: Item | undefined) {
    const t = texts();
    if (isChanged) return t.memoryUnsaved;
    const main = capital(agentName());
    if (about?.read && isSameText(about.read.etag, this.stored?.etag)) return t.memoryReadAt(main, moment(about.read.at));
    if (about?.agent_reads === "no") return this.isSaved ? `${t.saved} ${t.memoryNotRead(main)}` : t.memoryNotRead(main);
    if (this.isSaved) return t.memoryNext(main);
    return about ? t.memoryReads(main) : "";
  }

  private discard = () => {
    if (this.newer) this.stored = this.newer;
    this.newer = null;
    this.text = this.stored?.content ?? "";
    this.keep(null);
    this.requestUpdate();
  };

  private async chosen(input: HTMLInputElement, max: number) {
    const [file] = input.files ?? [];
    if (file) await this.addFile(file, max);
    // The same file may be chosen again.
    input.value = "";
  }

  private dropped(event: DragEvent, isWritable: boolean, max: number) {
    const [file] = event.dataTransfer?.files ?? [];
    if (!file || !isWritable) return;
    event.preventDefault();
    void this.addFile(file, max);
  }

  /** Adds a file below what is written. It is a draft like what is typed: nothing is saved by it. */
  private async addFile(file: File, max: number) {
    const t = texts();
    this.wrongFile = null;
    const added = file.size > max ? null : textOf(await file.arrayBuffer());
    if (added === null) {
      this.wrongFile = file.size > max ? t.memoryFileTooLong(file.name, bytes(max)) : t.memoryFileNoText(file.name);
      return;
    }
    this.typed(addText(this.text, added));
    announce(t.memoryFileAdded(file.name));
    await this.updateComplete;
    const editor = this.querySelector("textarea");
    editor?.focus();
    editor?.scrollTo(0, editor.scrollHeight);
  }

  /** Somebody else has saved another text meanwhile. Both are shown when the writer wants to see them. */
  private notice(newer: Stored) {
    const t = texts();
    const compare = () => {
      this.theirs = { content: newer.content, etag: newer.exists ? newer.etag : null };
      this.newer = null;
      void this.compareTexts(newer.content);
    };
    return html`<div class="card bad" role="status">
      <p>${t.conflict(this.otherAuthor())}</p>
      <div class="row"><button @click=${compare}>${t.conflictCompare}</button></div>
    </div>`;
  }

  private examples() {
    const t = texts();
    return html`<p>${t.memoryEmpty}</p>
      ${t.memoryExamples.map((line) => html`<button class="quiet" @click=${() => this.typed(`${this.text}${line}\n`)}>${line}</button>`)}`;
  }

  /** Who changed the text meanwhile: the agent, another device of the friend's, or another friend. */
  private otherAuthor(): string {
    const t = texts();
    const author = listed(this.kind)?.updated_by;
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
                    ? html`<p class="small">${t.compareLegend}</p><pre>${this.shown.changes.map((change) => (change.added ? html`<ins>${change.value}</ins>` : change.removed ? html`<del>${change.value}</del>` : change.value))}</pre>`
                    : nothing}
                </li>`,
              )}
            </ul>`}
    </details>`;
  }
}
customElements.define("portal-memory", Memory);
