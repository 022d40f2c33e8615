import { choice, defineConfig, number, text } from '../shared/config'
import { context, remoteNode } from './fields'

export const parametersConfig = defineConfig({
  type: 'millrace-ros2-parameters',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    context,
    node: remoteNode,
    action: choice('get', ['get', 'set', 'list', 'describe']),
    timeoutMs: number(5000, { min: 1, max: 86_400_000 }),
  },
})
