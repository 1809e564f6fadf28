// Apps: what runs, why something does not, and publishing it under an address.
import { html, nothing } from "lit";
import { appsOf, addressProblem, publishName, type Address, type App } from "../apps";
import { client, Failure, take, type Schemas } from "../api";
import { domains, keepFresh, me, space } from "../model";
import { go } from "../router";
import { texts } from "../text";
import { announce, ask, copyButton, failed, part, View } from "../view";

class Apps extends View {
  static override properties = {
    name: { type: String },
    action: { type: String },
    query: { attribute: false },
    form: { state: true },
    failure: { state: true },
    busy: { state: true },
    code: { state: true },
  };
  declare name: string;
  declare action: string;
  declare query: URLSearchParams;
  declare form: { name: string; domain: string; service: string; port: number | null } | null;
  declare failure: Failure | null;
  declare busy: boolean;
  declare code: string | null;

  constructor() {
    super();
    this.form = null;
    this.failure = null;
    this.busy = false;
    this.code = null;
  }

  override connectedCallback() {
    super.connectedCallback();
    keepFresh([space, domains, me]);
  }

  protected override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("name") || changed.has("action")) {
      this.form = null;
      this.failure = null;
      this.code = null;
    }
  }

  protected override render() {
    const t = texts();
    // The view of one app has a heading of its own, as soon as its space is known.
    const hasOwn = this.name && space.known.value;
    return html`${hasOwn ? nothing : html`<h1 tabindex="-1">${this.name || t.apps}</h1>`}
    ${part(space.known, () => space.refresh(), (value) => {
      const apps = appsOf(value);
      if (!this.name) return this.list(apps, value);
      const app = apps.find((one) => one.name === this.name);
      if (!app) return html`<h1 tabindex="-1">${t.notFound}</h1>`;
      return this.action === "publish" ? this.publish(app) : this.app(app, value);
    })}`;
  }

  private list(apps: App[], value: Schemas["Namespace"]) {
    const t = texts();
    if (apps.length === 0) return html`<p>${t.noApps("main")}</p>${this.room(value)}`;
    return html`<ul class="cards">
        ${apps.map(
          (app) => html`<li>
            <a class="card ${app.problem ? "bad" : ""}" href="/portal/apps/${encodeURIComponent(app.name)}">
              <strong>${app.name}</strong>
              <span>${this.state(app)}</span>
              <span class="muted">${app.addresses[0]?.hostname ?? t.noAddress}</span>
              ${app.problem ? html`<span>${app.problem}</span>` : nothing}
            </a>
          </li>`,
        )}
      </ul>
      ${this.room(value)}`;
  }

  /** A word and a shape: never colour alone. */
  private state(app: App) {
    const t = texts();
    const shape = { running: "●", starting: "◐", notRunning: "▲", switchedOff: "○" }[app.state];
    return html`<span aria-hidden="true">${shape}</span> ${t[app.state]}`;
  }

  private app(app: App, value: Schemas["Namespace"]) {
    const t = texts();
    return html`<h1 tabindex="-1">${app.name}</h1>
      <p class="state">${this.state(app)} · ${t.copies(String(app.ready), String(app.wanted))}</p>
      ${app.problem ? html`<div class="card bad"><p>${app.problem}</p>${app.lastWords ? html`<p class="small">${t.lastWords}</p><pre>${app.lastWords}</pre>` : nothing}</div>` : nothing}
      <section aria-labelledby="addresses">
        <h2 id="addresses">${t.addresses}</h2>
        ${app.addresses.map((one) => this.address(one))}
        ${this.failure ? failed(this.failure) : nothing}
        ${app.services.length > 0 && app.addresses.length === 0
          ? html`<p><a class="button main" href="/portal/apps/${encodeURIComponent(app.name)}/publish">${t.publish}</a></p>`
          : nothing}
        ${app.services.length === 0 && app.addresses.length === 0 ? html`<p class="muted">${t.noAddress}</p>` : nothing}
      </section>
      <section aria-labelledby="copies">
        <h2 id="copies">${t.copiesTitle}</h2>
        <ul class="rows">
          ${app.pods.map((pod) => html`<li><code>${pod.name}</code> <span>${pod.ready ? t.running : (pod.reason ?? pod.status)}</span> ${pod.restarts > 0 ? html`<span class="muted">${t.restarts(pod.restarts)}</span>` : nothing}</li>`)}
        </ul>
      </section>
      ${this.room(value)}
      <details>
        <summary>${t.details}</summary>
        <dl>
          <dt>Deployment</dt>
          <dd>${app.deployment ? `${app.deployment.name} (${app.deployment.replicas}, ${app.deployment.image})` : "–"}</dd>
          <dt>Services</dt>
          <dd>${app.services.map((one) => `${one.name}: ${one.ports.map((port) => port.port).join(", ")}`).join("; ") || "–"}</dd>
          <dt>Pods</dt>
          <dd>${app.pods.map((pod) => `${pod.name} (${pod.status}${pod.reason ? `, ${pod.reason}` : ""})`).join("; ") || "–"}</dd>
        </dl>
      </details>`;
  }

  private address(one: Address) {
    const t = texts();
    const exposure = one.exposure;
    const url = `https://${one.hostname ?? ""}`;
    const status = exposure?.status ?? "active";
    const word = { active: t.published, pending: t.pending, removing: t.takingOffline, failed: t.failed }[status as string] ?? status;
    return html`<div class="card ${status === "failed" ? "bad" : ""}">
      <p><a href=${url} target="_blank" rel="noreferrer">${one.hostname}</a></p>
      <p class="small">${word}${addressProblem(one) ? html` ${addressProblem(one)}` : nothing}</p>
      <div class="row">
        ${copyButton(url)}
        ${"share" in navigator ? html`<button class="quiet" @click=${() => navigator.share({ url }).catch(() => undefined)}>${t.share}</button>` : nothing}
        <button class="quiet" @click=${() => this.showCode(url)}>${t.qr}</button>
        ${exposure && status !== "removing" ? html`<button class="quiet" ?disabled=${this.busy} @click=${() => this.takeOffline(exposure.name, one.hostname ?? "")}>${t.takeOffline}</button>` : nothing}
      </div>
      ${this.code ? html`<img class="code" alt="${t.qr}: ${one.hostname}" src=${this.code} />` : nothing}
    </div>`;
  }

  private async showCode(url: string) {
    const { default: qrcode } = await import("qrcode-generator");
    const code = qrcode(0, "M");
    code.addData(url);
    code.make();
    this.code = this.code ? null : code.createDataURL(4, 8);
  }

  private async takeOffline(name: string, host: string) {
    const t = texts();
    if (!(await ask(t.takeOfflineAsk(host), t.takeOffline))) return;
    this.busy = true;
    this.failure = null;
    try {
      await take(client.DELETE("/api/portal/namespace/expose/{name}", { params: { path: { name } } }));
      announce(t.done);
    } catch (failure) {
      this.failure = failure as Failure;
    }
    this.busy = false;
    await space.refresh();
  }

  private publish(app: App) {
    const t = texts();
    const services = app.services.flatMap((service) =>
      service.ports.filter((port) => port.protocol === "TCP" || !port.protocol).map((port) => ({ service: service.name, port: port.port })),
    );
    const first = services.find((one) => one.port === 80) ?? services[0];
    const form = (this.form ??= {
      name: this.query.get("name") ?? publishName(app.name),
      domain: this.query.get("domain") ?? domains.known.value?.[0] ?? "",
      service: first?.service ?? app.name,
      port: first?.port ?? null,
    });
    if (!form.domain && domains.known.value?.[0]) form.domain = domains.known.value[0];
    const set = (change: Partial<typeof form>) => {
      this.form = { ...form, ...change };
      this.failure = null;
    };
    const host = `${form.name || "…"}-${me.known.value?.id ?? "…"}.${form.domain}`;
    const field = this.failure?.errors.find((one) => one.field === "name") ? "name" : null;
    return html`<h1 tabindex="-1">${t.publishTitle(app.name)}</h1>
      <form
        @submit=${(event: Event) => {
          event.preventDefault();
          void this.send(app, form);
        }}
      >
        <label for="name">${t.publishName}</label>
        <input id="name" required maxlength="20" autocapitalize="off" autocomplete="off" spellcheck="false" .value=${form.name}
          aria-describedby="name-hint" aria-invalid=${field === "name" ? "true" : nothing}
          @input=${(event: Event) => set({ name: (event.target as HTMLInputElement).value.toLowerCase() })} />
        <p id="name-hint" class="small">${t.publishNameHint}</p>
        ${(domains.known.value ?? []).length > 1
          ? html`<label for="domain">${t.publishDomain}</label>
              <select id="domain" @change=${(event: Event) => set({ domain: (event.target as HTMLSelectElement).value })}>
                ${(domains.known.value ?? []).map((one) => html`<option ?selected=${one === form.domain}>${one}</option>`)}
              </select>`
          : nothing}
        ${services.length > 1
          ? html`<label for="port">${t.publishPort}</label>
              <select id="port" @change=${(event: Event) => set(services[(event.target as HTMLSelectElement).selectedIndex] ?? {})}>
                ${services.map((one) => html`<option ?selected=${one.service === form.service && one.port === form.port}>${one.service}: ${one.port}</option>`)}
              </select>`
          : nothing}
        <p>${t.publishAddress} <strong>${host}</strong></p>
        <p class="small">${t.publishAnyone}</p>
        ${this.failure ? failed(this.failure.code === "hostname-taken" ? new Failure(t.nameTaken, this.failure.code, 409, this.failure.requestId, null, null, []) : this.failure) : nothing}
        <div class="row">
          <button class="main" type="submit" ?disabled=${this.busy}>${this.busy ? t.publishing : t.publishNow}</button>
          <a class="button" href="/portal/apps/${encodeURIComponent(app.name)}">${t.cancel}</a>
        </div>
      </form>`;
  }

  private async send(app: App, form: NonNullable<Apps["form"]>) {
    const t = texts();
    const standing = space.known.value?.ingressRoutes.find((one) => one.exposure?.name === form.name)?.exposure;
    const moves = standing && (standing.domain !== form.domain || standing.service !== form.service);
    if (moves && !(await ask(t.moveAsk(`${form.name}-${me.known.value?.id ?? ""}.${form.domain}`), t.move))) return;
    this.busy = true;
    this.failure = null;
    try {
      const body = { name: form.name, service: form.service, port: form.port, domain: form.domain };
      await take(client.POST("/api/portal/namespace/expose", { body }));
      announce(t.published);
      await space.refresh();
      go(`/portal/apps/${encodeURIComponent(app.name)}`, true);
    } catch (failure) {
      this.failure = failure as Failure;
    }
    this.busy = false;
  }

  private room(value: Schemas["Namespace"]) {
    const t = texts();
    const { quota } = value;
    return html`<section aria-labelledby="room">
      <h2 id="room">${t.room}</h2>
      ${quota
        ? html`<ul class="rows">
            ${Object.entries(quota.hard).map(([key, hard]) => html`<li>${t.roomNames[key] ?? key} <span>${t.roomUsed(quota.used[key] ?? "0", hard ?? "")}</span></li>`)}
          </ul>`
        : html`<p class="muted">${t.roomNone}</p>`}
    </section>`;
  }
}
customElements.define("portal-apps", Apps);
