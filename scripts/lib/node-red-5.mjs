// A second Node-RED, of the next major version, and a Node.js that it accepts: in a tree of their own, because a
// Node-RED that finds another one beside it loads both.

import { lockFile, npmInstall } from '../setup.mjs'
import { hashText, inside, writeWhole } from './files.mjs'
import { withLock } from './lock.mjs'
import { ensure } from './steps.mjs'

const folder = '.cache/nr5'
const windows = process.platform === 'win32'
const nodePackage = `node-${windows ? 'win' : process.platform}-${process.arch}`
const manifest = JSON.stringify({ private: true, dependencies: { 'node-red': '5.0.7', [nodePackage]: '24.21.0' } })

/** Installs both once; resolves to the environment by which tests find them. */
export async function nodeRed5() {
  const nodeRed = `${folder}/node_modules/node-red`
  const node = `${folder}/node_modules/${nodePackage}/bin/node${windows ? '.exe' : ''}`
  const install = {
    name: 'nr5',
    inputs: () => hashText(manifest),
    outputs: () => [`${nodeRed}/package.json`, node],
    async run() {
      writeWhole(inside(folder, 'package.json'), manifest)
      await npmInstall('Installing Node-RED 5', inside(folder))
    },
  }
  await withLock(lockFile, () => ensure(install))
  return { MILLRACE_NODE_RED: inside(nodeRed), MILLRACE_NODE: inside(node) }
}
