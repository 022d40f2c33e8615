/**
 * The flows for FlowFuse Dashboard 2. It is no part of the collection, and large: MILLRACE_DASHBOARD names a folder
 * where it is installed.
 */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type Json, Runtime, readJson, root } from './harness'

const flows = ['gas', 'tasks'].flatMap((name) => readJson(join(root, `dashboards/${name}.json`)) as unknown as Json[])
/** What both have is the dashboard itself. */
const both = [...new Map(flows.map((node) => [node.id, node])).values()]

describe('the flows for dashboards', () => {
  it('have places for all that they show, and wires to nothing else than themselves', () => {
    const types = new Map(both.map(({ id, type }) => [id, type]))
    assert.equal(flows.length - both.length, 2, 'the dashboard and its theme')
    for (const { id, group, page, ui, wires = [] } of both) {
      for (const [property, type] of [
        [group, 'ui-group'],
        [page, 'ui-page'],
        [ui, 'ui-base'],
      ]) {
        if (property !== undefined) assert.equal(types.get(property), type, String(id))
      }
      for (const to of (wires as string[][]).flat()) assert.ok(types.has(to), to)
    }
  })

  it('run without the dashboard, as far as they are ours', async function test() {
    this.timeout(60_000)
    const runtime = await Runtime.boot()
    try {
      await runtime.deploy(both.filter(({ type }) => !String(type).startsWith('ui-')))
      const watch = both.find(({ type }) => type === 'millrace-action-watch') ?? assert.fail()
      const control = both.find(({ type }) => type === 'millrace-tasks-control') ?? assert.fail()
      for (const { id } of [watch, control]) {
        await runtime.until(`${id} has sent`, () => runtime.sent.some(({ node }) => node === id))
      }
      assert.deepEqual([...runtime.complaints(), ...runtime.failed], [])
    } finally {
      await runtime.remove()
    }
  })

  const { MILLRACE_DASHBOARD: installed } = process.env
  if (!installed) console.log('\nSKIPPED dashboards within FlowFuse Dashboard 2 (MILLRACE_DASHBOARD is not set)\n')
  const test = installed ? it : it.skip
  test('run in FlowFuse Dashboard 2', async function test() {
    this.timeout(120_000)
    const runtime = await Runtime.boot()
    try {
      const folder = join(runtime.userDir, 'node_modules/@flowfuse')
      mkdirSync(folder, { recursive: true })
      const dashboard = join(installed ?? '', 'node_modules/@flowfuse/node-red-dashboard')
      symlinkSync(dashboard, join(folder, 'node-red-dashboard'), 'junction')
      await runtime.end()
      await runtime.start()
      await runtime.deploy(both)
      const ours = both.filter(({ type }) => /action-watch|tasks-control/.test(String(type)))
      for (const { id } of ours) {
        await runtime.until(`${id} has sent`, () => runtime.sent.some(({ node }) => node === id))
      }
      for (const page of ['gas', 'tasks']) assert.equal((await runtime.get(`/dashboard/${page}`)).status, 200)
      assert.deepEqual([...runtime.complaints(), ...runtime.failed], [])
    } finally {
      await runtime.remove()
    }
  })
})
