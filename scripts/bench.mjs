// Measures one word, or all of them: the engine alone where it has a benchmark in Rust, then as Node-RED uses it. What
// they print is kept in bench/RESULTS.md, a section a word, with the machine and the versions.
import { existsSync, readFileSync } from 'node:fs'
import { cpus, loadavg, platform, release, totalmem } from 'node:os'
import { basename } from 'node:path'
import { inside, list, writeWhole } from './lib/files.mjs'
import { execute, Failure, main } from './lib/run.mjs'
import { cargoEngines } from './lib/rust.mjs'
import { rustc } from './lib/tools.mjs'
import { setup } from './setup.mjs'

const results = inside('bench/RESULTS.md')

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
    const [begun, load] = [new Date(), loadavg()[0]]
    let told = ''
    if (existsSync(inside('native/benches', `${word}.rs`))) {
      const { args, env } = await cargoEngines('bench')
      told += await run('cargo', [...args, '--bench', word], { cwd: inside('native'), env })
    }
    told += await run(process.execPath, ['--import', 'tsx', `bench/${word}.ts`])
    keep(word, `${begun.toISOString().slice(0, 10)}, load at the beginning ${load.toFixed(1)}\n${machine()}`, told)
  }
})

/** Runs it, shows what it prints, and resolves to what it printed to its standard output. */
async function run(command, args, options) {
  let told = ''
  const onOutput = (text, isStdout) => {
    process[isStdout ? 'stdout' : 'stderr'].write(text)
    if (isStdout) told += text
  }
  const code = await execute(command, args, { ...options, onOutput })
  if (code !== 0) throw new Failure(`${command} ${args.join(' ')} ended with exit code ${code}.`)
  return told
}

function machine() {
  const [{ model }] = cpus()
  const memory = `${Math.round(totalmem() / 2 ** 30)} GB`
  const nodeRed = JSON.parse(readFileSync(inside('node_modules/node-red/package.json'), 'utf8')).version
  const versions = `Node.js ${process.versions.node}, Node-RED ${nodeRed}, ${rustc().text.split('\n')[0]}`
  return `${cpus().length} × ${model.trim()}, ${memory}, ${platform()} ${release()}\n${versions}`
}

/** In place of what the word had. */
function keep(word, about, told) {
  const heading = '# Results of `npm run bench`\n'
  const old = existsSync(results) ? readFileSync(results, 'utf8') : heading
  const sections = old.split(/^(?=## )/m).filter((section) => !section.startsWith(`## ${word}\n`))
  const section = `## ${word}\n\n\`\`\`\n${about}\n\n${told.trim()}\n\`\`\`\n`
  const [head, ...others] = sections
  const sorted = [...others.map((other) => `${other.trim()}\n`), section].sort()
  writeWhole(results, [`${head.trim()}\n`, ...sorted].join('\n'))
}
