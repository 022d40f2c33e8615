/** A wall clock that a test sets, for processes that are started with it: a library that stands before libc's. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** All that tells the time of day is so many seconds ahead as the file says. */
const SHIM = `#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile long long *ahead;
__attribute__((constructor)) static void begin(void) {
  int file = open(getenv("CLOCK_AHEAD"), O_RDONLY);
  void *at = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
  if (at != MAP_FAILED) ahead = at;
}
int clock_gettime(clockid_t id, struct timespec *at) {
  int failed = syscall(SYS_clock_gettime, id, at);
  if (!failed && ahead && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += *ahead;
  return failed;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  int failed = clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return failed;
}
time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
`

export class Clock {
  private readonly folder = mkdtempSync(join(tmpdir(), 'millrace-clock-'))
  private readonly shim = join(this.folder, 'clock.so')
  private readonly file = join(this.folder, 'ahead')

  /** Undefined without a compiler, or where libraries are not loaded so. */
  static make(): Clock | undefined {
    if (process.platform !== 'linux') return
    const clock = new Clock()
    clock.set(0)
    const source = join(clock.folder, 'clock.c')
    writeFileSync(source, SHIM)
    try {
      execFileSync('cc', ['-shared', '-fPIC', '-o', clock.shim, source], { stdio: 'pipe' })
    } catch {
      // Said by what is not there.
    }
    if (existsSync(clock.shim)) return clock
    clock.remove()
  }

  /** For the processes that go by it. */
  get env(): NodeJS.ProcessEnv {
    return { LD_PRELOAD: this.shim, CLOCK_AHEAD: this.file }
  }

  set(hours: number): void {
    setClock(this.file, hours)
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** In place: the file is mapped. */
export function setClock(file: string, hours: number): void {
  const seconds = Buffer.alloc(8)
  seconds.writeBigInt64LE(BigInt(hours * 3600))
  writeFileSync(file, seconds, { flag: existsSync(file) ? 'r+' : 'w' })
}
