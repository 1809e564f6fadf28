// Dates, sizes and names as people read them.
import { locale, texts } from "./text";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** The reader's own time zone, by name. */
export const ownZone = zone;

export function time(iso: string | number): string {
  return new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" }).format(new Date(iso));
}

/** A moment, with the day unless it is today, and the zone where it is not the reader's own. */
export function moment(iso: string, timeZone = zone): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const now = new Date();
  const today = now.toDateString() === date.toDateString();
  const year: Intl.DateTimeFormatOptions = now.getFullYear() === date.getFullYear() ? {} : { year: "numeric" };
  const day: Intl.DateTimeFormatOptions = today ? {} : { weekday: "short", day: "numeric", month: "short", ...year };
  const other: Intl.DateTimeFormatOptions = timeZone === zone ? {} : { timeZone, timeZoneName: "short" };
  const text = new Intl.DateTimeFormat(locale, { ...day, ...other, hour: "2-digit", minute: "2-digit" }).format(date);
  return today ? texts().today(text) : text;
}

/** The distance of a moment, as "in 3 hours" or "2 days ago"; empty for one that is far away. */
export function relative(iso: string, now = Date.now()): string {
  const minutes = (new Date(iso).getTime() - now) / 60_000;
  const distance = Math.abs(minutes);
  if (!(distance < 14 * 1440)) return "";
  const [unit, length] = distance < 59.5 ? (["minute", 1] as const) : distance < 23.5 * 60 ? (["hour", 60] as const) : (["day", 1440] as const);
  return new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(Math.round(minutes / length), unit);
}

/** A length of time in its largest whole unit. */
export function duration(minutes: number): string {
  const [unit, length] = minutes % 1440 === 0 ? (["day", 1440] as const) : minutes % 60 === 0 ? (["hour", 60] as const) : (["minute", 1] as const);
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(minutes / length);
}

/** The time between two moments, in seconds or minutes; empty for less than a second. */
export function span(from: string, to: string): string {
  const seconds = Math.round((new Date(to).getTime() - new Date(from).getTime()) / 1000);
  if (!(seconds >= 1)) return "";
  const [unit, length] = seconds < 120 ? (["second", 1] as const) : (["minute", 60] as const);
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(Math.round(seconds / length));
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: 0 }).format(count / 1024)} KiB`;
}

export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** The beginning of a text, at most `max` characters. */
export function clip(text: string, max: number): string {
  const letters = [...text];
  return letters.length <= max ? text : `${letters.slice(0, max).join("")} …`;
}

/** A quantity of Kubernetes as people say it: `704Mi` is 704 MB, `600m` of a processor is 0.6. */
export function quantity(text: string): string {
  const parts = /^(\d+(?:\.\d+)?)(m|Ki|Mi|Gi|Ti|k|M|G|T)?$/.exec(text);
  if (!parts) return text;
  const number = Number(parts[1]);
  const say = (value: number) => new Intl.NumberFormat(locale, { maximumFractionDigits: 2 }).format(value);
  if (parts[2] === "m") return say(number / 1000);
  const unit = { Ki: "KB", k: "KB", Mi: "MB", M: "MB", Gi: "GB", G: "GB", Ti: "TB", T: "TB" }[parts[2] ?? ""];
  return unit ? `${say(number)} ${unit}` : say(number);
}

/** A name with a capital letter, as it stands at the beginning of a sentence. */
export function capital(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
