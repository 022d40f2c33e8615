/** Where a recording is. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { EngineError, quote } from '../shared/errors'

/** Recordings that come with the package, for the examples. */
const BUNDLED = /^millrace:(.*)$/
const BUNDLED_NAME = /^[\w-]+\.mcap$/
const TIME = /\{time\}/g

/** `millrace:<name>` comes with the package; all else is as it is said, from the user directory on. */
export function placeOf(path: string, userDir: string | undefined): string {
  const [, bundled] = BUNDLED.exec(path) ?? []
  if (bundled === undefined) return resolve(userDir ?? '.', path)
  if (!BUNDLED_NAME.test(bundled)) {
    throw new EngineError('INVALID_OPTION', `${quote(path)} names no recording; write it like millrace:recording.mcap`)
  }
  return join(__dirname, '../../examples/ros2', bundled)
}

/** A place that is free: `{time}` becomes the time (UTC), and a number goes behind a name that is taken. */
export function freePlace(path: string, userDir: string | undefined, now: Date): string {
  if (BUNDLED.test(path))
    throw new EngineError('INVALID_OPTION', `${quote(path)} comes with the package; choose a file`)
  const time = now.toISOString().replace(/\.\d+/, '').replaceAll(/[-:]/g, '')
  const wanted = placeOf(path.replace(TIME, time), userDir)
  const [, stem = wanted, ending = ''] = /^(.*?)(\.mcap)?$/s.exec(wanted) ?? []
  for (let number = 1; ; number += 1) {
    const place = `${stem}${number > 1 ? `-${number}` : ''}${ending}`
    if (!existsSync(place) && !existsSync(`${place}.part`)) return place
  }
}
