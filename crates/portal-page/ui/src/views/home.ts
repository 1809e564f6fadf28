// Home: one sentence of state, what is wrong, addresses, the next tasks, the last changes.
import { html, nothing } from "lit";
import { activityLine } from "./more";
import { addressProblem, addressWord, appsOf, factsOf, factsOfAddress, type Address, type App } from "../apps";
import type { Schemas } from "../api";
import { moment, relative, time } from "../format";
import { factsOfJob, isMessage, isUnwell } from "../when";
import { activity, agentName, documents, jobs, keepFresh, me, settings, space } from "../model";
import { texts } from "../text";
import { details, part, View } from "../view";
import "../ask";
import "../zone";

type Job = Schemas["JobList"]["jobs"][number];

class Home extends View {
  override connectedCallback() {
    super.connectedCallback();
    keepFresh([me, space, jobs, documents, activity, settings]);
  }

  protected override render() {
    const t = texts();
    return html`<h1 tabindex="-1">${this.sentence()}</h1>
      ${part(space.known, () => space.refresh(), (value) => this.space(value))}
      <section aria-labelledby="tasks">
        <h2 id="tasks">${t.nextTasks}</h2>
        <portal-zone></portal-zone>
        ${part(jobs.known, () => jobs.refresh(), (value) => this.tasks(value.jobs))}
      </section>
      <section aria-labelledby="changes">
        <h2 id="changes">${t.lastChanges}</h2>
        ${part(activity.known, () => activity.refresh(), (value) => this.changes(value.activity))}
      </section>
      ${details([["Namespace", me.known.value?.namespace], ["Agent", agentName()]])}`;
  }

  private sentence(): string {
    const t = texts();
    const { value, failure, at } = space.known;
    if (failure) return value ? t.stateOld(time(at)) : t.stateUnknown;
    if (!value) return t.loading;
    if (value.phase === null) return t.spaceGone;
    const apps = appsOf(value);
    const problems = apps.filter((app) => app.problem).length + value.ingressRoutes.filter(addressProblem).length + this.unwellTasks().length;
    if (problems > 0) return t.stateProblems(problems);
    return apps.length === 0 ? t.stateNothing : t.stateAllWell;
  }

  private space(value: Schemas["Namespace"]) {
    const t = texts();
    const apps = appsOf(value);
    // What does not run at all comes first.
    const broken = apps.filter((app) => app.problem).sort((a, b) => Number(a.ready > 0) - Number(b.ready > 0));
    const unwell = value.ingressRoutes.filter(addressProblem);
    const tasks = this.unwellTasks();
    return html`
      ${broken.length + unwell.length + tasks.length > 0
        ? html`<section aria-labelledby="wrong">
            <h2 id="wrong">${t.needsAttention}</h2>
            ${broken.map((app) => this.broken(app, value))} ${unwell.map((one) => this.unwell(one))}
            ${tasks.map((job) => this.failedTask(job))}
          </section>`
        : nothing}
      ${apps.length === 0 ? this.steps(value) : nothing}
      ${value.ingressRoutes.length > 0
        ? html`<section aria-labelledby="addresses">
            <h2 id="addresses">${t.addresses}</h2>
            <ul class="rows">
              ${value.ingressRoutes.map((one) => html`<li><a href="https://${one.hostname ?? ""}" target="_blank" rel="noreferrer">${one.hostname}</a> <span class="muted">${one.service ?? one.exposure?.service} · ${addressWord(one)}</span></li>`)}
            </ul>
          </section>`
        : nothing}
    `;
  }

  private broken(app: App, value: Schemas["Namespace"]) {
    const t = texts();
    return html`<div class="card bad">
      <p><strong>${app.name}</strong></p>
      <p>${app.problem}${app.since ? html` <span class="muted">(${t.since(moment(app.since))})</span>` : nothing}</p>
      <div class="row">
        <a class="button" href="/portal/apps/${encodeURIComponent(app.name)}" aria-label="${t.seeWhy}: ${app.name}">${t.seeWhy}</a>
        <portal-ask .about=${app.name} .facts=${factsOf(app, value)}></portal-ask>
      </div>
    </div>`;
  }

  private unwell(address: Address) {
    const t = texts();
    const app = address.exposure?.service ?? address.service ?? "";
    return html`<div class="card bad">
      <p><strong>${address.hostname}</strong></p>
      <p>${addressProblem(address)}</p>
      <div class="row">
        ${app ? html`<a class="button" href="/portal/apps/${encodeURIComponent(app)}" aria-label="${t.seeWhy}: ${address.hostname}">${t.seeWhy}</a>` : nothing}
        <portal-ask .about=${address.hostname ?? ""} .facts=${factsOfAddress(address)}></portal-ask>
      </div>
    </div>`;
  }

  private steps(value: Schemas["Namespace"]) {
    const t = texts();
    const told = documents.known.value?.documents.some((one) => one.name === "memory" && one.exists && one.bytes > 0) ?? false;
    const step = (isDone: boolean, text: string, path: string) =>
      html`<li><a href=${path}>${text}</a>${isDone ? html` <span class="tick">✓ ${t.done}</span>` : nothing}</li>`;
    return html`<section aria-labelledby="steps">
      <h2 id="steps">${t.steps}</h2>
      <ol class="rows numbered">
        ${step(told, t.stepTell(agentName()), "/portal/memory")} ${step(value.pods.length > 0, t.stepAsk(agentName()), "/portal/help")}
        ${step(value.ingressRoutes.length > 0, t.stepPublish, "/portal/apps")}
      </ol>
    </section>`;
  }

  private tasks(all: Schemas["JobList"]["jobs"]) {
    const t = texts();
    const next = all.filter((job) => job.enabled && job.next_run).sort((a, b) => (a.next_run ?? "").localeCompare(b.next_run ?? ""));
    // Without an answer of the cluster, the tasks stand here only.
    const unwell = space.known.value === null ? this.unwellTasks() : [];
    return html`${unwell.map((job) => this.failedTask(job))}
    ${next.length === 0
      ? html`<p class="muted">${t.noTasks}</p>`
      : html`<ul class="rows">
          ${next.slice(0, 3).map((job) => html`<li><a href="/portal/schedule/${encodeURIComponent(job.name)}">${job.name}</a> <time class="muted" datetime=${job.next_run ?? ""}>${moment(job.next_run ?? "")}</time> <span class="small">${relative(job.next_run ?? "")}</span></li>`)}
        </ul>`}`;
  }

  private unwellTasks(): Job[] {
    return (jobs.known.value?.jobs ?? []).filter((job) => isUnwell(job) && (job.enabled || isMessage(job)));
  }

  private failedTask(job: Job) {
    const t = texts();
    const status = job.last_status ?? "";
    const due = job.recent[0]?.due_at ?? job.last_run ?? job.created_at;
    const name = isMessage(job) ? t.message : job.name;
    return html`<div class="card bad">
      <p><strong>${name}</strong></p>
      <p>${t.lastRunWas(t.statusNames[status] ?? status, moment(due))} ${status === "missed" ? t.missedRun : nothing}</p>
      <div class="row">
        <a class="button" href="/portal/schedule/${encodeURIComponent(job.name)}" aria-label="${t.seeWhy}: ${name}">${t.seeWhy}</a>
        <portal-ask .about=${name} .facts=${factsOfJob(job, { status, due_at: due, error: job.last_error })}></portal-ask>
      </div>
    </div>`;
  }

  private changes(entries: Schemas["ActivityList"]["activity"]) {
    const t = texts();
    const shown = entries.filter((entry) => !entry.action.startsWith("session.") && !entry.action.startsWith("friend"));
    if (shown.length === 0) return html`<p class="muted">${t.noChanges}</p>`;
    return html`<ul class="rows">${shown.slice(0, 3).map(activityLine)}</ul>
      <p><a class="button" href="/portal/activity">${t.allChanges}</a></p>`;
  }
}
customElements.define("portal-home", Home);
