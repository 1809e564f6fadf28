// A time that a task ran: what is known of it. Pure.
import type { Schemas } from "./api";
import { texts } from "./text";

export type Run = Schemas["RunList"]["runs"][number];
/** A fact with a sign beside the words, so that nothing depends on colour. */
export type Fact = { sign: string; words: string };

const OPEN = ["queued", "running", "retrying"];
const [YES, NO, UNKNOWN] = ["✓", "✗", "?"];
const SENT_SIGNS = { sent: YES, pending: "…", silent: "–", nowhere: "–" } as const;

export function isOpen(run: Run): boolean {
  return OPEN.includes(run.status);
}

/** What became of a run that has ended, as three things: the agent got it, finished, and its answer was sent. What is not
 * known is never shown as if it were well. */
export function factsOfRun(run: Run, main: string): Fact[] {
  if (isOpen(run)) return [];
  const t = texts().runFacts;
  const say = (is: boolean | null, yes: string, no: string, unknown: string): Fact =>
    is === null ? { sign: UNKNOWN, words: unknown } : is ? { sign: YES, words: yes } : { sign: NO, words: no };
  const accepted = say(run.accepted, t.accepted(main), t.notAccepted(main), t.acceptedUnknown(main));
  // Nothing follows for a message that never arrived.
  if (run.accepted === false) return [accepted];
  const finished = say(run.finished, t.finished(main), t.notFinished(main), t.finishedUnknown(main));
  const sent = run.sent === null ? { sign: UNKNOWN, words: t.sentUnknown() } : { sign: SENT_SIGNS[run.sent], words: t[run.sent](main) };
  return [accepted, finished, sent];
}
