/**
 * The built-in embedder through JavaScript: texts a second, and how well texts are found with it, beside MiniLM, from which it
 * was distilled. `native/embedding/sets.py` makes the questions and texts, and says how well MiniLM itself finds them: nothing
 * was chosen on `programs`, weights and depths were on `wordnet`.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { memory } from '../nodes'
import { median } from './lib/figures'

const ROUNDS = 5
/** A right text that stands further behind counts nothing. */
const DEPTH = 100
const BATCH = 1000

interface Questions {
  questions: string[]
  /** The text at the place of a question is the right one. */
  texts: string[]
  /** MiniLM's mean reciprocal rank. */
  minilm: number
}

/** The ids that are found, best first. */
type Find = (question: string) => Promise<string[]>

async function rate({ texts }: Questions): Promise<void> {
  const embedder = await memory.BuiltInEmbedder.open()
  const all: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const begin = performance.now()
    for (let from = 0; from < texts.length; from += BATCH) await embedder.embed(texts.slice(from, from + BATCH))
    all.push((texts.length / (performance.now() - begin)) * 1000)
  }
  const [least, middle, most] = [Math.min(...all), median(all), Math.max(...all)].map(Math.round)
  console.log(`  embedded: ${middle}/s (${least}–${most})`)
}

async function judge(label: string, { questions, minilm }: Questions, find: Find): Promise<void> {
  let sum = 0
  for (const [place, question] of questions.entries()) {
    const rank = (await find(question)).indexOf(String(place))
    if (rank >= 0) sum += 1 / (rank + 1)
  }
  const mrr = sum / questions.length
  console.log(`  ${label.padEnd(44)} MRR ${mrr.toFixed(4)}, ${((100 * mrr) / minilm).toFixed(1)} % of MiniLM's`)
}

async function main(): Promise<void> {
  for (const name of ['wordnet', 'programs']) {
    const file = join(__dirname, `../.cache/embedding/${name}.eval.json`)
    if (!existsSync(file)) {
      console.log(`No set ${name}: run native/embedding/sets.py first.`)
      continue
    }
    const set = JSON.parse(readFileSync(file, 'utf8')) as Questions
    const bytes = Math.round(set.texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / set.texts.length)
    console.log(`${name}: ${set.texts.length} texts of ${bytes} bytes; MiniLM MRR ${set.minilm.toFixed(4)}`)
    await rate(set)
    await using db = await memory.Database.open()
    await Promise.all(set.texts.map((text, place) => db.embed('n', String(place), text)))
    const rag = new memory.Rag(db)
    for (const [place, text] of set.texts.entries()) await rag.ingest({ source: String(place), text })
    const search =
      (words: number): Find =>
      async (question) =>
        (await db.search('n', question, { topK: DEPTH, words })).map(({ key }) => key)
    await judge('search, by meaning', set, search(0))
    await judge('search, words count, too (0.5)', set, search(0.5))
    const retrieve: Find = async (question) => [
      ...new Set((await rag.retrieve(question, { topK: DEPTH })).map(({ source }) => source)),
    ]
    await judge('retrieve, hybrid', set, retrieve)
  }
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
