// Node-RED as `npm start` runs it: on this machine only, without anything fetched from elsewhere.
const { join } = require('node:path')

module.exports = {
  uiHost: '127.0.0.1',
  uiPort: Number(process.env.PORT),
  flowFile: 'flows.json',
  flowFilePretty: true,
  credentialSecret: false,
  // The checkout itself is a package of nodes: it is loaded as it stands, without a link or a copy.
  nodesDir: join(__dirname, '../..'),
  telemetry: { enabled: false },
  editorTheme: { tours: false, palette: { catalogues: [] } },
}
