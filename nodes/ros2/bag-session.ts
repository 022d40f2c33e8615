/** What both modes of a `millrace-ros2-bag` node are. */
import type { Host, Message, Reply } from '../shared/node'
import type { bagConfig } from './bag.config'
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
  return host.config.mode === 'record' ? new Recorder(host) : new Playback(host)
}
