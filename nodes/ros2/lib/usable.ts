/** Whether `rclnodejs` can be used here, found out without importing it. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import type { JoinOptions } from './transport'

/** Why it cannot be used; also a key of the catalogue. */
export type WhyNot =
  /** No ROS 2 is sourced where this process was started. */
  | 'not-sourced'
  /** The package is not there. */
  | 'not-installed'
  /** It has no binary for this machine and this ROS 2. Importing it would build one, and block so long. */
  | 'not-built'
  /** It has no JavaScript of the messages, or that of another version. */
  | 'no-messages'
  /** Its binary does not load: libraries are missing, or are of another ROS 2. */
  | 'not-loadable'
  /** Its threads need the process's own event loop. */
  | 'no-main-thread'
  /** Options are set that only our own DDS has. */
  | 'options'

export const reasons: Record<WhyNot, string> = {
  'not-sourced': 'no ROS 2 is sourced; start Node-RED where its setup file is sourced',
  'not-installed': 'the package rclnodejs is not installed; install it where ROS 2 is sourced: npm install rclnodejs',
  'not-built': 'the package rclnodejs has no binary for this ROS 2; install it again where ROS 2 is sourced',
  'no-messages': 'the package rclnodejs has no messages; run `npx generate-ros-messages` where ROS 2 is sourced',
  'not-loadable': 'the binary of rclnodejs does not load with this ROS 2; install it again where ROS 2 is sourced',
  'no-main-thread': 'rclnodejs works on the main thread only',
  options: 'interface and cycloneddsUri are options of the native transport; configure the middleware of ROS 2 instead',
}

/** Undefined: it can be used, and importing it takes no longer than another import. */
export function whyNotRclnodejs(options: JoinOptions = {}): WhyNot | undefined {
  const { ROS_DISTRO, AMENT_PREFIX_PATH, RCLNODEJS_FORCE_BUILD } = process.env
  if (!ROS_DISTRO || !AMENT_PREFIX_PATH) return 'not-sourced'
  if (!isMainThread) return 'no-main-thread'
  if (options.interface !== undefined || options.cycloneddsUri !== undefined) return 'options'
  const folder = packageFolder()
  if (!folder) return 'not-installed'
  const built = binaries(folder, ROS_DISTRO).filter(existsSync)
  if (built.length === 0 || RCLNODEJS_FORCE_BUILD === '1') return 'not-built'
  if (!hasMessages(folder)) return 'no-messages'
  // What does not load now would not load on import either, and then it is built anew.
  return built.some(isLoadable) ? undefined : 'not-loadable'
}

/** Whether there is JavaScript of a message, in its long form: asking the package may generate all, and block so long. */
export function hasMessage(type: string): boolean {
  const folder = packageFolder()
  const [pkg = '', ...rest] = type.split('/')
  return folder !== undefined && existsSync(join(folder, 'generated', pkg, `${[pkg, ...rest].join('__')}.js`))
}

function packageFolder(): string | undefined {
  try {
    return dirname(require.resolve('rclnodejs/package.json'))
  } catch {
    return undefined
  }
}

/** Those that it looks for, in its order. */
function binaries(folder: string, distribution: string): string[] {
  const { platform, arch } = process
  const prebuilt = `${distribution}-${ubuntuCodename()}-${arch}-node-rclnodejs.node`
  return [join(folder, 'prebuilds', `${platform}-${arch}`, prebuilt), join(folder, 'build/Release/rclnodejs.node')]
}

function ubuntuCodename(): string {
  return /^VERSION_CODENAME=(.*)$/m.exec(textOf('/etc/os-release') ?? '')?.[1]?.trim() ?? ''
}

function hasMessages(folder: string): boolean {
  const generated = textOf(join(folder, 'generated/generator.json'))
  return generated !== undefined && generated === textOf(join(folder, 'rosidl_gen/generator.json'))
}

function isLoadable(binary: string): boolean {
  try {
    require(binary)
    return true
  } catch {
    return false
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
