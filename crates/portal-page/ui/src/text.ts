// Every text of the page, one file per language; the browser chooses.
import { de } from "./text/de";
import { en, type Texts } from "./text/en";

export const languages: Record<string, Texts> = { en, de };
const language = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in languages) ?? "en";
document.documentElement.lang = language;

export function texts(): Texts {
  return languages[language] ?? en;
}

/** The reader's own locale for dates and numbers. */
export const locale = navigator.languages.find((tag) => tag.startsWith(language)) ?? language;
export { language };
