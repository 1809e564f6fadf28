// Answers /portal in a direct conversation with the sender's own login link. The model takes no part in it.
const fs = require("node:fs/promises");

// agent:<agent>:main or agent:<agent>:[<channel>:[<account>:]]direct:<peer>
const DIRECT = /^agent:[^:]+:(?:main|(?:(?!(?:group|channel|room|topic|thread|cron|hook|subagent):)[^:]+:){0,2}?direct:.+)$/;

module.exports = {
  id: "portal-command",
  name: "Portal command",
  description: "Sends people their own link to the portal",
  register(api) {
    const handler = (context) => answer(context, api.pluginConfig).then((text) => ({ text }));
    const description = "Sends you a link to your portal";
    api.registerCommand({ name: "portal", description, acceptsArgs: false, requireAuth: true, handler });
  },
};

async function answer({ channel, senderId, sessionKey = "" }, { url, tokenFile }) {
  const key = sessionKey.toLowerCase();
  // Everybody in a group would see the link. Gateways that do not name the conversation send none.
  if (!DIRECT.test(key) || key.includes(":thread:") || !senderId) return "Ask me in a direct message for your link.";
  try {
    const token = (await fs.readFile(tokenFile, "utf8")).trim();
    const response = await fetch(`${url}/api/auth/portal-session`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      // The channel says who the sender is; nobody types it.
      body: JSON.stringify({ channel, address: senderId }),
      redirect: "error",
      signal: AbortSignal.timeout(10_000),
    });
    if (response.status === 404) return "You have no portal with me. Please ask whoever runs it.";
    if (!response.ok) throw new Error(`status ${response.status}`);
    const { portal_url } = await response.json();
    return `${portal_url}\nThe link works once, for 10 minutes.`;
  } catch (error) {
    console.warn(`portal-command: no link was made: ${error.message}`);
    return "The portal cannot be reached. Please try again later.";
  }
}
