// Offers the browser's time zone once, while the friend has none: without one, tasks are planned in UTC.
import { html, nothing } from "lit";
import { client, Failure, take } from "./api";
import { ownZone } from "./format";
import { me, settings } from "./model";
import { texts } from "./text";
import { announce, failed, View } from "./view";

const declined = {
  key: () => `portal-zone:${me.known.value?.id ?? ""}`,
  get() {
    try {
      return localStorage.getItem(this.key()) === "no";
    } catch {
      return true;
    }
  },
  set() {
    try {
      localStorage.setItem(this.key(), "no");
    } catch {
      // Then it is asked again at the next visit.
    }
  },
};

class Zone extends View {
  static override properties = { failure: { state: true }, gone: { state: true } };
  declare failure: Failure | null;
  declare gone: boolean;

  constructor() {
    super();
    this.failure = null;
    this.gone = false;
  }

  private async use() {
    this.failure = null;
    try {
      await take(client.PATCH("/api/portal/settings", { body: { time_zone: ownZone } }));
      this.gone = true;
      announce(texts().saved);
      await settings.refresh();
    } catch (failure) {
      this.failure = failure as Failure;
    }
  }

  private decline() {
    declined.set();
    this.gone = true;
  }

  protected override render() {
    const t = texts();
    const known = settings.known.value;
    if (this.gone || !known || !me.known.value || known.time_zone !== null || ownZone === "UTC" || declined.get()) return nothing;
    return html`<div class="card" role="group" aria-label=${t.taskZone}>
      <p>${t.zoneOffer(ownZone)}</p>
      ${this.failure ? failed(this.failure) : nothing}
      <div class="row">
        <button class="main" @click=${() => this.use()}>${t.zoneUse}</button>
        <button @click=${() => this.decline()}>${t.zoneDecline}</button>
      </div>
    </div>`;
  }
}
customElements.define("portal-zone", Zone);
