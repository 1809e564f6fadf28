// Adds a friend's MEMORY.md to the prompts of that friend's direct conversations, and records which version it was.
const { createHash } = require("node:crypto");
const { constants } = require("node:fs");
const fs = require("node:fs/promises");
const path = require("node:path");

const MAX_BYTES = 256 * 1024;
const FRIEND = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;
// agent:<agent>:[<channel>:[<account>:]]direct:<peer>
const DIRECT = /^agent:[^:]+:(?:(?!direct:)([^:]+):(?:(?!(?:direct|group|channel|room|topic|thread):)[^:]+:)?)?direct:(.+)$/;
const NO_CHANNEL = ["cron", "hook", "subagent"];

module.exports = async function friendMemory(event) {
  if (event.type !== "agent" || event.action !== "bootstrap") return;
  const { workspaceDir, bootstrapFiles, sessionKey = event.sessionKey } = event.context;
  const friend = await friendOf(String(sessionKey).toLowerCase());
  if (!friend) return;
  const folder = path.join(await fs.realpath(workspaceDir), "friends", friend);
  // A link on the way leads to another path.
  if ((await fs.realpath(folder).catch(() => null)) !== folder) return;
  const bytes = await read(path.join(folder, "MEMORY.md")).catch(() => null);
  if (!bytes) return;
  const content = bytes.toString("utf8");
  bootstrapFiles.push({ name: "MEMORY.md", path: path.join(folder, "MEMORY.md"), content, missing: false });
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const receipt = { sha256, at: new Date().toISOString(), chars: content.length };
  await record(folder, receipt).catch((error) => console.warn(`friend-memory: no receipt was written: ${error.message}`));
};

async function friendOf(key) {
  const [, channel, peer] = DIRECT.exec(key) ?? [];
  if (!peer || peer.includes(":thread:") || NO_CHANNEL.includes(channel)) return null;
  const contacts = await fs.readFile(path.join(__dirname, "contacts.json"), "utf8").then(JSON.parse).catch(() => []);
  const matching = contacts.filter((contact) => contact.address.toLowerCase() === peer && [contact.channel, undefined].includes(channel));
  const friends = new Set(matching.map((contact) => contact.friend));
  if (friends.size > 1) return null;
  const [friend = peer] = friends;
  return FRIEND.test(friend) ? friend : null;
}

async function read(file) {
  // Neither following a link nor waiting for the other end of a pipe.
  const handle = await fs.open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await handle.stat();
    return found.isFile() && found.size <= MAX_BYTES ? await handle.readFile() : null;
  } finally {
    await handle.close();
  }
}

async function record(folder, receipt) {
  const beside = path.join(folder, `.portal-read.${process.pid}.tmp`);
  await fs.writeFile(beside, JSON.stringify(receipt));
  await fs.rename(beside, path.join(folder, ".portal-read.json"));
}
