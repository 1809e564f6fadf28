// A chat for tests: posts what the agent says to FAKECHAT_OUTBOX as {to, text}.
const plugin = {
  id: "fakechat",
  meta: { id: "fakechat", label: "Fake chat", selectionLabel: "Fake chat", docsPath: "/channels/fakechat", blurb: "A chat for tests." },
  capabilities: { chatTypes: ["direct", "group"] },
  config: {
    listAccountIds: () => ["default"],
    resolveAccount: () => ({ accountId: "default", enabled: true, configured: true }),
    inspectAccount: () => ({ enabled: true, configured: true }),
    isConfigured: () => true,
    isEnabled: () => true,
  },
  messaging: { normalizeTarget: (target) => target, targetResolver: { looksLikeId: () => true, hint: "any" } },
  outbound: {
    deliveryMode: "direct",
    sendText: async ({ to, text }) => {
      await fetch(process.env.FAKECHAT_OUTBOX, { method: "POST", body: JSON.stringify({ to, text }) });
      return { channel: "fakechat", messageId: String(Date.now()) };
    },
  },
};
module.exports = { id: "fakechat", name: "Fake chat", description: "A chat for tests", register: (api) => api.registerChannel({ plugin }) };
