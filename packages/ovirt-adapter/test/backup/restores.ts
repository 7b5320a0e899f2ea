/** Restores of what a world backed up, and where they differ from what its witness saw at the freeze. @module */
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { copyDisk, createRawDisk, isZero, openRawReader } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { createFile, createQcow2, openFileToWrite, openQcow2File, openQcow2Writer } from '@granary/qcow2'
import {
  openImageUpload,
  planRestore,
  readRestoreTarget,
  requirePlan,
  restoreMachine,
  storedSource,
} from '../../src/index.ts'
import type { RestoreChoices, RestoreReport, VmBackupReport } from '../../src/index.ts'
import type { World } from './world.ts'

export interface Restored {
  readonly report: RestoreReport
  /** Disks that are not what they were. */
  readonly differing: readonly string[]
}

/** To the platform, as a new machine. */
export const restoreToPlatform = async (
  world: World,
  backup: VmBackupReport,
  choices: RestoreChoices = {},
): Promise<Restored> => {
  const { engine, journal, config: settings, simulator } = world
  const { clock } = simulator
  const source = await storedSource(world.repository, backup.snapshot.id)
  const target = await readRestoreTarget(engine, { name: backup.vmName })
  const plan = requirePlan(planRestore(source, target, choices))
  const report = await restoreMachine(
    {
      engine,
      journal,
      settings,
      openUpload: async options =>
        await openImageUpload({ ...options, clock, isLocalAllowed: false, connectTimeoutMs: world.connectTimeoutMs }),
    },
    source,
    plan,
  )
  const differing: string[] = []
  for (const { id, alias } of report.disks) {
    const { name = '', sizeBytes = 0 } = source.disks.find(disk => disk.name === alias) ?? {}
    const bytes = new Uint8Array(simulator.disk(id).volume?.sizeBytes ?? 0)
    await simulator.image(id).read(0, bytes)
    const isTailZero = isZero(bytes.subarray(sizeBytes))
    if (!isTailZero || !(await world.isAsFrozen(backup, name, bytes.subarray(0, sizeBytes)))) differing.push(alias)
  }
  return { report, differing }
}

/** To one file a disk, raw and qcow2. @returns the files that are not what they should be */
export const restoreToFiles = async (world: World, backup: VmBackupReport): Promise<readonly string[]> => {
  const source = await storedSource(world.repository, backup.snapshot.id)
  const folder = await mkdtemp(join(world.folder, 'files-'))
  const differing: string[] = []
  const compare = async (name: string, path: string, open: () => Promise<DiskReader>): Promise<void> => {
    await using copy = await open()
    if (!(await world.isAsFrozen(backup, name, copy))) differing.push(path)
  }
  for (const [index, { name, sizeBytes }] of source.disks.entries()) {
    await using disk = await source.openDisk(name, {})
    const [raw, qcow2] = ['raw', 'qcow2'].map(format => join(folder, `${index}.${format}`)) as [string, string]
    {
      await using writer = await createRawDisk(raw, sizeBytes)
      await copyDisk(disk, writer)
    }
    await compare(name, raw, async () => await openRawReader(raw))
    const file = await createFile(qcow2)
    await createQcow2(file, { sizeBytes })
    await file[Symbol.asyncDispose]?.()
    {
      await using image = await openQcow2Writer(await openFileToWrite(qcow2))
      await copyDisk(disk, image)
    }
    await compare(name, qcow2, async () => await openQcow2File(qcow2))
  }
  return differing
}
