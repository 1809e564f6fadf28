// Apps: what runs, why something does not, and publishing it under an address.
import { html, nothing } from "lit";
import { appsOf, addressProblem, addressWord, factsOf, factsOfAddress, publishName, type Address, type App } from "../apps";
import { client, Failure, take, type Schemas } from "../api";
import { moment, quantity } from "../format";
import { agentName, domains, keepFresh, me, space } from "../model";
import { go } from "../router";
import { sentenceOf } from "../sentences";
import { texts } from "../text";
import { announce, ask, copyButton, details, failed, part, View } from "../view";
import "../ask";

type Exposure = Schemas["Exposure"];
type Form = { name: string; domain: string; service: string; port: number | null };

/** Pause after the last keystroke before the portal is asked about a name. */
const TRY_PAUSE = 400;
/** The steps of an address, in the page's words: a stored name comes first, the portal's own steps follow. */
const STEPS: [string, string | null][] = [["reserved", null], ["routed", "route"], ["named", "record"], ["answers", "answer"]];

class Apps extends View {
  static override properties = {
    name: { type: String },
    action: { type: String },
    query: { attribute: false },
    form: { state: true },
    tried: { state: true },
    failure: { state: true },
    busy: { state: true },
    code: { state: true },
  };
  declare name: string;
  declare action: string;
  declare query: URLSearchParams;
  declare form: Form | null;
  /** What the portal says of the name in the form, before anything is stored. */
  declare tried: { host: string; failure: Failure | null } | null;
  declare failure: Failure | null;
  declare busy: boolean;
  declare code: { url: string; image: string } | null;
  private tryTimer: ReturnType<typeof setTimeout> | undefined;
  private tryRound = 0;

  constructor() {
    super();
    this.form = null;
    this.tried = null;
    this.failure = null;
    this.busy = false;
    this.code = null;
  }

  override connectedCallback() {
    super.connectedCallback();
    keepFresh([space, domains, me]);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    clearTimeout(this.tryTimer);
  }

  protected override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("name") || changed.has("action")) {
      clearTimeout(this.tryTimer);
      this.tryRound++;
      this.form = null;
      this.tried = null;
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
      // What has a problem comes first.
      const apps = appsOf(value).sort((a, b) => Number(b.problem !== null) - Number(a.problem !== null));
      if (!this.name) return this.list(apps, value);
      const app = apps.find((one) => one.name === this.name);
      if (!app) return html`<h1 tabindex="-1">${t.notFound}</h1><p><a class="button" href="/portal/apps">${t.apps}</a></p>`;
      return this.action === "publish" ? this.publish(app) : this.app(app, value);
    })}`;
  }

  private list(apps: App[], value: Schemas["Namespace"]) {
    const t = texts();
    if (value.phase === null) return html`<p>${t.spaceGone}</p>`;
    if (apps.length === 0) {
      return html`<p>${t.noApps(agentName())}</p>
        <portal-ask .about=${t.noAppsExample} .facts=${t.noAppsExample}></portal-ask>${this.room(value)}`;
    }
    return html`<ul class="cards">
        ${apps.map((app) => {
          const [first, ...others] = app.addresses;
          return html`<li>
            <a class="card ${app.problem ? "bad" : ""}" href="/portal/apps/${encodeURIComponent(app.name)}">
              <strong>${app.name}</strong>
              <span>${this.state(app)}</span>
              <span class="muted">${first?.hostname ?? t.noAddress}${others.length > 0 ? ` +${others.length}` : ""}</span>
              ${app.problem ? html`<span>${app.problem}</span>` : nothing}
            </a>
          </li>`;
        })}
      </ul>
      ${this.room(value)}`;
  }

  /** A word and a shape: never colour alone. */
  private state(app: App) {
    const t = texts();
    const shape = { running: "●", partly: "◐", starting: "◐", notRunning: "▲", switchedOff: "○" }[app.state];
    return html`<span aria-hidden="true">${shape}</span> ${t[app.state]}`;
  }

  private app(app: App, value: Schemas["Namespace"]) {
    const t = texts();
    const first = app.addresses.find((one) => one.hostname && (one.exposure?.status ?? "active") === "active");
    return html`<h1 tabindex="-1">${app.name}</h1>
      <p class="state">${this.state(app)} · ${t.copies(String(app.ready), String(app.wanted))}${first ? html` · <a href="https://${first.hostname}" target="_blank" rel="noreferrer">${first.hostname}</a>` : nothing}</p>
      ${app.problem
        ? html`<div class="card bad">
            <p>${app.problem}${app.since ? html` <span class="muted">(${t.since(moment(app.since))})</span>` : nothing}</p>
            ${app.lastWords ? html`<p class="small">${t.lastWords}</p><pre tabindex="0">${app.lastWords}</pre>` : nothing}
            <portal-ask .about=${app.name} .facts=${factsOf(app, value)}></portal-ask>
          </div>`
        : nothing}
      <section aria-labelledby="addresses">
        <h2 id="addresses">${t.addresses}</h2>
        ${app.addresses.map((one) => this.address(one))}
        ${this.failure ? failed(this.failure) : nothing}
        ${app.addresses.length === 0 ? html`<p class="muted">${app.services.length > 0 ? t.noAddressYet : t.noParts(agentName())}</p>` : nothing}
        ${app.services.length > 0
          ? html`<p><a class="button ${app.addresses.length === 0 ? "main" : ""}" href="/portal/apps/${encodeURIComponent(app.name)}/publish">${app.addresses.length === 0 ? t.publish : t.publishMore}</a></p>`
          : nothing}
      </section>
      ${app.pods.length > 0
        ? html`<section aria-labelledby="copies">
            <h2 id="copies">${t.copiesTitle}</h2>
            <ul class="rows">
              ${app.pods.map((pod) => html`<li><code>${pod.name}</code> <span>${pod.ready ? t.running : (t.podReasons[pod.reason ?? pod.status] ?? pod.reason ?? pod.status)}</span>
                <span class="muted">${pod.restarts > 0 ? `${t.restarts(pod.restarts)} · ` : ""}${pod.age ? t.since(moment(pod.age)) : ""}</span></li>`)}
            </ul>
          </section>`
        : nothing}
      ${this.room(value)}
      ${details([
        ["Namespace", me.known.value?.namespace],
        ["Deployment", app.deployment && `${app.deployment.name} (${app.deployment.replicas}, ${app.deployment.image})`],
        ["Services", app.services.map((one) => `${one.name}: ${one.ports.map((port) => port.port).join(", ")}`).join("; ")],
        ["Pods", app.pods.map((pod) => `${pod.name} (${pod.status}${pod.reason ? `, ${pod.reason}` : ""})`).join("; ")],
        ["IngressRoutes", app.addresses.map((one) => one.name).join("; ")],
      ])}`;
  }

  private address(one: Address) {
    const t = texts();
    const exposure = one.exposure;
    const host = one.hostname ?? "";
    const url = `https://${host}`;
    const status = exposure?.status ?? "active";
    const problem = addressProblem(one);
    return html`<div class="card ${problem ? "bad" : ""}">
      <p><strong>${host}</strong></p>
      <p class="small">${exposure?.reachable.state === "yes" ? html`<span aria-hidden="true">●</span> ` : nothing}${addressWord(one)}</p>
      ${problem ? html`<p>${problem}</p>` : nothing}
      ${exposure && (status === "pending" || (status === "active" && exposure.reachable.state === "unknown")) ? this.progress(exposure) : nothing}
      <div class="row">
        ${status === "active" ? html`<a class="button" href=${url} target="_blank" rel="noreferrer" aria-label="${t.openAddress}: ${host}">${t.openAddress}</a>` : nothing}
        ${copyButton(url, host)}
        ${"share" in navigator ? html`<button class="quiet" @click=${() => navigator.share({ url }).catch(() => undefined)}>${t.share}</button>` : nothing}
        <button class="quiet" aria-expanded=${this.code?.url === url ? "true" : "false"} @click=${() => this.showCode(url)}>${t.qr}</button>
        ${exposure && status !== "removing" ? html`<button class="quiet" ?disabled=${this.busy} @click=${() => this.takeOffline(exposure.name, host)}>${t.takeOffline}</button>` : nothing}
        ${problem ? html`<portal-ask .about=${host} .facts=${factsOfAddress(one)}></portal-ask>` : nothing}
      </div>
      ${this.code?.url === url ? html`<img class="code" alt="${t.qr}: ${host}" src=${this.code.image} />` : nothing}
    </div>`;
  }

  private progress(exposure: Exposure) {
    const t = texts();
    const isDone = (step: string | null) => step === null || (step === "answer" && exposure.reachable.state === "yes") || exposure.steps.some((one) => one.step === step && one.done);
    return html`<ol class="steps">
      ${STEPS.map(([word, step]) => html`<li>${isDone(step) ? "✓" : "…"} ${t.stepNames[word]}</li>`)}
    </ol>`;
  }

  private async showCode(url: string) {
    if (this.code?.url === url) {
      this.code = null;
      return;
    }
    const { default: qrcode } = await import("qrcode-generator");
    const code = qrcode(0, "M");
    code.addData(url);
    code.make();
    this.code = { url, image: code.createDataURL(4, 8) };
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

  private body(form: Form) {
    return { name: form.name, service: form.service, port: form.port, domain: form.domain };
  }

  /** Asks the portal about the form a moment after the last keystroke; nothing is stored by it. */
  private tryOut(form: Form, pause = TRY_PAUSE) {
    clearTimeout(this.tryTimer);
    const round = ++this.tryRound;
    this.tried = null;
    if (!form.name || !form.domain) return;
    this.tryTimer = setTimeout(async () => {
      try {
        const { data } = await take(client.POST("/api/portal/namespace/expose", { params: { query: { dry_run: true } }, body: this.body(form) }));
        if (round === this.tryRound) this.tried = { host: data.hostname, failure: null };
      } catch (failure) {
        if (round === this.tryRound) this.tried = { host: "", failure: failure as Failure };
      }
    }, pause);
  }

  private publish(app: App) {
    const t = texts();
    const parts = app.services.flatMap((service) =>
      service.ports.filter((port) => port.protocol === "TCP" || !port.protocol).map((port) => ({ service: service.name, port: port.port })),
    );
    const form = this.startForm(app, parts);
    const set = (change: Partial<Form>) => {
      this.form = { ...form, ...change };
      this.failure = null;
      this.tryOut(this.form);
    };
    const host = this.tried?.host || `${form.name || "…"}-${me.known.value?.id ?? "…"}.${form.domain}`;
    const refusal = this.failure ?? this.tried?.failure ?? null;
    const isWrong = refusal?.errors.some((one) => one.field === "name") || refusal?.code === "hostname-taken";
    return html`<h1 tabindex="-1">${t.publishTitle(app.name)}</h1>
      <form
        @submit=${(event: Event) => {
          event.preventDefault();
          void this.send(app, form);
        }}
      >
        <label for="name">${t.publishName}</label>
        <input id="name" required maxlength="20" autocapitalize="off" autocomplete="off" spellcheck="false" .value=${form.name}
          aria-describedby="name-hint said-of-name" aria-invalid=${isWrong ? "true" : nothing}
          @input=${(event: Event) => set({ name: (event.target as HTMLInputElement).value.toLowerCase().replace(/\s+/g, "-") })} />
        <p id="name-hint" class="small">${t.publishNameHint}</p>
        ${(domains.known.value ?? []).length > 1
          ? html`<label for="domain">${t.publishDomain}</label>
              <select id="domain" @change=${(event: Event) => set({ domain: (event.target as HTMLSelectElement).value })}>
                ${(domains.known.value ?? []).map((one) => html`<option ?selected=${one === form.domain}>${one}</option>`)}
              </select>`
          : nothing}
        ${domains.known.failure ? failed(domains.known.failure, () => domains.refresh()) : nothing}
        ${parts.length > 1
          ? html`<label for="port">${t.publishPort}</label>
              <select id="port" @change=${(event: Event) => set(parts[(event.target as HTMLSelectElement).selectedIndex] ?? {})}>
                ${parts.map((one) => html`<option ?selected=${one.service === form.service && one.port === form.port}>${one.service}: ${one.port}</option>`)}
              </select>`
          : nothing}
        <p>${t.publishAddress} <strong>${host}</strong></p>
        <p id="said-of-name" role="status" class=${refusal ? "wrong" : "small"}>${this.failure ? nothing : refusal ? html`<span aria-hidden="true">▲</span> ${sentenceOf(refusal)}` : this.tried ? html`✓ ${t.nameFree}` : nothing}</p>
        ${this.failure ? failed(this.failure) : nothing}
        <p class="small">${t.publishAnyone}</p>
        <div class="row">
          <button class="main" type="submit" ?disabled=${this.busy}>${this.busy ? t.publishing : t.publishNow}</button>
          <a class="button" href="/portal/apps/${encodeURIComponent(app.name)}">${t.cancel}</a>
        </div>
      </form>`;
  }

  /** The form as a link of the agent's fills it in, else with the app's own name and its usual part. */
  private startForm(app: App, parts: { service: string; port: number }[]): Form {
    const usual = parts.find((one) => one.port === 80) ?? parts[0];
    const asked = parts.find((one) => String(one.port) === this.query.get("port") && one.service === (this.query.get("service") ?? one.service));
    const part = asked ?? usual;
    if (!this.form) {
      this.form = {
        name: this.query.get("name") ?? publishName(app.name),
        domain: this.query.get("domain") ?? domains.known.value?.[0] ?? "",
        service: part?.service ?? app.name,
        port: part?.port ?? null,
      };
      if (this.form.domain) this.tryOut(this.form, 0);
    } else if (!this.form.domain && domains.known.value?.[0]) {
      this.form.domain = domains.known.value[0];
      this.tryOut(this.form, 0);
    }
    return this.form;
  }

  private async send(app: App, form: Form) {
    const t = texts();
    const standing = space.known.value?.ingressRoutes.find((one) => one.exposure?.name === form.name)?.exposure;
    const moves = standing && (standing.domain !== form.domain || standing.service !== form.service);
    if (moves && !(await ask(t.moveAsk(`${form.name}-${me.known.value?.id ?? ""}.${form.domain}`), t.move))) return;
    clearTimeout(this.tryTimer);
    this.tryRound++;
    this.tried = null;
    this.busy = true;
    this.failure = null;
    try {
      const { data } = await take(client.POST("/api/portal/namespace/expose", { body: this.body(form) }));
      announce(data.ok ? t.published : (t.addressWords[data.status] ?? data.status));
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
            ${Object.entries(quota.hard).map(([key, hard]) => html`<li>${t.roomNames[key] ?? key} <span>${t.roomUsed(quantity(quota.used[key] ?? "0"), quantity(hard ?? ""))}</span>${(quota.used[key] ?? "0") === hard ? html` <strong>${t.roomFull}</strong>` : nothing}</li>`)}
          </ul>`
        : html`<p class="muted">${t.roomNone}</p>`}
    </section>`;
  }
}
customElements.define("portal-apps", Apps);
