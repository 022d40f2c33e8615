// The crate's tests, which need no Node.js, and how much of the engines they reach.
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { coverageGate } from './coverage.mjs';
import { inside } from './files.mjs';
import { execute, quietly } from './run.mjs';
import { isExecutable } from './tools.mjs';

const crate = inside('native');
const cargoTest = ['test', '--no-default-features', '--locked'];
const build = 'Building the Rust tests';
const reports = 'coverage/rust';

export async function rustTests(suites, { release = false } = {}) {
  const args = release ? [...cargoTest, '--release'] : cargoTest;
  await quietly(build, 'cargo', [...args, '--no-run'], { cwd: crate });
  suites.add(await runTests(args));
}

/** Only this crate is instrumented: its dependencies are those of any other debug build, and as fast. */
export async function rustTestsWithCoverage(suites, { profdata, cov }) {
  const profiles = inside('coverage/tmp-rust');
  for (const folder of [profiles, inside(reports)]) rmSync(folder, { recursive: true, force: true });
  mkdirSync(inside(reports), { recursive: true });

  const wrapper = { RUSTC_WORKSPACE_WRAPPER: inside('scripts/lib/rustc-coverage.sh') };
  const messages = await quietly(build, 'cargo', [...cargoTest, '--no-run', '--message-format=json-render-diagnostics'], {
    cwd: crate,
    env: { ...wrapper, LLVM_PROFILE_FILE: devNull },
  });
  suites.add(await runTests(cargoTest, { ...wrapper, LLVM_PROFILE_FILE: join(profiles, '%p-%m.profraw') }));

  const merged = join(profiles, 'merged.profdata');
  const raw = readdirSync(profiles).map((file) => join(profiles, file));
  await quietly('Merging coverage', profdata, ['merge', '--sparse', '--failure-mode=all', '-o', merged, ...raw]);
  const [first, ...others] = testBinaries(messages);
  const what = [first, ...others.flatMap((file) => ['--object', file]), '--instr-profile', merged, '--sources', join(crate, 'src')];
  const html = ['--format=html', '--output-dir', inside(reports, 'html')];
  await quietly('Writing the coverage pages', cov, ['show', ...html, ...what]);
}
