import { choice, defineConfig, number, text, type Values } from '../shared/config'
import { matchingFields, topicList } from '../shared/matching.config'

export const syncConfig = defineConfig({
  type: 'millrace-sync',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    /** Empty: the first `learn` topics that appear. */
    topics: topicList((_, row) => row),
    learn: number(2, { min: 1, max: 1000, whole: true }),
    topicFrom: text('topic'),
    topicFromType: choice('msg', ['msg', 'jsonata']),
    stampFrom: text(),
    /** `auto`: `msg.payload.header.stamp` where there is one, else `msg.timestamp`. */
    stampFromType: choice('auto', ['auto', 'msg', 'jsonata', 'arrival']),
    stampUnit: choice('auto', ['auto', 'ns', 'us', 'ms', 's', 'iso']),
    ...matchingFields,
  },
})

export type SyncConfig = Values<(typeof syncConfig)['fields']>
