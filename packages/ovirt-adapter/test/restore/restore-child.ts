/** Restores a machine in a process of its own, to be killed. Its one argument names a file that says what. @module */
import { readFile } from 'node:fs/promises'
import { openRawReader } from '@granary/core'
import { createRealClock } from '@granary/ovirt-simulator'
import {
  Engine,
  Journal,
  openImageUpload,
  planRestore,
  readRestoreTarget,
  requirePlan,
  restoreMachine,
} from '../../src/index.ts'
import type { EngineOptions, ReadableSource, RestoreSettings } from '../../src/index.ts'

export interface ChildTask {
  readonly engine: Pick<EngineOptions, 'url' | 'apiCa' | 'username' | 'password'>
  readonly clock: { readonly speed: number; readonly originMs: number }
  readonly journalFolder: string
  readonly settings: RestoreSettings
  readonly source: Omit<ReadableSource, 'openDisk'>
  /** Raw files by the name of the disk. */
  readonly files: Readonly<Record<string, string>>
}

const task = JSON.parse(await readFile(process.argv[2] as string, 'utf8')) as ChildTask
const clock = createRealClock(task.clock)
const engine = new Engine({ ...task.engine, clock })
const journal = await Journal.open({ folder: task.journalFolder, clock })
const source: ReadableSource = { ...task.source, openDisk: async name => await openRawReader(task.files[name] ?? '') }
const target = await readRestoreTarget(engine, { name: 'killed' })
const plan = requirePlan(planRestore(source, target, { name: 'killed' }))
process.send?.('begins')
const openUpload = async (options: Parameters<typeof openImageUpload>[0]) =>
  await openImageUpload({ ...options, clock, isLocalAllowed: false })
await restoreMachine({ engine, journal, settings: task.settings, openUpload }, source, plan)
process.exit(0)
