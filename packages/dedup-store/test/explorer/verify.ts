/** What must hold of a repository at any instant, if everything that ran then had died. */
import { check, collect, forgetSnapshot, listSnapshots, openDisk } from '../../src/index.ts'
import type { Backend, Repository } from '../../src/index.ts'
import { CONTENT_LABEL, TIME_TO_LIVE_MS, reopen, stillClock } from './history.ts'
import { findDifference } from './tile-disk.ts'
import type { TileDisk } from './tile-disk.ts'

export interface Expected {
  readonly template: Repository
  readonly contents: ReadonlyMap<string, TileDisk>
  /** Ids of snapshots that must be there. */
  readonly present: ReadonlySet<string>
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? `${'code' in error ? String(error.code) : error.name}: ${error.message}` : String(error)

/** Every committed snapshot that was not forgotten restores bit for bit. @returns what is wrong */
export const verifySnapshots = async (repository: Repository, expected: Expected): Promise<string[]> => {
  const wrong: string[] = []
  const snapshots = await listSnapshots(repository.context)
  for (const id of expected.present)
    if (!snapshots.some(snapshot => snapshot.id === id)) wrong.push(`snapshot ${id} is gone`)
  for (const { id, labels } of snapshots) {
    const content = expected.contents.get(labels[CONTENT_LABEL] as string) as TileDisk
    try {
      await using disk = await openDisk(repository, id, { cacheBytes: 0, readAheadBytes: 0 })
      const at = await findDifference(content, disk)
      if (at !== undefined) wrong.push(`snapshot ${id} reads wrong at ${at}`)
    } catch (error) {
      wrong.push(`snapshot ${id} can't be read: ${messageOf(error)}`)
    }
  }
  return wrong
}

/** As `verifySnapshots`; then a check finds nothing, collection works and takes nothing that is needed. */
export const verifyRecovery = async (backend: Backend, expected: Expected, nowMs: number): Promise<string[]> => {
  const repository = reopen(expected.template, backend, stillClock(nowMs + 2 * TIME_TO_LIVE_MS))
  const wrong = await verifySnapshots(repository, expected)
  wrong.push(...(await verifyCheck(repository, 'check')))
  try {
    await collect(repository)
  } catch (error) {
    return [...wrong, `collection afterwards fails: ${messageOf(error)}`]
  }
  wrong.push(...(await verifySnapshots(repository, expected)).map(text => `after a collection: ${text}`))
  wrong.push(...(await verifyCheck(repository, 'check after a collection')))
  return wrong
}

/** When all is forgotten and collected, nothing is left but decisions. */
export const verifyNoLeftovers = async (backend: Backend, expected: Expected, nowMs: number): Promise<string[]> => {
  for (let round = 0; round < 3; round++) {
    const repository = reopen(expected.template, backend, stillClock(nowMs + (10 + round) * TIME_TO_LIVE_MS))
    for (const { id } of await listSnapshots(repository.context)) await forgetSnapshot(repository.context, id)
    await collect(repository)
  }
  const left: string[] = []
  let segments = 0
  for await (const { key } of backend.list('')) {
    if (key.startsWith('index/')) segments++
    if (/^(packs|sessions|pins|passed|damaged)\//.test(key)) left.push(`left over for good: ${key}`)
  }
  return segments > 1 ? [...left, `left over for good: ${segments} index segments`] : left
}

const verifyCheck = async (repository: Repository, name: string): Promise<string[]> => {
  const { damages, touched } = await check(repository, { readData: 1 })
  return [
    ...damages.map(({ object, message }) => `${name}: ${object}: ${message}`),
    ...touched.map(range => `${name}: touched ${JSON.stringify(range)}`),
  ]
}
