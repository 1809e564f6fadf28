// Home: one sentence of state, what is wrong, addresses, the next tasks.
import { html, nothing } from "lit";
import { appsOf, addressProblem } from "../apps";
import type { Schemas } from "../api";
import { moment } from "../format";
import { documents, jobs, keepFresh, me, space } from "../model";
import { texts } from "../text";
import { part, View } from "../view";

class Home extends View {
  override connectedCallback() {
    super.connectedCallback();
    keepFresh([me, space, jobs, documents]);
  }

  protected override render() {
    const t = texts();
    return html`<h1 tabindex="-1">${this.sentence()}</h1>
      ${part(space.known, () => space.refresh(), (value) => this.space(value))}
      <section aria-labelledby="tasks">
        <h2 id="tasks">${t.nextTasks}</h2>
        ${part(jobs.known, () => jobs.refresh(), (value) => this.tasks(value.jobs))}
      </section>`;
  }

  private sentence(): string {
    const t = texts();
    const { value, failure } = space.known;
    if (failure) return t.stateUnknown;
    if (!value) return t.loading;
    if (value.phase === null) return t.spaceGone;
    const apps = appsOf(value);
    const problems = apps.filter((app) => app.problem).length + value.ingressRoutes.filter(addressProblem).length;
    if (problems > 0) return t.stateProblems(problems);
    return apps.length === 0 ? t.stateNothing : t.stateAllWell;
  }

  private space(value: Schemas["Namespace"]) {
    const t = texts();
    const apps = appsOf(value);
    const wrong = apps.filter((app) => app.problem);
    const addresses = value.ingressRoutes;
    return html`
      ${wrong.length + addresses.filter(addressProblem).length > 0
        ? html`<section aria-labelledby="wrong">
            <h2 id="wrong">${t.needsAttention}</h2>
            ${wrong.map((app) => html`<a class="card bad" href="/portal/apps/${encodeURIComponent(app.name)}"><strong>${app.name}</strong><span>${app.problem}</span></a>`)}
            ${addresses.map((one) => {
              const problem = addressProblem(one);
              return problem
                ? html`<a class="card bad" href="/portal/apps/${encodeURIComponent(one.service ?? one.name)}"><strong>${one.hostname}</strong><span>${problem}</span></a>`
                : nothing;
            })}
          </section>`
        : nothing}
      ${apps.length === 0 ? this.steps(value) : nothing}
      ${addresses.length > 0
        ? html`<section aria-labelledby="addresses">
            <h2 id="addresses">${t.addresses}</h2>
            <ul class="rows">
              ${addresses.map((one) => html`<li><a href="https://${one.hostname ?? ""}" target="_blank" rel="noreferrer">${one.hostname}</a> <span class="muted">${one.service}</span></li>`)}
            </ul>
          </section>`
        : nothing}
    `;
  }

  private steps(value: Schemas["Namespace"]) {
    const t = texts();
    const told = documents.known.value?.documents.some((one) => one.name === "memory" && one.exists && one.bytes > 0) ?? false;
    const step = (isDone: boolean, text: string, path: string) =>
      html`<li><a href=${path}>${text}</a>${isDone ? html` <span class="tick">✓ ${t.done}</span>` : nothing}</li>`;
    return html`<section aria-labelledby="steps">
      <h2 id="steps">${t.steps}</h2>
      <ol>
        ${step(told, t.stepTell("main"), "/portal/memory")} ${step(value.pods.length > 0, t.stepAsk("main"), "/portal/help")}
        ${step(value.ingressRoutes.length > 0, t.stepPublish, "/portal/apps")}
      </ol>
    </section>`;
  }

  private tasks(all: Schemas["JobList"]["jobs"]) {
    const t = texts();
    const next = all.filter((job) => job.enabled && job.next_run).sort((a, b) => (a.next_run ?? "").localeCompare(b.next_run ?? ""));
    if (next.length === 0) return html`<p class="muted">${t.noTasks}</p>`;
    return html`<ul class="rows">
      ${next.slice(0, 3).map((job) => html`<li><a href="/portal/schedule/${encodeURIComponent(job.name)}">${job.name}</a> <time datetime=${job.next_run ?? ""}>${moment(job.next_run ?? "")}</time></li>`)}
    </ul>`;
  }
}
customElements.define("portal-home", Home);
