/** Restores in processes of their own, to be killed; the engine they restore to lives on in this one. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { createRealClock } from '@granary/ovirt-simulator'
import type { ReadableSource } from '../../src/index.ts'
import { siblingOf } from '../journal/sibling.ts'
import { SETTINGS, openSite } from './restore-site.ts'
import type { RestoreSite } from './restore-site.ts'
import type { ChildTask } from './restore-child.ts'

const SPEED = 60

export interface KillSite {
  readonly site: RestoreSite
  readonly clock: ChildTask['clock']
}

/** With a clock that other processes can have as well. The site is the caller's to close. */
export const openKillSite = async (): Promise<KillSite> => {
  const clock = { speed: SPEED, originMs: Date.now() }
  return { site: await openSite({ clock: createRealClock(clock) }), clock }
}

export interface KilledRun {
  /** It came to its end before it was killed. */
  readonly isWhole: boolean
  readonly tookMs: number
}

/** @returns a restore that is killed when it has run for so many ms */
export const prepareRuns = async (
  t: Test,
  { site, clock }: KillSite,
  source: ReadableSource,
  way: ChildTask['way'],
): Promise<(ms: number) => Promise<KilledRun>> => {
  const folder = await mkdtemp(join(tmpdir(), 'granary-kill-'))
  t.teardown(async () => await rm(folder, { recursive: true, force: true }))
  const files: Record<string, string> = {}
  for (const [index, { name, sizeBytes }] of source.disks.entries()) {
    await using disk = await source.openDisk(name, {})
    const bytes = new Uint8Array(sizeBytes)
    await disk.read(0, bytes)
    files[name] = join(folder, `${index}.raw`)
    await writeFile(files[name], bytes)
  }
  const { url, ca: apiCa, credentials } = site.simulator
  const { snapshotId, record, disks } = source
  const task: ChildTask = {
    engine: { url, apiCa, ...credentials },
    clock,
    journalFolder: site.journalFolder,
    settings: SETTINGS,
    source: { snapshotId, record, disks },
    files,
    way,
  }
  const taskFile = join(folder, 'task.json')
  await writeFile(taskFile, JSON.stringify(task))
  return async ms => {
    const child = fork(siblingOf(import.meta.url, 'restore-child'), [taskFile], { stdio: 'inherit' })
    await once(child, 'message')
    const startMs = performance.now()
    const ended = once(child, 'exit')
    await Promise.race([ended, sleep(ms, undefined, { ref: false })])
    const isWhole = child.exitCode === 0
    child.kill('SIGKILL')
    await ended
    return { isWhole, tookMs: performance.now() - startMs }
  }
}
