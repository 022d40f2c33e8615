import {
  choice,
  defineConfig,
  flag,
  number,
  optionalNumber,
  optionalReference,
  Problem,
  parsed,
  text,
  type Values,
} from '../shared/config'
import { CONTEXT, isType, longType } from './fields'
import { outputFields } from './output.config'

function path(typed: string): string {
  if (typed === '') throw new Problem('config.path')
  return typed
}

/** Blank, or a type in its long form. */
function type(typed: string): string {
  if (typed !== '' && !isType(typed)) throw new Problem('config.type')
  return longType(typed)
}

/** Names between commas or blanks. */
function names(typed: string): string[] {
  return typed.split(/[\s,]+/).filter(Boolean)
}

export const bagConfig = defineConfig({
  type: 'millrace-ros2-bag',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    mode: choice('play', ['play', 'record']),
    /** Below the user directory, absolute, or `millrace:` and the name of a recording that comes along. */
    path: parsed('', path),
    start: choice('deploy', ['deploy', 'message']),
    /** The context that has the definitions of own types. */
    context: optionalReference(CONTEXT),
    // To play.
    /** Blank: all. */
    topics: parsed('', names),
    /** 0: as fast as the flow takes it. */
    speed: number(1, { min: 0, max: 1000 }),
    loop: flag(false),
    stamps: choice('original', ['original', 'now']),
    clock: flag(false),
    ...outputFields,
    // To record.
    /** Blank: `msg.ros2.type`. */
    messageType: parsed('', type),
    compression: choice('none', ['none', 'zstd']),
    /** Blank: one file. */
    maxMegabytes: optionalNumber('', { min: 0.001, max: 1_000_000 }),
    maxMinutes: optionalNumber('', { min: 0.001, max: 1_000_000 }),
  },
})

export type BagConfig = Values<(typeof bagConfig)['fields']>
