// A small reader of Markdown that makes elements, never HTML text: what somebody wrote can show nothing but text.
import { html, type TemplateResult } from "lit";

const LINK = /\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)|\*\*([^*]+)\*\*|\*([^*]+)\*|`([^`]+)`/g;

function inline(text: string): unknown[] {
  const parts: unknown[] = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    parts.push(text.slice(end, match.index));
    const [whole, label, target, strong, emphasis, code] = match;
    if (target) parts.push(html`<a href=${target} rel="noreferrer nofollow" target="_blank">${label}</a>`);
    else if (strong) parts.push(html`<strong>${strong}</strong>`);
    else if (emphasis) parts.push(html`<em>${emphasis}</em>`);
    else parts.push(html`<code>${code}</code>`);
    end = (match.index ?? 0) + whole.length;
  }
  parts.push(text.slice(end));
  return parts;
}

export function markdown(source: string): TemplateResult[] {
  const blocks: TemplateResult[] = [];
  let items: string[] = [];
  let lines: string[] = [];
  let code: string[] | null = null;
  const flush = () => {
    if (items.length > 0) blocks.push(html`<ul>${items.map((item) => html`<li>${inline(item)}</li>`)}</ul>`);
    if (lines.length > 0) blocks.push(html`<p>${inline(lines.join(" "))}</p>`);
    items = [];
    lines = [];
  };
  for (const line of source.split(/\r?\n/)) {
    if (code) {
      if (line.startsWith("```")) {
        blocks.push(html`<pre>${code.join("\n")}</pre>`);
        code = null;
      } else code.push(line);
      continue;
    }
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    const item = /^\s*(?:[-*+]|\d+\.)\s+(.*)$/.exec(line);
    if (line.startsWith("```")) {
      flush();
      code = [];
    } else if (heading) {
      flush();
      // The view has the only first heading, its parts the second.
      blocks.push((heading[1] ?? "").length === 1 ? html`<h3>${inline(heading[2] ?? "")}</h3>` : html`<h4>${inline(heading[2] ?? "")}</h4>`);
    } else if (item) {
      if (lines.length > 0) flush();
      items.push(item[1] ?? "");
    } else if (line.trim() === "") flush();
    else {
      if (items.length > 0) flush();
      lines.push(line.trim());
    }
  }
  if (code) blocks.push(html`<pre>${code.join("\n")}</pre>`);
  flush();
  return blocks;
}
