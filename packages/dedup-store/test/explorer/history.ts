/** Repositories with a past, from which explored worlds begin: made once, by the real code, and copied. */
import {
  addClient,
  backup,
  collect,
  forgetSnapshot,
  initRepository,
  memoryBackend,
  openRepository,
} from '../../src/index.ts'
import type { Backend, Clock, Repository } from '../../src/index.ts'

import { PALETTE, SHAPES, readTiles } from './tile-disk.ts'
import type { TileDisk } from './tile-disk.ts'
import type { Change } from './recorded-storage.ts'

const SECRET = { kind: 'key-file', key: new Uint8Array(32).fill(7) } as const

export const TIME_TO_LIVE_MS = 4000

/** The label of a snapshot names what it must hold, also when its writer never heard that it is there. */
export const CONTENT_LABEL = 'content'

/** What is true from the start of a world. */
export interface History {
  readonly objects: readonly Change[]
  readonly contents: ReadonlyMap<string, TileDisk>
  /** Snapshots that are committed and not forgotten, by id. */
  readonly snapshots: ReadonlyMap<string, string>
  readonly forgotten: ReadonlySet<string>
  readonly template: Repository
  /** The same as a write-only client sees it, in some histories. */
  readonly client: Repository | undefined
}

/** Time that stands still but for whoever waits a little; signs of life, which wait longer, never come. */
export const stillClock = (startMs: number): Clock => {
  let nowMs = startMs
  return {
    now: () => nowMs,
    async sleep(ms, signal) {
      signal?.throwIfAborted()
      if (ms < TIME_TO_LIVE_MS / 8) {
        nowMs += ms
        return
      }
      await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)))
    },
  }
}

/** The repository as somebody with this storage and clock sees it. */
export const reopen = (template: Repository, backend: Backend, clock: Clock): Repository => ({
  ...template,
  context: { ...template.context, backend, clock, timeToLiveMs: TIME_TO_LIVE_MS },
})

export const randomTiles = (random: (below: number) => number, shape: Omit<TileDisk, 'tiles'>): TileDisk => ({
  ...shape,
  tiles: shape.places.map(() => random(PALETTE)),
})

/** Changes one or two tiles. */
export const changeTiles = (random: (below: number) => number, disk: TileDisk): TileDisk => {
  const tiles = [...disk.tiles]
  for (let changes = 1 + random(2); changes > 0; changes--) tiles[random(tiles.length)] = random(PALETTE)
  return { ...disk, tiles }
}

/**
 * @param kind how much has happened: 0 nothing; 1 snapshots; 2 some of them forgotten; 3 and collected, and forgotten again
 * @param hasClient whether there is a write-only client, who has made some of the snapshots
 */
export const makeHistory = async (
  kind: number,
  hasClient: boolean,
  random: (below: number) => number,
): Promise<History> => {
  const storage = memoryBackend()
  await initRepository(storage, SECRET, { chunker: 'grid:32k', compression: 'none' })
  const template = await openRepository(storage, SECRET)
  const repository = reopen(template, storage, stillClock(0))
  const client = hasClient ? await openClient(template, storage) : undefined
  const contents = new Map<string, TileDisk>()
  const snapshots = new Map<string, string>()
  const forgotten = new Set<string>()
  const backUp = async (): Promise<void> => {
    const content = randomTiles(random, SHAPES[random(SHAPES.length)] as TileDisk)
    const label = `h${contents.size}`
    contents.set(label, content)
    const writer = client === undefined || random(2) === 0 ? repository : reopen(client, storage, stillClock(0))
    const { id } = await backup(writer, [{ name: 'disk', source: 'test', disk: readTiles(content) }], {
      name: `machine-${random(2)}`,
      parent: 'none',
      workers: 0,
      labels: { [CONTENT_LABEL]: label },
    })
    snapshots.set(id, label)
  }
  const forgetOne = async (): Promise<void> => {
    const [id] = snapshots.keys()
    if (id === undefined) return
    await forgetSnapshot(repository.context, id)
    snapshots.delete(id)
    forgotten.add(id)
  }
  for (let i = 0; kind > 0 && i < 3; i++) await backUp()
  if (kind > 1) await forgetOne()
  if (kind > 2) {
    await collect(repository)
    await backUp()
    await forgetOne()
  }
  const objects: Change[] = []
  for await (const { key } of storage.list('')) objects.push({ actor: 'history', key, bytes: await storage.get(key) })
  return { objects, contents, snapshots, forgotten, template, client }
}

const openClient = async (template: Repository, storage: Backend): Promise<Repository> => {
  const { file } = await addClient(template, 'client')
  return await openRepository(storage, { kind: 'client', file })
}
