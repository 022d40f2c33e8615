// The parts of the native build that need more than Rust and a C compiler: what they need is found or fetched, and a
// part that cannot be built is left out.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inside } from './files.mjs'
import { Failure, quietly } from './run.mjs'
import { which } from './tools.mjs'

const fetched = inside('.cache/native-tools')
const wheel = {
  cmake: join(fetched, 'cmake/data/bin', process.platform === 'win32' ? 'cmake.exe' : 'cmake'),
  libclang: join(fetched, 'clang/native'),
}
const LIBCLANG = /^libclang([-.\d]*)\.(so|dylib|dll)|^libclang\.dll$/

/** The Zerobus crate needs protoc while it is built, and brings it for these alone. */
const PROTOC = ['linux-x64', 'linux-ia32', 'linux-arm64', 'linux-s390x', 'darwin-x64', 'darwin-arm64']

let known

/** The features that can be built here beside `node`, and the environment that cargo needs for them. */
export async function parts() {
  known ??= await findParts()
  return known
}

async function findParts() {
  const { features, env } = await findRos2()
  const { platform, arch } = process
  if (platform === 'win32' || PROTOC.includes(`${platform}-${arch}`)) features.push('zerobus')
  else console.log(`Without Zerobus: its crate brings no protoc for ${platform} on ${arch}. All else is built.`)
  return { features, env }
}

async function findRos2() {
  await fetchMissing()
  const cmake = findCmake()
  const libclang = findLibclang()
  if (!cmake || !libclang) {
    const lacking = [!cmake && 'cmake', !libclang && 'libclang'].filter(Boolean).join(' and ')
    console.log(`Without ROS 2: there is no ${lacking}, and Python's pip cannot get it. All else is built.`)
    return { features: [], env: {} }
  }
  const env = { CMAKE: cmake, LIBCLANG_PATH: libclang }
  // The wheel has the library alone, without the compiler's own headers.
  if (libclang === wheel.libclang) env.BINDGEN_EXTRA_CLANG_ARGS = `-I${compilerHeaders()}`
  return { features: ['ros2'], env }
}

const findCmake = () => which('cmake') ?? (existsSync(wheel.cmake) ? wheel.cmake : undefined)

function findLibclang() {
  const named = process.env.LIBCLANG_PATH
  const beside = which('clang')
  const llvm = folders('/usr/lib').filter((name) => name.startsWith('llvm-'))
  const places = [
    named,
    beside && join(dirname(beside), '../lib'),
    ...llvm.map((name) => `/usr/lib/${name}/lib`),
    `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
    '/usr/lib64',
    '/Library/Developer/CommandLineTools/usr/lib',
    wheel.libclang,
  ]
  return places.find((place) => place && folders(place).some((name) => LIBCLANG.test(name)))
}

function folders(path) {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

async function fetchMissing() {
  const missing = [!findCmake() && 'cmake<5', !findLibclang() && 'libclang'].filter(Boolean)
  const python = which('python3', 'python')
  if (missing.length === 0 || !python) return
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--upgrade', '--target', fetched]
  try {
    await quietly(`Getting ${missing.join(' and ')}`, python, [...install, ...missing])
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    console.error(error.message)
  }
}

function compilerHeaders() {
  const compiler = process.env.CC || which('cc', 'gcc', 'clang')
  return spawnSync(compiler, ['-print-file-name=include'], { encoding: 'utf8' }).stdout.trim()
}
