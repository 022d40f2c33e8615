/** What an agent remembers: episodes, facts and procedures, recalled by meaning, importance, age and use. */
import { randomBytes } from 'node:crypto'
import { EngineError, quote } from '../../shared/errors'
import { checked, refuseHalves } from '../../shared/json'
import { checkOptions, type Known } from '../../shared/options'
import { Turns } from '../../shared/turns'
import { checkDatabase, checkFinite, checkWhole } from './checks'
import type { Database, Operation } from './database'
import { BuiltInEmbedder } from './embedder'
import { beside, checkEmbedder, type Embedder, type SearchOptions, vectorOf } from './embeddings'
import { milliseconds } from './moments'

/** What happened, what is so, how to do it. */
export type Kind = 'episode' | 'fact' | 'procedure'

export interface Memory {
  id: string
  kind: Kind
  text: string
  /** 0 to 1. */
  importance: number
  tags: string[]
  /** When it was remembered, in milliseconds. */
  time: number
  /** How often it was recalled. */
  uses: number
  /** Whatever belongs to it. */
  data?: unknown
}

export interface RememberOptions {
  importance?: number
  tags?: string[]
  data?: unknown
}

/** How much each part of a score counts. */
export interface Weights {
  similarity: number
  importance: number
  recency: number
  use: number
}

export interface RecallOptions {
  /** 10 by default. */
  limit?: number
  kinds?: Kind[]
  /** Not older than this: a date, as a text, too, or milliseconds. */
  since?: Date | number | string
  /** All of these. */
  tags?: string[]
  weights?: Partial<Weights>
}

export interface Recalled extends Memory {
  score: number
  /** What the score is made of, each part before its weight. */
  why: Weights
}

export interface ConsolidateOptions {
  /** So near are two that say the same; 0.95 by default. */
  duplicate?: number
  /** Older than so many days, 90 by default, unimportant and unused: it is faded. */
  fadeAfterDays?: number
  /** What is more important does not fade; 0.8 by default. */
  fadeImportance?: number
  /** What was recalled more often does not fade; 5 by default. */
  fadeUses?: number
}

/** What a consolidation took out of the memory: `undo` brings it back. */
export interface Consolidation {
  merged: { kept: string; gone: string }[]
  faded: string[]
}

/** The ids that an `undo` brought back, and those that it did not find: forgotten, or brought back before. */
export interface Undone {
  restored: string[]
  skipped: string[]
}

export interface AgentOptions {
  /** The built-in one by default. */
  embedder?: Embedder
  weights?: Partial<Weights>
  /** The clock, for tests. */
  now?: () => number
}

const AGENT: Known<AgentOptions> = { embedder: 'any', weights: 'any', now: 'any' }
const REMEMBER: Known<RememberOptions> = { importance: 'any', tags: 'any', data: 'any' }
const RECALL: Known<RecallOptions> = { limit: 'any', kinds: 'any', since: 'any', tags: 'any', weights: 'any' }
const CONSOLIDATE: Known<ConsolidateOptions> = {
  ...{ duplicate: 'any', fadeAfterDays: 'any', fadeImportance: 'any', fadeUses: 'any' },
}
const WEIGHTS: Weights = { similarity: 0.4, importance: 0.3, recency: 0.2, use: 0.1 }
const PARTS: Known<Weights> = { similarity: 'any', importance: 'any', recency: 'any', use: 'any' }
const IMPORTANCE: Record<Kind, number> = { episode: 0.5, fact: 0.9, procedure: 0.7 }
const DAY_MS = 86_400_000
/** Recency falls to a third in so many days. */
const DECAY_DAYS = 30
/** So many uses count in full. */
const USES = 10
/** What a consolidation merges and fades. */
const CONSOLIDATES: Required<ConsolidateOptions> = {
  duplicate: 0.95,
  fadeAfterDays: 90,
  fadeImportance: 0.8,
  fadeUses: 5,
}
/** How much words count in the choice of those that are ranked. */
const WORDS = 0.5
/** So many of the nearest are ranked, at least. */
const CANDIDATES = 200

type Kept = Omit<Memory, 'id' | 'uses'>

interface Archived {
  kept: Kept
  vector: unknown
}

/** Who changes what he read before, in each store: one after the other. */
const changing = new WeakMap<Database, Turns>()

/**
 * ```ts
 * const agent = new memory.AgentMemory(db, 'mill-assistant')
 * await agent.learn('Pump 2 needs oil of grade 46')
 * const found = await agent.recall('which oil does the pump take?')
 * ```
 */
export class AgentMemory {
  private readonly namespace: string
  private readonly now: () => number

  constructor(
    private readonly db: Database,
    agentId: string,
    private readonly options: AgentOptions = {},
  ) {
    checkDatabase(db)
    if (typeof agentId !== 'string' || agentId === '') {
      throw new EngineError('INVALID_OPTION', `the id of the agent is ${quote(agentId)}; give a text that names it`)
    }
    checkOptions('an AgentMemory', options, AGENT)
    checkEmbedder(options.embedder)
    checkWeights(options.weights)
    if (options.now !== undefined && typeof options.now !== 'function') {
      throw new EngineError('INVALID_OPTION', `now is ${quote(options.now)}; it must be a function that tells the time`)
    }
    this.namespace = `agent:${agentId}`
    this.now = options.now ?? Date.now
  }

  /** Something that happened. Resolves to its id. */
  remember(text: string, options: RememberOptions = {}): Promise<string> {
    return this.keep('episode', text, options)
  }

  /** Something that is so. */
  learn(text: string, options: RememberOptions = {}): Promise<string> {
    return this.keep('fact', text, options)
  }

  /** How something is done. */
  procedure(text: string, options: RememberOptions = {}): Promise<string> {
    return this.keep('procedure', text, options)
  }

  /** What fits best, the best first. What is recalled counts as used. */
  async recall(query: string, options: RecallOptions = {}): Promise<Recalled[]> {
    const ranked = await this.rank(query, options)
    await this.use(ranked)
    return ranked
  }

  /** Recalls as much as fits into so many tokens, as a text of lines. */
  async context(query: string, budget: number, options: RecallOptions = {}): Promise<{ text: string; ids: string[] }> {
    checkWhole('budget', budget)
    checkOptions('context', options, RECALL)
    const counter = await BuiltInEmbedder.open()
    const chosen: Recalled[] = []
    let left = budget
    for (const memory of await this.rank(query, { limit: CANDIDATES, ...options })) {
      const tokens = (await counter.ends(`- ${memory.text}`)).length
      if (tokens > left) continue
      left -= tokens
      chosen.push(memory)
    }
    await this.use(chosen)
    return { text: chosen.map(({ text }) => `- ${text}`).join('\n'), ids: chosen.map(({ id }) => id) }
  }

  async get(id: string): Promise<Memory> {
    const [kept, uses] = await Promise.all([this.db.get<Kept>(this.namespace, id), this.usesOf([id])])
    return { ...kept, id, uses: uses[0] as number }
  }

  /** Whether it was there, or in the archive. The history of the store still has it. */
  async forget(id: string): Promise<boolean> {
    return this.inTurn(async () => {
      const there = [this.namespace, this.archive].map((namespace) => this.db.contains(namespace, id))
      const all = [this.namespace, beside(this.namespace), this.usage, this.archive]
      const [was, archived] = await Promise.all(there)
      await this.db.putBatch(all.map((namespace) => ({ namespace, key: id })))
      return (was || archived) as boolean
    })
  }

  /**
   * Takes out what says the same as something more important, or as important and newer, that has all of its tags, and what
   * is old, unimportant and unused. It is archived, and can be brought back.
   */
  async consolidate(options: ConsolidateOptions = {}): Promise<Consolidation> {
    const { duplicate, fadeAfterDays, fadeImportance, fadeUses } = limitsOf(options)
    const all = new Map((await this.all()).map((memory) => [memory.id, memory]))
    const merged: Consolidation['merged'] = []
    const best = [...all.values()].sort((a, b) => b.importance - a.importance || b.time - a.time)
    const rank = new Map(best.map(({ id }, place) => [id, place]))
    for (const [place, { id, kind, tags }] of best.entries()) {
      if (!all.has(id)) continue
      const [embedding] = await this.db.getMany<{ vector: string; model: string }>(beside(this.namespace), [id])
      // It was forgotten meanwhile.
      if (!embedding) continue
      const { model } = embedding
      const alike: SearchOptions = { topK: CANDIDATES, threshold: duplicate, filter: { kind }, model }
      const near = await this.db.search(this.namespace, vectorOf(embedding), alike)
      for (const { key } of near) {
        const isBehind = (rank.get(key) ?? -1) > place
        // Who asks by a tag still finds it.
        const isSaid = isBehind && all.get(key)?.tags.every((tag) => tags.includes(tag))
        if (isSaid && all.delete(key)) merged.push({ kept: id, gone: key })
      }
    }
    const oldest = this.now() - fadeAfterDays * DAY_MS
    const fades = ({ time, importance, uses }: Memory) =>
      time < oldest && importance <= fadeImportance && uses <= fadeUses
    const faded = [...all.values()].filter(fades).map(({ id }) => id)
    return this.inTurn(() => this.takeOut({ merged, faded }))
  }

  /** Brings back what a consolidation took out, but for what was forgotten or is back. */
  async undo(consolidation: Consolidation): Promise<Undone> {
    const ids = [...new Set(goneOf(consolidation))]
    return this.inTurn(async () => {
      const archived = await this.db.getMany<Archived>(this.archive, ids)
      const operations = archived.flatMap((one, place): Operation[] => {
        const key = ids[place] as string
        if (!one) return []
        return [
          { namespace: beside(this.namespace), key, ...('vector' in one && { value: one.vector }) },
          { namespace: this.namespace, key, value: one.kept },
          { namespace: this.archive, key },
        ]
      })
      await this.db.putBatch(operations)
      return {
        restored: ids.filter((_, place) => archived[place]),
        skipped: ids.filter((_, place) => !archived[place]),
      }
    })
  }

  private get archive(): string {
    return `${this.namespace}#archive`
  }

  private get usage(): string {
    return `${this.namespace}#uses`
  }

  private async keep(kind: Kind, text: string, options: RememberOptions): Promise<string> {
    checkOptions('a memory', options, REMEMBER)
    const { importance = IMPORTANCE[kind], tags = [], data } = options
    checkTags(tags)
    if (typeof importance !== 'number' || !(importance >= 0 && importance <= 1)) {
      throw new EngineError('INVALID_OPTION', `importance is ${quote(importance)}; it must be a number from 0 to 1`)
    }
    if (typeof text !== 'string') {
      throw new EngineError(
        'INVALID_INPUT',
        `${quote(text)} cannot be remembered; give a text, and the rest as its data`,
      )
    }
    // Later there would be a vector already.
    if (data !== undefined) refuseHalves(checked(data, 'data'), 'data')
    const time = this.now()
    const id = `${kind}-${time.toString(36)}-${randomBytes(5).toString('hex')}`
    const metadata = { kind, tags, time }
    // The vector first: without its memory it is not found.
    await this.db.embed(this.namespace, id, text, metadata, this.by)
    const kept: Kept = { kind, text, importance, tags, time, ...(data !== undefined && { data }) }
    await this.db.put(this.namespace, id, kept)
    return id
  }

  private get by(): { embedder?: Embedder } {
    return this.options.embedder ? { embedder: this.options.embedder } : {}
  }

  private async rank(query: string, options: RecallOptions): Promise<Recalled[]> {
    checkOptions('recall', options, RECALL)
    if (typeof query !== 'string') {
      throw new EngineError('INVALID_INPUT', `the question is ${quote(query)}; it must be a text`)
    }
    const { limit = 10, kinds, since, tags = [] } = options
    checkWhole('limit', limit)
    checkTags(tags)
    if (kinds !== undefined) checkKinds(kinds)
    checkWeights(options.weights)
    const weights = { ...WEIGHTS, ...this.options.weights, ...options.weights }
    const conditions = [
      ...(kinds ? [{ kind: { in: kinds } }] : []),
      ...(since !== undefined ? [{ time: { gte: milliseconds('since', since) } }] : []),
      ...tags.map((tag) => ({ tags: { contains: tag } })),
    ]
    const topK = Math.max(CANDIDATES, limit * 4)
    const asked: SearchOptions = { topK, words: WORDS, filter: { and: conditions }, ...this.by }
    const hits = await this.db.search(this.namespace, query, asked)
    const ids = hits.map(({ key }) => key)
    const [memories, uses] = await Promise.all([this.db.getMany<Kept>(this.namespace, ids), this.usesOf(ids)])
    const found = hits.flatMap(({ key, near = 0, words = 0 }, place) => {
      const kept = memories[place]
      if (!kept) return []
      const used = uses[place] as number
      const why: Weights = {
        // Words that are the same make up for a meaning that is not seen, and take nothing away.
        similarity: Math.max(0, near, (near + words) / 2),
        importance: kept.importance,
        recency: Math.exp(-Math.max(0, this.now() - kept.time) / (DECAY_DAYS * DAY_MS)),
        use: Math.min(used / USES, 1),
      }
      const total = (Object.keys(why) as (keyof Weights)[]).reduce((sum, part) => sum + weights[part] * why[part], 0)
      return [{ ...kept, id: key, uses: used, score: total, why }]
    })
    return found.sort((a, b) => b.score - a.score).slice(0, limit)
  }

  private async usesOf(ids: string[]): Promise<number[]> {
    return (await this.db.getMany<number>(this.usage, ids)).map((uses) => uses ?? 0)
  }

  private async use(memories: Memory[]): Promise<void> {
    const ids = memories.map(({ id }) => id)
    await this.inTurn(async () => {
      const uses = await this.usesOf(ids)
      await this.db.putMany(
        this.usage,
        ids.map((id, place) => [id, (uses[place] as number) + 1] as const),
      )
    })
  }

  private async all(): Promise<Memory[]> {
    const { rows } = await this.db.query<{ key: string; value: Kept }>(this.namespace)
    const uses = await this.usesOf(rows.map(({ key }) => key))
    return rows.map(({ key, value }, place) => ({ ...value, id: key, uses: uses[place] as number }))
  }

  /** Archives what is still there, and still said by what was to be kept: some may be forgotten meanwhile. */
  private async takeOut(found: Consolidation): Promise<Consolidation> {
    const ids = [...new Set([...found.merged.map(({ kept }) => kept), ...goneOf(found)])]
    const [kept, vectors] = await Promise.all([
      this.db.getMany<Kept>(this.namespace, ids),
      this.db.getMany(beside(this.namespace), ids),
    ])
    const there = new Map(
      ids.flatMap((id, place) => (kept[place] ? [[id, { kept: kept[place], vector: vectors[place] }]] : [])),
    )
    const merged = found.merged.filter(({ kept, gone }) => there.has(kept) && there.has(gone))
    const faded = found.faded.filter((id) => there.has(id))
    const operations = goneOf({ merged, faded }).flatMap((key): Operation[] => [
      { namespace: this.namespace, key },
      { namespace: beside(this.namespace), key },
      { namespace: this.archive, key, value: there.get(key) },
    ])
    await this.db.putBatch(operations)
    return { merged, faded }
  }

  private inTurn<Done>(work: () => Promise<Done>): Promise<Done> {
    const turns = changing.get(this.db) ?? new Turns()
    changing.set(this.db, turns)
    return turns.take(work)
  }
}

function goneOf(given: Consolidation): string[] {
  const { merged, faded } = (given ?? {}) as Partial<Consolidation>
  if (Array.isArray(merged) && Array.isArray(faded)) {
    const gone = [...merged.map((it) => it?.gone), ...faded]
    if (gone.every((id) => typeof id === 'string')) return gone
  }
  throw new EngineError('INVALID_INPUT', `${quote(given)} is no consolidation; give what consolidating gave`)
}

function limitsOf(options: ConsolidateOptions): Required<ConsolidateOptions> {
  checkOptions('consolidate', options, CONSOLIDATE)
  const limits = { ...CONSOLIDATES }
  for (const name of Object.keys(limits) as (keyof ConsolidateOptions)[]) {
    const value = options[name] ?? limits[name]
    if (typeof value !== 'number' || !(value >= 0)) {
      throw new EngineError('INVALID_OPTION', `${name} is ${quote(value)}; it must be a number from 0`)
    }
    limits[name] = value
  }
  checkFinite('duplicate', limits.duplicate)
  return limits
}

function checkTags(tags: string[]): void {
  if (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string')) return
  throw new EngineError('INVALID_OPTION', `tags is ${quote(tags)}; it must be a list of texts`)
}

function checkKinds(kinds: Kind[]): void {
  const all = Object.keys(IMPORTANCE)
  if (Array.isArray(kinds) && kinds.every((kind) => all.includes(kind))) return
  throw new EngineError('INVALID_OPTION', `kinds is ${quote(kinds)}; it must be a list of ${all.join(', ')}`)
}

function checkWeights(weights: Partial<Weights> | undefined): void {
  if (weights === undefined) return
  checkOptions('weights', weights, PARTS)
  for (const [name, value] of Object.entries(weights)) checkFinite(`weights.${name}`, value)
}
