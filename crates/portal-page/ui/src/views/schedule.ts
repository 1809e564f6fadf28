// Schedule: tasks, when they run next, what became of their runs, and a form for a new or another timing.
import { html, nothing } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { client, Failure, take } from "../api";
import { moment, ownZone, relative, span } from "../format";
import { agentName, chosenAgent, isLive, jobs, keepFresh, onHints, settings } from "../model";
import { go } from "../router";
import { factsOfRun, isOpen, type Run } from "../runs";
import { language, texts } from "../text";
import { announce, ask, details, failed, part, View } from "../view";
import { cronWords, factsOfJob, formOf, isMessage, isUnwell, KINDS, missedWords, timingOf, weekday, wordsOf, type Job, type Unit, type When, type WhenForm } from "../when";
import "../ask";
import "../zone";

type Form = WhenForm & { name: string; message: string; tz: string; answer: "chat" | "nowhere" | "" };
const query = () => ({ query: chosenAgent() ? { agent: chosenAgent() as string } : {} });
const PREVIEW_PAUSE = 400;
/** Number of tasks from which one may look for some of them. */
const MANY = 10;
/** Pauses between two readings of a task's runs: while one is open, and else; without a stream of hints, and with one. */
const RUNS_POLL = { open: [1_000, 10_000], ended: [10_000, 60_000] } as const;

function empty(): Form {
  const tomorrow = new Date(Date.now() + 86_400_000);
  const date = new Intl.DateTimeFormat("sv-SE").format(tomorrow);
  const tz = settings.known.value?.time_zone ?? ownZone;
  return { name: "", message: "", when: "daily", date, time: "09:00", day: "1", every: "2", unit: "h", cron: "0 9 * * *", tz, answer: "" };
}

/** Shapes beside the words, so that nothing depends on colour. */
const SHAPES: Record<string, string> = { delivered: "●", failed: "▲", missed: "○", running: "◐", retrying: "◐", queued: "◌", unknown: "?" };

class Schedule extends View {
  static override properties = {
    name: { type: String },
    action: { type: String },
    query: { attribute: false },
    form: { state: true },
    preview: { state: true },
    failure: { state: true },
    runs: { state: true },
    runsFailure: { state: true },
    busy: { state: true },
    words: { state: true },
    sought: { state: true },
  };
  declare name: string;
  declare action: string;
  declare query: URLSearchParams;
  declare form: Form;
  /** The next times of the form's timing; null while they are asked for or cannot be said. */
  declare preview: { next: string[]; notes: string[]; refusal: Failure | null } | null;
  declare failure: Failure | null;
  declare runs: Run[] | null;
  declare runsFailure: Failure | null;
  declare busy: boolean;
  declare words: ((cron: string) => string) | null;
  /** What the reader looks for among many tasks. */
  declare sought: string;
  private stopHints: (() => void) | undefined;
  private follow: ReturnType<typeof setTimeout> | undefined;
  private previewTimer: ReturnType<typeof setTimeout> | undefined;
  private previewRound = 0;
  /** The revision of the task that is being changed; null until it is read. */
  private revision: string | null = null;

  constructor() {
    super();
    this.form = empty();
    this.preview = null;
    this.failure = null;
    this.runs = null;
    this.runsFailure = null;
    this.busy = false;
    this.words = null;
    this.sought = "";
  }

  override connectedCallback() {
    super.connectedCallback();
    keepFresh([jobs, settings]);
    this.stopHints = onHints((topics) => {
      const isAboutRuns = ["run", "job", "reset"].some((topic) => topics.has(topic));
      if (isAboutRuns && this.runs !== null) void this.loadRuns();
    });
    void this.loadWords();
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.stopHints?.();
    clearTimeout(this.follow);
    clearTimeout(this.previewTimer);
  }

  protected override willUpdate(changed: Map<string, unknown>) {
    if (!changed.has("name") && !changed.has("action")) return;
    this.failure = null;
    this.runs = null;
    this.preview = null;
    this.revision = null;
    clearTimeout(this.follow);
    if (this.name === "new") this.fill();
    else if (this.name && this.action === "change") void this.loadForm();
    else if (this.name) void this.loadRuns();
  }

  /** A link of the agent's fills the form in; nothing happens until the friend presses the button. */
  private fill() {
    const form = empty();
    for (const key of ["name", "message", "date", "time", "day", "every", "cron", "tz"] as const) form[key] = this.query.get(key) ?? form[key];
    const when = this.query.get("when") as When | null;
    if (when && KINDS.includes(when)) form.when = when;
    else if (this.query.has("cron")) form.when = "cron";
    else if (this.query.has("date")) form.when = "once";
    this.form = form;
    this.askPreview(0);
  }

  private async loadForm() {
    this.failure = null;
    try {
      const { data, etag } = await take(client.GET("/api/portal/workspace/crons/{name}", { params: { path: { name: this.name }, ...query() } }));
      // A link may lead here; the task's own view says that it is the agent's.
      if (data.read_only) return go(`/portal/schedule/${encodeURIComponent(data.name)}`, true);
      this.revision = etag;
      this.form = { ...empty(), ...formOf(data, empty()), name: data.name, message: data.message, tz: data.tz, answer: data.answer_to };
      this.askPreview(0);
    } catch (failure) {
      this.failure = failure as Failure;
    }
  }

  private async loadWords() {
    const { default: cronstrue } = await import("cronstrue");
    if (language === "de") await import("cronstrue/locales/de");
    this.words = (cron) => cronstrue.toString(cron, { locale: language, use24HourTimeFormat: true, throwExceptionOnParseError: false });
  }

  /** Asks for the next times a moment after the last keystroke. An older answer never replaces a newer one. */
  private askPreview(pause = PREVIEW_PAUSE) {
    clearTimeout(this.previewTimer);
    const round = ++this.previewRound;
    this.previewTimer = setTimeout(async () => {
      const timing = timingOf(this.form);
      if (!timing || !this.form.tz) {
        this.preview = null;
        return;
      }
      try {
        const { data } = await take(client.POST("/api/portal/workspace/crons/preview", { params: query(), body: { ...timing, tz: this.form.tz, count: 5 } }));
        if (round === this.previewRound) this.preview = { ...data, refusal: null };
      } catch (failure) {
        if (round === this.previewRound) this.preview = { next: [], notes: [], refusal: failure as Failure };
      }
    }, pause);
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
      const [polled, hinted] = data.runs.some(isOpen) ? RUNS_POLL.open : RUNS_POLL.ended;
      this.follow = setTimeout(() => void this.loadRuns(), isLive() ? hinted : polled);
    } catch (failure) {
      if (name === this.name) this.runsFailure = failure as Failure;
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

  private async store(andRun: boolean) {
    const timing = timingOf(this.form);
    if (!timing) return;
    const { message, tz, answer } = this.form;
    const name = this.form.name.trim();
    const more = { ...timing, message, tz, ...(answer ? { answer_to: answer } : {}) };
    const headers: Record<string, string> = this.revision ? { "If-Match": this.revision } : {};
    const work =
      this.name === "new"
        ? () => take(client.POST("/api/portal/workspace/crons", { params: query(), body: { name, ...more } }))
        : () => take(client.PATCH("/api/portal/workspace/crons/{name}", { params: { path: { name: this.name }, ...query() }, headers, body: more }));
    if (!(await this.act(work, texts().saved))) return;
    const path = { name, ...query() };
    if (andRun) await this.act(() => take(client.POST("/api/portal/workspace/crons/{name}/run", { params: { path, ...query() } })), texts().runStarted);
    go(`/portal/schedule/${encodeURIComponent(name)}`, true);
  }

  protected override render() {
    const t = texts();
    if (this.name === "new") return this.showForm(t.newTask, "/portal/schedule");
    if (this.name && this.action === "change" && this.revision === null) {
      // An empty form would be filled in and then replaced by what is read.
      return html`<h1 tabindex="-1">${t.changeTaskTitle(this.name)}</h1>
        ${this.failure ? failed(this.failure, () => this.loadForm()) : html`<p class="muted" data-loading>${t.loading}</p>`}`;
    }
    if (this.name && this.action === "change") return this.showForm(t.changeTaskTitle(this.name), `/portal/schedule/${encodeURIComponent(this.name)}`);
    // The view of one task has a heading of its own, as soon as the tasks are known.
    const hasOwn = this.name && jobs.known.value;
    return html`${hasOwn ? nothing : html`<h1 tabindex="-1">${this.name || t.schedule}</h1>`}
    ${part(jobs.known, () => jobs.refresh(), ({ jobs: all }) => {
      if (!this.name) return this.list(all);
      const job = all.find((one) => one.name === this.name);
      return job ? this.job(job) : html`<h1 tabindex="-1">${t.notFound}</h1><p><a class="button" href="/portal/schedule">${t.schedule}</a></p>`;
    })}`;
  }

  private next(job: Job) {
    const t = texts();
    if (!job.enabled) return t.taskOff;
    return job.next_run ? t.taskNext(moment(job.next_run), relative(job.next_run)) : t.taskNoNext;
  }

  /** Where the answer goes; of the agent's own reminders, that they are. */
  private manner(job: Job) {
    const t = texts();
    if (job.read_only) return t.ownReminder(agentName());
    return job.answer_to === "chat" ? t.rowChat : t.rowNowhere;
  }

  private dots(job: Job) {
    const t = texts();
    if (job.recent.length === 0) return nothing;
    return html`<span class="dots">
      ${job.recent.slice(0, 10).map((run) => html`<span class="dot ${run.status}" role="img" title="${t.statusNames[run.status] ?? run.status}: ${moment(run.due_at)}" aria-label=${t.statusNames[run.status] ?? run.status}>${SHAPES[run.status] ?? "?"}</span>`)}
    </span>`;
  }

  private list(all: Job[]) {
    const t = texts();
    // Those that went wrong come first, then by their next time; those that have none come last, by name.
    const order = (job: Job) => (isUnwell(job) ? `!${job.next_run ?? ""}` : job.enabled ? (job.next_run ?? "~") : "~~");
    const tasks = all.filter((job) => !isMessage(job)).sort((a, b) => order(a).localeCompare(order(b)) || a.name.localeCompare(b.name));
    const isSought = (job: Job) => [job.name, job.message].some((text) => text.toLocaleLowerCase().includes(this.sought.trim().toLocaleLowerCase()));
    const found = tasks.filter(isSought);
    const messages = all.filter(isMessage).sort((a, b) => b.created_at.localeCompare(a.created_at));
    const isDown = jobs.known.failure !== null;
    const example = (message: string, name: string, more: string) =>
      html`<a class="button" href="/portal/schedule/new?${new URLSearchParams({ message, name })}${more}">${message}</a>`;
    return html`<p><a class="button main" href="/portal/schedule/new">${t.newTask}</a></p>
      ${this.failure ? failed(this.failure) : nothing}
      ${tasks.length === 0
        ? html`<p>${t.noJobs}</p><div class="row">${example(t.exampleMorning, "morning", "")} ${example(t.exampleWeekly, "week", "&when=weekly&day=0&time=18:00")}</div>`
        : html`${tasks.length > MANY ? this.search(found.length, tasks.length) : nothing}
          <ul class="cards">
            ${found.map(
              (job) => html`<li class="card task ${isUnwell(job) ? "bad" : ""}">
                <a href="/portal/schedule/${encodeURIComponent(job.name)}"><strong>${job.name}</strong></a>
                <span>${wordsOf(job, this.words)}${job.tz === ownZone || job.schedule.kind === "every" ? nothing : html` <span class="muted">(${job.tz})</span>`}</span>
                <span class="muted">${this.next(job)}</span>
                ${isUnwell(job) && job.recent[0] ? html`<span>${t.lastRunWas(t.statusNames[job.recent[0].status] ?? job.recent[0].status, moment(job.recent[0].due_at))}</span>` : nothing}
                <span class="small">${this.manner(job)}</span>
                ${this.dots(job)}
                ${job.read_only ? nothing : html`<label class="switch"><input type="checkbox" role="switch" aria-label="${job.name}" .checked=${job.enabled} ?disabled=${this.busy || isDown} @change=${() => this.toggle(job)} /> ${job.enabled ? t.on : t.off}</label>`}
              </li>`,
            )}
          </ul>`}
      <portal-zone></portal-zone>
      ${messages.length > 0
        ? html`<section aria-labelledby="messages"><h2 id="messages">${t.messages(agentName())}</h2>
            <ul class="rows">${messages.map((job) => html`<li><a href="/portal/schedule/${encodeURIComponent(job.name)}">${job.message.split("\n")[0]}</a> <span class="muted"><time datetime=${job.created_at}>${moment(job.created_at)}</time> · ${t.statusNames[job.last_status ?? "queued"] ?? job.last_status}</span></li>`)}</ul>
          </section>`
        : nothing}`;
  }

  private search(found: number, all: number) {
    const t = texts();
    return html`<search>
      <label for="sought">${t.taskSearch}</label>
      <input id="sought" type="search" autocomplete="off" .value=${this.sought} @input=${(event: Event) => (this.sought = (event.target as HTMLInputElement).value)} />
      <p class="small" role="status">${this.sought.trim() ? t.taskFound(found, all) : t.taskCount(all)}</p>
    </search>`;
  }

  private job(job: Job) {
    const t = texts();
    const isDown = jobs.known.failure !== null;
    const isSent = isMessage(job);
    const isRunning = (this.runs ?? []).some(isOpen);
    return html`<h1 tabindex="-1">${isSent ? t.message : job.name}</h1>
      ${isSent
        ? html`<p class="muted"><time datetime=${job.created_at}>${moment(job.created_at)}</time></p>`
        : html`<p>${wordsOf(job, this.words)} <span class="muted">(${job.tz})</span></p><p class="state">${this.next(job)}</p>`}
      <pre>${job.message}</pre>
      ${isSent ? nothing : html`<p class="small">${this.manner(job)}</p>`}
      ${this.newest(job)}
      ${this.failure ? failed(this.failure) : nothing}
      ${job.read_only ? nothing : html`<div class="row">
        ${isSent
          ? nothing
          : html`${this.wentWrong() ? nothing : html`<button class="main" ?disabled=${this.busy || isDown || isRunning} @click=${() => this.run(job)}>${isRunning ? t.runRunning : t.runNow}</button>`}
              <a class="button" href="/portal/schedule/${encodeURIComponent(job.name)}/change">${t.changeTask}</a>
              <button ?disabled=${this.busy || isDown} @click=${() => this.toggle(job)}>${job.enabled ? t.switchOff : t.switchOn}</button>`}
        <button ?disabled=${this.busy || isDown} @click=${() => this.removeJob(job)}>${t.deleteTask}</button>
      </div>`}
      <section aria-labelledby="runs">
        <h2 id="runs">${t.runs}</h2>
        ${this.runsFailure
          ? failed(this.runsFailure, () => this.loadRuns())
          : this.runs === null
            ? html`<p class="muted" data-loading>${t.loading}</p>`
            : this.runs.length === 0
              ? html`<p class="muted">${t.noRuns}</p>`
              : html`<ul class="rows" aria-live="polite">${repeat(this.runs, (run) => run.run_id, (run) => this.runLine(run))}</ul>`}
      </section>
      ${details([["Job", job.id], ["Agent", job.agent_id], ["Session", job.session], ["Timing", job.cron ?? job.schedule.kind], ["Zone", job.tz]])}`;
  }

  /** The newest run, where it did not do what it was to do. */
  private wentWrong(): Run | null {
    const [newest] = this.runs ?? [];
    return newest?.status === "missed" || newest?.status === "failed" ? newest : null;
  }

  /** What that means, and the way on. */
  private newest(job: Job) {
    const t = texts();
    const newest = this.wentWrong();
    if (!newest) return nothing;
    const sentence = job.read_only ? t.lastRunWas(t.statusNames[newest.status] ?? newest.status, moment(newest.due_at)) : newest.status === "missed" ? t.missedAsk : t.failedAsk;
    const isDown = jobs.known.failure !== null;
    return html`<div class="card bad">
      <p>${sentence}</p>
      <div class="row">
        ${isMessage(job) || job.read_only ? nothing : html`<button class="main" ?disabled=${this.busy || isDown} @click=${() => this.run(job)}>${t.runNowAfter}</button>`}
        <portal-ask .about=${job.name} .facts=${factsOfJob(job, newest)}></portal-ask>
      </div>
    </div>`;
  }

  private runLine(run: Run) {
    const t = texts();
    const status = t.statusNames[run.status] ?? run.status;
    const facts = factsOfRun(run, agentName());
    const took = run.started_at && run.finished_at ? span(run.started_at, run.finished_at) : "";
    return html`<li>
      <span aria-hidden="true" class="dot ${run.status}">${SHAPES[run.status] ?? "?"}</span>
      <time datetime=${run.due_at}>${moment(run.due_at)}</time>
      <span>${status}${took ? html` <span class="muted">${took}</span>` : nothing}${run.trigger === "manual" ? html` <span class="muted">(${t.byHand})</span>` : nothing}</span>
      ${run.error && run.sent !== "pending" ? html`<span class="muted">${missedWords(run.error)}</span>` : nothing}
      ${facts.length > 0 ? html`<ul class="steps">${facts.map((fact) => html`<li><span aria-hidden="true">${fact.sign}</span> <span>${fact.words}</span></li>`)}</ul>` : nothing}
      ${run.answer ? html`<details><summary>${t.showAnswer}</summary><pre tabindex="0">${run.answer}</pre></details>` : nothing}
    </li>`;
  }

  private showForm(title: string, back: string) {
    const t = texts();
    const { form } = this;
    const isNew = this.name === "new";
    const set = (change: Partial<Form>) => {
      this.form = { ...form, ...change };
      this.failure = null;
      this.askPreview();
    };
    const value = (event: Event) => (event.target as HTMLInputElement).value;
    const wrong = (field: string) => ([...(this.failure?.errors ?? []), ...(this.preview?.refusal?.errors ?? [])].some((one) => one.field === field) ? "true" : nothing);
    const choice = (when: When) =>
      html`<label class="choice"><input type="radio" name="when" .checked=${form.when === when} @change=${() => set({ when })} /> ${t.whenNames[when]}</label>`;
    return html`<h1 tabindex="-1">${title}</h1>
      <form
        @submit=${(event: SubmitEvent) => {
          event.preventDefault();
          void this.store((event.submitter as HTMLButtonElement | null)?.value === "run");
        }}
      >
        ${isNew ? html`<label for="name">${t.taskName}</label>
        <input id="name" required maxlength="64" autocomplete="off" aria-invalid=${wrong("name")} .value=${form.name} @input=${(event: Event) => set({ name: value(event) })} />` : nothing}
        <label for="message">${t.taskMessage(agentName())}</label>
        <textarea id="message" rows="4" required aria-invalid=${wrong("message")} .value=${form.message} @input=${(event: Event) => set({ message: value(event) })}></textarea>
        <fieldset>
          <legend>${t.taskWhen}</legend>
          ${KINDS.map(choice)}
        </fieldset>
        ${this.whenFields(form, set, value, wrong)}
        ${form.when === "every" ? nothing : html`<label for="tz">${t.taskZone}</label>
        <input id="tz" autocomplete="off" spellcheck="false" aria-invalid=${wrong("tz")} .value=${form.tz} @input=${(event: Event) => set({ tz: value(event) })} />`}
        ${this.showPreview()}
        <label for="answer">${t.answerTo}</label>
        <select id="answer" @change=${(event: Event) => set({ answer: value(event) as Form["answer"] })}>
          ${isNew ? html`<option value="" ?selected=${form.answer === ""}>${t.answerDefault}</option>` : nothing}
          <option value="chat" ?selected=${form.answer === "chat"}>${t.answerChat}</option>
          <option value="nowhere" ?selected=${form.answer === "nowhere"}>${t.answerNowhere(agentName())}</option>
        </select>
        ${this.failure ? failed(this.failure) : nothing}
        <div class="row">
          <button class="main" type="submit" ?disabled=${this.busy}>${isNew ? t.taskCreate : t.save}</button>
          ${isNew ? html`<button type="submit" value="run" ?disabled=${this.busy}>${t.taskCreateRun}</button>` : nothing}
          <a class="button" href=${back}>${t.cancel}</a>
        </div>
      </form>`;
  }

  private whenFields(form: Form, set: (change: Partial<Form>) => void, value: (event: Event) => string, wrong: (field: string) => unknown) {
    const t = texts();
    const time = html`<label for="time">${t.taskTime}</label><input id="time" type="time" required .value=${form.time} @input=${(event: Event) => set({ time: value(event) })} />`;
    switch (form.when) {
      case "once":
        return html`<label for="date">${t.taskDate}</label><input id="date" type="date" required aria-invalid=${wrong("at")} .value=${form.date} @input=${(event: Event) => set({ date: value(event) })} />${time}`;
      case "weekly": {
        const days = Array.from({ length: 7 }, (_, day) => weekday(day));
        return html`<label for="day">${t.taskDay}</label>
          <select id="day" @change=${(event: Event) => set({ day: value(event) })}>${days.map((day, number) => html`<option value=${number} ?selected=${String(number) === form.day}>${day}</option>`)}</select>${time}`;
      }
      case "every":
        return html`<label for="every">${t.taskEvery}</label>
          <div class="pair">
            <input id="every" type="number" min="1" required aria-invalid=${wrong("every")} .value=${form.every} @input=${(event: Event) => set({ every: value(event) })} />
            <select aria-label=${t.taskUnit} @change=${(event: Event) => set({ unit: value(event) as Unit })}>
              ${(["m", "h", "d"] as const).map((unit) => html`<option value=${unit} ?selected=${unit === form.unit}>${t.unitNames[unit]}</option>`)}
            </select>
          </div>`;
      case "cron":
        return html`<label for="cron">${t.taskCron}</label>
          <input id="cron" required autocomplete="off" spellcheck="false" aria-invalid=${wrong("cron")} aria-describedby="cron-hint" .value=${form.cron} @input=${(event: Event) => set({ cron: value(event) })} />
          <p id="cron-hint" class="small">${t.taskCronHint}</p>`;
      default:
        return time;
    }
  }

  /** What the server makes of the timing: in words, the next five times, and clock changes that bear on them. */
  private showPreview() {
    const t = texts();
    const timing = timingOf(this.form);
    const words = timing?.cron && !this.preview?.refusal ? cronWords(timing.cron, this.words) : "";
    const zone = this.form.when === "every" ? ownZone : this.form.tz;
    return html`<div class="preview" role="status">
      ${words ? html`<p>${words}</p>` : nothing}
      ${this.preview?.refusal ? failed(this.preview.refusal) : nothing}
      ${this.preview && this.preview.next.length > 0
        ? html`<p class="small">${t.nextTimes}</p><ol class="times">${this.preview.next.map((at) => html`<li><time datetime=${at}>${moment(at, zone)}</time></li>`)}</ol>`
        : nothing}
      ${this.preview?.notes.map((note) => html`<p class="small">${note}</p>`)}
    </div>`;
  }
}
customElements.define("portal-schedule", Schedule);
