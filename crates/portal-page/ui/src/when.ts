// When a task fires: the choices of the form, and a task's own timing in words. Pure.
import type { Schemas } from "./api";
import { clip, duration, moment } from "./format";
import { language, texts } from "./text";

export type Job = Schemas["JobList"]["jobs"][number];
export type When = "once" | "daily" | "weekdays" | "weekly" | "every" | "cron";
export type Unit = "m" | "h" | "d";
export type WhenForm = { when: When; date: string; time: string; day: string; every: string; unit: Unit; cron: string };
export type Timing = { cron?: string; at?: string; every?: string };

/** Most characters of a text that a message to the agent quotes. */
const QUOTE_MAX = 600;

export const KINDS: When[] = ["once", "daily", "weekdays", "weekly", "every", "cron"];

/** The timing that the form says, as the API takes it; null while a part of it is empty. */
export function timingOf(form: WhenForm): Timing | null {
  const [hour = "", minute = ""] = form.time.split(":");
  const at = `${Number(minute)} ${Number(hour)}`;
  switch (form.when) {
    case "once":
      return form.date && form.time ? { at: `${form.date}T${form.time}` } : null;
    case "every":
      return /^[1-9]\d*$/.test(form.every) ? { every: `${form.every}${form.unit}` } : null;
    case "cron":
      return form.cron.trim() ? { cron: form.cron.trim() } : null;
    case "weekly":
      return form.time ? { cron: `${at} * * ${form.day}` } : null;
    case "weekdays":
      return form.time ? { cron: `${at} * * 1-5` } : null;
    default:
      return form.time ? { cron: `${at} * * *` } : null;
  }
}

/** The form that says what a task's timing says. */
export function formOf(job: Job, empty: WhenForm): WhenForm {
  const { schedule, cron } = job;
  if (schedule.kind === "every") {
    const minutes = Math.round((schedule.everyMs ?? 0) / 60_000);
    const [unit, length] = minutes % 1440 === 0 ? (["d", 1440] as const) : minutes % 60 === 0 ? (["h", 60] as const) : (["m", 1] as const);
    return { ...empty, when: "every", every: String(minutes / length), unit };
  }
  if (schedule.kind === "at") {
    const [date = "", time = ""] = localOf(schedule.at ?? "", job.tz).split("T");
    return { ...empty, when: "once", date, time };
  }
  const plain = plainOf(cron ?? "");
  if (!plain) return { ...empty, when: "cron", cron: cron ?? "" };
  const { time, day } = plain;
  if (day === "*") return { ...empty, when: "daily", time, cron: cron ?? "" };
  if (day === "1-5") return { ...empty, when: "weekdays", time, cron: cron ?? "" };
  return { ...empty, when: "weekly", time, day, cron: cron ?? "" };
}

/** A moment by the clock of a zone, as `2026-12-24T14:30`. */
export function localOf(iso: string, timeZone: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  const parts = new Intl.DateTimeFormat("sv-SE", { timeZone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" });
  return parts.format(date).replace(" ", "T");
}

/** A task's timing in words; `words` says a timetable. */
export function wordsOf(job: Job, words: ((cron: string) => string) | null): string {
  const t = texts();
  if (job.schedule.kind === "at") return t.onceAt(moment(job.schedule.at ?? "", job.tz));
  if (job.schedule.kind === "every") return t.everyLength(duration((job.schedule.everyMs ?? 0) / 60_000));
  return cronWords(job.cron ?? "", words);
}

/** A timetable in words: a plain one in the page's own. */
export function cronWords(cron: string, words: ((cron: string) => string) | null): string {
  const t = texts();
  const plain = plainOf(cron);
  if (!plain) return words?.(cron) ?? cron;
  if (plain.day === "*") return t.dailyAt(plain.time);
  return plain.day === "1-5" ? t.weekdaysAt(plain.time) : t.weeklyAt(weekday(Number(plain.day)), plain.time);
}

/** The name of a day of the week, from Sunday, which is 0. */
export function weekday(day: number): string {
  return new Date(2026, 0, 4 + day).toLocaleDateString(language, { weekday: "long" });
}

/** Time and day of a timetable that fires once a day, on weekdays or once a week. */
function plainOf(cron: string): { time: string; day: string } | null {
  const parts = /^(\d{1,2}) (\d{1,2}) \* \* (\*|1-5|[0-6])$/.exec(cron);
  if (!parts) return null;
  const [, minute = "", hour = "", day = ""] = parts;
  return { time: `${hour.padStart(2, "0")}:${minute.padStart(2, "0")}`, day };
}

/** A window of missed fire times, as the portal says it, in words. */
export function missedWords(error: string): string {
  const parts = /^(\d+) runs?, due (?:at|from) (\S+?)(?: to (\S+?))?, (?:was|were) missed$/.exec(error);
  if (!parts) return error;
  const [, count = "1", from = "", to = from] = parts;
  // A single one is due when its line says so anyway.
  return count === "1" ? "" : texts().missedMany(Number(count), moment(from), moment(to));
}

/** A task that did not do the last time what it was to do. */
export function isUnwell(job: Job): boolean {
  return job.last_status === "missed" || job.last_status === "failed";
}

/** A message that was sent at once is listed among the tasks, and is none of the friend's planning. */
export function isMessage(job: Job): boolean {
  return job.schedule.kind === "at" && !job.enabled && job.schedule.at === job.created_at;
}

/** What the agent needs to know to help with a task whose last run went wrong. */
export function factsOfJob(job: Job, run: { status: string; due_at: string; error?: string | null }): string {
  const t = texts();
  const status = t.statusNames[run.status] ?? run.status;
  const lines = [t.askOpening(`${t.factTask} ${job.name}: ${status}.`), "", `${t.factTask}: ${job.name}`, `${t.factWhen}: ${moment(run.due_at)}`];
  const reason = missedWords(run.error ?? "");
  if (reason) lines.push(`${t.factReason}: ${clip(reason, QUOTE_MAX)}`);
  lines.push(`${t.message}:`, ...clip(job.message, QUOTE_MAX).split("\n").map((line) => `> ${line}`));
  return lines.join("\n");
}
