/** Message types: where their definitions come from, and what a definition says. */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import type * as Rosmsg from '@foxglove/rosmsg'
import type * as Common from '@foxglove/rosmsg-msgs-common'
import { EngineError, quote } from '../../shared/errors'
import { optional } from '../../shared/optional'
import { standardServices } from './services'

/** A field of a message, or a constant. */
export interface Field {
  name: string
  /** A primitive, `time`, `duration`, or the name of another message. */
  type: string
  isComplex?: boolean
  isArray?: boolean
  arrayLength?: number
  arrayUpperBound?: number
  upperBound?: number
  isConstant?: boolean
  /** What stands for a missing value. */
  defaultValue?: unknown
}

export interface Definition {
  name?: string
  definitions: Field[]
}

/** The ROS 2 releases whose standard messages come along. */
export const distributions = ['jazzy', 'humble'] as const
export type Distribution = (typeof distributions)[number]

export interface DefinitionSources {
  /** Whose standard messages to use. Default `jazzy`. */
  distribution?: Distribution
  /**
   * Definitions by name: `{'my_msgs/msg/Speed': 'float64 value', 'my_msgs/srv/Stop': '---\nbool done'}`; those of
   * actions, too. They go before the standard ones.
   */
  messages?: Readonly<Record<string, string>>
  /**
   * Folders to search for `<package>/msg/<Name>.msg`, `<package>/srv/<Name>.srv` and `<package>/action/<Name>.action`,
   * such as the `share` of a ROS 2 installation.
   */
  folders?: readonly string[]
}

const MAX_FILE_BYTES = 1 << 20
const TYPE_NAME = /^(\w+)\/(?:(msg|srv|action)\/)?(\w+)$/
/** Between what a service asks for and what it answers, and between the parts of an action. */
const SEPARATOR = /^[ \t]*---[ \t]*$/m

/** `pkg/T` and `pkg/msg/T` are the same message; this is the short form, which definitions use. */
export function shortName(type: string): string {
  const [, pkg, , name] = TYPE_NAME.exec(type) ?? []
  if (!pkg || !name) {
    throw new EngineError('INVALID_OPTION', `${quote(type)} is no ROS type; write it like std_msgs/msg/String`)
  }
  return `${pkg}/${name}`
}

type Kind = 'msg' | 'srv' | 'action'

function kindOf(type: string): Kind {
  return (TYPE_NAME.exec(type)?.[2] ?? 'msg') as Kind
}

/** What the services and topics of an action carry: `_Goal`, `_Result` and `_Feedback` are the parts of its definition. */
const ACTION_MESSAGE =
  /^(\w+\/\w+)_(?:Goal|Result|Feedback|FeedbackMessage|SendGoal_Request|SendGoal_Response|GetResult_Request|GetResult_Response)$/

/** What ROS 2 makes of the parts of an action. */
function wrappedIn(action: string): Record<string, string> {
  const goalId = 'unique_identifier_msgs/UUID goal_id\n'
  return {
    SendGoal_Request: `${goalId}${action}_Goal goal`,
    SendGoal_Response: 'bool accepted\nbuiltin_interfaces/Time stamp',
    GetResult_Request: goalId,
    GetResult_Response: `int8 status\n${action}_Result result`,
    FeedbackMessage: `${goalId}${action}_Feedback feedback`,
  }
}

/** All definitions that can be found, read when they are asked for. */
export class Definitions {
  private readonly known = new Map<string, Definition>()
  private readonly messages: ReadonlyMap<string, string>
  private readonly services: ReadonlyMap<string, string>
  private readonly actions: ReadonlyMap<string, string>
  private readonly folders: readonly string[]
  private readonly standard: Record<string, Definition>

  constructor({ distribution = 'jazzy', messages = {}, folders = ambientFolders() }: DefinitionSources = {}) {
    const given = (kind: Kind) => {
      const entries = Object.entries(messages).filter(([type]) => kindOf(type) === kind)
      return new Map(entries.map(([type, text]) => [shortName(type), text]))
    }
    this.messages = given('msg')
    this.services = given('srv')
    this.actions = given('action')
    this.folders = folders
    const common = optional<typeof Common>('@foxglove/rosmsg-msgs-common', 'the types of ROS messages')
    this.standard = (distribution === 'humble' ? common.ros2humble : common.ros2jazzy) as Record<string, Definition>
  }

  /** A message with everything that it contains; the message itself is the first. */
  resolve(type: string): Definition[] {
    const found = new Map<string, Definition>()
    const visit = (name: string, within: readonly string[]) => {
      if (within.includes(name)) {
        throw new EngineError('INVALID_OPTION', `${quote(name)} contains itself; mend its definition`)
      }
      if (found.has(name)) return
      const definition = this.find(name)
      if (!definition) {
        const where = within.length > 0 ? `, which ${within.at(-1)} contains` : ''
        throw new EngineError(
          'UNKNOWN_TYPE',
          `there is no definition of ${quote(name)}${where}; add its .msg text or the folder that has it`,
        )
      }
      found.set(name, definition)
      for (const field of definition.definitions) if (field.isComplex) visit(field.type, [...within, name])
    }
    const root = shortName(type)
    visit(root, [])
    // Readers and writers take the one without a name for the root.
    return [...found].map(([name, { definitions }]) => (name === root ? { definitions } : { name, definitions }))
  }

  /** A service: what it asks for and what it answers, each with everything that it contains. */
  resolveService(type: string): { request: Definition[]; response: Definition[] } {
    const name = shortName(type)
    const half = (suffix: string) => this.resolve(`${name}_${suffix}`)
    if (!this.known.has(`${name}_Request`) && !this.findAction(`${name}_Request`)) {
      const text = this.services.get(name) ?? this.search(name, 'srv') ?? standardServices[name]
      if (text === undefined) throw unknown('service', type, 'srv')
      this.learn(name, partsOf(text, ['Request', 'Response'], `service ${quote(type)}`))
    }
    return { request: half('Request'), response: half('Response') }
  }

  /**
   * The parts of an action, each with everything that it contains. What its services and topics carry can then be
   * resolved, too: `pkg/action/T_SendGoal` and `pkg/action/T_GetResult` as services, `pkg/action/T_FeedbackMessage`.
   */
  resolveAction(type: string): { goal: Definition[]; result: Definition[]; feedback: Definition[] } {
    const name = shortName(type)
    if (!this.findAction(`${name}_Goal`)) throw unknown('action', type, 'action')
    const part = (suffix: string) => this.resolve(`${name}_${suffix}`)
    return { goal: part('Goal'), result: part('Result'), feedback: part('Feedback') }
  }

  /** Names of all services that need no search, for the dialog. */
  serviceNames(): string[] {
    const names = new Set([...this.services.keys(), ...Object.keys(standardServices)])
    return [...names].sort().map((name) => name.replace('/', '/srv/'))
  }

  /** Names of all actions that need no search, for the dialog. */
  actionNames(): string[] {
    return [...this.actions.keys()].sort().map((name) => name.replace('/', '/action/'))
  }

  /** Names of all messages that need no search, for the dialog. */
  names(): string[] {
    return [...new Set([...this.messages.keys(), ...Object.keys(this.standard)])].sort().map(longName)
  }

  /** The same names, and those of what the folders have; files that lie there without their package have none. */
  async offered(): Promise<{ types: string[]; serviceTypes: string[]; actionTypes: string[] }> {
    const places = this.folders.flatMap((folder) => [folder, join(folder, 'share')])
    const all = async (kind: Kind, known: string[]) => {
      const found = await Promise.all(places.map((place) => namesIn(place, kind)))
      return [...new Set([...known, ...found.flat()])].sort()
    }
    const [types = [], serviceTypes = [], actionTypes = []] = await Promise.all([
      all('msg', this.names()),
      all('srv', this.serviceNames()),
      all('action', this.actionNames()),
    ])
    return { types, serviceTypes, actionTypes }
  }

  private find(name: string): Definition | undefined {
    const known = this.known.get(name)
    if (known) return known
    const text = this.messages.get(name) ?? this.search(name, 'msg')
    const definition = text === undefined ? (this.standard[name] ?? this.findAction(name)) : parseOne(name, text)
    if (definition) this.known.set(name, definition)
    return definition
  }

  /** One of the messages that belong to an action; undefined where it is none of them. */
  private findAction(message: string): Definition | undefined {
    const [, action] = ACTION_MESSAGE.exec(message) ?? []
    if (action === undefined) return undefined
    if (!this.known.has(`${action}_Goal`)) {
      const text = this.actions.get(action) ?? this.search(action, 'action')
      if (text === undefined) return undefined
      const parts = partsOf(text, ['Goal', 'Result', 'Feedback'], `action ${quote(action)}`)
      this.learn(action, { ...parts, ...wrappedIn(action.split('/')[1] ?? '') })
    }
    return this.known.get(message)
  }

  /** The messages that belong to a service or an action, by the ends of their names. */
  private learn(name: string, texts: Readonly<Record<string, string>>): void {
    const parsed = Object.entries(texts).map(([suffix, text]): [string, Definition] => {
      return [`${name}_${suffix}`, parseOne(`${name}_${suffix}`, text)]
    })
    // All or none.
    for (const [message, definition] of parsed) this.known.set(message, definition)
  }

  private search(name: string, kind: Kind): string | undefined {
    const [pkg = '', bare = ''] = name.split('/')
    for (const folder of this.folders) {
      for (const place of [join(folder, pkg, kind), join(folder, 'share', pkg, kind), folder]) {
        const text = readSmall(join(place, `${bare}.${kind}`))
        if (text !== undefined) return text
      }
    }
    return undefined
  }
}

function unknown(what: string, type: string, kind: Kind): EngineError {
  const problem = `there is no definition of the ${what} ${quote(type)}`
  return new EngineError('UNKNOWN_TYPE', `${problem}; add its .${kind} text or the folder that has it`)
}

/** The parts of a definition, by their names. `whose`: as an error says it. */
function partsOf(text: string, names: readonly string[], whose: string): Record<string, string> {
  const parts = text.split(SEPARATOR)
  if (parts.length !== names.length) {
    const problem = `the definition of the ${whose} cannot be read`
    const those = names.join(', ').toLowerCase()
    throw new EngineError('INVALID_OPTION', `${problem}: a line --- must be between each two of ${those}`)
  }
  return Object.fromEntries(names.map((name, place) => [name, parts[place] ?? '']))
}

/** The folders of a sourced ROS 2. */
function ambientFolders(): string[] {
  const paths = (process.env.AMENT_PREFIX_PATH ?? '').split(':').filter(Boolean)
  return paths.map((path) => join(path, 'share')).filter(isFolder)
}

/** The types that the packages in a folder define, in the long form. */
async function namesIn(place: string, kind: Kind): Promise<string[]> {
  const entries = (path: string) => readdir(path).catch((): string[] => [])
  const inPackage = async (pkg: string) => {
    const files = (await entries(join(place, pkg, kind))).filter((file) => extname(file) === `.${kind}`)
    return files.map((file) => `${pkg}/${kind}/${basename(file, extname(file))}`).filter((name) => TYPE_NAME.test(name))
  }
  return (await Promise.all((await entries(place)).map(inPackage))).flat()
}

function isFolder(path: string): boolean {
  try {
    readdirSync(path)
    return true
  } catch {
    return false
  }
}

function readSmall(path: string): string | undefined {
  try {
    return statSync(path).size <= MAX_FILE_BYTES ? readFileSync(path, 'utf8') : undefined
  } catch {
    return undefined
  }
}

function parseOne(name: string, text: string): Definition {
  const { parse } = optional<typeof Rosmsg>('@foxglove/rosmsg', 'the types of ROS messages')
  const pkg = name.split('/', 1)[0] ?? ''
  try {
    const [definition] = parse(text, { ros2: true, skipTypeFixup: true }) as Definition[]
    if (!definition) throw new Error('it is empty')
    for (const field of definition.definitions) {
      if (!field.isComplex) continue
      // A message of the same package needs no package name; Header stands for the one of std_msgs.
      if (field.type === 'Header') field.type = 'std_msgs/Header'
      field.type = field.type.includes('/') ? shortName(field.type) : `${pkg}/${field.type}`
    }
    return definition
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    throw new EngineError('INVALID_OPTION', `the definition of ${quote(name)} cannot be read: ${problem}`, { cause })
  }
}

function longName(name: string): string {
  return name.replace('/', '/msg/')
}
