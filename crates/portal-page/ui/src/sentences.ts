// Failures in the page's own words: by code, or by the rule that a field breaks. What is not known here is said as the
// portal said it.
import type { Failure } from "./api";
import { texts } from "./text";

export function sentenceOf(failure: Failure): string {
  const t = texts();
  const fields = failure.errors.map((error) => t.rules[`${error.field} ${error.rule}`] ?? t.rules[error.field]).filter((text) => text !== undefined);
  if (failure.status === 422 && fields.length > 0 && fields.length === failure.errors.length) return fields.join(" ");
  return t.codes[failure.code] ?? failure.sentence;
}
