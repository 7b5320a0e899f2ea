/** Restores a machine in a process of its own, to be killed. Its one argument names a file that says what. @module */
import { readFile } from 'node:fs/promises'
import { openRawReader } from '@granary/core'
import { createRealClock } from '@granary/ovirt-simulator'
import {
  Engine,
  Journal,
  openImageUpload,
  planInPlace,
  planRestore,
  readInPlaceTarget,
  readRestoreTarget,
  requirePlan,
  restoreInPlace,
  restoreMachine,
} from '../../src/index.ts'
import { readVm } from '../../src/engine/resources/vms.ts'
import type { EngineOptions, ReadableSource, RestoreContext, RestoreSettings } from '../../src/index.ts'

export interface ChildTask {
  readonly engine: Pick<EngineOptions, 'url' | 'apiCa' | 'username' | 'password'>
  readonly clock: { readonly speed: number; readonly originMs: number }
  readonly journalFolder: string
  readonly settings: RestoreSettings
  readonly source: Omit<ReadableSource, 'openDisk'>
  /** Raw files by the name of the disk. */
  readonly files: Readonly<Record<string, string>>
  /** As a new machine of this name, or over the disks of this one. */
  readonly way: { readonly name: string } | { readonly inPlaceOf: string }
}

const task = JSON.parse(await readFile(process.argv[2] as string, 'utf8')) as ChildTask
const clock = createRealClock(task.clock)
const engine = new Engine({ ...task.engine, clock })
const journal = await Journal.open({ folder: task.journalFolder, clock })
const source: ReadableSource = { ...task.source, openDisk: async name => await openRawReader(task.files[name] ?? '') }
const openUpload = async (options: Parameters<typeof openImageUpload>[0]) =>
  await openImageUpload({ ...options, clock, isLocalAllowed: false })
const context: RestoreContext = { engine, journal, settings: task.settings, openUpload }
if ('name' in task.way) {
  const { name } = task.way
  const plan = requirePlan(planRestore(source, await readRestoreTarget(engine, { name }), { name }))
  process.send?.('begins')
  await restoreMachine(context, source, plan)
} else {
  const vm = await readVm(engine, task.way.inPlaceOf)
  const plan = requirePlan(planInPlace(source, await readInPlaceTarget(engine, vm, {})))
  process.send?.('begins')
  await restoreInPlace(context, source, plan)
}
process.exit(0)
