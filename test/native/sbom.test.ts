/** What a release says of its parts. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'

const root = join(__dirname, '../..')

interface Component {
  'bom-ref': string
  name: string
  version?: string
  purl?: string
  licenses?: ({ expression: string } | { license: { id?: string; name?: string } })[]
}

interface Bill {
  bomFormat: string
  specVersion: string
  metadata: { component: Component }
  components: Component[]
  dependencies: { ref: string; dependsOn: string[] }[]
}

describe('the bill of materials', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-sbom-'))
  let bill: Bill
  before(function () {
    this.timeout(120_000)
    const file = join(folder, 'sbom.json')
    execFileSync(process.execPath, ['scripts/sbom.mjs', relative(root, file)], { cwd: root, stdio: 'pipe' })
    bill = JSON.parse(readFileSync(file, 'utf8'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('is CycloneDX, of this package', () => {
    const { name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const { component } = bill.metadata
    assert.deepEqual([bill.bomFormat, component.name, component.version], ['CycloneDX', name, version])
    assert.match(bill.specVersion, /^1\.[5-9]$/)
  })

  it('names crates and npm packages, with their licences, and no tools of development', () => {
    const licences = new Map(bill.components.map(({ purl, name, licenses }) => [purl ?? name, licenses]))
    const has = (start: string) => [...licences.keys()].some((key) => key.startsWith(start))
    for (const name of ['fjall', 'tokio', 'napi', 'cyclors', 'arrow-array']) assert.ok(has(`pkg:cargo/${name}@`), name)
    for (const name of ['ioredis', 'nats', '%40platformatic/kafka']) assert.ok(has(`pkg:npm/${name}@`), name)
    for (const name of ['mocha', 'typescript', 'node-red']) assert.ok(!has(`pkg:npm/${name}@`), name)
    assert.deepEqual(licences.get('Eclipse Cyclone DDS'), [{ expression: 'EPL-2.0 OR EDL-1.0' }])
    assert.deepEqual(licences.get('embedding table of all-MiniLM-L6-v2'), [{ expression: 'Apache-2.0' }])
    const bare = bill.components.filter(({ purl, licenses }) => purl?.startsWith('pkg:cargo/') && !licenses?.length)
    assert.deepEqual(bare, [])
    const odd = bill.components.flatMap(({ name, licenses = [] }) =>
      licenses.some((one) => 'expression' in one && !/^[\w.+()\- ]+$/.test(one.expression ?? '')) ? [name] : [],
    )
    assert.deepEqual(odd, [])
  })

  it('says what needs what, each part once', () => {
    const refs = bill.components.map((component) => component['bom-ref'])
    assert.equal(new Set(refs).size, refs.length)
    const known = new Set([...refs, bill.metadata.component['bom-ref']])
    const lost = bill.dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn].filter((one) => !known.has(one)))
    assert.deepEqual(lost, [])
    const whole = bill.dependencies.find(({ ref }) => ref === bill.metadata.component['bom-ref'])
    for (const start of ['pkg:cargo/fjall@', 'pkg:cargo/millrace@']) {
      assert.ok(
        whole?.dependsOn.some((one) => one.startsWith(start)),
        start,
      )
    }
  })
})
