// The base of every view, and the pieces that several views show.
import { LitElement, html, nothing, type TemplateResult } from "lit";
import type { Failure } from "./api";
import { sentenceOf } from "./sentences";
import { subscribe, type Known } from "./model";
import { texts } from "./text";
import { time } from "./format";

/** A view in the page's own document, so that one style sheet and one set of landmarks serve all. */
export abstract class View extends LitElement {
  private leave: (() => void) | undefined;

  protected override createRenderRoot() {
    return this;
  }

  override connectedCallback() {
    super.connectedCallback();
    this.leave = subscribe(() => this.requestUpdate());
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.leave?.();
  }
}

/** A failure at the place it belongs to: the sentence, the way on, the request's id. */
export function failed(failure: Failure, retry?: () => void): TemplateResult {
  const t = texts();
  const wait = failure.retryAt ? Math.ceil((failure.retryAt - Date.now()) / 1000) : 0;
  return html`<div class="failure" role="alert">
    <p>${sentenceOf(failure)}</p>
    ${retry
      ? html`<portal-retry .wait=${wait} @retry=${retry}></portal-retry>`
      : nothing}
    ${failure.requestId
      ? html`<p class="small">${t.requestId} <code>${failure.requestId}</code> ${copyButton(failure.requestId)}</p>`
      : nothing}
  </div>`;
}

/** A button that waits as long as the server asked for. */
class Retry extends LitElement {
  static override properties = { wait: { type: Number }, left: { state: true } };
  declare wait: number;
  declare left: number;
  private timer: ReturnType<typeof setInterval> | undefined;

  protected override createRenderRoot() {
    return this;
  }

  override connectedCallback() {
    super.connectedCallback();
    this.left = Math.max(0, this.wait || 0);
    this.timer = setInterval(() => {
      if (this.left > 0) this.left -= 1;
    }, 1000);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  protected override render() {
    const t = texts();
    return html`<button ?disabled=${this.left > 0} @click=${() => this.dispatchEvent(new CustomEvent("retry"))}>
      ${this.left > 0 ? t.retryIn(this.left) : t.retry}
    </button>`;
  }
}
customElements.define("portal-retry", Retry);

/** A part of a view that has a value, is being asked for, or could not be asked: never an empty list for the last. */
export function part<T>(known: Known<T>, retry: () => void, show: (value: T) => unknown): unknown {
  const t = texts();
  if (known.value === null) return known.failure ? failed(known.failure, retry) : html`<p class="muted" data-loading>${t.loading}</p>`;
  if (!known.failure) return show(known.value);
  return html`${failed(known.failure, retry)}
    <div class="stale"><p class="small">${t.asOf(time(known.at))}</p>${show(known.value)}</div>`;
}

export function copyButton(text: string, what = text): TemplateResult {
  const copy = async (event: Event) => {
    const button = event.currentTarget as HTMLButtonElement;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = texts().copied;
      announce(texts().copied);
    } catch {
      // A browser without a clipboard, or one that asks and was told no: the text can still be marked by hand.
      button.textContent = text;
    }
  };
  return html`<button type="button" class="quiet" aria-label="${texts().copy}: ${what}" @click=${copy}>${texts().copy}</button>`;
}

/** The true names of things, for the operator whom the friend may have to ask. */
export function details(names: [string, string | null | undefined][]): TemplateResult {
  return html`<details class="details">
    <summary>${texts().details}</summary>
    <dl>${names.map(([name, value]) => html`<dt>${name}</dt><dd><code>${value || "–"}</code></dd>`)}</dl>
  </details>`;
}

/** Hands a text over as a file. */
export function saveAs(name: string, text: string) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/markdown;charset=utf-8" }));
  link.download = name;
  link.click();
  // The browser reads it some time after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Asks before something that cannot be taken back. */
export function ask(question: string, action: string): Promise<boolean> {
  const t = texts();
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", action);
  const sentence = document.createElement("p");
  sentence.textContent = question;
  const form = document.createElement("div");
  form.className = "row";
  const button = (text: string, value: string, className: string) => {
    const element = document.createElement("button");
    element.textContent = text;
    element.className = className;
    element.addEventListener("click", () => dialog.close(value));
    form.append(element);
  };
  button(action, "yes", "main");
  button(t.cancel, "no", "");
  dialog.append(sentence, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

/** Tells everybody, also who does not see it, that something is done. */
export function announce(sentence: string) {
  const place = document.getElementById("said");
  if (!place) return;
  // The same sentence twice is a change only if the place was empty between.
  place.textContent = "";
  setTimeout(() => (place.textContent = sentence), 50);
}
