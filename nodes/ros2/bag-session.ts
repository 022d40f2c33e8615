/** What both modes of a `millrace-ros2-bag` node are. */
import type { Host, Message, Reply } from '../shared/node'
import type { bagConfig } from './bag.config'
import { contextHostOf } from './host'
import type { DefinitionSources } from './lib'
import { Playback } from './playback'
import { Recorder } from './recorder'

export type BagHost = Host<(typeof bagConfig)['fields']>

export interface BagSession {
  input(message: Message, reply: Reply): Promise<void>
  /** Topics of the recording, for the dialog. */
  topics?(): Promise<string[]>
  close(): Promise<void>
}

export function bagSession(host: BagHost): BagSession {
  const { context, mode } = host.config
  const sources: DefinitionSources = context === '' ? {} : contextHostOf(host, context).sources
  return mode === 'record' ? new Recorder(host, sources) : new Playback(host, sources)
}
