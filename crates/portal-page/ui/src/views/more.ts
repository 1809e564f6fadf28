// What stands under the friend's name: activity, devices, settings, help.
import { html, nothing } from "lit";
import { client, Failure, take, type Schemas } from "../api";
import { clip, moment, ownZone } from "../format";
import { about, activity, agentName, keepFresh, me, sessions, settings } from "../model";
import { texts } from "../text";
import { announce, ask, details, failed, part, View } from "../view";
import { capital } from "../format";

type Session = Schemas["SessionList"]["sessions"][number];
type Entry = Schemas["ActivityList"]["activity"][number];

/** Entries of a whole answer: fewer means that there are no older ones. */
const PAGE = 50;

/** A change in a sentence, with who made it and when. */
export function activityLine(entry: Entry) {
  const t = texts();
  const [kind, name] = entry.actor.split(":");
  const who = kind === "agent" ? (name ?? "") : (t.actors[kind ?? ""] ?? entry.actor);
  const say = t.actions[entry.action];
  return html`<li><span>${say ? say(clip(subjectOf(entry), 60)) : `${entry.action} ${entry.subject}`}</span> <span class="muted">${who} · <time datetime=${entry.at}>${moment(entry.at)}</time></span></li>`;
}

/** The name of what was changed, where people know it by that name. */
function subjectOf(entry: Entry): string {
  const t = texts();
  if (entry.action.startsWith("document.")) return t.documentNames[entry.subject] ?? entry.subject;
  return entry.subject;
}

class Activity extends View {
  static override properties = { older: { state: true }, failure: { state: true }, isAll: { state: true }, busy: { state: true } };
  declare older: Entry[];
  declare failure: Failure | null;
  declare isAll: boolean;
  declare busy: boolean;

  constructor() {
    super();
    this.older = [];
    this.failure = null;
    this.isAll = false;
    this.busy = false;
  }

  override connectedCallback() {
    super.connectedCallback();
    keepFresh([activity]);
  }

  private async more(last: Entry) {
    this.busy = true;
    this.failure = null;
    try {
      const { data } = await take(client.GET("/api/portal/activity", { params: { query: { before: last.id } } }));
      this.older = [...this.older, ...data.activity];
      this.isAll = data.activity.length < PAGE;
    } catch (failure) {
      this.failure = failure as Failure;
    }
    this.busy = false;
  }

  protected override render() {
    const t = texts();
    return html`<h1 tabindex="-1">${t.activity}</h1>
      <p class="muted">${t.activityAbout}</p>
      ${part(activity.known, () => activity.refresh(), ({ activity: newest }) => {
        const oldest = newest[newest.length - 1]?.id ?? 0;
        const entries = [...newest, ...this.older.filter((entry) => entry.id < oldest)];
        const last = entries[entries.length - 1];
        if (!last) return html`<p>${t.noChanges}</p>`;
        const isAll = this.isAll || (this.older.length === 0 && newest.length < PAGE);
        return html`<ul class="rows">${entries.map(activityLine)}</ul>
          ${this.failure ? failed(this.failure, () => this.more(last)) : nothing}
          ${isAll ? nothing : html`<button ?disabled=${this.busy} @click=${() => this.more(last)}>${t.older}</button>`}`;
      })}`;
  }
}
customElements.define("portal-activity", Activity);

class Devices extends View {
  static override properties = { failure: { state: true }, busy: { state: true } };
  declare failure: Failure | null;
  declare busy: boolean;

  constructor() {
    super();
    this.failure = null;
    this.busy = false;
  }

  override connectedCallback() {
    super.connectedCallback();
    keepFresh([sessions]);
  }

  private async end(work: () => Promise<unknown>, question: string, action: string) {
    if (!(await ask(question, action))) return;
    this.busy = true;
    this.failure = null;
    try {
      await work();
      announce(texts().deviceEnded);
    } catch (failure) {
      this.failure = failure as Failure;
    }
    this.busy = false;
    await sessions.refresh();
  }

  private origin(one: Session): string {
    const t = texts();
    if (one.origin === "link") return t.deviceLink(one.agent_id);
    return one.origin === "operator" ? t.deviceOperator : "";
  }

  protected override render() {
    const t = texts();
    const endOne = (one: Session) => () => take(client.DELETE("/api/portal/sessions/{id}", { params: { path: { id: one.id } } }));
    const endOthers = () => take(client.DELETE("/api/portal/sessions"));
    return html`<h1 tabindex="-1">${t.devices}</h1>
      <p class="muted">${t.devicesAbout}</p>
      ${this.failure ? failed(this.failure) : nothing}
      ${part(sessions.known, () => sessions.refresh(), ({ sessions: all }) => {
        const others = all.filter((one) => !one.current);
        return html`<ul class="rows">
            ${all.map(
              (one) => html`<li>
                <span>${one.current ? html`<strong>${t.deviceThis}</strong>, ` : nothing}${t.deviceSince(moment(one.created_at))}</span>
                <span class="muted">${this.origin(one)}</span>
                ${one.current ? nothing : html`<button class="quiet" ?disabled=${this.busy} aria-label="${t.deviceEnd}: ${t.deviceSince(moment(one.created_at))}" @click=${() => this.end(endOne(one), t.deviceEndAsk(moment(one.created_at)), t.deviceEnd)}>${t.deviceEnd}</button>`}
              </li>`,
            )}
          </ul>
          ${others.length > 0 ? html`<button ?disabled=${this.busy} @click=${() => this.end(endOthers, t.deviceEndOthersAsk(others.length), t.deviceEndOthers)}>${t.deviceEndOthers}</button>` : html`<p class="muted">${t.devicesNone}</p>`}`;
      })}`;
  }
}
customElements.define("portal-devices", Devices);

type Draft = { display_name: string; time_zone: string; preferred_channel: string };

class Settings extends View {
  static override properties = { draft: { state: true }, failure: { state: true }, busy: { state: true }, isSaved: { state: true } };
  declare draft: Draft | null;
  declare failure: Failure | null;
  declare busy: boolean;
  declare isSaved: boolean;

  constructor() {
    super();
    this.draft = null;
    this.failure = null;
    this.busy = false;
    this.isSaved = false;
  }

  override connectedCallback() {
    super.connectedCallback();
    keepFresh([settings, about]);
  }

  private async save(stored: Schemas["Settings"], draft: Draft) {
    // Only what was changed here: another device may have changed the rest.
    const changes: Record<string, string | null> = {};
    for (const key of ["display_name", "time_zone", "preferred_channel"] as const) {
      const value = draft[key].trim() || null;
      if (value !== stored[key]) changes[key] = value;
    }
    this.busy = true;
    this.failure = null;
    try {
      if (Object.keys(changes).length > 0) await take(client.PATCH("/api/portal/settings", { body: changes }));
      await Promise.all([settings.refresh(), me.refresh()]);
      this.draft = null;
      this.isSaved = true;
      announce(texts().saved);
    } catch (failure) {
      this.failure = failure as Failure;
    }
    this.busy = false;
  }

  protected override render() {
    const t = texts();
    return html`<h1 tabindex="-1">${t.settings}</h1>
      ${part(settings.known, () => settings.refresh(), (stored) => this.form(stored))}`;
  }

  private form(stored: Schemas["Settings"]) {
    const t = texts();
    const draft: Draft = this.draft ?? { display_name: stored.display_name ?? "", time_zone: stored.time_zone ?? "", preferred_channel: stored.preferred_channel ?? "" };
    const set = (change: Partial<Draft>) => {
      this.draft = { ...draft, ...change };
      this.isSaved = false;
      this.failure = null;
    };
    const value = (event: Event) => (event.target as HTMLInputElement).value;
    const wrong = (field: string) => (this.failure?.errors.some((one) => one.field === field) ? "true" : nothing);
    const zones = Intl.supportedValuesOf?.("timeZone") ?? [];
    const channels = [...new Set([...(about.known.value?.channels ?? []), ...(stored.preferred_channel ? [stored.preferred_channel] : [])])];
    return html`<form
      @submit=${(event: Event) => {
        event.preventDefault();
        void this.save(stored, draft);
      }}
    >
      <label for="display_name">${t.settingsName}</label>
      <input id="display_name" maxlength="80" autocomplete="name" aria-invalid=${wrong("display_name")} placeholder=${me.known.value?.display_name ?? ""} .value=${draft.display_name} @input=${(event: Event) => set({ display_name: value(event) })} />
      <label for="time_zone">${t.taskZone}</label>
      <input id="time_zone" list="zones" autocomplete="off" spellcheck="false" aria-invalid=${wrong("time_zone")} aria-describedby="zone-hint" placeholder="UTC" .value=${draft.time_zone} @input=${(event: Event) => set({ time_zone: value(event) })} />
      <datalist id="zones">${zones.map((zone) => html`<option value=${zone}></option>`)}</datalist>
      <p id="zone-hint" class="small">${t.settingsZoneHint}</p>
      ${draft.time_zone !== ownZone ? html`<button type="button" class="quiet" @click=${() => set({ time_zone: ownZone })}>${t.settingsZoneOwn(ownZone)}</button>` : nothing}
      ${channels.length > 0
        ? html`<label for="preferred_channel">${t.settingsChannel}</label>
            <select id="preferred_channel" @change=${(event: Event) => set({ preferred_channel: value(event) })}>
              <option value="" ?selected=${draft.preferred_channel === ""}>${t.settingsNoChannel}</option>
              ${channels.map((channel) => html`<option value=${channel} ?selected=${channel === draft.preferred_channel}>${capital(channel)}</option>`)}
            </select>`
        : nothing}
      ${this.failure ? failed(this.failure) : nothing}
      <div class="row">
        <button class="main" type="submit" ?disabled=${this.busy || this.draft === null}>${t.save}</button>
        ${this.isSaved ? html`<span>✓ ${t.saved}</span>` : nothing}
      </div>
    </form>`;
  }
}
customElements.define("portal-settings", Settings);

class Help extends View {
  override connectedCallback() {
    super.connectedCallback();
    keepFresh([about, me]);
  }

  protected override render() {
    const t = texts();
    const known = about.known.value;
    return html`<h1 tabindex="-1">${t.help}</h1>
      ${t.helpText(agentName()).map(({ title, text }) => html`<h2>${title}</h2><p>${text}</p>`)}
      ${details([["Namespace", me.known.value?.namespace], ["Agent", agentName()], ["Friend Portal", known?.version]])}`;
  }
}
customElements.define("portal-help", Help);
