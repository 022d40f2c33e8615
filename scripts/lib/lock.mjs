// One set-up at a time in a checkout.
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** Runs `body` while holding the lock file. A lock whose owner is gone is taken over. */
export async function withLock(file, body) {
  mkdirSync(dirname(file), { recursive: true })
  let told = false
  while (!acquire(file)) {
    const owner = ownerOf(file)
    if (owner !== undefined && !isAlive(owner)) {
      breakLock(file, owner)
      continue
    }
    if (!told) console.log(`Waiting for another set-up in this checkout (process ${owner}, ${file}) …`)
    told = true
    await delay(100)
  }
  try {
    return await body()
  } finally {
    rmSync(file, { force: true })
  }
}

// A link appears together with its content, so nobody ever reads a lock without an owner.
function acquire(file) {
  const own = `${file}.${process.pid}`
  writeFileSync(own, String(process.pid))
  try {
    linkSync(own, file)
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    return false
  } finally {
    rmSync(own)
  }
}

function ownerOf(file) {
  try {
    return Number(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

// Moved away rather than deleted: if somebody else broke it and locked anew meanwhile, theirs is put back.
function breakLock(file, owner) {
  const moved = `${file}.stale.${process.pid}`
  try {
    renameSync(file, moved)
  } catch {
    return
  }
  if (ownerOf(moved) !== owner) linkSync(moved, file)
  rmSync(moved)
}
