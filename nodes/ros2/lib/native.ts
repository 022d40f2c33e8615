/** The DDS in our own binary: needs no ROS 2. */
import type { Ros2Context } from '#native'
import { EngineError } from '../../shared/errors'
import { native, settled } from '../../shared/native'
import { allJson } from '../../shared/options'
import type { JoinOptions, Transport } from './transport'

/** `onGraph` is called when something in the domain came, went or changed. */
export async function openNative(options: JoinOptions, onGraph: () => void): Promise<Transport> {
  const binding = native() as { Ros2Context?: typeof Ros2Context }
  if (!binding.Ros2Context) {
    throw new EngineError(
      'UNAVAILABLE',
      'this build has no ROS 2 in it, as cmake or libclang was missing when it was built; install them and build again',
    )
  }
  const context = await settled(binding.Ros2Context.open(allJson(options), onGraph))
  return {
    name: 'native',
    // What the binary hands out has the form that is wanted: nothing stands between it and its user.
    subscribe: (wanted, onReady) => context.subscribe(allJson(wanted), onReady),
    publish: (wanted) => context.publish(allJson(wanted)),
    synchronize: (wanted, onReady) => context.synchronize(allJson(wanted), onReady),
    client: ({ service, type }, onReady) => context.client(allJson({ service, type }), onReady),
    serve: ({ service, type }, onReady) => context.serve(allJson({ service, type }), onReady),
    graph: () => JSON.parse(context.graph()),
    close: () => context.close(),
  }
}
