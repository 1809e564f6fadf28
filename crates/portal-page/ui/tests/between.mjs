// Programs between the page, the portal and its backends, which tests can switch off: connections, HTTP, Kubernetes.
import { createServer, request as send } from "node:http";
import { connect, createServer as listen } from "node:net";

const started = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));

/** Passes connections on to `target`, `{ host, port }`. While it is down, open ones are cut and new ones are refused. */
export async function connections(target) {
  const open = new Set();
  let isDown = false;
  const server = listen((inner) => {
    if (isDown) return inner.destroy();
    const outer = connect(target);
    for (const [one, other] of [[inner, outer], [outer, inner]]) {
      open.add(one);
      one.pipe(other);
      one.on("error", () => undefined).on("close", () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  const port = await started(server);
  const cut = () => open.forEach((one) => one.destroy());
  return {
    port,
    down() {
      isDown = true;
      cut();
    },
    up: () => (isDown = false),
    close() {
      cut();
      server.close();
    },
  };
}

/** Passes requests on to the portal at `base`, counts them, loses answers, and can speak for the stream of events. */
export async function between(base) {
  const target = { base };
  const seen = [];
  const streams = [];
  const rules = [];
  let events = "pass";
  const server = createServer((incoming, outgoing) => {
    const path = incoming.url.split("?")[0];
    seen.push({ method: incoming.method, path });
    if (path === "/api/portal/events" && events !== "pass") return answerEvents(incoming, outgoing);
    const found = rules.find((one) => one.method === incoming.method && one.path === path);
    const headers = { ...incoming.headers };
    for (const name of found?.without ?? []) delete headers[name];
    const outer = send(`${target.base}${incoming.url}`, { method: incoming.method, headers }, (answer) => {
      if (found?.isLost) {
        // It arrived and was done; nobody hears of it.
        answer.resume().on("end", () => outgoing.destroy());
        return;
      }
      outgoing.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(outgoing);
      answer.on("error", () => outgoing.destroy());
    });
    outer.on("error", () => outgoing.destroy());
    outgoing.on("close", () => outer.destroy());
    incoming.pipe(outer);
  });

  function apply(rule) {
    rules.push(rule);
    return () => rules.splice(rules.indexOf(rule), 1);
  }

  function answerEvents(incoming, outgoing) {
    if (events !== "script") {
      outgoing.writeHead(events, { "Content-Type": "application/problem+json", "Retry-After": "1" });
      return outgoing.end(JSON.stringify({ code: `status-${events}`, error: "No stream.", status: events }));
    }
    outgoing.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    outgoing.flushHeaders();
    const stream = { headers: incoming.headers, url: incoming.url, write: (text) => outgoing.write(text) || true, end: () => outgoing.end(), isOpen: true };
    outgoing.on("close", () => (stream.isOpen = false));
    streams.push(stream);
  }

  const port = await started(server);
  return {
    base: `http://127.0.0.1:${port}`,
    /** Streams that the test speaks on, the oldest first. */
    streams,
    count: (method, path) => seen.filter((one) => one.method === method && one.path === path).length,
    /** `pass`, `script`, or the status of a refusal. */
    events: (mode) => (events = mode),
    /** The portal may come back at another address. */
    leadTo: (address) => (target.base = address),
    /** Such requests are done and their answers are lost, until the returned function is called. Browsers ask a second
     * time by themselves where a connection that they used before ends without an answer. */
    lose: (method, path) => apply({ method, path, isLost: true }),
    /** Such requests arrive without these headers, until the returned function is called. */
    strip: (method, path, ...without) => apply({ method, path, without }),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A receiver of due messages, which refuses them while it is down. */
export async function receiver() {
  let isDown = false;
  const server = createServer((incoming, outgoing) => {
    incoming.resume().on("end", () => outgoing.writeHead(isDown ? 503 : 200).end());
  });
  const port = await started(server);
  return { port, down: () => (isDown = true), up: () => (isDown = false), close: () => server.close() };
}

/** Kinds that the cluster serves, with their addresses; it has no others. */
const KINDS = {
  "/api/v1/namespaces": "Namespace",
  "/api/v1/services": "Service",
  "/api/v1/pods": "Pod",
  "/api/v1/resourcequotas": "ResourceQuota",
  "/apis/apps/v1/deployments": "Deployment",
  "/apis/traefik.io/v1alpha1/ingressroutes": "IngressRoute",
};

/** A Kubernetes API server with as much of the protocol as the portal speaks, and these objects. */
export async function cluster(objects) {
  let version = 1;
  const watchers = new Set();
  const stored = objects.map((object, number) => complete(object, `uid-${number}`));
  const server = createServer((incoming, outgoing) => {
    let text = "";
    incoming.on("data", (piece) => (text += piece)).on("end", () => serve(incoming, outgoing, text));
  });

  function complete(object, uid) {
    return { ...object, metadata: { uid, creationTimestamp: new Date().toISOString().replace(/\.\d+/, ""), ...object.metadata, resourceVersion: String(++version) } };
  }

  function json(outgoing, status, body) {
    outgoing.writeHead(status, { "Content-Type": "application/json" });
    outgoing.end(JSON.stringify(body));
  }

  function refuse(outgoing, code, reason) {
    json(outgoing, code, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message: reason, reason, code });
  }

  function tell(type, object) {
    for (const watcher of watchers) {
      if (watcher.kind === object.kind) watcher.outgoing.write(`${JSON.stringify({ type, object })}\n`);
    }
  }

  function serve(incoming, outgoing, text) {
    const url = new URL(incoming.url, "http://cluster");
    if (KINDS[url.pathname]) return list(KINDS[url.pathname], url, outgoing);
    const [, root, namespace, plural, name] = /^(.*)\/namespaces\/([^/]+)(?:\/([^/]+)(?:\/([^/]+))?)?$/.exec(url.pathname) ?? [];
    const kind = plural ? KINDS[`${root}/${plural}`] : "Namespace";
    if (!kind) return refuse(outgoing, 404, "NotFound");
    const index = stored.findIndex((one) => one.kind === kind && one.metadata.name === (name ?? namespace) && (!plural || one.metadata.namespace === namespace));
    if (incoming.method === "POST") return create(outgoing, kind, namespace, JSON.parse(text));
    if (index < 0) return refuse(outgoing, 404, "NotFound");
    if (incoming.method === "DELETE") {
      const [gone] = stored.splice(index, 1);
      tell("DELETED", complete(gone, gone.metadata.uid));
    } else if (incoming.method === "PATCH") {
      const { metadata, ...rest } = JSON.parse(text);
      stored[index] = complete({ ...stored[index], ...rest, metadata: { ...stored[index].metadata, ...metadata } });
      tell("MODIFIED", stored[index]);
    }
    json(outgoing, 200, stored[index] ?? { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" });
  }

  function create(outgoing, kind, namespace, object) {
    if (stored.some((one) => one.kind === kind && one.metadata.namespace === namespace && one.metadata.name === object.metadata.name)) return refuse(outgoing, 409, "AlreadyExists");
    const created = complete({ ...object, metadata: { ...object.metadata, namespace } }, `uid-${version}`);
    stored.push(created);
    tell("ADDED", created);
    json(outgoing, 201, created);
  }

  function list(kind, url, outgoing) {
    if (url.searchParams.get("sendInitialEvents") === "true") return refuse(outgoing, 422, "Invalid");
    if (url.searchParams.get("watch") === "true") return watch(kind, url, outgoing);
    const items = stored.filter((one) => one.kind === kind);
    json(outgoing, 200, { kind: `${kind}List`, apiVersion: "v1", metadata: { resourceVersion: String(version) }, items });
  }

  function watch(kind, url, outgoing) {
    outgoing.writeHead(200, { "Content-Type": "application/json" });
    outgoing.flushHeaders();
    const since = Number(url.searchParams.get("resourceVersion"));
    const watcher = { kind, outgoing };
    for (const one of stored) if (one.kind === kind && Number(one.metadata.resourceVersion) > since) outgoing.write(`${JSON.stringify({ type: "ADDED", object: one })}\n`);
    watchers.add(watcher);
    const end = setTimeout(() => outgoing.end(), Number(url.searchParams.get("timeoutSeconds") ?? 15) * 1000);
    outgoing.on("close", () => {
      clearTimeout(end);
      watchers.delete(watcher);
    });
  }

  const port = await started(server);
  return {
    port,
    /** Changes an object, as the cluster's own controllers would. */
    change(kind, name, edit) {
      const index = stored.findIndex((one) => one.kind === kind && one.metadata.name === name);
      stored[index] = complete(edit(structuredClone(stored[index])), stored[index].metadata.uid);
      tell("MODIFIED", stored[index]);
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
