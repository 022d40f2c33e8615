/** What of the panels' TypeScript ran in the browser, in the form that c8 reads. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Page } from 'playwright-core'
import { root } from '../runtime/harness'

const folder = process.env.MILLRACE_COVERAGE_DIR
const panels = join(root, '.cache/panels')
let written = 0

export async function startCoverage(page: Page): Promise<void> {
  if (folder) await page.coverage.startJSCoverage({ resetOnNavigation: false, reportAnonymousScripts: true })
}

export async function writeCoverage(page: Page): Promise<void> {
  if (!folder) return
  const scripts = await page.coverage.stopJSCoverage()
  const result: object[] = []
  const maps: Record<string, object> = {}
  for (const [source, panel] of builtPanels()) {
    for (const { scriptId, functions } of scripts.filter((script) => script.source === source)) {
      result.push({ scriptId, url: panel.url, functions })
      maps[panel.url] = { lineLengths: source.split('\n').map((line) => line.length), data: panel.map, url: null }
    }
  }
  const isEditor = scripts.some((script) => script.url.includes('/red/red'))
  if (isEditor && result.length === 0) throw new Error('the page has other panels than the last build: build anew')
  mkdirSync(folder, { recursive: true })
  written += 1
  const report = JSON.stringify({ result, 'source-map-cache': maps })
  writeFileSync(join(folder, `coverage-editor-${process.pid}-${written}.json`), report)
}

/** By their text as it stands in the page. The map names the files of `nodes/`, as absolute paths. */
function builtPanels(): Map<string, { url: string; map: object }> {
  const names = existsSync(panels) ? readdirSync(panels).filter((name) => name.endsWith('.js')) : []
  return new Map(
    names.map((name) => {
      const map = JSON.parse(readFileSync(join(panels, `${name}.map`), 'utf8')) as { sources: string[] }
      const sources = map.sources.map((source) => join(root, source))
      // c8 asks of this path, not of the sources, whether it counts.
      const url = pathToFileURL(join(root, 'nodes', name.replace('.js', '.panel.ts'))).href
      return [readFileSync(join(panels, name), 'utf8'), { url, map: { ...map, sources } }]
    }),
  )
}
