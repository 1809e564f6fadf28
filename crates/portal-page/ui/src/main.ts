// The page: who is logged in, which view is shown, and the way between views.
import { html, nothing } from "lit";
import { client, session, take, watchLogins } from "./api";
import { agentName, agents, chooseAgent, forgetAll, login, me } from "./model";
import { followLinks, go, parse, type Route } from "./router";
import { texts } from "./text";
import { View } from "./view";
import "./views/enter";
import "./views/home";
import "./views/apps";
import "./views/memory";
import "./views/schedule";
import "./views/more";

const meta = (name: string) => document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content;

/** The name that the operator gave the page; without one, what it is in the reader's language. */
function brand(): string {
  const name = meta("application-name") ?? "";
  return name === "" || name === "Friend Portal" ? texts().portal : name;
}

const color = meta("theme-color");
if (color) document.documentElement.style.setProperty("--brand", color);

/** Pause before the title of the tab follows the heading. */
const TITLE_PAUSE = 50;

class PortalApp extends View {
  static override properties = { route: { state: true }, ended: { state: true } };
  declare route: Route;
  declare ended: boolean;
  private titleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    super();
    this.route = parse(location);
    this.ended = false;
  }

  override connectedCallback() {
    super.connectedCallback();
    this.addEventListener("click", followLinks);
    window.addEventListener("popstate", this.navigated);
    window.addEventListener("navigated", this.navigated);
    window.addEventListener("session-ended", this.sessionEnded);
    // Somebody else's login must not show its things in this tab's views, nor save this tab's text among them.
    watchLogins((token) => (token === null ? this.sessionEnded() : location.reload()));
    this.navigated();
  }

  private navigated = () => {
    const before = `${this.route.view}/${this.route.name}/${this.route.action}`;
    this.route = parse(location);
    this.closeMenu();
    if (this.route.view !== "enter" && !session.get()) go("/portal/enter", true);
    const here = `${this.route.view}/${this.route.name}/${this.route.action}`;
    if (before !== here) this.focusHeading();
    if (session.get() && me.known.value === null && this.route.view !== "enter") {
      void me.refresh();
      void agents.refresh();
      void login.refresh();
    }
  };

  protected override updated() {
    // The views below are drawn after this one, and their headings with them.
    clearTimeout(this.titleTimer);
    this.titleTimer = setTimeout(() => {
      const heading = this.querySelector("h1")?.textContent?.trim();
      document.title = heading && heading !== texts().loading ? `${heading} – ${brand()}` : brand();
    }, TITLE_PAUSE);
  }

  /** The new view is announced by its heading, which may come with the first answer. */
  private async focusHeading() {
    scrollTo(0, 0);
    await this.updateComplete;
    for (let frames = 0; frames < 60; frames++) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      const heading = this.querySelector<HTMLElement>("h1");
      if (!heading) continue;
      heading.focus();
      return;
    }
  }

  private closeMenu() {
    this.querySelector("details.menu")?.removeAttribute("open");
  }

  private sessionEnded = () => {
    session.clear();
    forgetAll();
    this.ended = true;
    go("/portal/enter", true);
  };

  private async logOut() {
    try {
      await take(client.DELETE("/api/portal/sessions/current"));
    } catch {
      // The session may have ended already, or ends by itself; this device forgets it in any case.
    }
    session.clear();
    forgetAll();
    go("/portal/enter", true);
  }

  protected override render() {
    const t = texts();
    const { view, name, action, query } = this.route;
    if (view === "enter" || !session.get()) {
      return html`<main><portal-enter .ended=${this.ended}></portal-enter></main>`;
    }
    const entry = (path: string, text: string, current: boolean) =>
      html`<a href=${path} aria-current=${current ? "page" : nothing}>${text}</a>`;
    return html`
      <a class="skip" href="#content">${t.skip}</a>
      <header>
        <a class="brand" href="/">${brand()}</a>
        <details class="menu" @keydown=${(event: KeyboardEvent) => event.key === "Escape" && this.closeMenu()}>
          <summary>${me.known.value?.display_name ?? t.more}</summary>
          <div>
            ${this.agentSwitch()}
            <a href="/portal/activity">${t.activity}</a>
            <a href="/portal/devices">${t.devices}</a>
            <a href="/portal/settings">${t.settings}</a>
            <a href="/portal/help">${t.help}</a>
            <button class="quiet" @click=${() => this.logOut()}>${t.logOut}</button>
          </div>
        </details>
      </header>
      <nav aria-label=${t.portal}>
        ${entry("/", t.home, view === "")} ${entry("/portal/apps", t.apps, view === "apps")}
        ${entry("/portal/memory", t.memory, view === "memory")} ${entry("/portal/schedule", t.schedule, view === "schedule")}
      </nav>
      <main id="content">${this.content(view, name, action, query)}</main>
      <p id="said" class="said" role="status" aria-live="polite"></p>
    `;
  }

  private content(view: string, name: string, action: string, query: URLSearchParams) {
    switch (view) {
      case "":
        return html`<portal-home></portal-home>`;
      case "apps":
        return html`<portal-apps .name=${name} .action=${action} .query=${query}></portal-apps>`;
      case "memory":
        return html`<portal-memory .name=${name}></portal-memory>`;
      case "schedule":
        return html`<portal-schedule .name=${name} .action=${action} .query=${query}></portal-schedule>`;
      case "activity":
        return html`<portal-activity></portal-activity>`;
      case "settings":
        return html`<portal-settings></portal-settings>`;
      case "devices":
        return html`<portal-devices></portal-devices>`;
      case "help":
        return html`<portal-help></portal-help>`;
      default:
        return html`<h1 tabindex="-1">${texts().notFound}</h1>`;
    }
  }

  private agentSwitch() {
    const known = (agents.known.value ?? []).filter((one) => one.status === "active");
    if (known.length < 2) return nothing;
    const choose = (event: Event) => {
      chooseAgent((event.target as HTMLSelectElement).value);
      go(location.pathname, true);
    };
    return html`<label>${texts().agent}
      <select @change=${choose}>
        ${known.map((one) => html`<option ?selected=${one.agent_id === agentName()}>${one.agent_id}</option>`)}
      </select></label>`;
  }
}
customElements.define("portal-app", PortalApp);
