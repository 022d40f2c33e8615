import { choice, defineConfig, number, Problem, text, type Values } from '../shared/config'
import { matchingFields, type TopicRow, topicList } from '../shared/matching.config'
import { context, messageType, topic } from './fields'
import { outputFields } from './output.config'
import type { Preset } from './qos.config'

const qos = choice<Preset>('sensor', ['sensor', 'default', 'latched'])

/** A row of the list of topics. */
export interface Ros2TopicRow extends TopicRow {
  messageType: string
  qos: Preset
}

const rows = topicList<Ros2TopicRow>((saved, row) => ({
  ...row,
  topic: topic.read(row.topic),
  messageType: messageType.read(saved.messageType),
  qos: qos.read(saved.qos),
}))

const topics: typeof rows = {
  ...rows,
  read(saved) {
    const all = rows.read(saved)
    if (all.length === 0) throw new Problem('config.noTopics')
    return all
  },
}

export const syncConfig = defineConfig({
  type: 'millrace-ros2-sync',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    context,
    topics,
    ...outputFields,
    ...matchingFields,
  },
})

export type SyncConfig = Values<(typeof syncConfig)['fields']>
