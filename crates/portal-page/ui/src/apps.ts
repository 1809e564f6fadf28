// What an app of the friend is: a Deployment with its pods, Services and addresses. Pure.
import type { Schemas } from "./api";
import { texts } from "./text";

type Space = Schemas["Namespace"];
export type Pod = Space["pods"][number];
export type Deployment = Space["deployments"][number];
export type Address = Space["ingressRoutes"][number];
export type State = "running" | "starting" | "notRunning" | "switchedOff";

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
  lastWords: string | null;
};

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
    return describe(name, deployment, pods, services, space.ingressRoutes.filter(serves));
  });
}

function describe(name: string, deployment: Deployment | null, pods: Pod[], services: App["services"], addresses: Address[]): App {
  const [ready = 0, wanted = 1] = (deployment?.replicas ?? `${pods.filter((pod) => pod.ready).length}/1`).split("/").map(Number);
  const bad = pods.find((pod) => pod.reason || pod.status === "Failed") ?? null;
  const problem = wanted === 0 ? null : problemOf(name, deployment, bad, ready, wanted);
  const state: State = wanted === 0 ? "switchedOff" : ready >= wanted && !problem ? "running" : problem ? "notRunning" : "starting";
  return { name, deployment, pods, services, addresses, ready, wanted, state, problem, lastWords: lastWordsOf(bad) };
}

/** What the app said before it ended; the back-off's own message is no word of the app's. */
function lastWordsOf(pod: Pod | null): string | null {
  return pod?.lastMessage ?? (pod?.reason === "CrashLoopBackOff" ? null : (pod?.message ?? null));
}

function problemOf(app: string, deployment: Deployment | null, pod: Pod | null, ready: number, wanted: number): string | null {
  const t = texts();
  if (deployment?.reason === "FailedCreate" || deployment?.reason === "ReplicaFailure") return t.noRoom(app);
  if (!pod) return null;
  if (pod.lastReason === "OOMKilled" || pod.reason === "OOMKilled") return `${t.crashing(app, pod.restarts)} ${t.outOfMemory}`;
  if (pod.reason === "CrashLoopBackOff") return t.crashing(app, pod.restarts);
  if (pod.reason === "ImagePullBackOff" || pod.reason === "ErrImagePull" || pod.reason === "InvalidImageName") return t.imageMissing(app);
  if (pod.reason === "Unschedulable") return t.noRoom(app);
  if (ready >= wanted && pod.status === "Running") return null;
  return t.whyNot(app, pod.reason ?? pod.status);
}

/** Where the addresses of a space stand that need the friend. */
export function addressProblem(address: Address): string | null {
  const exposure = address.exposure;
  if (!exposure || exposure.status === "active") return null;
  return exposure.error ?? (exposure.status === "failed" ? texts().failed : null);
}

/** A name for publishing that fits the rule, made from any other name. */
export function publishName(app: string): string {
  return app.toLowerCase().replace(/[^a-z0-9-]+/g, "-").replace(/-{2,}/g, "-").replace(/^-+|-+$/g, "").slice(0, 20).replace(/-+$/, "");
}
