// Steps that are done again only when what they read has changed.
import { existsSync } from 'node:fs'
import { inside, readJson, writeWhole } from './files.mjs'

const stateFile = '.cache/setup.json'

/**
 * Runs `step` unless its inputs have the hash of its last good run and its outputs are there. The note of that run is
 * taken back before it runs again: a step that was interrupted counts as not done.
 */
export async function ensure({ name, inputs, outputs, run }) {
  const hash = inputs()
  const state = existsSync(inside(stateFile)) ? readJson(stateFile) : {}
  if (state[name] === hash && outputs().every((file) => existsSync(inside(file)))) return
  delete state[name]
  save(state)
  await run()
  save({ ...state, [name]: hash })
}

const save = (state) => writeWhole(inside(stateFile), `${JSON.stringify(state, null, 2)}\n`)
