/** What can happen to tasks and workers. No import of Node.js: the editor bundles this file. */
export const kinds: readonly string[] = [
  ...['sent', 'received', 'started', 'progress', 'succeeded', 'failed', 'retried', 'revoked', 'expired', 'dead'],
  ...['worker-online', 'worker-offline', 'worker-heartbeat'],
]
