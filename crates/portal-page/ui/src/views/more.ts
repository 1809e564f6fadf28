// What stands under the friend's name: devices and help.
import { html, nothing } from "lit";
import { client, Failure, take, type Schemas } from "../api";
import { moment } from "../format";
import { keepFresh, sessions } from "../model";
import { texts } from "../text";
import { announce, ask, failed, part, View } from "../view";

type Session = Schemas["SessionList"]["sessions"][number];

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

  private async end(ended: Session[], question: string, action: string) {
    if (!(await ask(question, action))) return;
    this.busy = true;
    this.failure = null;
    try {
      for (const { id } of ended) await take(client.DELETE("/api/portal/sessions/{id}", { params: { path: { id } } }));
      announce(texts().deviceEnded);
    } catch (failure) {
      this.failure = failure as Failure;
    }
    this.busy = false;
    await sessions.refresh();
  }

  protected override render() {
    const t = texts();
    return html`<h1 tabindex="-1">${t.devices}</h1>
      ${this.failure ? failed(this.failure) : nothing}
      ${part(sessions.known, () => sessions.refresh(), ({ sessions: all }) => {
        const others = all.filter((one) => !one.current);
        return html`<ul class="rows">
            ${all.map(
              (one) => html`<li>
                <span>${one.current ? html`<strong>${t.deviceThis}</strong> ` : nothing}${t.deviceSince(moment(one.created_at))}</span>
                ${one.current ? nothing : html`<button class="quiet" ?disabled=${this.busy} @click=${() => this.end([one], t.deviceSince(moment(one.created_at)), t.deviceEnd)}>${t.deviceEnd}</button>`}
              </li>`,
            )}
          </ul>
          ${others.length > 0 ? html`<button ?disabled=${this.busy} @click=${() => this.end(others, t.deviceEndOthers, t.deviceEndOthers)}>${t.deviceEndOthers}</button>` : nothing}`;
      })}`;
  }
}
customElements.define("portal-devices", Devices);

class Help extends View {
  protected override render() {
    const t = texts();
    return html`<h1 tabindex="-1">${t.help}</h1>${t.helpText("Main").map((paragraph) => html`<p>${paragraph}</p>`)}`;
  }
}
customElements.define("portal-help", Help);
