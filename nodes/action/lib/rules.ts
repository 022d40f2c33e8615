/** What a watch looks for. No import of Node.js here: the editor bundles this file. */
import { choice, optionalNumber, Problem, parsed, text } from '../../shared/config'
import { fits } from '../../shared/pattern'

/** How a rule judges: the first five by a number, `silence` by the lack of data, `jsonata` by an expression. */
export const ruleKinds = ['above', 'below', 'outside', 'rate', 'deviation', 'silence', 'jsonata'] as const
export type RuleKind = (typeof ruleKinds)[number]

export const alertTypes = ['Concentration', 'Amplitude', 'FrequencyDeviation', 'DataTimeout', 'Custom'] as const
export type AlertType = (typeof alertTypes)[number]

export const severities = ['info', 'warning', 'critical'] as const
export type Severity = (typeof severities)[number]

export interface Rule {
  /** Distinct: a rule that is changed while it runs keeps its state by its name. */
  name: string
  alertType: AlertType
  kind: RuleKind
  severity: Severity
  /** Whose measurements: a name, `*` for any part of it; blank for all. */
  source: string
  /** Where in the message the value is; blank: where the watch has it. With `jsonata`, the expression. */
  property: string
  /** Of `rate` per second, of `silence` in ms. */
  limit: number
  /** The lower end of `outside`. */
  low: number
  /** What `deviation` is measured from. */
  reference: number
  /** So far must the value come back within before the alert ends. */
  hysteresis: number
  /** So long must the rule hold before it raises the alert. */
  minDurationMs: number
  /** So long after an alert there is no other. */
  cooldownMs: number
  /** An alert that lasts is told again so often; null: never. */
  remindMs: number | null
  /** With `{{value}}` and the like; blank: a text of its own. */
  message: string
}

const any = { min: -Number.MAX_VALUE, max: Number.MAX_VALUE }
const distance = { min: 0, max: Number.MAX_VALUE }
const time = { min: 0, max: 31_557_600_000 }
const repeat = { min: 100, max: 31_557_600_000 }

const fields = {
  name: parsed('', (typed) => typed),
  alertType: choice('Custom', alertTypes),
  kind: choice('above', ruleKinds),
  severity: choice('warning', severities),
  source: parsed('', (typed) => typed),
  property: parsed('', (typed) => typed),
  limit: optionalNumber('', any),
  low: optionalNumber('', any),
  reference: optionalNumber('', any),
  hysteresis: optionalNumber(0, distance),
  minDurationMs: optionalNumber(0, time),
  cooldownMs: optionalNumber(0, time),
  remindMs: optionalNumber('', repeat),
  message: text(),
}

/** The checked form of a rule as it was saved or given. */
export function readRule(saved: unknown): Rule {
  const row = (saved ?? {}) as Record<string, unknown>
  const kind = fields.kind.read(row.kind)
  const rule = {
    name: fields.name.read(row.name),
    alertType: fields.alertType.read(row.alertType),
    kind,
    severity: fields.severity.read(row.severity),
    source: fields.source.read(row.source),
    property: fields.property.read(row.property),
    limit: kind === 'jsonata' ? 0 : needed('config.limit', fields.limit.read(row.limit)),
    low: kind === 'outside' ? needed('config.low', fields.low.read(row.low)) : 0,
    reference: kind === 'deviation' ? needed('config.referenceValue', fields.reference.read(row.reference)) : 0,
    hysteresis: fields.hysteresis.read(row.hysteresis) ?? 0,
    minDurationMs: fields.minDurationMs.read(row.minDurationMs) ?? 0,
    cooldownMs: fields.cooldownMs.read(row.cooldownMs) ?? 0,
    remindMs: fields.remindMs.read(row.remindMs),
    message: fields.message.read(row.message),
  }
  if (rule.name === '') throw new Problem('config.ruleName')
  if (kind === 'outside' && rule.low >= rule.limit) throw new Problem('config.band')
  if ((kind === 'rate' || kind === 'deviation') && rule.limit < 0) throw new Problem('config.positive')
  if (kind === 'silence' && rule.limit < 1) throw new Problem('config.silence')
  if (kind === 'jsonata' && rule.property === '') throw new Problem('config.expression')
  return rule
}

function needed(problem: string, value: number | null): number {
  if (value === null) throw new Problem(problem)
  return value
}

export function distinctRules(rules: Rule[]): void {
  const seen = new Set<string>()
  for (const { name } of rules) {
    if (seen.has(name)) throw new Problem('config.ruleTwice', { rule: name })
    seen.add(name)
  }
}

/** How far a value is over a rule's limit: above 0 the rule holds. */
export function excess(rule: Rule, value: number): number {
  switch (rule.kind) {
    case 'above':
    case 'rate':
      return value - rule.limit
    case 'below':
      return rule.limit - value
    case 'outside':
      return Math.max(value - rule.limit, rule.low - value)
    case 'deviation':
      return Math.abs(value - rule.reference) - rule.limit
    default:
      return value > 0 ? 1 : -1
  }
}

/** Whether a rule is about a source: `*` stands for anything. */
export function concerns(pattern: string): (source: string) => boolean {
  if (pattern === '') return () => true
  return fits(pattern)
}
