// What is in the package and in its binary, as CycloneDX: `sbom.mjs [FILE]`.
import { linkedCrates, spdx } from './lib/crates.mjs'
import { inside, readJson, writeWhole } from './lib/files.mjs'
import { main, quietly } from './lib/run.mjs'

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
/** A part within a crate is in no registry. */
const refOf = ({ name, version, within }) =>
  within ? `pkg:cargo/${within}@${version}#${name}` : `pkg:cargo/${name}@${version}`

main(async () => {
  const [file = 'npm/sbom.json'] = process.argv.slice(2)
  // What npm would install with the package, out of what is installed here.
  const args = ['sbom', '--omit=dev', '--sbom-format=cyclonedx']
  const bill = JSON.parse(await quietly('Reading the packages', npm, args, { data: true }))
  const crates = await linkedCrates()
  const { component } = bill.metadata
  // npm takes the folder's name.
  component.name = readJson('package.json').name
  bill.components.push(...crates.map(componentOf))
  const own = bill.dependencies.find(({ ref }) => ref === component['bom-ref'])
  own.dependsOn.push(...crates.filter(({ direct }) => direct).map(refOf))
  for (const crate of crates.filter(({ within }) => !within)) {
    const parts = crates.filter(({ within, version }) => within === crate.name && version === crate.version)
    const needs = crate.needs.map((name) => `pkg:cargo/${name}`)
    bill.dependencies.push({ ref: refOf(crate), dependsOn: [...new Set([...needs, ...parts.map(refOf)])] })
  }
  writeWhole(inside(file), `${JSON.stringify(bill, null, 2)}\n`)
  console.log(`${file}: ${bill.components.length} parts, ${crates.length} of them in the binary`)
})

function componentOf(crate) {
  const { name, version, license, within } = crate
  const ref = refOf(crate)
  const place = within ? {} : { version, purl: ref }
  return {
    'bom-ref': ref,
    type: 'library',
    name,
    ...place,
    scope: 'required',
    licenses: [{ expression: spdx(license) }],
  }
}
