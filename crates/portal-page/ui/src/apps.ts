// What an app of the friend is: a Deployment with its pods, Services and addresses. Pure.
import type { Schemas } from "./api";
import { clip, moment } from "./format";
import { texts } from "./text";

type Space = Schemas["Namespace"];
export type Pod = Space["pods"][number];
export type Deployment = Space["deployments"][number];
export type Address = Space["ingressRoutes"][number];
export type State = "running" | "partly" | "starting" | "notRunning" | "switchedOff";

export type App = {
  name: string;
  deployment: Deployment | null;
  pods: Pod[];
  services: Space["services"];
  addresses: Address[];
  ready: number;
  wanted: number;
  state: State;
  /** What is wrong, as a sentence; null if nothing is. */
  problem: string | null;
  /** Since when, where the space says it. */
  since: string | null;
  /** The copy that has the problem. */
  bad: Pod | null;
  lastWords: string | null;
};

/** Most characters of an app's last words in a message to the agent. */
const QUOTE_MAX = 600;
const IMAGE_REASONS = ["ImagePullBackOff", "ErrImagePull", "InvalidImageName"];
const ROOM_REASONS = ["FailedCreate", "ReplicaFailure"];

const belongs = (pod: Pod, app: string) => pod.name === app || pod.name.startsWith(`${app}-`);

/** Apps of a space, by name: every Deployment, and every pod that belongs to none. */
export function appsOf(space: Space): App[] {
  const names = space.deployments.map((deployment) => deployment.name);
  // The longest name wins, so that `web-admin-..` is not taken for a copy of `web`.
  const owner = (pod: Pod) =>
    names.filter((name) => belongs(pod, name)).sort((a, b) => b.length - a.length)[0] ?? pod.name;
  for (const pod of space.pods) if (!names.includes(owner(pod)) && pod.status !== "Succeeded") names.push(pod.name);
  return [...new Set(names)].sort().map((name) => {
    const deployment = space.deployments.find((one) => one.name === name) ?? null;
    const pods = space.pods.filter((pod) => owner(pod) === name);
    const services = space.services.filter((service) => service.name === name || service.name.startsWith(`${name}-`));
    const serves = (address: Address) => address.service === name || services.some((one) => one.name === address.service);
    return describe(name, deployment, pods, services, space.ingressRoutes.filter(serves), space);
  });
}

function describe(name: string, deployment: Deployment | null, pods: Pod[], services: App["services"], addresses: Address[], space: Space): App {
  const [ready = 0, wanted = 1] = (deployment?.replicas ?? `${pods.filter((pod) => pod.ready).length}/1`).split("/").map(Number);
  const bad = pods.find((pod) => pod.reason || pod.status === "Failed") ?? null;
  const problem = wanted === 0 ? null : problemOf(name, deployment, bad, ready, wanted, space);
  const state = stateOf(ready, wanted, problem);
  const since = problem && isHeldUp(deployment, bad, ready, wanted) ? deployment.since : null;
  return { name, deployment, pods, services, addresses, ready, wanted, state, problem, since, bad: problem ? bad : null, lastWords: lastWordsOf(bad) };
}

function stateOf(ready: number, wanted: number, problem: string | null): State {
  if (wanted === 0) return "switchedOff";
  if (ready >= wanted && !problem) return "running";
  if (!problem) return "starting";
  return ready > 0 ? "partly" : "notRunning";
}

/** What the app said before it ended; the back-off's own message is no word of the app's. */
function lastWordsOf(pod: Pod | null): string | null {
  return pod?.lastMessage ?? (pod?.reason === "CrashLoopBackOff" ? null : (pod?.message ?? null));
}

/** A Deployment that gets no further copies, which says more than any copy that it has. */
function isHeldUp(deployment: Deployment | null, pod: Pod | null, ready: number, wanted: number): deployment is Deployment & { reason: string } {
  return !!deployment?.reason && ready < wanted && (!pod || ROOM_REASONS.includes(deployment.reason));
}

function problemOf(app: string, deployment: Deployment | null, pod: Pod | null, ready: number, wanted: number, space: Space): string | null {
  const t = texts();
  if (isHeldUp(deployment, pod, ready, wanted)) {
    return /exceeded quota/.test(deployment.message ?? "") ? noRoom(app, space) : t.whyNot(app, deployment.message ?? deployment.reason);
  }
  if (!pod) return null;
  if (pod.lastReason === "OOMKilled" || pod.reason === "OOMKilled") return `${crashing(app, pod)} ${t.outOfMemory}`;
  if (pod.reason === "CrashLoopBackOff") return pod.exitCode ? `${crashing(app, pod)} ${t.endedWith(pod.exitCode)}` : crashing(app, pod);
  if (pod.reason && IMAGE_REASONS.includes(pod.reason)) return t.imageMissing(app);
  if (pod.reason === "Unschedulable") return noRoom(app, space);
  if (ready >= wanted && pod.status === "Running") return null;
  return t.whyNot(app, pod.reason ?? pod.status);
}

function crashing(app: string, pod: Pod): string {
  return texts().crashing(app, pod.restarts, pod.age ? moment(pod.age) : "");
}

/** The room that is used up, where the space says so. */
function noRoom(app: string, space: Space): string {
  const t = texts();
  const [hard, used] = [Number(space.quota?.hard.pods), Number(space.quota?.used.pods)];
  return Number.isFinite(hard) && used >= hard ? t.noRoomFor(app, hard) : t.noRoom(app);
}

/** Why an address needs the friend; null if it does not. */
export function addressProblem(address: Address): string | null {
  const exposure = address.exposure;
  if (!exposure) return null;
  const t = texts();
  if (exposure.status === "active") return exposure.reachable.state === "no" ? (t.reachHints[exposure.reachable.hint ?? ""] ?? t.failed) : null;
  // The reason is a stable word, a colon and an English sentence.
  const [word = "", sentence = ""] = (exposure.reason ?? "").split(": ");
  if (exposure.status !== "failed" && (word === "" || word === "in-progress")) return null;
  return t.addressReasons[word] ?? (sentence || t.failed);
}

/** Where an address stands: online only if it answered when it was asked. */
export function addressWord(address: Address): string {
  const t = texts();
  const exposure = address.exposure;
  if (!exposure) return t.addressWords["active"] ?? "";
  const { state, checked_at } = exposure.reachable;
  if (exposure.status === "active" && state === "yes") return t.online(checked_at ? moment(checked_at) : "");
  if (exposure.status === "active" && state === "no") return t.setUp(checked_at ? moment(checked_at) : "");
  return t.addressWords[exposure.status] ?? exposure.status;
}

/** What the agent needs to know to help with an app that does not run. What the app said is quoted, and cut. */
export function factsOf(app: App, space: Space): string {
  const t = texts();
  const lines = [t.askOpening(app.problem ?? app.name), "", `${t.factApp}: ${app.name}`];
  const add = (label: string, value: string | number | null | undefined) => {
    if (value !== null && value !== undefined && value !== "") lines.push(`${label}: ${value}`);
  };
  add(t.factReason, [app.bad?.reason ?? app.deployment?.reason, app.bad?.lastReason].filter(Boolean).join(", "));
  add(t.factExit, app.bad?.exitCode);
  add(t.factRestarts, app.bad?.restarts || null);
  add(t.factCopies, `${app.ready}/${app.wanted}`);
  add(t.room, space.quota ? Object.entries(space.quota.hard).map(([key, hard]) => `${t.roomNames[key] ?? key} ${space.quota?.used[key] ?? "0"}/${hard}`).join(", ") : null);
  add(t.addresses, app.addresses.map((one) => `${one.hostname}${one.exposure ? ` (${one.exposure.status})` : ""}`).join(", "));
  if (app.lastWords) lines.push(`${t.lastWords}:`, ...clip(app.lastWords, QUOTE_MAX).split("\n").map((line) => `> ${line}`));
  else if (app.deployment?.message) lines.push(...clip(app.deployment.message, QUOTE_MAX).split("\n").map((line) => `> ${line}`));
  return lines.join("\n");
}

/** What the agent needs to know to help with an address. */
export function factsOfAddress(address: Address): string {
  const t = texts();
  const { exposure } = address;
  const lines = [t.askOpening(`${address.hostname}: ${addressProblem(address) ?? ""}`), ""];
  lines.push(`${t.factApp}: ${exposure?.service ?? address.service ?? "–"}:${exposure?.port ?? "–"}`);
  lines.push(`${t.factReason}: ${exposure?.status ?? "–"}${exposure?.reason ? `, ${exposure.reason}` : ""}${exposure?.reachable.hint ? `, ${exposure.reachable.hint}` : ""}`);
  return lines.join("\n");
}

/** A name for publishing that fits the rule, made from any other name. */
export function publishName(app: string): string {
  return app.toLowerCase().replace(/[^a-z0-9-]+/g, "-").replace(/-{2,}/g, "-").replace(/^-+|-+$/g, "").slice(0, 20).replace(/-+$/, "");
}
