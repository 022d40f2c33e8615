/** A topic of a context, as it is saved by the nodes that hear or speak on one. */
import { context, messageType, topic } from './fields'
import { type Preset, qosFields } from './qos.config'

export const topicFields = (preset: Preset) => ({ context, topic, messageType, ...qosFields(preset) })
