/** Loop devices and small file systems for tests on the real thing. Both need root; tests say so and are skipped without. @module */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The part of a tap test that these need. */
interface Teardown {
  teardown(action: () => void): void
}

/** Runs a program of the system and gives back what it prints. */
const run = (program: string, ...parameters: string[]): string =>
  execFileSync(program, parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()

/** Why there are no loop devices here, as the `skip` of a test; false when there are. */
export const whyNoLoopDevices = (): string | false => {
  if (process.getuid?.() !== 0) return 'needs root for loop devices'
  try {
    run('losetup', '--find')
    return false
  } catch {
    return 'needs loop devices'
  }
}

/** A loop device over a sparse file of `sizeBytes`. Both go when the test ends; close the device before. */
export const createLoopDevice = (t: Teardown, sizeBytes: number): string => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-loop-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const backing = join(folder, 'backing')
  writeFileSync(backing, '')
  truncateSync(backing, sizeBytes)
  const device = run('losetup', '--find', '--show', backing)
  t.teardown(() => void run('losetup', '--detach', device))
  return device
}

/** Why nothing can be mounted here, as the `skip` of a test; false when it can. */
export const whyNoMounts = (): string | false => {
  if (process.getuid?.() !== 0) return 'needs root to mount a file system'
  try {
    const undo: (() => void)[] = []
    mountTmpfs({ teardown: action => undo.push(action) }, 4096)
    for (const action of undo.toReversed()) action()
    return false
  } catch {
    return 'needs the right to mount a file system'
  }
}

/** A file system in memory with room for `sizeBytes`, to be filled up. It goes when the test ends. */
export const mountTmpfs = (t: Teardown, sizeBytes: number): string => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-tmpfs-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  run('mount', '-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'granary-test', folder)
  t.teardown(() => void run('umount', folder))
  return folder
}
