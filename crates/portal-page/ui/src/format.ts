// Dates, sizes and names as people read them.
import { locale } from "./text";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** The reader's own time zone, by name. */
export const ownZone = zone;

export function time(iso: string | number): string {
  return new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" }).format(new Date(iso));
}

/** A moment, with the day unless it is today, and the zone where it is not the reader's own. */
export function moment(iso: string, timeZone = zone): string {
  const date = new Date(iso);
  const today = new Date().toDateString() === date.toDateString();
  const day: Intl.DateTimeFormatOptions = today ? {} : { weekday: "short", day: "numeric", month: "short" };
  const other: Intl.DateTimeFormatOptions = timeZone === zone ? {} : { timeZone, timeZoneName: "short" };
  return new Intl.DateTimeFormat(locale, { ...day, ...other, hour: "2-digit", minute: "2-digit" }).format(date);
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: 0 }).format(count / 1024)} KiB`;
}

export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** The agent's name with a capital letter, as it stands at the beginning of a sentence. */
export function capital(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
