// "Ask main": shows the facts of a problem, and sends them only when the friend presses Send.
import { html, nothing } from "lit";
import { client, Failure, take } from "./api";
import { agentName, chosenAgent, jobs } from "./model";
import { isMessage } from "./when";
import { texts } from "./text";
import { announce, failed, View } from "./view";

class Ask extends View {
  static override properties = {
    facts: { type: String },
    about: { type: String },
    text: { state: true },
    busy: { state: true },
    failure: { state: true },
    run: { state: true },
  };
  declare facts: string;
  /** What is asked about, to tell one button from another. */
  declare about: string;
  /** The message while it is shown; null while only the button is. */
  declare text: string | null;
  declare busy: boolean;
  declare failure: Failure | null;
  declare run: string | null;

  constructor() {
    super();
    this.text = null;
    this.busy = false;
    this.failure = null;
    this.run = null;
  }

  private async show() {
    this.text = this.facts;
    this.run = null;
    await this.updateComplete;
    this.querySelector("textarea")?.focus();
  }

  private async hide() {
    this.text = null;
    this.failure = null;
    await this.updateComplete;
    this.querySelector("button")?.focus();
  }

  private async send() {
    const query = chosenAgent() ? { agent: chosenAgent() as string } : {};
    this.busy = true;
    this.failure = null;
    try {
      const { data } = await take(client.POST("/api/portal/workspace/messages", { params: { query }, body: { message: this.text ?? "" } }));
      this.run = data.run_id;
      this.text = null;
      announce(texts().askSent(agentName()));
      void jobs.refresh();
    } catch (failure) {
      this.failure = failure as Failure;
    }
    this.busy = false;
  }

  protected override render() {
    const t = texts();
    const main = agentName();
    if (this.run) {
      const newest = (jobs.known.value?.jobs ?? []).filter(isMessage).sort((a, b) => b.created_at.localeCompare(a.created_at))[0];
      return html`<p>✓ ${t.askSent(main)} ${newest ? html`<a href="/portal/schedule/${encodeURIComponent(newest.name)}">${t.askFollow}</a>` : nothing}</p>`;
    }
    if (this.text === null) return html`<button aria-label="${t.ask(main)}: ${this.about}" @click=${() => this.show()}>${t.ask(main)}</button>`;
    return html`<form class="ask"
      @keydown=${(event: KeyboardEvent) => event.key === "Escape" && this.hide()}
      @submit=${(event: Event) => {
        event.preventDefault();
        void this.send();
      }}
    >
      <label for="facts">${t.askGets(main)}</label>
      <textarea id="facts" rows="9" required .value=${this.text} @input=${(event: Event) => (this.text = (event.target as HTMLTextAreaElement).value)}></textarea>
      ${this.failure ? failed(this.failure) : nothing}
      <div class="row">
        <button class="main" type="submit" ?disabled=${this.busy}>${t.askSend}</button>
        <button type="button" @click=${() => this.hide()}>${t.cancel}</button>
      </div>
    </form>`;
  }
}
customElements.define("portal-ask", Ask);
