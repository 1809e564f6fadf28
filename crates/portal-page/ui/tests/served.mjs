// A configured portal, as operators run it, between backends that tests can switch off.
import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { between, cluster, connections, receiver } from "./between.mjs";
import { fail } from "./browser.mjs";

const spec = (image) => ({ containers: [{ name: "web", image }] });

/** The space of alice: an app that runs, and one that keeps stopping. */
function objects() {
  const inSpace = (apiVersion, kind, name, rest) => ({ apiVersion, kind, metadata: { name, namespace: "friend-alice" }, ...rest });
  const app = (name, ready) => inSpace("apps/v1", "Deployment", name, { spec: { replicas: 1, selector: { matchLabels: { app: name } }, template: { metadata: { labels: { app: name } }, spec: spec(`example/${name}:1`) } }, status: { replicas: 1, readyReplicas: ready } });
  const service = (name) => inSpace("v1", "Service", name, { spec: { type: "ClusterIP", clusterIP: "10.0.0.1", ports: [{ port: 80, targetPort: 80, protocol: "TCP" }] } });
  const running = { phase: "Running", containerStatuses: [{ name: "web", ready: true, restartCount: 0, image: "example/site:1", imageID: "", state: { running: { startedAt: "2026-01-01T00:00:00Z" } } }] };
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "friend-alice" }, status: { phase: "Active" } },
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "friend-bob" }, status: { phase: "Active" } },
    app("site", 1),
    service("site"),
    inSpace("v1", "Pod", "site-1", { spec: spec("example/site:1"), status: running }),
  ];
}

/** A pod that stops right after starting. */
export function crash(pod) {
  const terminated = { exitCode: 1, reason: "Error", message: "panic: no database", startedAt: "2026-01-01T00:00:00Z", finishedAt: "2026-01-01T00:00:01Z" };
  const broken = { ...pod.status.containerStatuses[0], ready: false, restartCount: 12, state: { waiting: { reason: "CrashLoopBackOff" } }, lastState: { terminated } };
  return { ...pod, status: { ...pod.status, containerStatuses: [broken] } };
}

/** Starts everything. `given` has the program, the database, the zone and the people that exist already. */
export async function served(folder, given) {
  const kubernetes = await cluster(objects());
  const url = new URL(given.database);
  const faults = {
    database: await connections({ host: url.hostname, port: Number(url.port) }),
    zone: await connections({ host: "127.0.0.1", port: Number(new URL(given.zone).port) }),
    cluster: await connections({ host: "127.0.0.1", port: kubernetes.port }),
    deliveries: await receiver(),
  };
  url.hostname = "127.0.0.1";
  url.port = String(faults.database.port);
  const front = await between("");
  await mkdir(join(folder, "main", "friends", "alice"), { recursive: true });
  const kubeconfig = { apiVersion: "v1", kind: "Config", "current-context": "c", clusters: [{ name: "c", cluster: { server: `http://127.0.0.1:${faults.cluster.port}` } }], users: [{ name: "u", user: { token: "none" } }], contexts: [{ name: "c", context: { cluster: "c", user: "u" } }] };
  await writeFile(join(folder, "kubeconfig"), JSON.stringify(kubeconfig));
  await writeFile(join(folder, "portal.toml"), configuration(folder, given, { url, faults, front }));
  const portal = start(given.program, folder);
  front.leadTo(await portal.address);
  return {
    base: front.base,
    front,
    kubernetes,
    ...faults,
    async close() {
      portal.child.kill("SIGKILL");
      for (const one of [front, kubernetes, ...Object.values(faults)]) one.close();
    },
  };
}

function start(program, folder) {
  const child = spawn(program, ["serve", "--config", join(folder, "portal.toml")], { stdio: ["ignore", "ignore", "pipe"] });
  process.on("exit", () => child.kill("SIGKILL"));
  const log = [];
  const address = new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      log.push(line);
      const event = line.startsWith("{") ? JSON.parse(line) : {};
      if (event.message === "listening") resolve(`http://${event.address}`);
    });
    child.on("exit", (code) => reject(new Error(`the portal ended (${code}):\n${log.join("\n")}`)));
  });
  return { child, address };
}

function configuration(folder, { zone, zoneToken }, { url, faults, front }) {
  const text = JSON.stringify;
  return `
[server]
listen = "127.0.0.1:0"
operations_listen = "127.0.0.1:0"
public_url = ${text(front.base)}

# Few enough writes that the page meets the limit when a test uses them up.
[limits]
writes_per_second = 1
writes_burst = 30

[log]
format = "json"

[database]
url = ${text(url.href)}

[cluster]
kubeconfig = ${text(join(folder, "kubeconfig"))}
max_staleness_seconds = 20

[[agents]]
id = "main"
workspace = ${text(join(folder, "main"))}
engine = "embedded"

[documents]
require_if_match = true

[delivery]
webhook_url = "http://127.0.0.1:${faults.deliveries.port}/"
signature = "legacy"
webhook_secret = "nobody-needs-this-secret-of-32-bytes"
timeout_seconds = 5

[page]
check_addresses = false

[[domains]]
name = "example.org"
target = { cname = "ingress.example.org" }
ttl = 300
entry_points = ["websecure"]
cloudflare = { token = ${text(zoneToken)}, proxied = false, api_url = ${text(zone.replace(/:\d+\//, `:${faults.zone.port}/`))} }
`;
}

/** What the test that runs this script hands over. */
export function given() {
  return JSON.parse(process.env.PAGE_SERVED ?? fail("this scenario needs a database: run `cargo xtask test --only page`"));
}
