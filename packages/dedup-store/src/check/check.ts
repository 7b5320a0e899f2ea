/**
 * Checks a repository: every object opens, every snapshot's map is whole, every chunk it refers to is there; with `readData`
 * every byte is read and verified. Each damage names the object, and what snapshots and ranges it touches.
 *
 * @module
 */
import type { AbortOptions, ErrorCode, GranaryError } from '@granary/core'
import { isGranaryError } from '@granary/core'
import { openIndex } from '../backup.ts'
import type { Repository } from '../repository.ts'
import { requireHolder } from '../require-holder.ts'
import { markDamagedPack, unmarkDamagedPack } from '../sessions/damaged-packs.ts'
import { passPacks } from '../sessions/passed-packs.ts'
import { checkControlObjects } from './check-control.ts'
import { checkPacks } from './check-packs.ts'
import { checkSnapshots } from './check-snapshots.ts'

/** A range of a disk of a snapshot that can't be read. */
export interface TouchedRange {
  readonly snapshot: string
  readonly disk: string
  readonly offset: number
  readonly length: number
}

export interface Damage {
  /** Key of the object. */
  readonly object: string
  readonly code: ErrorCode
  readonly message: string
}

export interface CheckReport {
  readonly damages: readonly Damage[]
  /** What of snapshots can't be read, merged; at most 10,000 ranges. */
  readonly touched: readonly TouchedRange[]
  readonly snapshots: number
  readonly packs: number
  /** Packs that no index segment names, of sessions that ended early: the next backup uses them or collection takes them. */
  readonly unindexedPacks: number
  /** Packs of write-only clients that were read whole for the first time and hold what they say: others rely on them from now on. */
  readonly passedPacks: number
  /** Packs of write-only clients that nobody else relies on, until they are read. */
  readonly unverifiedPacks: number
  /** Packs known to hold damaged chunks or map nodes: backups store anew what is in them, and collection empties them. */
  readonly damagedPacks: number
  /** Bytes of packs that were read and verified. */
  readonly readBytes: number
}

export interface CheckProgress {
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface CheckOptions extends AbortOptions {
  /** Share of packs whose data is read and verified, 0 to 1. @default 0 */
  readonly readData?: number
  /** Which packs, when it isn't all of them. @default random */
  readonly seed?: number
  readonly onProgress?: (progress: CheckProgress) => void
}

/** Gathers damages as they are found. */
export class DamageList {
  readonly damages: Damage[] = []

  /** Runs a part of the check; a failure of ours in it is a damage, and the check goes on. */
  async guard(object: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      if (!isGranaryError(error) || error.code === 'GRANARY_ABORTED') throw error
      this.add(object, error)
      return false
    }
  }

  add(object: string, { code, message, detail }: GranaryError): void {
    const named = typeof detail['object'] === 'string' ? detail['object'] : object
    if (this.damages.some(known => known.object === named && known.message === message)) return
    this.damages.push({ object: named, code, message })
  }
}

/**
 * Checks all of a repository and says what is wrong with it. It changes nothing, but records which packs it has read and found
 * damaged, or sound again, and which of write-only clients it has read whole and found right.
 *
 * @throws GranaryError `GRANARY_WRONG_KEY` for a write-only client
 */
export const check = async (repository: Repository, options: CheckOptions = {}): Promise<CheckReport> => {
  requireHolder(repository, 'check')
  const list = new DamageList()
  const snapshots = await checkControlObjects(repository, list, options)
  const packs = await checkPacks(repository, list, options)
  for (const key of packs.damaged) await markDamagedPack(repository.context, key, options)
  for (const key of packs.healed) await unmarkDamagedPack(repository.context, key, options)
  await passPacks(repository.context, packs.passed, options)
  const touched: TouchedRange[] = []
  let unindexedPacks = 0
  await list.guard('index', async () => {
    const index = await openIndex(repository, options)
    for (const segment of index.segments) await list.guard(segment.key, async () => await segment.verify(options))
    const named = await index.namedPacks(options)
    unindexedPacks = packs.keys.filter(key => !named.has(key)).length
    touched.push(...(await checkSnapshots(repository, { index, snapshots, packs, list }, options)))
  })
  return {
    damages: list.damages,
    touched,
    snapshots: snapshots.filter(({ catalogOf }) => catalogOf === undefined).length,
    packs: packs.keys.length,
    unindexedPacks,
    passedPacks: packs.passed.length,
    unverifiedPacks: packs.unverified.length - packs.passed.length,
    damagedPacks: packs.damagedCount,
    readBytes: packs.readBytes,
  }
}
