// Schedule: tasks, when they run next, what became of their runs, and a form for a new one.
import { html, nothing } from "lit";
import { client, Failure, take, type Schemas } from "../api";
import { moment, ownZone } from "../format";
import { chosenAgent, jobs, keepFresh } from "../model";
import { go } from "../router";
import { language, texts } from "../text";
import { announce, ask, failed, part, View } from "../view";

type Job = Schemas["JobList"]["jobs"][number];
type Run = Schemas["RunList"]["runs"][number];
type When = "daily" | "weekdays" | "weekly" | "cron";
type Form = { name: string; message: string; when: When; time: string; day: string; cron: string; tz: string };
const query = () => ({ query: chosenAgent() ? { agent: chosenAgent() as string } : {} });
const EMPTY: Form = { name: "", message: "", when: "daily", time: "09:00", day: "1", cron: "0 9 * * *", tz: ownZone };

/** Shapes beside the words, so that nothing depends on colour. */
const SHAPES: Record<string, string> = { delivered: "●", failed: "▲", missed: "○", running: "◐", retrying: "◐", queued: "◌" };

function cronOf(form: Form): string {
  const [hour = "9", minute = "0"] = form.time.split(":");
  const at = `${Number(minute)} ${Number(hour)}`;
  return { daily: `${at} * * *`, weekdays: `${at} * * 1-5`, weekly: `${at} * * ${form.day}`, cron: form.cron.trim() }[form.when];
}

class Schedule extends View {
  static override properties = {
    name: { type: String },
    query: { attribute: false },
    form: { state: true },
    failure: { state: true },
    runs: { state: true },
    runsFailure: { state: true },
    busy: { state: true },
    words: { state: true },
  };
  declare name: string;
  declare query: URLSearchParams;
  declare form: Form;
  declare failure: Failure | null;
  declare runs: Run[] | null;
  declare runsFailure: Failure | null;
  declare busy: boolean;
  declare words: ((cron: string) => string) | null;
  private follow: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    super();
    this.form = { ...EMPTY };
    this.failure = null;
    this.runs = null;
    this.runsFailure = null;
    this.busy = false;
    this.words = null;
  }

  override connectedCallback() {
    super.connectedCallback();
    keepFresh([jobs]);
    void this.loadWords();
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    clearTimeout(this.follow);
  }

  protected override willUpdate(changed: Map<string, unknown>) {
    if (!changed.has("name")) return;
    this.failure = null;
    this.runs = null;
    clearTimeout(this.follow);
    if (this.name === "new") {
      const get = (key: keyof Form) => this.query.get(key) ?? EMPTY[key];
      this.form = { ...EMPTY, name: get("name"), message: get("message"), time: get("time"), when: this.query.has("cron") ? "cron" : (get("when") as When), cron: get("cron"), day: get("day") };
    } else if (this.name) void this.loadRuns();
  }

  private async loadWords() {
    const { default: cronstrue } = await import("cronstrue");
    if (language === "de") await import("cronstrue/locales/de");
    this.words = (cron) => cronstrue.toString(cron, { locale: language, use24HourTimeFormat: true, throwExceptionOnParseError: false });
  }

  private async loadRuns() {
    const name = this.name;
    try {
      const { data } = await take(client.GET("/api/portal/workspace/crons/{name}/runs", { params: { path: { name }, ...query() } }));
      if (name !== this.name) return;
      this.runs = data.runs;
      this.runsFailure = null;
      // A run that is under way is followed to its end.
      clearTimeout(this.follow);
      const isOpen = data.runs.some((run) => ["queued", "running", "retrying"].includes(run.status));
      if (isOpen) this.follow = setTimeout(() => void this.loadRuns(), 2_000);
    } catch (failure) {
      this.runsFailure = failure as Failure;
    }
  }

  private async act(work: () => Promise<unknown>, said: string): Promise<boolean> {
    this.busy = true;
    this.failure = null;
    try {
      await work();
      announce(said);
      await jobs.refresh();
      return true;
    } catch (failure) {
      this.failure = failure as Failure;
      return false;
    } finally {
      this.busy = false;
    }
  }

  private toggle(job: Job) {
    const t = texts();
    const params = { path: { name: job.name }, ...query() };
    const work = () => take(client.POST("/api/portal/workspace/crons/{name}/toggle", { params, body: { enabled: !job.enabled } }));
    return this.act(work, job.enabled ? t.taskOff : t.taskOn);
  }

  private async run(job: Job) {
    const params = { path: { name: job.name }, ...query() };
    await this.act(() => take(client.POST("/api/portal/workspace/crons/{name}/run", { params })), texts().runStarted);
    await this.loadRuns();
  }

  private async removeJob(job: Job) {
    const t = texts();
    if (!(await ask(t.deleteTaskAsk(job.name), t.deleteTask))) return;
    const params = { path: { name: job.name }, ...query() };
    if (await this.act(() => take(client.DELETE("/api/portal/workspace/crons/{name}", { params })), t.done)) go("/portal/schedule", true);
  }

  private async create() {
    const { name, message, tz } = this.form;
    const body = { name: name.trim(), message, cron: cronOf(this.form), tz };
    const work = () => take(client.POST("/api/portal/workspace/crons", { params: query(), body }));
    if (await this.act(work, texts().done)) go(`/portal/schedule/${encodeURIComponent(body.name)}`, true);
  }

  protected override render() {
    const t = texts();
    if (this.name === "new") return this.create_form();
    // The view of one task has a heading of its own, as soon as the tasks are known.
    const hasOwn = this.name && jobs.known.value;
    return html`${hasOwn ? nothing : html`<h1 tabindex="-1">${this.name || t.schedule}</h1>`}
    ${part(jobs.known, () => jobs.refresh(), ({ jobs: all }) => {
      if (!this.name) return this.list(all);
      const job = all.find((one) => one.name === this.name);
      return job ? this.job(job) : html`<h1 tabindex="-1">${t.notFound}</h1>`;
    })}`;
  }

  private when(job: Job): string {
    return job.cron ? (this.words?.(job.cron) ?? job.cron) : "";
  }

  private next(job: Job) {
    const t = texts();
    if (!job.enabled) return t.taskOff;
    return job.next_run ? t.taskNext(moment(job.next_run)) : t.taskNoNext;
  }

  private dots(job: Job) {
    const t = texts();
    const recent = (job as Job & { recent?: { status: string; due_at: string }[] }).recent ?? [];
    return html`<span class="dots">
      ${recent.slice(0, 10).map((run) => html`<span class="dot ${run.status}" role="img" title="${t.statusNames[run.status] ?? run.status}: ${moment(run.due_at)}" aria-label=${t.statusNames[run.status] ?? run.status}>${SHAPES[run.status] ?? "?"}</span>`)}
    </span>`;
  }

  private list(all: Job[]) {
    const t = texts();
    const example = (message: string, name: string, more: string) =>
      html`<a class="button" href="/portal/schedule/new?${new URLSearchParams({ message, name })}${more}">${message}</a>`;
    return html`<p><a class="button main" href="/portal/schedule/new">${t.newTask}</a></p>
      ${this.failure ? failed(this.failure) : nothing}
      ${all.length === 0
        ? html`<p>${t.noJobs}</p><div class="row">${example(t.exampleMorning, "morning", "")} ${example(t.exampleWeekly, "week", "&when=weekly&day=0&time=18:00")}</div>`
        : html`<ul class="cards">
            ${all.map(
              (job) => html`<li class="card">
                <a href="/portal/schedule/${encodeURIComponent(job.name)}"><strong>${job.name}</strong></a>
                <span>${this.when(job)}</span>
                <span class="muted">${this.next(job)}</span>
                ${this.dots(job)}
                <label class="switch"><input type="checkbox" role="switch" .checked=${job.enabled} ?disabled=${this.busy || jobs.known.failure !== null} @change=${() => this.toggle(job)} /> ${job.enabled ? t.taskOn : t.taskOff}</label>
              </li>`,
            )}
          </ul>`}`;
  }

  private job(job: Job) {
    const t = texts();
    const isDown = jobs.known.failure !== null;
    return html`<h1 tabindex="-1">${job.name}</h1>
      <p>${this.when(job)} <span class="muted">(${job.tz})</span></p>
      <p class="state">${this.next(job)}</p>
      <pre>${job.message}</pre>
      ${this.failure ? failed(this.failure) : nothing}
      <div class="row">
        <button class="main" ?disabled=${this.busy || isDown} @click=${() => this.run(job)}>${t.runNow}</button>
        <button ?disabled=${this.busy || isDown} @click=${() => this.toggle(job)}>${job.enabled ? t.taskOff : t.taskOn}</button>
        <button ?disabled=${this.busy || isDown} @click=${() => this.removeJob(job)}>${t.deleteTask}</button>
      </div>
      <section aria-labelledby="runs">
        <h2 id="runs">${t.runs}</h2>
        ${this.runsFailure
          ? failed(this.runsFailure, () => this.loadRuns())
          : this.runs === null
            ? html`<p class="muted" data-loading>${t.loading}</p>`
            : this.runs.length === 0
              ? html`<p class="muted">${t.noRuns}</p>`
              : html`<ul class="rows">
                  ${this.runs.map((run) => html`<li><span aria-hidden="true">${SHAPES[run.status] ?? "?"}</span> <time datetime=${run.due_at}>${moment(run.due_at)}</time> <span>${t.statusNames[run.status] ?? run.status}</span> ${run.error ? html`<span class="muted">${run.error}</span>` : nothing}</li>`)}
                </ul>`}
      </section>`;
  }

  private create_form() {
    const t = texts();
    const { form } = this;
    const set = (change: Partial<Form>) => {
      this.form = { ...form, ...change };
      this.failure = null;
    };
    const value = (event: Event) => (event.target as HTMLInputElement).value;
    const wrong = (field: string) => (this.failure?.errors.some((one) => one.field === field) ? "true" : nothing);
    const choice = (when: When, text: string) =>
      html`<label class="choice"><input type="radio" name="when" .checked=${form.when === when} @change=${() => set({ when })} /> ${text}</label>`;
    const days = Array.from({ length: 7 }, (_, day) => new Date(2026, 0, 4 + day).toLocaleDateString(language, { weekday: "long" }));
    return html`<h1 tabindex="-1">${t.newTask}</h1>
      <form
        @submit=${(event: Event) => {
          event.preventDefault();
          void this.create();
        }}
      >
        <label for="name">${t.taskName}</label>
        <input id="name" required maxlength="64" autocomplete="off" aria-invalid=${wrong("name")} .value=${form.name} @input=${(event: Event) => set({ name: value(event) })} />
        <label for="message">${t.taskMessage("main")}</label>
        <textarea id="message" rows="4" required aria-invalid=${wrong("message")} .value=${form.message} @input=${(event: Event) => set({ message: value(event) })}></textarea>
        <fieldset>
          <legend>${t.taskWhen}</legend>
          ${choice("daily", t.whenDaily)} ${choice("weekdays", t.whenWeekdays)} ${choice("weekly", t.whenWeekly)} ${choice("cron", t.whenCron)}
        </fieldset>
        ${form.when === "weekly"
          ? html`<label for="day">${t.taskDay}</label>
              <select id="day" @change=${(event: Event) => set({ day: value(event) })}>${days.map((day, number) => html`<option value=${number} ?selected=${String(number) === form.day}>${day}</option>`)}</select>`
          : nothing}
        ${form.when === "cron"
          ? html`<label for="cron">${t.taskCron}</label>
              <input id="cron" autocomplete="off" aria-invalid=${wrong("cron")} .value=${form.cron} @input=${(event: Event) => set({ cron: value(event) })} />`
          : html`<label for="time">${t.taskTime}</label><input id="time" type="time" required .value=${form.time} @input=${(event: Event) => set({ time: value(event) })} />`}
        <label for="tz">${t.taskZone}</label>
        <input id="tz" autocomplete="off" aria-invalid=${wrong("tz")} .value=${form.tz} @input=${(event: Event) => set({ tz: value(event) })} />
        <p role="status">${this.words?.(cronOf(form)) ?? ""}</p>
        ${this.failure ? failed(this.failure) : nothing}
        <div class="row">
          <button class="main" type="submit" ?disabled=${this.busy}>${t.taskCreate}</button>
          <a class="button" href="/portal/schedule">${t.cancel}</a>
        </div>
      </form>`;
  }
}
customElements.define("portal-schedule", Schedule);
