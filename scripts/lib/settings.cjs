// Node-RED as `npm start` runs it: on this machine only, without anything fetched from elsewhere.
module.exports = {
  uiHost: '127.0.0.1',
  uiPort: Number(process.env.PORT),
  flowFile: 'flows.json',
  flowFilePretty: true,
  credentialSecret: false,
  telemetry: { enabled: false },
  editorTheme: { tours: false, palette: { catalogues: [] } },
}
