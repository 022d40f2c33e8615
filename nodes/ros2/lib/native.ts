/** The DDS in our own binary: needs no ROS 2. */
import type { Ros2Context } from '#native'
import { EngineError } from '../../shared/errors'
import { native, settled } from '../../shared/native'
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
  const context = await settled(binding.Ros2Context.open(JSON.stringify(options), onGraph))
  return {
    name: 'native',
    // What the binary hands out has the form that is wanted: nothing stands between it and its user.
    subscribe: (wanted, onReady) => context.subscribe(JSON.stringify(wanted), onReady),
    advertise: (wanted) => context.publish(JSON.stringify(wanted)),
    synchronize: (wanted, onReady) => context.synchronize(JSON.stringify(wanted), onReady),
    client: ({ service, type }, onReady) => context.client(JSON.stringify({ service, type }), onReady),
    serve: ({ service, type }, onReady) => context.serve(JSON.stringify({ service, type }), onReady),
    graph: () => JSON.parse(context.graph()),
    close: () => context.close(),
  }
}
