// Logs a friend in with the single-use code of a link: `/portal/enter#code=fpl_..&friend=bob`.
//
// 1. The code stays in the address until it is spent: "open in another browser" hands over the address as it is.
// 2. Nothing is sent until the person taps: previews and in-app browsers load pages, and loading must spend nothing.
// 3. A live session of somebody else is replaced only after the person agreed.
// 4. The code is exchanged for a session token, which goes where every portal page looks for it.
import { html, nothing } from "lit";
import { client, Failure, session, take } from "../api";
import { capital } from "../format";
import { agentName, forgetAll } from "../model";
import { parseLink, type Link } from "../link";
import { go } from "../router";
import { texts } from "../text";
import { failed, View } from "../view";

/** Demo tokens, which are public; the portal refuses them anywhere else. */
const DEMO = { Alice: "demo-alice", Bob: "demo-bob" };

class Enter extends View {
  static override properties = {
    ended: { type: Boolean },
    link: { state: true },
    state: { state: true },
    failure: { state: true },
    here: { state: true },
    wrong: { state: true },
    demo: { state: true },
  };
  declare ended: boolean;
  declare link: Link | null;
  declare state: "none" | "offer" | "busy" | "switch" | "spent";
  declare failure: Failure | null;
  declare here: string;
  declare wrong: boolean;
  declare demo: boolean;

  constructor() {
    super();
    this.ended = false;
    this.failure = null;
    this.here = "";
    this.wrong = false;
    this.demo = false;
    this.read();
  }

  override connectedCallback() {
    super.connectedCallback();
    window.addEventListener("hashchange", this.read);
    void this.findDemo();
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    window.removeEventListener("hashchange", this.read);
  }

  private read = () => {
    this.link = parseLink(location.hash);
    this.state = this.link ? "offer" : "none";
  };

  /** The demo tells pages that its tokens are public. */
  private async findDemo() {
    const friends = await fetch("/portal/demo").then((answer) => answer.json()).catch(() => []);
    this.demo = Array.isArray(friends) && friends.length > 0;
  }

  private async open(link: Link) {
    this.state = "busy";
    this.failure = null;
    try {
      if (session.get()) {
        const present = await this.present();
        if (present && link.friend && present.id !== link.friend) {
          this.here = present.display_name;
          this.state = "switch";
          return;
        }
      }
      await this.spend(link);
    } catch (failure) {
      this.failure = failure as Failure;
      this.state = "offer";
    }
  }

  /** Who is logged in here; null if nobody is. */
  private async present() {
    try {
      return (await take(client.GET("/api/portal/me"))).data;
    } catch (failure) {
      if ((failure as Failure).status === 401) return null;
      throw failure;
    }
  }

  private async spend(link: Link) {
    this.state = "busy";
    const answer = await fetch("/api/auth/exchange", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code: link.code }),
    }).catch(() => {
      throw new Failure(texts().offline, "offline", 0, "", null, null, []);
    });
    const body = await answer.json().catch(() => ({}));
    if (answer.ok || answer.status === 401) history.replaceState(null, "", location.pathname);
    if (answer.status === 401) {
      this.state = "spent";
      return;
    }
    if (!answer.ok) {
      throw new Failure(body.error ?? texts().noAnswer(answer.status), body.code ?? "", answer.status, body.request_id ?? "", null, null, []);
    }
    this.enter(body.session_token, body.open ?? "/");
  }

  /** Begins a session. What is known of whoever was here before is forgotten first. */
  private enter(token: string, path: string) {
    forgetAll();
    session.set(token);
    go(path, true);
  }

  private paste(event: Event) {
    event.preventDefault();
    const input = this.querySelector<HTMLInputElement>("#link");
    const link = parseLink(input?.value.trim() ?? "");
    this.wrong = link === null;
    if (link) {
      this.link = link;
      this.state = "offer";
    }
  }

  private async copy(link: Link, event: Event) {
    const parameters = new URLSearchParams({ code: link.code, ...(link.friend ? { friend: link.friend } : {}) });
    const button = event.currentTarget as HTMLButtonElement;
    const url = `${location.origin}/portal/enter#${parameters}`;
    try {
      await navigator.clipboard.writeText(url);
      button.textContent = texts().copied;
    } catch {
      // Without a clipboard the link is shown, to be marked by hand.
      button.textContent = url;
    }
  }

  protected override render() {
    const t = texts();
    const link = this.link;
    if (this.state === "switch" && link) {
      const other = capital(link.friend ?? "");
      return html`<h1 tabindex="-1">${t.enterSwitch(this.here, other)}</h1>
        <div class="stack">
          <button class="main" @click=${() => this.open({ ...link, friend: null })}>${t.enterSwitchTo(other)}</button>
          <button @click=${() => go("/", true)}>${t.enterStay(this.here)}</button>
        </div>`;
    }
    if (link && (this.state === "offer" || this.state === "busy")) {
      return html`<h1 tabindex="-1">${t.enterTitle}</h1>
        <p role="status">${this.state === "busy" ? t.enterOpening : t.enterOnce}</p>
        ${this.failure ? failed(this.failure) : nothing}
        <div class="stack">
          <button class="main" ?disabled=${this.state === "busy"} @click=${() => this.open(link)}>${t.enterOpen}</button>
          <button @click=${(event: Event) => this.copy(link, event)}>${t.enterCopy}</button>
        </div>`;
    }
    return html`<h1 tabindex="-1">${t.enterTitle}</h1>
      <p role="status">${this.state === "spent" ? t.enterSpent(agentName()) : `${this.ended ? t.enterEnded : ""} ${t.enterNone(agentName())}`}</p>
      <div class="stack">
      <form @submit=${this.paste}>
        <label for="link">${t.enterPaste(agentName())}</label>
        <input id="link" type="text" inputmode="url" autocomplete="off" autocapitalize="off" spellcheck="false" />
        ${this.wrong ? html`<p class="failure" role="alert">${t.enterNoLink}</p>` : nothing}
        <button type="submit">${t.enterUse}</button>
      </form>
      ${this.demo
        ? Object.entries(DEMO).map(
            ([name, token]) =>
              html`<button
                @click=${() => this.enter(token, "/")}
              >
                ${t.enterDemo(name)}
              </button>`,
          )
        : nothing}
      </div>`;
  }
}
customElements.define("portal-enter", Enter);
