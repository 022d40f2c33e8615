/** The editor in a browser page, driven as a person drives it; what goes wrong meanwhile is kept. */
import { join } from 'node:path'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { type Json, nodeRed, type Runtime, readJson } from '../runtime/harness'
import { startCoverage, writeCoverage } from './coverage'

export const nodeRedMajor = Number.parseInt(String(readJson(join(nodeRed, 'package.json')).version), 10)

/** What the tests use of the editor's own API, inside the page. */
interface Red {
  actions: { invoke(name: string): void }
  nodes: {
    dirty(): boolean
    node(id: string): FlowNode | null
    filterNodes(filter: { type: string }): FlowNode[]
  }
  workspaces: { show(tab: string): void }
  view: { selection(): { nodes?: FlowNode[] } }
}
declare const RED: Red

interface FlowNode extends Json {
  id: string
}

/** A script, as text: the tests' compiler would call a helper in a function, one that the page does not have. */
const preparePage = `
  globalThis.__name = (named) => named
  // The pauses that Node-RED makes for the eye become shorter; what comes first still comes first.
  const { setTimeout } = globalThis
  globalThis.setTimeout = (act, pause = 0, ...given) =>
    setTimeout(act, pause > 50 && pause < 1000 ? 50 + (pause - 50) / 8 : pause, ...given)
  // A dialog is in its place at once: what gets the focus while it still slides in would scroll the page.
  const style = document.createElement('style')
  style.textContent = '.red-ui-tray { transition: none !important }'
  addEventListener('DOMContentLoaded', () => document.head.append(style))
`

export interface Options extends BrowserContextOptions {
  /** What the browser remembers of the user's choices. */
  remembered?: Record<string, string>
}

export class Editor {
  /** Errors of the page and its console, and requests that leave the machine. */
  readonly problems: string[] = []

  private constructor(
    readonly page: Page,
    private readonly runtime: Runtime,
  ) {
    page.on('console', (message) => message.type() === 'error' && this.problems.push(`console: ${message.text()}`))
    page.on('pageerror', (error) => this.problems.push(`page: ${error.stack}`))
    page.on('request', (request) => this.checkAddress(request.url()))
    page.on('websocket', (socket) => this.checkAddress(socket.url().replace(/^ws/, 'http')))
  }

  static async open(
    browser: Browser,
    runtime: Runtime,
    { remembered = {}, ...options }: Options = {},
  ): Promise<Editor> {
    const context = await browser.newContext({ locale: 'en-US', viewport: { width: 1360, height: 820 }, ...options })
    context.setDefaultTimeout(20_000)
    await context.addInitScript(preparePage)
    for (const [key, value] of Object.entries(remembered)) {
      const script = `localStorage.setItem(${JSON.stringify(key)}, ${JSON.stringify(value)})`
      await context.addInitScript(`if (location.protocol === 'http:') ${script}`)
    }
    await hideTips(runtime.base)
    const editor = new Editor(await context.newPage(), runtime)
    await startCoverage(editor.page)
    return editor
  }

  async close(): Promise<void> {
    await writeCoverage(this.page)
    await this.page.context().close()
  }

  /** Deploys flows behind the editor's back, then loads it. */
  async load(flows: Json[]): Promise<void> {
    await this.page.goto('about:blank')
    await this.runtime.deploy(flows)
    await this.page.goto(`${this.runtime.base}/`)
    await this.page.locator('.red-ui-header-toolbar').waitFor({ timeout: 40_000 })
    await this.page.locator('#red-ui-loading-progress').waitFor({ state: 'hidden' })
  }

  /** All that is deployed, as `GET /flows` has it. */
  flows(): Promise<Json[]> {
    return this.runtime.json<Json[]>('/flows')
  }

  async saved(id: string): Promise<Json | undefined> {
    return (await this.flows()).find((node) => node.id === id)
  }

  /** A node in the editor: those of its properties that are named. */
  async properties(id: string, ...names: string[]): Promise<Record<string, unknown>> {
    const find = ([id, names]: [string, string[]]) => names.map((name) => RED.nodes.node(id)?.[name])
    const values = await this.page.evaluate(find, [id, names] as [string, string[]])
    return Object.fromEntries(names.map((name, place) => [name, values[place]]))
  }

  /** Waits until a node in the editor has this property. */
  async until(id: string, name: string, value: unknown): Promise<void> {
    const has = ([id, name, value]: [string, string, unknown]) => RED.nodes.node(id)?.[name] === value
    await this.page.waitForFunction(has, [id, name, value] as [string, string, unknown])
  }

  async show(tab: string): Promise<void> {
    await this.page.evaluate((tab) => RED.workspaces.show(tab), tab)
  }

  async idsOf(type: string): Promise<string[]> {
    return this.page.evaluate((type) => RED.nodes.filterNodes({ type }).map((node) => node.id), type)
  }

  async selectedIds(): Promise<string[]> {
    return this.page.evaluate(() => (RED.view.selection().nodes ?? []).map((node) => node.id))
  }

  async act(action: string): Promise<void> {
    await this.page.evaluate((action) => RED.actions.invoke(action), action)
  }

  /** A node's picture in the workspace. */
  picture(id: string): Locator {
    return this.page.locator(`[id="${id}"]`)
  }

  field(name: string): Locator {
    return this.page.locator(`#node-input-${name}`)
  }

  get dialog(): Locator {
    return this.page.locator('.red-ui-tray')
  }

  async edit(id: string): Promise<void> {
    await this.picture(id)
      .locator('.red-ui-flow-node')
      .dblclick({ position: { x: 50, y: 15 } })
    await this.opened()
  }

  /** Node-RED lets a dialog slide in when it is ready, and puts the focus into it a moment later. */
  async opened(): Promise<void> {
    await this.page.locator('.red-ui-tray[style*="right: 0px"]').waitFor()
    await this.page.waitForFunction(() => document.activeElement?.closest('.red-ui-tray'))
  }

  async save(): Promise<void> {
    await this.page.locator('#node-dialog-ok').click()
    await this.dialog.waitFor({ state: 'detached' })
  }

  async cancel(): Promise<void> {
    await this.page.locator('#node-dialog-cancel, #node-config-dialog-cancel').click()
    await this.dialog.waitFor({ state: 'detached' })
  }

  private get suggestions(): Locator {
    return this.page.locator('.red-ui-autoComplete-container:visible a')
  }

  /** Types until names are offered: while the dialog settles, the offer may close as soon as it opens. */
  async offers(input: Locator, words: string): Promise<string[]> {
    do {
      await input.fill('')
      await input.pressSequentially(words)
    } while (!(await soon(this.suggestions.first().waitFor({ timeout: 2000 }))))
    return this.suggestions.allTextContents()
  }

  /** Takes the first of them. */
  async take(input: Locator, words: string): Promise<string[]> {
    let offered: string[]
    do offered = await this.offers(input, words)
    while (!(await soon(this.suggestions.first().click({ timeout: 2000 }))))
    return offered
  }

  /** Out of any dialog, and of its choices. */
  async reset(): Promise<void> {
    await this.page.keyboard.press('Escape')
    if (await this.dialog.isVisible()) await this.cancel()
  }

  get deployButton(): Locator {
    return this.page.locator('#red-ui-header-button-deploy')
  }

  async deploy(): Promise<void> {
    await this.deployButton.click()
    await this.deployed()
  }

  async deployed(): Promise<void> {
    await this.page.waitForFunction(() => !RED.nodes.dirty())
    await this.page.locator('.red-ui-deploy-button-spinner').waitFor({ state: 'hidden' })
  }

  get notifications(): Locator {
    return this.page.locator('.red-ui-notification')
  }

  /** What the editor shows while the mouse is over an element. */
  async tooltipOf(element: Locator): Promise<string> {
    await element.hover()
    const tooltip = this.page.locator('.red-ui-popover:visible, .red-ui-flow-port-tooltip')
    const text = await tooltip.textContent()
    await this.page.mouse.move(1, 1)
    await tooltip.waitFor({ state: 'hidden' })
    return (text ?? '').trim()
  }

  private checkAddress(address: string): void {
    if (!/^(data|blob|about):/.test(address) && !address.startsWith(`${this.runtime.base}/`)) {
      this.problems.push(`request: ${address}`)
    }
  }
}

/** Node-RED shows a tip a second after its start, and fails where the page is not built by then. */
async function hideTips(base: string): Promise<void> {
  const body = JSON.stringify({ editor: { view: { 'view-show-tips': false } } })
  const headers = { 'content-type': 'application/json' }
  const { status } = await fetch(`${base}/settings/user`, { method: 'POST', headers, body })
  if (status !== 204) throw new Error(`the user's settings: ${status}`)
}

/** Whether it came to be in its time. */
export function soon(happens: Promise<void>): Promise<boolean> {
  return happens.then(
    () => true,
    () => false,
  )
}
