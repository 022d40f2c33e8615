// Measures one word, or all of them: the engine alone where it has a benchmark in Rust, then as Node-RED uses it.
import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { inside, list } from './lib/files.mjs'
import { execute, Failure, main } from './lib/run.mjs'
import { cargoEngines } from './lib/rust.mjs'
import { setup } from './setup.mjs'

main(async () => {
  await setup()
  const all = list('bench')
    .filter((file) => /^bench\/[^/]+\.ts$/.test(file))
    .map((file) => basename(file, '.ts'))
  const [wanted] = process.argv.slice(2)
  const words = wanted ? all.filter((word) => word === wanted) : all
  if (!words.length)
    throw new Failure(`No benchmark ${wanted ?? ''} in bench/. There are: ${all.join(', ') || 'none'}.`)
  for (const word of words) {
    if (existsSync(inside('native/benches', `${word}.rs`))) {
      const { args, env } = await cargoEngines('bench')
      await run('cargo', [...args, '--bench', word], { cwd: inside('native'), env })
    }
    await run(process.execPath, ['--import', 'tsx', `bench/${word}.ts`])
  }
})

async function run(command, args, options) {
  const code = await execute(command, args, options)
  if (code !== 0) throw new Failure(`${command} ${args.join(' ')} ended with exit code ${code}.`)
}
