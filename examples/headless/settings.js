// Node-RED without an editor, as it runs on a device: all that differs from one to the next comes from the environment.
const { existsSync, mkdirSync, writeFileSync } = require('node:fs')
const { basename, join, resolve, sep } = require('node:path')

const { env } = process
const userDir = resolve(env.MILLRACE_HOME ?? 'millrace-home')
const flowFile = resolve(env.MILLRACE_FLOW ?? join(__dirname, 'flow.json'))
// Where Node-RED looks for them.
const credentials = join(userDir, `${basename(flowFile, '.json')}_cred.json`)

// The flow names its secrets; the environment has them. The file holds `${NAME}` alone.
mkdirSync(userDir, { recursive: true })
if (!existsSync(credentials)) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Node-RED fills it in.
  writeFileSync(credentials, JSON.stringify({ e3b8d1f24a7c5e07: { token: '${MILLRACE_ALARM_TOKEN}' } }))
}

module.exports = {
  userDir,
  flowFile,
  credentialSecret: env.NODE_RED_CREDENTIAL_SECRET || false,
  uiHost: env.MILLRACE_HOST ?? '127.0.0.1',
  uiPort: Number(env.PORT ?? 1880),
  disableEditor: true,
  // Without an admin interface nobody changes the flows of a device by the way.
  httpAdminRoot: false,
  // A checkout, or a package that is installed elsewhere, is loaded from where it is.
  ...(__dirname.startsWith(userDir + sep) ? {} : { nodesDir: join(__dirname, '../..') }),
  // Messages that core nodes and ours may hold back at most.
  nodeMessageBufferMaxLength: 1000,
  contextStorage: { default: { module: 'localfilesystem' } },
  telemetry: { enabled: false },
  logging: { console: { level: env.MILLRACE_LOG ?? 'info' } },
}
