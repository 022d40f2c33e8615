import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../runtime/harness'

describe('editor: colours', () => {
  const files = readdirSync(join(root, 'nodes'), { recursive: true, encoding: 'utf8' })
  const code = /#[0-9a-f]{3,8}\b(?!-)|\b(rgb|hsl|oklch)a?\(/gi
  const style = /\b(color|background|fill|stroke|border)[\w-]*\s*:\s*(?!var\(|inherit|none|0|\d+px solid var\()\S+/gi
  for (const file of files.filter((file) => /\.(html|css)$|editor\.ts$/.test(file) && !file.includes('locales'))) {
    it(`${file.replaceAll('\\', '/')} has none of its own, but the node's in the palette`, () => {
      const text = readFileSync(join(root, 'nodes', file), 'utf8').replace(/color: '#[0-9a-f]{6}',/, '')
      const found = [...text.matchAll(code), ...(file.endsWith('.ts') ? [] : text.matchAll(style))]
      assert.deepEqual(found.map(String), [])
    })
  }
})
