// The pictures of the documentation: `screenshots.mjs [folder [dialogs]]`, into docs/ where no folder is named.
import { execute, Failure, main } from './lib/run.mjs'
import { chromium } from './lib/system.mjs'
import { setup } from './setup.mjs'

main(async () => {
  await setup()
  const browser = await chromium()
  if (!browser) throw new Failure('No Chromium: install it, or set CHROMIUM.')
  const args = ['--import', 'tsx', 'test/editor/screenshots.ts', ...process.argv.slice(2)]
  process.exitCode = await execute(process.execPath, args, { env: { CHROMIUM: browser } })
})
